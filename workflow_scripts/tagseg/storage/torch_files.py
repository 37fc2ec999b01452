"""Files of torch.save, read as data only; their checksums are compared, which torch does not do."""

import errno
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from tagseg.runtime.errors import TagsegError


class NotData(Exception):
    """The file is damaged, or holds more than data; the text is the reason, in one line."""


def read_data(path: str | Path) -> object:
    """Return the content of a file of torch.save, of any version of torch.

    Raises NotData if the file is damaged, compressed or holds more than data; OSError if it cannot be read.
    """
    if os.path.isdir(path):
        raise NotData("a folder")
    with open(path, "rb") as stream:
        try:
            if stream.read(4) == b"PK\x03\x04":  # torch before 1.6 wrote no archive
                _check_archive(zipfile.ZipFile(stream))
            stream.seek(0)
            return torch.load(stream, map_location="cpu", weights_only=True)
        except (NotData, MemoryError):
            raise
        except Exception as error:  # damage makes zipfile and torch raise many types
            # EINVAL: damage makes the reader seek before the first byte.
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            raise NotData("damaged, or holds more than data") from None


def _check_archive(archive: zipfile.ZipFile) -> None:
    if any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist()):
        raise NotData("compressed, unlike files of torch")
    if damaged := archive.testzip():
        raise NotData(f"damaged, the checksum of {damaged} does not match")


def read_state(path: str | Path) -> Mapping[str, Tensor]:
    """Return the state dict in a user's weights file.

    Raises TagsegError if the file is missing or damaged or holds anything else; OSError if it cannot be read.
    """
    try:
        content = read_data(path)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such weights file. Correct the path, or use 'imagenet'.") from None
    except NotData as error:
        raise TagsegError(f"{path}: not a file of weights ({error}). Replace it.") from None
    if isinstance(content, dict):
        content = content.get("state_dict", content)
    if not isinstance(content, dict) or not all(isinstance(k, str) and _is_plain(v) for k, v in content.items()):
        raise TagsegError(f"{path}: not a state dict of tensors. Save model.state_dict() alone.")
    return dict(content)  # without torch's attributes


def _is_plain(value: object) -> bool:
    """Return whether a value is a dense real tensor that holds all its elements (none is expanded)."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu":
        return False
    held = value.untyped_storage().nbytes()
    return not (value.is_complex() or value.is_quantized) and value.numel() * value.element_size() <= held
