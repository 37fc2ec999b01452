"""Every true mask is read once, so that what is wrong with it shows before hours of training."""

from collections.abc import Mapping
from pathlib import Path

from tagseg.commandline import progress
from tagseg.datasets.common import collected
from tagseg.datasets.problems import Problem
from tagseg.errors import TagsegError
from tagseg.images import read_mask
from tagseg.index import Index, Photograph
from tagseg.pools import SMALL_TASKS, in_processes


def mask_problems(masks: Mapping[str, Path], index: Index, processes: int) -> list[Problem]:
    """Read the masks, by photograph id, to the last pixel; return what is wrong, one problem a mask.

    That is damage, colours for labels, a label that is no class, or another size than the photograph's.
    """
    tasks = [(row, masks[row.id], len(index.classes)) for row in index.photographs if row.id in masks]
    read = in_processes(_problems_of, tasks, processes, SMALL_TASKS)
    return [problem for found in progress(read, "true masks read", len(tasks)) for problem in found]


def _problems_of(task: tuple[Photograph, Path, int]) -> list[Problem]:
    row, path, classes = task
    problems: list[Problem] = []
    with collected(problems, path):
        height, width = read_mask(path, classes).shape
        if (width, height) != (row.width, row.height):
            said = f"{row.width}x{row.height}"
            raise TagsegError(f"{width}x{height} pixels, where the photograph has {said}; replace the mask")
    return problems
