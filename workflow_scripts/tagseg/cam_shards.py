"""Shards of class activation maps in HDF5: one map a photograph and tag, float32 (h, w)."""

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np

from tagseg.errors import TagsegError
from tagseg.files import atomic_file

CamMaps = dict[str, dict[int, np.ndarray]]
"""Maps by photograph id and class number (1-based)."""


def write_cam(path: str | Path, maps: Iterable[tuple[str, int, np.ndarray]]) -> None:
    """Write (photograph id, class number, map float32 (h, w)) triples, all of one map size, atomically."""
    triples = list(maps)
    with atomic_file(path) as aside, h5py.File(aside, "w") as file:
        names = [name for name, _, _ in triples]
        file.create_dataset("ids", data=names, dtype=h5py.string_dtype(), shape=(len(names),))
        file.create_dataset("classes", data=np.array([number for _, number, _ in triples], np.int32))
        stack = np.stack([cam for _, _, cam in triples]) if triples else np.zeros((0, 1, 1))
        file.create_dataset("maps", data=stack.astype(np.float32))


def read_cam(path: str | Path) -> CamMaps:
    """Read a shard. Raises TagsegError where the file is not one."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            names, numbers = file["ids"].asstr()[:], file["classes"][:]
            stack = file["maps"][:]
    except (OSError, KeyError) as error:
        raise TagsegError(f"{path}: not a shard of CAMs ({error}); delete it and run again") from None
    maps: CamMaps = {}
    for name, number, cam in zip(names, numbers, stack, strict=True):
        maps.setdefault(name, {})[int(number)] = cam
    return maps


def share_of_maximum(cam: np.ndarray) -> np.ndarray:
    """Return a map (h, w) without its negative part and divided by its maximum; 0 where none is positive."""
    positive = np.maximum(cam, 0)
    return positive / max(float(positive.max()), 1e-12)
