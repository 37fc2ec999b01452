"""The rows of a table of labels, and what is wrong with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from tagseg.datasets.places import is_utf8, leads_out, shown
from tagseg.datasets.problems import Problem
from tagseg.datasets.table_formats import Entry, read_entries
from tagseg.errors import TagsegError
from tagseg.index import SPLITS


@dataclass(frozen=True)
class Row:
    """One photograph: the image's path relative to the folder, its tags, its split or "" for any.

    `table` and `line` say where it is written; without a table ("") the folders have said it.
    """

    image: PurePosixPath
    tags: frozenset[str]
    split: str
    table: str = ""
    line: int = 0

    def problem(self, text: str) -> Problem:
        """Return a problem of this photograph; `text` may begin with its name."""
        name = shown(self.image)
        bare = text.removeprefix(f"{name}: ")
        return Problem(self.table, self.line, f"{name}: {bare}") if self.table else Problem(name, 0, bare)


def read_rows(root: Path, name: str) -> tuple[list[Row], list[Problem]]:
    """Return the rows of the table `root`/`name` with a usable path, each image once, and all problems.

    Raises TagsegError where the table leads out of the folder or cannot be read (`read_entries`).
    """
    text = wrong_path(name) or leads_out(root, PurePosixPath(name))
    if text:
        raise TagsegError(f"{shown(name)}: {text}")
    rows: dict[PurePosixPath, Row] = {}
    problems = []
    for entry in read_entries(root / name):
        row, wrong = _check_entry(name, entry)
        if row and row.image in rows:
            wrong.append(f"already in line {rows[row.image].line}; remove one of the two")
        elif row:
            rows[row.image] = row
        problems += [Problem(name, entry.line, _about(row, entry, text)) for text in wrong]
    return list(rows.values()), problems


def _about(row: Row | None, entry: Entry, text: str) -> str:
    image = row.image if row else entry.image
    return f"{shown(image)}: {text}" if image else text


def _check_entry(table: str, entry: Entry) -> tuple[Row | None, list[str]]:
    """Return a line's row, None without a usable path, and what is wrong, with the remedy."""
    wrong = list(entry.wrong)
    path_text = "" if entry.image is None else wrong_path(entry.image)
    if path_text:
        wrong.append(path_text)
    if entry.split and entry.split not in SPLITS:
        wrong.append(f"split {entry.split!r} is none of {', '.join(SPLITS)}; mend it or leave it empty")
    if entry.tags == frozenset() and entry.split != "test":  # nothing learns from the tags of test
        wrong.append("no tag; name what is on the photograph or remove the row")
    if entry.image is None or path_text:
        return None, wrong
    tags, split = entry.tags or frozenset(), entry.split or ""
    return Row(PurePosixPath(entry.image), tags, split, table, entry.line), wrong


def wrong_path(path: str) -> str:
    """Return what is wrong with a relative path as a user writes it, or "" for nothing."""
    if not path or PurePosixPath(path) == PurePosixPath("."):
        return "no path; name the image's file"
    if "\0" in path:
        return "the path holds a null sign; remove it"
    if not is_utf8(path):
        return "the path is not UTF-8; mend it"
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive:
        return "an absolute path; write it relative to the folder of the photographs"
    if ".." in PurePosixPath(path).parts:
        return "the path leaves the folder by ..; move the file into the folder"
    return "" if "\\" not in path else "the path holds \\; write / between folders"


def check_tags(rows: Sequence[Row], names: Sequence[str], remedy: str) -> list[Problem]:
    """Return a problem for each tag of each row that is not among the class names."""
    known = set(names)
    return [
        row.problem(f"class {tag!r} is not in the class list; {remedy}")
        for row in rows
        for tag in sorted(row.tags - known)
    ]
