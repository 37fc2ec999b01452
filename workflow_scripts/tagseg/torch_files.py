"""Files that torch.save wrote, read as data only, whoever made them: none takes more memory than its size.

Since version 1.6 torch writes a zip archive, stored without compression, with a checksum (CRC) a record; it
reads compressed ones too, and looks at no checksum. Older files (some of torchvision's) are a stream without
either.
"""

import errno
import os
import pickle
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

ZIP_MAGIC = b"PK\x03\x04"
"""How torch tells an archive from an older file."""


LONGEST_KEY = 100
"""Of the name of a tensor in a message."""


class NotData(Exception):
    """What is wrong with a file, in a line: damaged, made to fill the memory, or more than data."""


def read_data(path: str | Path, old_form: bool = False) -> object:
    """Return what torch.save put into a file; `old_form` takes the files of torch before 1.6, too.

    Raises OSError where the machine cannot read it, NotData where it is damaged, says that it holds more
    than it does, or holds more than data.
    """
    if os.path.isdir(path):
        raise NotData("a folder")
    with open(path, "rb") as stream:
        try:
            _check_archive(stream, old_form)
            stream.seek(0)
            return torch.load(stream, map_location="cpu", weights_only=True)
        except NotData:
            raise
        except Exception as error:  # zipfile and torch raise whatever the bytes make their readers raise
            # EINVAL: damage sent the reader to a place before the first byte.
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            raise NotData(_reason(error)) from None


def _check_archive(stream: BinaryIO, old_form: bool) -> None:
    """Raise NotData where an archive is compressed, says it holds more than it does, or is damaged."""
    if stream.read(len(ZIP_MAGIC)) != ZIP_MAGIC:
        if old_form:
            return
        raise NotData("no archive of torch")
    with zipfile.ZipFile(stream) as archive:
        records = archive.infolist()
        if any(record.compress_type != zipfile.ZIP_STORED for record in records):
            raise NotData("compressed, as torch writes no file")
        if sum(record.file_size for record in records) > os.fstat(stream.fileno()).st_size:
            raise NotData("says that it holds more than it does")
        if damaged := archive.testzip():
            raise NotData(f"damaged, the checksum of {damaged} does not fit")


def _reason(error: Exception) -> str:
    """Return in one line why torch.load failed; its advice, to load the file regardless, is not passed on."""
    if isinstance(error, pickle.UnpicklingError):
        return "damaged, or more than data, which could run as a program"
    return (str(error).splitlines() or [type(error).__name__])[0]


def state_dict(content: object, path: str | Path) -> dict[str, Tensor]:
    """Return a state dict from the file `path`, without what else hangs on it.

    Raises NotData where it is none of plain tensors, or they are larger than the file.
    """
    if not isinstance(content, dict):
        raise NotData("no state dict")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise NotData("no state dict of tensors")
        if not _is_plain(value):
            raise NotData(f"{key[:LONGEST_KEY]} is no plain tensor")
    if _bytes(content.values()) > os.path.getsize(path):
        raise NotData("says that it holds more than it does")
    return dict(content)


def _is_plain(value: Tensor) -> bool:
    """Say whether a tensor is dense, real numbers in memory, each of its elements in a place of its own.

    One of few places can say that it has billions of elements, and whoever computes with it makes them.
    """
    dense = value.layout == torch.strided and value.device.type == "cpu" and not value.is_nested
    if not dense or value.is_complex() or value.is_quantized:
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _bytes(values: Iterable[Tensor]) -> int:
    """Return how much memory tensors hold; what they share is counted once."""
    storages = [value.untyped_storage() for value in values]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
