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
    return tuple(stored(file, name).asstr()[:])


def own_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """Return a dataset whose values lie in the file itself.

    HDF5 follows links, external storage and virtual datasets into any file of the machine, without a word.
    Raises one of DAMAGE where `name` is such, or no dataset.
    """
    # Looked at before it is followed: what it leads to would be opened.
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is a link")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{name} is no dataset")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{name} lies in another file")
    return dataset


def stored(file: h5py.File, name: str) -> h5py.Dataset:
    """Return an uncompressed dataset that is there in full: reading it takes no more memory than the file.

    HDF5 fills with zeros what was never written, be it gigabytes. Raises one of DAMAGE.
    """
    dataset = own_dataset(file, name)
    if dataset.nbytes > dataset.id.get_storage_size():
        raise ValueError(f"{name} says that it holds more than it does")
    return dataset


def _text_type(contents: Sequence[bytes]) -> np.dtype:
    return h5py.string_dtype("utf-8", max([1, *map(len, contents)]))
