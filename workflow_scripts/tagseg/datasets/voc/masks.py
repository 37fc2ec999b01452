"""Ground truth of VOC: its PNGs, SBD's as PNGs, or SBD's MATLAB files, converted."""

from pathlib import Path

import numpy as np

from tagseg.datasets.common import (
    AUGMENTED,
    CLASS_LIST,
    MASK_FOLDER,
    check_mask,
    collected,
    holds_masks,
    read_class_list,
)
from tagseg.datasets.paths import is_present
from tagseg.datasets.problems import Problem, raise_any
from tagseg.datasets.voc.devkit import VOC_CLASSES, find_devkit
from tagseg.datasets.voc.sbd import find_sbd, read_sbd_mask, sbd_masks
from tagseg.storage.images import VOID, read_mask, write_mask
from tagseg.storage.index import BACKGROUND, Index


def voc_ground_truth(
    root: Path, index: Index, split: str, folder: Path, *, sbd: Path | None = None, threads: int = 1
) -> dict[str, str]:
    """Return the path of each ground-truth mask of a split by id; images without a mask are skipped.

    Masks are in SegmentationClass, or in SegmentationClassAug. Where the devkit has no mask, that of `sbd`, if
    given, is written as "png/<id>.png" below `folder`; its labels are mapped by class name, and a class that the
    index lacks becomes void. Raises DatasetProblems with all masks that are damaged (PNGs: header only) or not of
    the image's size; TagsegError where a devkit or SBD is missing.
    """
    devkit = find_devkit(Path(root))
    folders = [devkit / name for name in (MASK_FOLDER, AUGMENTED) if holds_masks(devkit / name)]
    mats = sbd_masks(find_sbd(Path(sbd))) if sbd else None
    # A part of VOC has fewer classes, but the masks have VOC's labels.
    a_part = read_class_list(devkit / CLASS_LIST) is None and {*index.classes} < {BACKGROUND, *VOC_CLASSES}
    problems: list[Problem] = []
    masks: dict[str, str] = {}
    for row in index.of_split(split):
        pngs, mat = [folder / f"{row.id}.png" for folder in folders], mats and mats / f"{row.id}.mat"
        if png := next(filter(is_present, pngs), None):
            with collected(problems, png):
                masks[row.id] = str(png)
                check_mask(png, row.width, row.height)
                if a_part:
                    masks[row.id] = _convert(read_mask(png, len(VOC_CLASSES) + 1), row.id, index.classes, folder)
        elif mat and is_present(mat):
            with collected(problems, mat):
                labels = read_sbd_mask(mat, row.width, row.height)
                masks[row.id] = _convert(labels, row.id, index.classes, folder)
    raise_any(devkit, problems)
    return masks


def _convert(labels: np.ndarray, name: str, classes: tuple[str, ...], folder: Path) -> str:
    """Write a mask with VOC's labels as a PNG with those of `classes`; return its path relative to `folder`."""
    ours = np.full(256, VOID, np.uint8)  # our label by VOC's
    for label, one in enumerate((BACKGROUND, *VOC_CLASSES)):
        ours[label] = classes.index(one) if one in classes else VOID
    write_mask(folder / "png" / f"{name}.png", ours[labels])
    return f"png/{name}.png"
