"""Shards of feature maps in HDF5, from one forward pass of a network to the next stage.

They are features of the classifier's backbone, for the class patterns, or logits of the segmenter, for the
dense CRF. A shard holds `ids` and one dataset per view (input size, mirrored or not), float16
(images, C, h, w), one chunk per image. Maps of mirrored views are mirrored back before writing. With 8 bits the dataset
is uint8, and `ranges` holds the smallest value and the step of every channel, float32 (images, 2, C).
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import LastingStream
from tagseg.storage.hdf5 import COMPRESSED, errors_named, new_file, read_names, read_text, write_names, write_text

RANGES = "ranges"
FLOAT16_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class View:
    """How an image enters the network: resized to a square of `size` pixels, mirrored or not."""

    size: int
    mirrored: bool = False

    @property
    def name(self) -> str:
        """Return the name of the view's dataset in a shard."""
        return f"{self.size}-mirrored" if self.mirrored else str(self.size)


def views(sizes: Sequence[int], flip: bool) -> tuple[View, ...]:
    """Return the views of each size; with `flip`, mirrored ones too."""
    return tuple(View(size, mirrored) for size in sizes for mirrored in ((False, True) if flip else (False,)))


class MapWriter:
    """Writes feature maps of one shard, image by image. Made by `write_maps`."""

    def __init__(self, file: h5py.File, ids: Sequence[str], stream: LastingStream, bits: int) -> None:
        self._file, self._ids, self._stream, self._bits = file, ids, stream, bits
        write_names(file, "ids", ids)

    def write(self, view: View, start: int, maps: np.ndarray) -> None:
        """Write float maps (n, C, h, w) of the images from `start` on, rounded to float16 or to 8 bits per channel.

        Raises TagsegError if a value is not finite or too large for float16, OSError if the disk is full.
        """
        if not np.abs(maps).max(initial=0) <= FLOAT16_MAX:  # also false for NaN
            raise TagsegError(f"maps of {self._ids[start]}: not finite or too large for float16. Check the weights.")
        self._stream.check()  # report a full disk now, not after all maps are computed
        rows = slice(start, start + len(maps))
        if self._bits == 8:
            maps, ranges = to_8_bits(maps)
            self._dataset(f"{RANGES}/{view.name}", ranges.shape[1:], np.float32)[rows] = ranges
        self._dataset(view.name, maps.shape[1:], np.uint8 if self._bits == 8 else np.float16)[rows] = maps

    def _dataset(self, name: str, shape: tuple[int, ...], kind: type) -> h5py.Dataset:
        if name not in self._file:
            options = {"chunks": (1, *shape), **COMPRESSED}
            self._file.create_dataset(name, (len(self._ids), *shape), kind, **options)
        return self._file[name]


def to_8_bits(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return maps (n, C, h, w) as uint8, with the smallest value and the step of each channel, float32 (n, 2, C)."""
    low, high = maps.min(axis=(2, 3)), maps.max(axis=(2, 3))
    step = (high - low) / 255
    levels = (maps - low[..., None, None]) / np.where(step > 0, step, 1)[..., None, None]
    return np.rint(levels).astype(np.uint8), np.stack([low, step], axis=1).astype(np.float32)


def single_of_half(maps: np.ndarray) -> np.ndarray:
    """Return finite float16 values as float32: a sixth of the time of `astype`, which converts one by one.

    Sign, exponent and mantissa move to their places in float32, whose exponent is 112 larger.
    """
    bits = maps.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= np.int32(-0x70002000)  # the sign fills the upper bits too; keep one
    single = bits.view(np.float32)
    single *= np.float32(2.0**112)
    return single


@contextlib.contextmanager
def write_maps(
    path: str | Path, ids: Sequence[str], node: str = "", origin: str = "", bits: int = 16
) -> Iterator[MapWriter]:
    """Yield a writer of the shard `path` for the images `ids`; the file appears when the block ends.

    `node` names the node of the network, `origin` is the SHA-256 of its checkpoint; `bits` is 16 or 8.
    """
    with new_file(path) as (file, stream):
        write_text(file, "node", node)
        write_text(file, "origin", origin)
        yield MapWriter(file, ids, stream, bits)


class MapShard:
    """A shard, open for reading: `node`, `origin`, `ids`, `views`, and the maps per image."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with errors_named(path):
            self._file = h5py.File(path, "r", locking=False)
            self.ids = read_names(self._file, "ids")
            self.node, self.origin = read_text(self._file, "node"), read_text(self._file, "origin")
            self.views = tuple(sorted(set(self._file) - {"ids", RANGES}))
            ranges = [f"{RANGES}/{view}" for view in self._file.get(RANGES, ())]
            for name in (*self.views, *ranges):  # HDF5 would fill missing chunks with zeros
                if self._file[name].id.get_num_chunks() != len(self.ids):
                    raise ValueError(f"{name} does not have one chunk per image")
            if self.ids and not self.views:
                raise ValueError("no maps")

    def maps(self, position: int) -> dict[str, np.ndarray]:
        """Return the maps float32 (C, h, w) of the image at `position`, by view name.

        Raises TagsegError if the file is damaged.
        """
        with errors_named(self.path):
            return {view: self._read(view, position) for view in self.views}

    def _read(self, view: str, position: int) -> np.ndarray:
        stored = self._file[view][position]
        if stored.dtype == np.float16:
            return single_of_half(stored)
        low, step = self._file[f"{RANGES}/{view}"][position][:, :, None, None]
        return low + step * stored

    def __len__(self) -> int:
        return len(self.ids)

    def __enter__(self) -> "MapShard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextlib.contextmanager
def open_shards(paths: Sequence[str | Path], node: str | None = None) -> Iterator[list[MapShard]]:
    """Yield the feature shards at `paths`, open for reading; with `node`, only those of this layer.

    Raises TagsegError if no shard is of this layer.
    """
    with contextlib.ExitStack() as stack:
        shards = [stack.enter_context(MapShard(path)) for path in paths]
        of_node = [shard for shard in shards if node in (None, shard.node)]
        if node and not of_node:
            raise TagsegError(f"{node}: no features of this layer. Check the layers and `figures.layers`.")
        yield of_node
