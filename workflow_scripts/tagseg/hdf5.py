"""HDF5 files in which a flipped bit is an error on reading, and a full disk an error on writing.

Every dataset has Fletcher32 checksums. HDF5 has checksums of its own for names, shapes and attributes from
version 1.10 of the format on, but none for texts of any length: texts are therefore of fixed length here.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from tagseg.files import LastingStream, atomic_file

CHECKED = {"fletcher32": True}
"""What every dataset is created with."""

DAMAGE = (OSError, KeyError, TypeError, AttributeError, ValueError, RuntimeError)
"""What h5py raises where a file is cut off, damaged or of another form."""

_VERSION = ("v110", "v110")


@contextlib.contextmanager
def new_file(path: str | Path) -> Iterator[tuple[h5py.File, LastingStream]]:
    """Yield a new file and its stream, which knows of a full disk; the file appears when all is well."""
    with (
        atomic_file(path, sealed=False) as aside,
        LastingStream(aside) as stream,
        h5py.File(stream, "w", libver=_VERSION) as file,
    ):
        yield file, stream


def write_text(file: h5py.File, name: str, text: str) -> None:
    """Write a text as an attribute of the file."""
    content = text.encode()
    file.attrs.create(name, content, dtype=_text_type([content]))


def read_text(file: h5py.File, name: str) -> str:
    """Return a text that `write_text` wrote. Raises one of DAMAGE where it is not there."""
    return file.attrs[name].decode()


def write_names(file: h5py.File, name: str, names: Sequence[str]) -> None:
    """Write names as a dataset (n,)."""
    contents = [one.encode() for one in names]
    kind = _text_type(contents)
    file.create_dataset(name, data=np.array(contents, kind), **CHECKED)


def read_names(file: h5py.File, name: str) -> tuple[str, ...]:
    """Return names that `write_names` wrote. Raises one of DAMAGE where they cannot be read."""
    return tuple(file[name].asstr()[:])


def _text_type(contents: Sequence[bytes]) -> np.dtype:
    return h5py.string_dtype("utf-8", max([1, *map(len, contents)]))
