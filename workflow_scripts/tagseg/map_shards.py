"""Shards of feature maps in HDF5: what a forward pass leaves for the next stage.

From the classifier's backbone these are features, for the class patterns; from the segmenter's head, logits,
for the dense CRF. A shard holds one dataset a view (an input size, mirrored or not), float16
(photographs, C, h, w), a chunk a photograph, compressed with LZ4; `ids` names the photographs in order. Maps
of mirrored views are mirrored back before they are written, so that the views of a photograph lie over each
other. The attributes `node` and `origin` say where in the network, and by the digest of which checkpoint, the
maps were computed.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from tagseg.errors import TagsegError
from tagseg.files import LastingStream
from tagseg.hdf5 import (
    CHECKED,
    DAMAGE,
    new_file,
    own_dataset,
    read_names,
    read_text,
    write_names,
    write_text,
)

FLOAT16_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class View:
    """How a photograph enters the network: resized to a square of `size` pixels, mirrored or not."""

    size: int
    mirrored: bool = False

    @property
    def name(self) -> str:
        """Return the name of the view's dataset in a shard."""
        return f"{self.size}-mirrored" if self.mirrored else str(self.size)


def views(sizes: Sequence[int], flip: bool) -> tuple[View, ...]:
    """Return the views of each size, with `flip` mirrored ones too."""
    return tuple(View(size, mirrored) for size in sizes for mirrored in ((False, True) if flip else (False,)))


class MapWriter:
    """Writes feature maps of one shard, photograph by photograph. Made by `write_maps`."""

    def __init__(self, file: h5py.File, ids: Sequence[str], stream: LastingStream) -> None:
        self._file, self._ids, self._stream = file, ids, stream
        write_names(file, "ids", ids)

    def write(self, view: View, start: int, maps: np.ndarray) -> None:
        """Write float maps (n, C, h, w) of the photographs from `start` on, rounded to float16.

        Raises TagsegError where a value is not finite or too large for float16, OSError
        where the disk was full before.
        """
        if not np.abs(maps).max(initial=0) <= FLOAT16_MAX:  # also false for NaN
            raise TagsegError(
                f"maps of {self._ids[start]} and on: not finite or beyond float16; check the weights"
            )
        self._stream.check()  # a full disk is told now, not when all maps were computed
        self._dataset(view, maps.shape[1:])[start : start + len(maps)] = maps.astype(np.float16)

    def _dataset(self, view: View, shape: tuple[int, ...]) -> h5py.Dataset:
        if view.name not in self._file:
            form = {"chunks": (1, *shape), **CHECKED, **hdf5plugin.LZ4()}
            self._file.create_dataset(view.name, (len(self._ids), *shape), np.float16, **form)
        return self._file[view.name]


@contextlib.contextmanager
def write_maps(path: str | Path, ids: Sequence[str], node: str = "", origin: str = "") -> Iterator[MapWriter]:
    """Yield a writer of the shard `path` for the photographs `ids`; the file appears when all is well.

    `node` says of which node of the network the maps are, `origin` is the SHA-256 of its checkpoint.
    """
    with new_file(path) as (file, stream):
        write_text(file, "node", node)
        write_text(file, "origin", origin)
        yield MapWriter(file, ids, stream)


class MapShard:
    """A shard, open for reading: `node`, `origin`, `ids`, `views`, and the maps of a photograph."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._file = h5py.File(self.path, "r", locking=False)
            self.ids = read_names(self._file, "ids")
            self.node, self.origin = read_text(self._file, "node"), read_text(self._file, "origin")
            maps = {name: own_dataset(self._file, name) for name in sorted(self._file) if name != "ids"}
            problem = self._problem(maps)
        except DAMAGE as error:
            raise TagsegError(
                f"{path}: not a shard of feature maps ({error}); delete it and run again"
            ) from None
        self.views = tuple(maps)
        if problem:
            raise TagsegError(f"{path}: {problem}; delete it and run again")

    def _problem(self, maps: Mapping[str, h5py.Dataset]) -> str | None:
        """Return what is wrong with ids and the datasets by view, None if nothing is."""
        if len(set(self.ids)) < len(self.ids):
            return "a photograph twice in the shard"
        if self.ids and not maps:
            return "no maps in the shard"
        for view, dataset in maps.items():
            shape = dataset.shape
            if shape is None or len(shape) != 4 or shape[0] != len(self.ids):
                return f"view {view} has shape {shape} for {len(self.ids)} photographs"
            if dataset.dtype != np.float16:
                return f"view {view} is {dataset.dtype}, not float16"
            # HDF5 fills what was never written with zeros, be it gigabytes.
            if dataset.chunks != (1, *shape[1:]) or dataset.id.get_num_chunks() != len(self.ids):
                return f"view {view} has not a chunk a photograph"
        return None

    def maps(self, position: int) -> dict[str, np.ndarray]:
        """Return the maps float16 (C, h, w) of the photograph at `position`, by the view's name.

        Raises TagsegError where the file is damaged.
        """
        try:
            return {view: self._file[view][position] for view in self.views}
        except DAMAGE as error:
            raise TagsegError(
                f"{self.path}: damaged, its checksums do not fit ({error}); delete it and run again"
            ) from None

    def __len__(self) -> int:
        return len(self.ids)

    def __enter__(self) -> "MapShard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing can be read afterwards."""
        self._file.close()
