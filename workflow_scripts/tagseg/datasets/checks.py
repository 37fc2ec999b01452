"""The check of a whole data set: every photograph and every true mask is read, and all problems are kept."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from tagseg.datasets.mask_reading import mask_problems
from tagseg.datasets.problems import DatasetProblems, Problem
from tagseg.datasets.readers import (
    find_true_masks,
    new_reading,
    read_photographs,
    train_problems,
    without_untagged,
)
from tagseg.errors import TagsegError
from tagseg.index import Index
from tagseg.true_masks import read_true_masks, write_true_masks

Result = TypeVar("Result")


class Findings(NamedTuple):
    """What was found: the index, None where it cannot be built, the ids with a true mask, the problems.

    Of the `read` photographs, `unreadable` ones are not in the index, but among the problems.
    """

    index: Index | None
    masked: frozenset[str]
    problems: tuple[Problem, ...]
    read: int
    unreadable: int


def check_data_set(settings: Mapping, folder: Path, processes: int, results: Path | None = None) -> Findings:
    """Read a whole data set. Where the index can be built, photographs and masks are read to the last.

    `settings` holds those of the readers (`photographs`, `true_masks`) and the `splits` whose masks are
    read. Masks that are no PNGs are made below `folder`, one folder a split. The folder of our `results` has
    no photographs.
    """
    problems: list[Problem] = []
    # However many are unreadable: what else is wrong is told as well.
    reading = replace(new_reading(settings["photographs"], processes, results), unreadable_share=1.0)
    index = _attempt(partial(read_photographs, settings["photographs"], reading), problems)
    problems += [one.problem for one in reading.left_out]
    counts = (reading.count, len(reading.left_out))
    if index is None:
        return Findings(None, frozenset(), tuple(sorted(problems)), *counts)
    problems += train_problems(index)
    masks = _all_masks(settings, index, folder, processes, problems)
    return Findings(index, frozenset(masks), tuple(sorted(set(problems))), *counts)


def _all_masks(
    settings: Mapping, index: Index, folder: Path, processes: int, problems: list[Problem]
) -> dict[str, Path]:
    """Return the true masks of all splits that are asked for; what is wrong with them goes to `problems`."""
    masks: dict[str, Path] = {}
    for split in settings["splits"]:
        collect = partial(_collect, settings["true_masks"], without_untagged(index), split, folder, processes)
        masks |= _attempt(collect, problems) or {}
    problems += mask_problems(masks, index, processes)
    return masks


def _attempt(read: Callable[[], Result], problems: list[Problem]) -> Result | None:
    """Return what `read` returns, or None, and its problems among `problems`, where it cannot."""
    try:
        return read()
    except DatasetProblems as error:
        problems += error.problems
    except TagsegError as error:
        problems.append(Problem("", 0, str(error)))
    return None


def _collect(settings: Mapping, index: Index, split: str, folder: Path, processes: int) -> dict[str, Path]:
    """Return the file of each true mask of a split, by the same steps as the stage that collects them.

    They are not read yet: one that is wrong inside counts as a mask.
    """
    (folder / split).mkdir(parents=True)
    write_true_masks(folder / split, find_true_masks(settings, index, split, folder / split, processes))
    return read_true_masks(folder / split)
