"""The rows of a table of labels, and their problems."""

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from tagseg.datasets.folder.table_formats import Entry, read_entries
from tagseg.datasets.paths import is_utf8, shown
from tagseg.datasets.problems import Problem
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


def read_rows(root: Path, name: str) -> tuple[list[Row], list[Problem]]:
    """Return the rows of the table `root`/`name` with a usable path, each image once, and all problems.

    The table may be anywhere. Raises TagsegError if it cannot be read (`read_entries`).
    """
    rows: dict[PurePosixPath, Row] = {}
    problems = []
    for entry in read_entries(root / name):
        texts = list(entry.problems) if entry.image is None else _texts(entry)
        if entry.image and not wrong_path(entry.image):
            row = Row(_on_disk(root, entry.image), entry.tags, entry.split, name, entry.line)
            first = rows.setdefault(row.image, row)
            if first is not row:
                texts.append(
                    f"already in line {first.line}. Remove one of the two rows, and list all labels in the other."
                )
        about = f"{shown(PurePosixPath(entry.image))}: " if entry.image else ""
        problems += [Problem(name, entry.line, f"{about}{text}") for text in texts]
    return list(rows.values()), problems


def _on_disk(root: Path, image: str) -> PurePosixPath:
    """Return an image's path, in the Unicode form of the file's name if only that exists."""
    forms = (image, *(unicodedata.normalize(form, image) for form in ("NFC", "NFD")))
    return PurePosixPath(next((form for form in forms if os.path.isfile(root / form)), image))


def _texts(entry: Entry) -> list[str]:
    """Return the problems of a well-formed line, each with its remedy."""
    texts = [*entry.problems, wrong_path(entry.image or "")]
    if entry.split and entry.split not in SPLITS:
        texts.append(f"split {entry.split!r} is unknown. Use {', '.join(SPLITS)}, or leave it empty.")
    if not entry.tags and entry.split != "test":  # the tags of test are not used
        texts.append("no tag. Name the classes in the image, or remove the row.")
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
    return "" if "\\" not in path else "the path holds a backslash. Write / between folders."


def check_tags(rows: Sequence[Row], names: Sequence[str], remedy: str) -> list[Problem]:
    """Return a problem for each tag of each row that is not among the class names."""
    known = set(names)
    return [
        row.problem(f"class {tag!r} is not in the class list. {remedy}")
        for row in rows
        for tag in sorted(row.tags - known)
    ]
