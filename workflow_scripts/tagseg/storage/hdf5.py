"""HDF5 files: a changed byte is an error on reading, a full disk an error on writing.

Every dataset has Fletcher32 checksums. Format 1.10 also checks names, shapes and attributes, but not texts of
variable length: so texts have a fixed length.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import LastingStream, atomic_file

CHECKED = {"fletcher32": True}
"""Every dataset is created with this."""

COMPRESSED = {**CHECKED, **hdf5plugin.Zstd(clevel=3)}
"""Options of the large datasets; importing hdf5plugin lets h5py read them."""


@contextlib.contextmanager
def new_file(path: str | Path) -> Iterator[tuple[h5py.File, LastingStream]]:
    """Yield a new file and its stream (`check` it for a full disk); the file appears when the block ends."""
    with (
        atomic_file(path) as partial,
        LastingStream(partial) as stream,
        h5py.File(stream, "w", libver=("v110", "v110")) as file,
    ):
        yield file, stream


@contextlib.contextmanager
def open_file(path: str | Path) -> Iterator[h5py.File]:
    """Yield a file, open for reading. Raises TagsegError if it is damaged or not from tagseg."""
    with errors_named(path), h5py.File(path, "r", locking=False) as file:
        yield file


@contextlib.contextmanager
def errors_named(path: str | Path) -> Iterator[None]:
    """Turn what h5py raises for a damaged or other file into a TagsegError that names `path`."""
    try:
        yield
    except (OSError, KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TagsegError(f"{path}: not a file of tagseg, or damaged ({reason}). Delete it and run again.") from None


def write_names(file: h5py.File, name: str, names: Sequence[str]) -> None:
    """Write names as a dataset (n,)."""
    contents = [one.encode() for one in names]
    kind = h5py.string_dtype("utf-8", max([1, *map(len, contents)]))
    file.create_dataset(name, data=np.array(contents, kind), **CHECKED)


def read_names(file: h5py.File, name: str) -> tuple[str, ...]:
    """Return names that `write_names` wrote."""
    return tuple(file[name].asstr()[:])


def write_text(file: h5py.File, name: str, text: str) -> None:
    """Write a text as an attribute of the file."""
    content = text.encode()
    file.attrs.create(name, content, dtype=h5py.string_dtype("utf-8", max(1, len(content))))


def read_text(file: h5py.File, name: str) -> str:
    """Return a text that `write_text` wrote."""
    return file.attrs[name].decode()
