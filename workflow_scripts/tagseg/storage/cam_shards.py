"""Shards of class activation maps in HDF5: one map per image and tag, float32 (h, w)."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tagseg.storage.hdf5 import CHECKED, new_file, open_file, read_names, read_text, write_names, write_text

CamMaps = dict[str, dict[int, np.ndarray]]
"""Maps by image id and class index (1-based)."""


def write_cam(path: str | Path, maps: Iterable[tuple[str, int, np.ndarray]], origin: str = "") -> None:
    """Write (image id, class index, map float32 (h, w)) triples, all of one map size, atomically.

    `origin` is the SHA-256 of the classifier's checkpoint.
    """
    triples = list(maps)
    with new_file(path) as (file, _):
        write_text(file, "origin", origin)
        write_names(file, "ids", [name for name, _, _ in triples])
        labels = np.array([label for _, label, _ in triples], np.int32)
        stack = np.stack([cam for _, _, cam in triples]) if triples else np.zeros((0, 1, 1))
        file.create_dataset("classes", data=labels, **CHECKED)
        file.create_dataset("maps", data=stack.astype(np.float32), **CHECKED)


def read_cam(path: str | Path) -> CamMaps:
    """Read a shard. Raises TagsegError if the file is not one, or damaged."""
    maps: CamMaps = {}
    with open_file(path) as file:
        rows = zip(read_names(file, "ids"), file["classes"][:], file["maps"][:], strict=True)
        for name, label, cam in rows:
            maps.setdefault(name, {})[int(label)] = cam
    return maps


def cam_provenance(path: str | Path) -> str:
    """Return the SHA-256 of the checkpoint that computed a shard. Raises TagsegError if it is damaged."""
    with open_file(path) as file:
        return read_text(file, "origin")


def fraction_of_maximum(cam: np.ndarray) -> np.ndarray:
    """Return a map (h, w) without its negative part, divided by its maximum; 0 where none is positive."""
    positive = np.maximum(cam, 0)
    return positive / max(float(positive.max()), 1e-12)
