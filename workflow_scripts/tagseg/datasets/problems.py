"""What is wrong with a data set, all of it told at once."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tagseg.errors import TagsegError
from tagseg.files import atomic_file

MAX_TOLD = 50
"""A message names so many problems; more would push the first ones off the screen."""


class Problem(NamedTuple):
    """One thing that is wrong: in which file or photograph, in which line (or 0), and what to do."""

    place: str
    line: int
    text: str

    def __str__(self) -> str:
        place = f"{self.place}, " if self.place and self.line else self.place
        where = f"{place}line {self.line}" if self.line else place
        return f"{where}: {self.text}" if where else self.text


class DatasetProblems(TagsegError):
    """All problems of a data set; `problems` holds every one, the message the first MAX_TOLD."""

    def __init__(self, source: str | Path, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        told = [f"  {problem}" for problem in self.problems[:MAX_TOLD]]
        untold = len(self.problems) - MAX_TOLD
        rest = [f"  and {untold} more problems"] if untold > 0 else []
        super().__init__("\n".join([f"{source}: {count}", *told, *rest]))


def write_problems(path: str | Path, problems: Sequence[Problem]) -> None:
    """Write a table of problems (place, line or nothing, problem), sorted, atomically."""
    with atomic_file(path) as aside, open(aside, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("place", "line", "problem"))
        # A file name that is not UTF-8 is told too, in the spelling that Python escapes it in.
        writer.writerows(
            (printable(place), line or "", printable(text)) for place, line, text in sorted(problems)
        )


def printable(text: str) -> str:
    """Return a text that UTF-8 can hold: bytes of file names that are not UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


@contextmanager
def problems_in(path: str | Path) -> Iterator[None]:
    """Write the problems that a block finds to the table `path`; remove an old one where it finds none.

    Raises DatasetProblems anew, with the name of the table below its message.
    """
    try:
        yield
    except DatasetProblems as error:
        write_problems(path, error.problems)
        error.args = (f"{error}\n  all of them: {path}",)
        raise
    Path(path).unlink(missing_ok=True)
