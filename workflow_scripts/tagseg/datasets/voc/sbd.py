"""The Semantic Boundaries Dataset: more train images of VOC's archive, and their masks.

B. Hariharan et al., "Semantic Contours from Inverse Detectors", ICCV 2011. A mask is a MATLAB file,
cls/<id>.mat, with the struct GTcls, whose field Segmentation is uint8 (H, W): 0 is the background, 1 to 20 are
VOC's classes in their order; there are no void pixels.
"""

from pathlib import Path

import numpy as np

from tagseg.datasets.common import read_ids
from tagseg.datasets.paths import user_error
from tagseg.datasets.problems import Problem
from tagseg.storage.images import VOID

SBD_LABELS = 20
"""The largest label of a mask."""

MAX_MAT_BYTES = 1_000_000
"""Largest .mat that is opened, many times the usual size."""

LISTS = ("train", "val")
MASKS = "cls"

_REMEDY = "restore it from the folder cls of SBD's archive"


def find_sbd(root: Path) -> Path:
    """Return `root` or the folder below it that has SBD's two lists. Raises TagsegError without them."""
    for folder in (root, root / "dataset", root / "benchmark_RELEASE" / "dataset"):
        if all((folder / f"{name}.txt").is_file() for name in LISTS):
            return folder
    remedy = f"unpack benchmark.tgz there, or name the folder with img, {MASKS}, train.txt and val.txt"
    raise user_error(root, "not a folder of SBD", remedy)


def read_sbd_ids(folder: Path, problems: list[Problem]) -> dict[str, tuple[Path, int]]:
    """Return the ids of SBD's train and val with the list and line of their first occurrence.

    Invalid lines go to `problems`. Raises TagsegError where a list cannot be read.
    """
    ids: dict[str, tuple[Path, int]] = {}
    for path in (folder / f"{name}.txt" for name in LISTS):
        for name, line in read_ids(path, "unpack SBD again", problems).items():
            ids.setdefault(name, (path, line))
    return ids


def sbd_masks(folder: Path) -> Path:
    """Return the folder of SBD's masks. Raises TagsegError where it is missing."""
    if not (folder / MASKS).is_dir():
        raise user_error(folder / MASKS, "no such folder", "unpack SBD again, or set dataset.sbd_masks: false")
    return folder / MASKS


def read_sbd_mask(path: Path, width: int, height: int) -> np.ndarray:
    """Return a mask's labels, uint8 (height, width): 0 to 20, or void.

    Raises TagsegError where the file is damaged, not a mask of SBD, or not of the image's size (pixels).
    """
    from scipy.io import loadmat  # takes a quarter of a second, and few data sets have masks of SBD

    try:
        if path.stat().st_size > MAX_MAT_BYTES:
            raise ValueError(f"more than {MAX_MAT_BYTES:,} bytes")
        labels = loadmat(path, variable_names=["GTcls"])["GTcls"][0, 0]["Segmentation"]
        if labels.dtype != np.uint8:
            raise ValueError(f"Segmentation is {labels.dtype}, not uint8")
    except Exception as error:  # scipy raises many types on damaged bytes
        raise user_error(path, f"not a mask of SBD ({error or type(error).__name__})", _REMEDY) from None
    if labels.shape != (height, width):
        size = "x".join(map(str, labels.shape[::-1]))
        raise user_error(path, f"{size} pixels, but the image has {width}x{height}", "restore the image and the mask")
    wrong = labels[(labels > SBD_LABELS) & (labels != VOID)]
    if wrong.size:
        raise user_error(path, f"label {wrong[0]}, but SBD's labels end at {SBD_LABELS}", _REMEDY)
    return labels
