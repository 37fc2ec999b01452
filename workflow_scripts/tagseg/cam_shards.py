"""Shards of class activation maps in HDF5: one map a photograph and tag, float32 (h, w).

The attribute `origin` is the SHA-256 of the checkpoint by which they were computed.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np

from tagseg.errors import TagsegError
from tagseg.hdf5 import CHECKED, DAMAGE, new_file, read_names, read_text, stored, write_names, write_text

CamMaps = dict[str, dict[int, np.ndarray]]
"""Maps by photograph id and class number (1-based)."""


def write_cam(path: str | Path, maps: Iterable[tuple[str, int, np.ndarray]], origin: str = "") -> None:
    """Write (photograph id, class number, map float32 (h, w)) triples, all of one map size, atomically.

    `origin` is the SHA-256 of the classifier's checkpoint.
    """
    triples = list(maps)
    with new_file(path) as (file, _):
        write_text(file, "origin", origin)
        write_names(file, "ids", [name for name, _, _ in triples])
        numbers = np.array([number for _, number, _ in triples], np.int32)
        stack = np.stack([cam for _, _, cam in triples]) if triples else np.zeros((0, 1, 1))
        file.create_dataset("classes", data=numbers, **CHECKED)
        file.create_dataset("maps", data=stack.astype(np.float32), **CHECKED)


def read_cam(path: str | Path) -> CamMaps:
    """Read a shard. Raises TagsegError where the file is not one, or damaged."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            names, numbers = read_names(file, "ids"), stored(file, "classes")[:]
            stack = stored(file, "maps")[:]
    except DAMAGE as error:
        raise TagsegError(f"{path}: not a shard of CAMs ({error}); delete it and run again") from None
    if problem := _problem(names, numbers, stack):
        raise TagsegError(f"{path}: not a shard of CAMs ({problem}); delete it and run again")
    maps: CamMaps = {}
    for name, number, cam in zip(names, numbers, stack, strict=True):
        maps.setdefault(name, {})[int(number)] = cam
    return maps


def _problem(names: Sequence[str], numbers: np.ndarray, stack: np.ndarray) -> str | None:
    """Return what is wrong with ids, class numbers and maps (n, h, w) that belong together, if anything."""
    if stack.ndim != 3 or numbers.ndim != 1 or not len(names) == len(numbers) == len(stack):
        return f"{len(names)} ids, {numbers.size} classes, maps {stack.shape}"
    if numbers.dtype != np.int32 or stack.dtype != np.float32:
        return f"classes are {numbers.dtype}, maps {stack.dtype}"
    if not np.all(numbers > 0):
        return "a class below 1"
    if not np.isfinite(stack).all():
        return "values that are not finite"
    if len(set(zip(names, numbers.tolist(), strict=True))) < len(names):
        return "a photograph's class twice"
    return None


def cam_origin(path: str | Path) -> str:
    """Return the SHA-256 of the checkpoint of a shard's CAMs. Raises TagsegError where it does not say."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return read_text(file, "origin")
    except DAMAGE as error:
        raise TagsegError(f"{path}: not a shard of CAMs ({error}); delete it and run again") from None


def share_of_maximum(cam: np.ndarray) -> np.ndarray:
    """Return a map (h, w) without its negative part and divided by its maximum; 0 where none is positive."""
    positive = np.maximum(cam, 0)
    return positive / max(float(positive.max()), 1e-12)
