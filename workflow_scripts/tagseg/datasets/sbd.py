"""The Semantic Boundaries Dataset: more photographs of VOC's archive for train, and their masks.

B. Hariharan et al., "Semantic Contours from Inverse Detectors", ICCV 2011. Its lists name photographs of
VOC 2011, all of which VOC 2012's devkit holds. A mask is a MATLAB file, cls/<id>.mat, with the struct
GTcls, whose field Segmentation is uint8 (H, W): 0 is the background, 1 to 20 are VOC's classes in their
own order, and no pixel is void.
"""

from pathlib import Path

import numpy as np

from tagseg.datasets.common import read_ids
from tagseg.datasets.matlab import MatlabError, read_uint8_field
from tagseg.datasets.places import check_inside
from tagseg.datasets.problems import Problem
from tagseg.errors import TagsegError
from tagseg.images import VOID

SBD_LABELS = 20
"""The largest label of a mask."""

MAX_MAT_BYTES = 1_000_000
"""Largest .mat that is opened, many times the usual."""

LISTS = ("train", "val")
MASKS = "cls"

_REMEDY = "restore it from the folder cls of SBD's archive"


def find_sbd(root: Path) -> Path:
    """Return `root`, or the folder below it that the archive unpacks to: the one with SBD's two lists.

    Raises TagsegError where none has them, saying what to put where.
    """
    for folder in (root, root / "dataset", root / "benchmark_RELEASE" / "dataset"):
        if all((folder / f"{name}.txt").is_file() for name in LISTS):
            return folder
    raise TagsegError(
        f"{root}: no SBD; unpack benchmark.tgz there, or name the folder that holds img, {MASKS}, train.txt "
        "and val.txt"
    )


def read_sbd_ids(folder: Path, problems: list[Problem]) -> dict[str, tuple[Path, int]]:
    """Return the ids of SBD's train and val with the list and line where each is first named.

    Lines that are no ids go to `problems`. Raises TagsegError where a list cannot be read
    or is a link out of the folder.
    """
    named: dict[str, tuple[Path, int]] = {}
    for name in LISTS:
        path = folder / f"{name}.txt"
        check_inside(folder, path)
        for one, line in read_ids(path, "unpack SBD again", problems).items():
            named.setdefault(one, (path, line))
    return named


def sbd_masks(folder: Path) -> Path:
    """Return the folder of SBD's masks. Raises TagsegError where it is missing."""
    if not (folder / MASKS).is_dir():
        raise TagsegError(f"{folder / MASKS}: no such folder; unpack SBD again, or set sbd_masks: false")
    return folder / MASKS


def read_sbd_mask(path: Path, width: int, height: int) -> np.ndarray:
    """Return a mask's labels as SBD numbers them, uint8 (height, width): 0 to 20, or void.

    Raises TagsegError where the file is damaged, is no mask of SBD's form, or has not the photograph's
    size (pixels).
    """
    try:
        labels = read_uint8_field(_read_bytes(path), "GTcls", "Segmentation")
    except MatlabError as error:
        raise TagsegError(f"{path}: no mask of SBD ({error}); {_REMEDY}") from None
    if labels.shape != (height, width):
        size = "x".join(map(str, labels.shape[::-1]))
        raise TagsegError(
            f"{path}: {size} pixels, where the photograph has {width}x{height}; restore both of them"
        )
    wrong = labels[(labels > SBD_LABELS) & (labels != VOID)]
    if wrong.size:
        raise TagsegError(f"{path}: label {wrong[0]}, where SBD's end at {SBD_LABELS}; {_REMEDY}")
    return labels


def _read_bytes(path: Path) -> bytes:
    """Return a file's bytes. Raises TagsegError where that fails, or they are more than a mask has."""
    try:
        with open(path, "rb") as stream:
            content = stream.read(MAX_MAT_BYTES + 1)
    except OSError as error:
        raise TagsegError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from None
    if len(content) > MAX_MAT_BYTES:
        raise TagsegError(f"{path}: more than {MAX_MAT_BYTES:,} bytes for one mask; {_REMEDY}")
    return content
