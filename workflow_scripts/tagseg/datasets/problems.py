"""Problems of a data set: all of them are collected and reported together."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_file

MAX_LISTED = 50
"""How many problems a message lists; more would push the first ones off the screen."""


class Problem(NamedTuple):
    """One problem: the file or image, the line (0: none), what is wrong and how to fix it."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        parts = [self.path, f"line {self.line}" if self.line else ""]
        where = ", ".join(part for part in parts if part)
        return f"{where}: {self.text}" if where else self.text


def counted(images: int) -> str:
    """Return a number of images in words."""
    return "1 image" if images == 1 else f"{images:,} images"


class DatasetProblems(TagsegError):
    """All problems of a data set: `problems` has every one, the message the first MAX_LISTED."""

    def __init__(self, source: str | Path, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        listed = [f"  {problem}" for problem in self.problems[:MAX_LISTED]]
        more = len(self.problems) - MAX_LISTED
        rest = [f"  and {more} more problems"] if more > 0 else []
        super().__init__("\n".join([f"{source}: {count}", *listed, *rest]))


def raise_any(source: str | Path, problems: Sequence[Problem]) -> None:
    """Raise DatasetProblems where there is any problem."""
    if problems:
        raise DatasetProblems(source, problems)


def write_problems(path: str | Path, problems: Sequence[Problem]) -> None:
    """Write a table of problems (path, line, problem), sorted, atomically."""
    rows = [(one.path, one.line or "", one.text) for one in sorted(problems)]
    write_table(path, ("path", "line", "problem"), rows)


def write_table(path: str | Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV file atomically; bytes of file names that are not UTF-8 become escapes."""
    with (
        atomic_file(path) as aside,
        open(aside, "w", newline="", encoding="utf-8", errors="backslashreplace") as stream,
    ):
        csv.writer(stream).writerows([header, *rows])


@contextmanager
def problems_in(path: str | Path) -> Iterator[None]:
    """Write a block's DatasetProblems to the table `path` and raise them again; else remove an old table."""
    try:
        yield
    except DatasetProblems as error:
        write_problems(path, error.problems)
        error.args = (f"{error}\n  all of them: {path}",)
        raise
    Path(path).unlink(missing_ok=True)
