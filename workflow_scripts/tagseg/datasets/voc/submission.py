"""The archive for PASCAL VOC's test server: one palette PNG of class indices per image.

M. Everingham, J. Winn, "The PASCAL Visual Object Classes Challenge 2012 (VOC2012) Development Kit", section
5.3: results/VOC2012/Segmentation/comp6_test_cls/<id>.png.
"""

import gzip
import io
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tagseg.runtime.commandline import progress
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_file
from tagseg.storage.images import encode_mask
from tagseg.storage.index import ImageRecord, Index
from tagseg.storage.mask_shards import MaskFile

COMPETITIONS = ("comp5", "comp6")
"""comp5: trained on VOC's own data alone; comp6: on any data."""

MAX_NAMED = 5  # ids in a message
_FILE_NAME = re.compile(r"[^\s./\\-]([^/\\]*[^\s/\\])?")
_RERUN = "Delete the predictions and run again."


def pack_submission(path: str | Path, index: Index, split: str, competition: str, masks: Mapping[str, MaskFile]) -> int:
    """Write the predictions of a split as a .tgz for the test server; return their number.

    The same masks give the same bytes. Raises TagsegError where the split is empty, images and masks do not
    match, an id is not a plain file name, or a mask has the wrong size or an unknown label.
    """
    rows = index.of_split(split)
    _check_ids(rows, split, masks)
    folder = f"results/VOC2012/Segmentation/{competition}_{split}_cls"
    with (
        atomic_file(path) as aside,
        open(aside, "wb") as stream,
        gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", encoding="utf-8") as archive,
    ):
        for row in progress(rows, "packed"):
            content = encode_mask(_checked_mask(row, masks[row.id], len(index.classes)))
            member = tarfile.TarInfo(f"{folder}/{row.id}.png")
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return len(rows)


def _check_ids(rows: tuple[ImageRecord, ...], split: str, masks: Mapping[str, MaskFile]) -> None:
    """Raise TagsegError unless each image has one mask and every id is a file name."""
    if not rows:
        remedy = " Set dataset.test_list and dataset.test_root." if split == "test" else ""
        raise TagsegError(f"{split}: the split has no image.{remedy}")
    ids = {row.id for row in rows}
    unfit = {name for name in ids if not (name.isprintable() and _FILE_NAME.fullmatch(name))}
    for text, names, remedy in (
        (f"images of {split} have no prediction", ids - set(masks), _RERUN),
        (f"predictions belong to no image of {split}", set(masks) - ids, _RERUN),
        ("ids are not plain file names, as the test server requires", unfit, "Rename the images."),
    ):
        if names:
            some = ", ".join(map(repr, sorted(names)[:MAX_NAMED])) + ", ..." * (len(names) > MAX_NAMED)
            raise TagsegError(f"{len(names)} {text} ({some}). {remedy}")


def _checked_mask(row: ImageRecord, file: MaskFile, classes: int) -> np.ndarray:
    """Return a prediction, uint8 (height, width). Raises TagsegError where the server would refuse it."""
    mask = file.read()
    if mask.shape != (row.height, row.width):
        sizes = f"{mask.shape[1]}x{mask.shape[0]} pixels, but the image has {row.width}x{row.height}"
        raise TagsegError(f"{file.path}: {sizes}. {_RERUN}")
    if mask.max() >= classes:
        labels = f"label {mask.max()}, but a prediction has 0 to {classes - 1}"
        raise TagsegError(f"{file.path}: {labels}. {_RERUN}")
    return mask
