"""The rows of a table of labels, and their problems."""

import os
import unicodedata
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from tagseg.datasets.folder.image_files import find_files, is_image
from tagseg.datasets.folder.table_formats import Entry, read_entries
from tagseg.datasets.paths import is_utf8, shown
from tagseg.datasets.problems import Problem, counted
from tagseg.storage.index import SPLITS


@dataclass(frozen=True)
class Row:
    """One image: its path relative to the folder, its tags, its split ("": any), and its line in `table`, if any."""

    image: PurePosixPath
    tags: frozenset[str]
    split: str
    table: str = ""
    line: int = 0

    def problem(self, text: str) -> Problem:
        """Return a problem of this image; `text` may begin with its name."""
        name = shown(self.image)
        bare = text.removeprefix(f"{name}: ")
        return Problem(self.table, self.line, f"{name}: {bare}") if self.table else Problem(name, 0, bare)


def read_rows(root: Path, name: str, notes: list[str]) -> tuple[list[Row], list[Problem]]:
    """Return the rows of the table `root`/`name` with a usable path, each image once, and all problems.

    The table may be anywhere. The labels of several rows of an image are merged. `notes` collects what was assumed.
    Raises TagsegError if it cannot be read (`read_entries`).
    """
    rows: dict[PurePosixPath, Row] = {}
    problems, merged = [], set()
    entries, names = read_entries(root / name, notes), FileNames(root)
    for entry in (replace(one, image=one.image and names.relative(one.image)) for one in entries):
        texts = list(entry.problems) if entry.image is None else _texts(entry)
        if entry.image and not wrong_path(entry.image):
            row = Row(names.find(entry.image), entry.tags, entry.split, name, entry.line)
            first = rows.setdefault(row.image, row)
            if first is not row:
                merged.add(row.image)
                rows[row.image] = replace(first, tags=first.tags | row.tags, split=first.split or row.split)
                if row.split and first.split not in ("", row.split):
                    texts.append(f"split {row.split}, but {first.split} in line {first.line}. Write the same split.")
        about = f"{shown(PurePosixPath(entry.image))}: " if entry.image else ""
        problems += [Problem(name, entry.line, f"{about}{text}") for text in texts]
    if names.guessed:
        notes.append(f"{name}: {counted(names.guessed)} found by the file name alone")
    if merged:
        notes.append(f"{name}: the labels of several rows of an image are merged ({counted(len(merged))})")
    return list(rows.values()), problems


class FileNames:
    """Finds the files of a folder by the paths that a table has.

    Such a path may have Windows' backslashes, be absolute or in another Unicode form, or be a bare name: without its
    folder or its suffix, if that is unambiguous; `guessed` counts the latter.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.guessed = root, 0

    def relative(self, written: str) -> str:
        """Return a written path relative to the folder, if it lies there."""
        path = written if "\\" not in written or os.path.exists(self.root / written) else written.replace("\\", "/")
        inside = PurePosixPath(path).is_relative_to(self.root.absolute())
        return str(PurePosixPath(path).relative_to(self.root.absolute())) if inside else path

    def find(self, path: str) -> PurePosixPath:
        """Return the file that a relative path means, the path itself if there is none."""
        forms = (path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD")))
        if found := next((form for form in forms if os.path.isfile(self.root / form)), ""):
            return PurePosixPath(found)
        named = self._by_name.get(unicodedata.normalize("NFC", path), [])
        self.guessed += len(named) == 1
        return named[0] if len(named) == 1 else PurePosixPath(path)

    @cached_property
    def _by_name(self) -> dict[str, list[PurePosixPath]]:
        """The images by path without suffix, by name, and by name without suffix."""
        found: dict[str, list[PurePosixPath]] = {}
        for file in filter(is_image, find_files(self.root)[0]):
            for name in {str(file.with_suffix("")), file.name, file.stem}:
                found.setdefault(unicodedata.normalize("NFC", name), []).append(file)
        return found


def _texts(entry: Entry) -> list[str]:
    """Return the problems of a well-formed line, each with its remedy."""
    texts = [*entry.problems, wrong_path(entry.image or "")]
    if entry.split and entry.split not in SPLITS:
        texts.append(f"split {entry.split!r} is unknown. Use {', '.join(SPLITS)}, or leave it empty.")
    return [text for text in texts if text]


def wrong_path(path: str) -> str:
    """Return the problem of a relative path that a user wrote, or ""."""
    if not path or PurePosixPath(path) == PurePosixPath("."):
        return "no path. Name the image's file."
    if "\0" in path or not is_utf8(path):
        return "the path is not UTF-8 text. Correct it."
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive:
        return "an absolute path. Write it relative to the folder of the images."
    if ".." in PurePosixPath(path).parts:
        return "the path points outside the folder (`..`). Move the file into the folder, or link to it there."
    return ""
