"""The archive that PASCAL VOC's test server takes: an indexed PNG a photograph, named as the devkit says.

M. Everingham, J. Winn, "The PASCAL Visual Object Classes Challenge 2012 (VOC2012) Development Kit", section
5.3: results/VOC2012/Segmentation/comp6_test_cls/<id>.png, the labels of a PNG being class numbers.
"""

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tagseg.commandline import progress
from tagseg.errors import TagsegError
from tagseg.files import atomic_file
from tagseg.images import encode_mask
from tagseg.index import Index, Photograph
from tagseg.mask_shards import MaskFile

COMPETITIONS = ("comp5", "comp6")
"""comp5: trained on VOC's own data alone; comp6: on any data."""

MAX_NAMED = 5  # ids in a message


def pack_submission(
    path: str | Path, index: Index, split: str, competition: str, masks: Mapping[str, MaskFile]
) -> int:
    """Write the predictions of a split as a .tgz for the test server; return how many there are.

    The same masks give the same bytes. Raises TagsegError where the split is empty, photographs and
    masks are not the same ones, an id is no plain file name, or a mask has colours instead of labels,
    another size than its photograph, or a label that is no class.
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
            archive.addfile(_member(f"{folder}/{row.id}.png", content), io.BytesIO(content))
    return len(rows)


def _check_ids(rows: tuple[Photograph, ...], split: str, masks: Mapping[str, MaskFile]) -> None:
    """Raise TagsegError unless there is one mask for each photograph, and all ids are file names."""
    if not rows:
        remedy = ": set dataset.test_list and dataset.test_root" if split == "test" else ""
        raise TagsegError(f"no photograph in {split}{remedy}")
    ids = {row.id for row in rows}
    differences = {
        f"photographs of {split} have no prediction": ids - set(masks),
        f"predictions are of no photograph of {split}": set(masks) - ids,
    }
    for text, names in differences.items():
        if names:
            raise TagsegError(f"{len(names)} {text} ({_some(names)}); delete the predictions and run again")
    unfit = {name for name in ids if not _is_file_name(name)}
    if unfit:
        raise TagsegError(f"not a plain file name, as the test server wants it: {_some(unfit)}; rename it")


def _some(names: set[str]) -> str:
    """Return the first of several names in one line."""
    rest = ", ..." if len(names) > MAX_NAMED else ""
    return ", ".join(map(repr, sorted(names)[:MAX_NAMED])) + rest


def _is_file_name(name: str) -> bool:
    unfit = name.startswith((".", "-")) or name != name.strip() or any(sign in name for sign in "/\\")
    return bool(name) and name.isprintable() and not unfit


def _checked_mask(row: Photograph, file: MaskFile, classes: int) -> np.ndarray:
    """Return a prediction, uint8 (height, width). Raises TagsegError where the server would refuse it."""
    mask = file.read()
    if mask.shape != (row.height, row.width):
        raise TagsegError(
            f"{file.path}: {mask.shape[1]}x{mask.shape[0]} pixels, where the photograph has "
            f"{row.width}x{row.height}; delete the predictions and run again"
        )
    if mask.max() >= classes:
        raise TagsegError(
            f"{file.path}: label {mask.max()}, where a prediction has 0 to {classes - 1}; delete the "
            "predictions and run again"
        )
    return mask


def _member(name: str, content: bytes) -> tarfile.TarInfo:
    """Return the header of a plain file without time, owner or anything else that differs between runs."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    return member
