"""Class names as people write them: spellings of one name become one class, joined names are split.

Names that differ in capitals, blanks or Unicode form only are one class. What is changed is reported.
"""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from tagseg.datasets.common import CLASS_LIST
from tagseg.datasets.problems import counted
from tagseg.storage.index import SEPARATOR, normal_form

_JOINTS = re.compile(r"[,|/]|\s+")


class ClassNames:
    """The classes of a data set, and the class or classes that each written name stands for.

    `listed` are the names of classes.txt, or another list. Without one the classes are the written names, each in its
    most frequent spelling. A name that is not listed is ignored, or refused with the remedy `unlisted`, if given.
    `notes` says what is read differently than it is written, `wrong` which names are refused and why.
    """

    def __init__(self, written: Iterable[str], listed: Sequence[str] | None = None, unlisted: str = "") -> None:
        self.counts, self._unlisted = Counter(written), unlisted
        spellings = listed if listed is not None else self._frequent_spellings()
        self._class_of = {normal_form(name): name for name in spellings}
        self._listed = listed
        self.meaning: dict[str, tuple[str, ...]] = {}
        self.notes: list[str] = []
        self.wrong: dict[str, str] = {}
        for name in sorted(self.counts):
            self.meaning[name] = self._classes_of(name)
        used = {one for meaning in self.meaning.values() for one in meaning}
        self.names = tuple(listed) if listed is not None else tuple(sorted(used))

    def tags(self, written: Iterable[str]) -> frozenset[str]:
        """Return the classes of written names."""
        return frozenset(one for name in written for one in self.meaning[name])

    def _frequent_spellings(self) -> list[str]:
        by_form: dict[str, str] = {}
        for name, _ in sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0].swapcase())):
            by_form.setdefault(normal_form(name), " ".join(unicodedata.normalize("NFC", name).split()))
        return list(by_form.values())

    def _classes_of(self, name: str) -> tuple[str, ...]:
        """Return the classes of a written name; add to `notes` or `wrong` where they are not the name itself."""
        form, images = normal_form(name), counted(self.counts[name])
        parts = self._parts(form)
        own = self._class_of.get(form)
        if self._listed is None and not parts and self._is_doubtful(form):
            remedy = f"Separate labels by {SEPARATOR}, or list all classes in {CLASS_LIST}."
            self.wrong[name] = f"class {name!r} looks like several classes. {remedy}"
        if own is not None and not (parts and self._listed is None):
            if own != name:
                self.notes.append(f"class {name!r} is read as {own!r} ({images})")
            return (own,)
        if parts:
            self.notes.append(f"class {name!r} is read as {' and '.join(map(repr, parts))} ({images})")
            return parts
        if self._unlisted:
            self.wrong[name] = f"class {name!r} is {self._unlisted}"
        elif near := difflib.get_close_matches(form, self._class_of, 1, 0.8):
            remedy = f"Correct it to {self._class_of[near[0]]!r}, or add it to {CLASS_LIST}."
            self.wrong[name] = f"class {name!r} is not in {CLASS_LIST}. {remedy}"
        else:
            self.notes.append(f"class {name!r} is not in {CLASS_LIST}: ignored ({images})")
        return ()

    def _parts(self, form: str) -> tuple[str, ...]:
        """Return the classes that a name joins by , | / or blanks; () if a part is no class by itself."""
        parts = [part for part in _JOINTS.split(form) if part]
        if len(parts) < 2 or not all(part in self._class_of and part != form for part in parts):
            return ()
        return tuple(dict.fromkeys(self._class_of[part] for part in parts))

    def _is_doubtful(self, form: str) -> bool:
        """Return whether a name has a comma or a bar between names of which one is a class."""
        return any(part.strip() in self._class_of for part in re.split(r"[,|]", form) if part.strip() != form)
