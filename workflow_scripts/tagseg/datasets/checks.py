"""The check of a whole data set: every photograph and every true mask is read, and all problems are kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from tagseg.commandline import progress
from tagseg.crf import in_processes
from tagseg.datasets.common import collected
from tagseg.datasets.problems import DatasetProblems, Problem
from tagseg.datasets.readers import collect_true_masks, read_photographs, train_problems, without_untagged
from tagseg.errors import TagsegError
from tagseg.images import read_mask, read_photograph
from tagseg.index import Index, Photograph
from tagseg.true_masks import read_true_masks, write_true_masks

Result = TypeVar("Result")
Task = TypeVar("Task")


class Findings(NamedTuple):
    """What was found: the index, None where it cannot be built, the ids with a true mask, the problems."""

    index: Index | None
    masked: frozenset[str]
    problems: tuple[Problem, ...]


def check_data_set(settings: Mapping, folder: Path, processes: int) -> Findings:
    """Read a whole data set. Where the index can be built, photographs and masks are read to the last.

    `settings` holds those of the readers (`photographs`, `true_masks`) and the `splits` whose masks are
    read. Masks that are no PNGs are made below `folder`, one folder a split.
    """
    problems: list[Problem] = []
    index = _attempt(partial(read_photographs, settings["photographs"]), problems)
    if index is None:
        return Findings(None, frozenset(), tuple(sorted(problems)))
    problems += train_problems(index)
    problems += _of_all(_photograph_problems, index.photographs, "photographs read", processes)
    masks: dict[str, Path] = {}
    for split in settings["splits"]:
        collect = partial(_collect, settings["true_masks"], without_untagged(index), split, folder, processes)
        masks |= _attempt(collect, problems) or {}
    tasks = [(row, masks[row.id], len(index.classes)) for row in index.photographs if row.id in masks]
    problems += _of_all(_mask_problems, tasks, "true masks read", processes)
    return Findings(index, frozenset(masks), tuple(sorted(set(problems))))


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
    """Return the file of each true mask of a split, by the same steps as the stage that collects them."""
    (folder / split).mkdir(parents=True)
    write_true_masks(folder / split, collect_true_masks(settings, index, split, folder / split, processes))
    return read_true_masks(folder / split)


def _of_all(
    function: Callable[[Task], list[Problem]], tasks: Sequence[Task], what: str, processes: int
) -> Iterable[Problem]:
    """Yield the problems that `function` finds in each of the tasks."""
    for problems in progress(in_processes(function, tasks, processes), what, len(tasks)):
        yield from problems


def _photograph_problems(row: Photograph) -> list[Problem]:
    problems: list[Problem] = []
    with collected(problems, row.path):
        _check_size(read_photograph(row.path), row, "the photograph")
    return problems


def _mask_problems(task: tuple[Photograph, Path, int]) -> list[Problem]:
    row, path, classes = task
    problems: list[Problem] = []
    with collected(problems, path):
        _check_size(read_mask(path, classes), row, "the mask")
    return problems


def _check_size(pixels, row: Photograph, what: str) -> None:
    """Raise TagsegError where an array (H, W, ...) has not the size that the index has."""
    height, width = pixels.shape[:2]
    if (width, height) != (row.width, row.height):
        raise TagsegError(
            f"{width}x{height} pixels, where the data set says {row.width}x{row.height}; replace {what}"
        )
