"""Every image and every mask is read once, so that damage shows before hours of training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from tagseg.datasets.common import check_mask, collected
from tagseg.datasets.problems import Problem, write_table
from tagseg.runtime.commandline import progress
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.pools import SMALL_TASKS, in_processes
from tagseg.storage.images import UnreadableImage, read_image, read_mask
from tagseg.storage.index import ImageRecord, Index

UNKNOWN = (0, 0)
"""Width and height of a row where the data set does not state them."""


class SkippedImage(NamedTuple):
    """An unreadable image, which is not in the index; `problem` is the same as a Problem."""

    id: str
    path: str
    reason: str
    problem: Problem


@dataclass
class Reading:
    """How to read the images of a data set; afterwards, how many were read and which were skipped.

    An image is skipped where it is unreadable or has another size than the data set states. Where the skipped
    fraction exceeds `max_unreadable_fraction` (None: always), every skipped image is a problem. Images below
    `results`, the folder of our runs, do not belong to the data set.
    """

    max_unreadable_fraction: float | None = None
    processes: int = 1
    results: Path | None = None
    count: int = field(default=0, init=False)
    skipped: list[SkippedImage] = field(default_factory=list, init=False)

    def readable(
        self,
        rows: Sequence[ImageRecord],
        problems: list[Problem],
        problem_of: Callable[[ImageRecord, str], Problem] = lambda row, text: Problem(row.path, 0, text),
    ) -> tuple[ImageRecord, ...]:
        """Return the rows of readable images with their sizes, sorted by id. Call it once per data set.

        A missing file, or one that the system fails to read, always goes to `problems`.
        """
        self.count = len(rows)
        kept = []
        results = progress(in_processes(_with_size, rows, self.processes, SMALL_TASKS), "images", len(rows))
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, ImageRecord):
                kept.append(result)
                continue
            text = str(result).removeprefix(f"{row.path}: ")
            problem = problem_of(row, text)
            if isinstance(result, UnreadableImage):
                self.skipped.append(SkippedImage(row.id, row.path, text, problem))
            else:
                problems.append(problem)
        problems += self._too_many()
        return tuple(sorted(kept, key=lambda row: row.id))

    def _too_many(self) -> list[Problem]:
        """Return the problems of all skipped images if they are too many."""
        limit, skipped = self.max_unreadable_fraction, [one.problem for one in self.skipped]
        if not skipped or (limit is not None and len(skipped) / self.count <= limit):
            return []
        text = (
            f"{len(skipped):,} of {self.count:,} images cannot be read, more than "
            f"dataset.max_unreadable_fraction ({limit}) allows. Replace or remove them, or raise it."
        )
        return skipped if limit is None else [Problem("", 0, text), *skipped]


def _with_size(row: ImageRecord) -> ImageRecord | TagsegError:
    """Read an image; return its row with its size after EXIF rotation, or what is wrong."""
    try:
        height, width = read_image(row.path).shape[:2]
    except TagsegError as error:
        return error
    if (row.width, row.height) in (UNKNOWN, (width, height)):
        return replace(row, width=width, height=height)
    stated = f"the data set states {row.width}x{row.height}"
    return UnreadableImage(f"{row.path}: {width}x{height} pixels, but {stated}. Replace the image.")


def write_skipped(path: str | Path, skipped: Sequence[SkippedImage]) -> None:
    """Write a table of the skipped images (id, path, reason), sorted by id, atomically."""
    write_table(path, ("id", "path", "reason"), [one[:3] for one in sorted(skipped)])


def mask_problems(masks: Mapping[str, Path], index: Index, processes: int) -> list[Problem]:
    """Read all pixels of the masks (path by image id); return the problems, one per mask.

    A problem is damage, colours instead of labels, an unknown label, or another size than the image's.
    """
    tasks = [(row, masks[row.id], len(index.classes)) for row in index.images if row.id in masks]
    results = in_processes(_problems_of_mask, tasks, processes, SMALL_TASKS)
    return [problem for some in progress(results, "ground truth", len(tasks)) for problem in some]


def _problems_of_mask(task: tuple[ImageRecord, Path, int]) -> list[Problem]:
    row, path, classes = task
    problems: list[Problem] = []
    with collected(problems, path):
        check_mask(path, row.width, row.height)
        read_mask(path, classes)
    return problems
