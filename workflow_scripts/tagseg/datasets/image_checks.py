"""Every image and every mask is read once, so that damage shows before hours of training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tagseg.datasets.common import check_mask, collected
from tagseg.datasets.problems import Problem, counted, write_table
from tagseg.runtime.commandline import progress
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.pools import SMALL_TASKS, in_processes
from tagseg.storage.files import digest
from tagseg.storage.images import MAX_PIXELS, VOID, UnreadableImage, read_image, read_mask, stored_size
from tagseg.storage.index import SPLITS, ImageRecord, Index

MAX_COPIES = 20
"""How many copies across splits are noted one by one."""

PLENTY = 5
"""Images with a mask and a tag from which on a class that no mask shows is a mistake."""

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
    `results`, the folder of our runs, do not belong to the data set. `notes` collects what a reader assumes.
    """

    max_unreadable_fraction: float | None = None
    processes: int = 1
    results: Path | None = None
    max_pixels: int = MAX_PIXELS
    count: int = field(default=0, init=False)
    skipped: list[SkippedImage] = field(default_factory=list, init=False)
    notes: list[str] = field(default_factory=list, init=False)

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
        tasks = [(row, self.max_pixels) for row in rows]
        results = progress(in_processes(_with_size, tasks, self.processes, SMALL_TASKS), "images", len(rows))
        contents: dict[str, ImageRecord] = {}  # the first image of each digest
        copies: list[str] = []  # across splits: their scores say nothing about new images
        turned = 0
        for row, result in zip(rows, results, strict=True):
            if not isinstance(result, TagsegError):
                kept.append(result[0])
                turned += (row.width, row.height) not in (UNKNOWN, (result[0].width, result[0].height))
                first = contents.setdefault(result[1], row)
                if first.split != row.split:
                    copies.append(f"{row.path} ({row.split}) is a copy of {first.path} ({first.split})")
                continue
            text = str(result).removeprefix(f"{row.path}: ")
            problem = problem_of(row, text)
            if isinstance(result, UnreadableImage):
                self.skipped.append(SkippedImage(row.id, row.path, text, problem))
            else:
                problems.append(problem)
        if turned:
            self.notes.append(f"{counted(turned)} with an EXIF rotation that the annotations ignore: masks are turned")
        self.notes += copies[:MAX_COPIES]
        if len(copies) > MAX_COPIES:
            self.notes.append(f"{len(copies):,} images in all are copies of one in another split")
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


def _with_size(task: tuple[ImageRecord, int]) -> tuple[ImageRecord, str] | TagsegError:
    """Read an image of at most so many pixels; return its row with its size after EXIF rotation and the file's digest.

    The size that a data set states may be that before the rotation. Returns the error where something is wrong.
    """
    row, max_pixels = task
    try:
        height, width = read_image(row.path, max_pixels).shape[:2]
    except TagsegError as error:
        return error
    size = (row.width, row.height)
    if size in (UNKNOWN, (width, height)) or size == stored_size(row.path):
        return replace(row, width=width, height=height), digest(row.path)
    stated = f"the data set states {row.width}x{row.height}"
    return UnreadableImage(f"{row.path}: {width}x{height} pixels, but {stated}. Replace the image.")


def write_skipped(path: str | Path, skipped: Sequence[SkippedImage]) -> None:
    """Write a table of the skipped images (id, path, reason), sorted by id, atomically."""
    write_table(path, ("id", "path", "reason"), [one[:3] for one in sorted(skipped)])


def mask_problems(masks: Mapping[str, Path], index: Index, processes: int) -> list[Problem]:
    """Read all pixels of the masks (path by image id); return the problems.

    A problem is damage, colours instead of labels, an unknown label, another size than the image's, and a set of masks
    that cannot be right: 0 and 255 alone, or a tagged class in none of its images.
    """
    tasks = [(row, masks[row.id], len(index.classes)) for row in index.images if row.id in masks]
    results = list(progress(in_processes(_read_labels, tasks, processes, SMALL_TASKS), "ground truth", len(tasks)))
    if problems := [problem for some, _ in results for problem in some]:
        return problems
    pairs = [(row, labels) for (row, *_), (_, labels) in zip(tasks, results, strict=True)]
    by_split = {split: [pair for pair in pairs if pair[0].split == split] for split in SPLITS}
    return [problem for split, some in by_split.items() for problem in implausible_masks(split, some, index)]


def _read_labels(task: tuple[ImageRecord, Path, int]) -> tuple[list[Problem], frozenset[int]]:
    """Return the problems of a mask and its labels."""
    row, path, classes = task
    problems: list[Problem] = []
    labels: frozenset[int] = frozenset()
    with collected(problems, path):
        check_mask(path, row.width, row.height)
        labels = frozenset(np.unique(read_mask(path, classes)).tolist())
    return problems, labels


def implausible_masks(split: str, pairs: Sequence[tuple[ImageRecord, frozenset[int]]], index: Index) -> list[Problem]:
    """Return why the masks of a split, as (image, labels) pairs, cannot be the ground truth of its tags."""
    tagged = [(row, labels) for row, labels in pairs if row.tags]
    remedy = (
        "A mask holds class indices: 0 background, 1, 2, ... the classes in order, 255 void. "
        "Correct the masks, or list the classes in their order in classes.txt."
    )
    if len(tagged) >= PLENTY and all(labels <= {0, VOID} for _, labels in tagged):
        return [Problem("", 0, f"{split}: the masks hold 0 and 255 alone. {remedy}")]
    problems = []
    for label, name in enumerate(index.classes[1:], start=1):
        of_class = [labels for row, labels in tagged if name in row.tags]
        if len(of_class) >= PLENTY and not any(label in labels for labels in of_class):
            text = f"class index {label} ({name}) is in none of the {len(of_class)} masks of images with that tag"
            problems.append(Problem("", 0, f"{split}: {text}. {remedy}"))
    return problems
