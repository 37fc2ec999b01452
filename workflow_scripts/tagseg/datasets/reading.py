"""Every photograph is read once, for the index: what cannot be read shows there, before hours of training."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from tagseg.datasets.problems import Problem, printable
from tagseg.errors import TagsegError
from tagseg.files import atomic_file
from tagseg.images import UnreadableImage, read_photograph
from tagseg.index import Photograph
from tagseg.pools import SMALL_TASKS, in_processes

UNKNOWN = (0, 0)
"""Width and height of a row whose data set does not say them."""

Progress = Callable[[Iterable, str, int], Iterable]
"""Yields the items, given them, what they are and how many, and shows how far it is."""


class LeftOut(NamedTuple):
    """A photograph that is in no index, since its bytes are no good; as a problem it has a place, too."""

    id: str
    path: str
    reason: str
    problem: Problem


def _at_its_path(row: Photograph, text: str) -> Problem:
    return Problem(row.path, 0, text)


def _silently(items: Iterable, what: str, count: int) -> Iterable:
    return items


@dataclass
class Reading:
    """How the photographs of a data set are read (in `processes`), and which of them were `left_out`.

    Left out are those that are no readable image, or have not the size that the data set says. They are
    problems, all of them, where their share of the `count` photographs that were read exceeds
    `unreadable_share` (0 <= share <= 1); None: in any case. Where a data set is all images below a folder,
    those below `results` are none of it: our runs have made them.
    """

    unreadable_share: float | None = None
    processes: int = 1
    progress: Progress = _silently
    results: Path | None = None
    count: int = field(default=0, init=False)
    left_out: list[LeftOut] = field(default_factory=list, init=False)

    def readable(
        self,
        rows: Sequence[Photograph],
        problems: list[Problem],
        problem_of: Callable[[Photograph, str], Problem] = _at_its_path,
    ) -> tuple[Photograph, ...]:
        """Return the rows whose photographs can be read, with their sizes, sorted by id.

        Give it all photographs of a data set at once. A file that is missing, or that the machine cannot
        read, is one of the `problems` in any case; `problem_of` makes one of a row and a text.
        """
        self.count = len(rows)
        found = in_processes(_with_size, rows, self.processes, SMALL_TASKS)
        kept = []
        for row, answer in zip(rows, self.progress(found, "photographs read", len(rows)), strict=True):
            if isinstance(answer, Photograph):
                kept.append(answer)
                continue
            text = str(answer).removeprefix(f"{row.path}: ")
            if isinstance(answer, UnreadableImage):
                self.left_out.append(LeftOut(row.id, row.path, text, problem_of(row, text)))
            else:
                problems.append(problem_of(row, text))
        problems += self._too_many()
        return tuple(sorted(kept, key=lambda row: row.id))

    def _too_many(self) -> list[Problem]:
        """Return the problems of all that were left out, if they are too many, with a word on the setting."""
        share, count = self.unreadable_share, len(self.left_out)
        if not count or (share is not None and count / self.count <= share):
            return []
        told = [one.problem for one in self.left_out]
        return told if share is None else [Problem("", 0, _over(count, self.count, share)), *told]


def _over(count: int, of: int, share: float) -> str:
    return (
        f"{count:,} of {of:,} photographs cannot be read, where dataset.unreadable_share is {share:g}; "
        "replace or remove them, or raise the share to leave them out"
    )


def _with_size(row: Photograph) -> Photograph | TagsegError:
    """Read all of a photograph; return its row with its size after EXIF rotation, or what is wrong."""
    try:
        height, width = read_photograph(row.path).shape[:2]
    except TagsegError as error:
        return error
    if (row.width, row.height) in (UNKNOWN, (width, height)):
        return replace(row, width=width, height=height)
    said = f"{row.width}x{row.height}"
    return UnreadableImage(
        f"{row.path}: {width}x{height} pixels, where the data set says {said}; replace the photograph"
    )


def write_left_out(path: str | Path, left_out: Iterable[LeftOut]) -> None:
    """Write a table of the photographs left out (id, path, reason), sorted by id, atomically."""
    with atomic_file(path) as aside, open(aside, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("id", "path", "reason"))
        writer.writerows(map(printable, row[:3]) for row in sorted(left_out))
