"""COCO's annotation files, read entry by entry: train's holds 448 MB, and anybody may have written it."""

import json
import os
import re
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tagseg.datasets.problems import Problem
from tagseg.errors import TagsegError

LISTS = ("images", "annotations", "categories")
"""The lists of an annotation file that are read; others are passed over."""

MAX_ENTRY = 16_000_000
"""Longest entry, in characters; it bounds the memory. COCO's longest has some ten thousand."""

MAX_FINDINGS = 10_000
"""So many problems of one file's entries are kept: a file of rubbish must not fill the memory."""

_CHUNK = 1 << 20  # characters
_BLANKS = re.compile(r"[ \t\n\r]*")
_MEND = "unpack annotations_trainval2017.zip again"


def annotation_file(root: Path, split: str) -> Path:
    """Return the file of a split's instances."""
    return root / "annotations" / f"instances_{split}2017.json"


def entries(path: Path) -> Iterator[tuple[str, object]]:
    """Yield (list, entry) for each entry of the file's LISTS, in the order of the file.

    One entry is in memory at a time. Raises TagsegError where the file is missing, is not JSON, is cut
    off, lacks one of the lists or has it twice, or where an entry is too long or too deep.
    """
    try:
        with open(path, encoding="utf-8-sig") as stream:
            yield from _lists(_Text(path, stream))
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such file; unpack annotations_trainval2017.zip there") from None
    except UnicodeDecodeError:
        raise TagsegError(f"{path}: not UTF-8; {_MEND}") from None
    except OSError as error:
        raise TagsegError(f"{path}: cannot be read ({error.strerror}); make it a readable file") from None


def _lists(text: "_Text") -> Iterator[tuple[str, object]]:
    """Yield the entries of the LISTS of the object that a text is."""
    found: list[str] = []
    for key in _members(text):
        if key not in LISTS:
            _pass_over(text)
            continue
        if key in found:
            raise text.error(f"a second list `{key}`")
        found.append(key)
        for entry in _elements(text):
            yield key, entry
    missing = [key for key in LISTS if key not in found]
    if missing:
        raise text.error(f"no list `{missing[0]}`")


def _members(text: "_Text") -> Iterator[str]:
    """Yield the keys of an object; the caller reads the value before the next."""
    text.take("{")
    while text.next_sign() != "}":
        key = text.value()
        if not isinstance(key, str):
            raise text.error("a key that is no text")
        text.take(":")
        yield key
        _take_comma(text, "}")
    text.take("}")
    if text.next_sign():
        raise text.error("something after the end")


def _elements(text: "_Text") -> Iterator[object]:
    """Yield the elements of an array."""
    text.take("[")
    while text.next_sign() != "]":
        yield text.value()
        _take_comma(text, "]")
    text.take("]")


def _take_comma(text: "_Text", end: str) -> None:
    """Step over the comma between two elements; there is none before the sign `end`."""
    if text.next_sign() == end:
        return
    text.take(",")
    if text.next_sign() == end:
        raise text.error(f"a comma before {end!r}")


def _pass_over(text: "_Text") -> None:
    """Read a value that is of no interest; a long list of them never lies in memory whole."""
    if text.next_sign() != "[":
        text.value()
        return
    for _ in _elements(text):
        pass


class _Text:
    """A window on a long JSON text: whole values are taken from its front, more is read when it is short."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path, self._stream = path, stream
        self._window, self._position, self._passed = "", 0, 0
        self._decode = json.JSONDecoder().raw_decode

    def next_sign(self) -> str:
        """Return the next sign that is not blank, without taking it; "" at the end of the file."""
        while True:
            self._position = _BLANKS.match(self._window, self._position).end()
            if self._position < len(self._window):
                return self._window[self._position]
            if not self._read_more():
                return ""

    def take(self, sign: str) -> None:
        """Step over the next sign, which has to be `sign`."""
        found = self.next_sign()
        if found != sign:
            raise self.error(f"{sign!r} expected, {repr(found) if found else 'the end of the file'} found")
        self._position += 1

    def value(self) -> object:
        """Take one JSON value. Raises TagsegError where it is malformed, cut off, too long or too deep."""
        self.next_sign()
        while True:
            try:
                value, end = self._decode(self._window, self._position)
            except json.JSONDecodeError as error:
                if not self._read_more():
                    raise self.error(error.msg) from None
                continue
            except (ValueError, RecursionError):
                raise self.error("an absurdly long number or deep nesting") from None
            # A number at the end of the window may go on behind it.
            if end < len(self._window) or not self._read_more():
                self._position = end
                return value

    def _read_more(self) -> bool:
        """Lengthen the window, by its double at least, after dropping what was taken; False at the end."""
        rest = self._window[self._position :]
        if len(rest) > MAX_ENTRY:
            raise self.error(f"malformed, or an entry of more than {MAX_ENTRY:,} characters")
        more = self._stream.read(max(_CHUNK, len(rest)))
        self._passed += self._position
        self._window, self._position = rest + more, 0
        return bool(more)

    def error(self, what: str) -> TagsegError:
        place = self._passed + self._position
        return TagsegError(f"{self._path}: not COCO's annotations ({what}, at character {place:,}); {_MEND}")


class Findings:
    """Problems of one file or folder, as many as MAX_FINDINGS; the others are only counted."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._problems: list[Problem] = []
        self._untold = 0

    def add(self, text: str) -> None:
        if len(self._problems) < MAX_FINDINGS:
            self._problems.append(Problem(self.place, 0, text))
        else:
            self._untold += 1

    def all(self) -> list[Problem]:
        """Return the problems, with a last one for those that were only counted."""
        if not self._untold:
            return self._problems
        return [*self._problems, Problem(self.place, 0, f"{self._untold:,} more problems of entries")]


def is_whole(value: object, least: int = -(2**63), most: int = 2**63 - 1) -> bool:
    """Say whether a value of JSON is a whole number within least and most; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_crowd(annotation: dict) -> bool:
    """Say whether an annotation is of a crowd region. Raises ValueError where its flag is no flag."""
    flag = annotation.get("iscrowd", 0)
    if not isinstance(flag, int) or flag not in (0, 1):
        raise ValueError(f"`iscrowd` is {shown(flag)}; make it 0 or 1")
    return bool(flag)


def shown(value: object) -> str:
    """Return a value of an untrusted file, cut to what a message can hold."""
    return reprlib.repr(value)


def leads_out(root: Path, path: Path) -> Path | None:
    """Return where symbolic links lead from `path`, if out of the folder `root`."""
    real = Path(os.path.realpath(path))
    return None if real.is_relative_to(os.path.realpath(root)) else real
