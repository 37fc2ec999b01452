"""What the adapters share: the class list, the size of a mask, and the text of a user's file."""

import struct
from collections.abc import Collection
from pathlib import Path

from tagseg.errors import TagsegError
from tagseg.index import BACKGROUND, check_class_names

CLASS_LIST = "classes.txt"
MASK_FOLDER = "SegmentationClass"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def read_text(path: Path, remedy: str) -> str:
    """Return a file's text, UTF-8 with or without BOM, its line ends as they are.

    Raises TagsegError: with `remedy` where the file is missing, else naming what is wrong with it.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such file; {remedy}") from None
    except UnicodeDecodeError:
        raise TagsegError(f"{path}: not UTF-8; save it again with that encoding") from None
    except OSError as error:
        raise TagsegError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None


def read_class_list(folder: Path) -> tuple[str, ...] | None:
    """Return the names in `folder`/classes.txt, one a line, or None where there is no such file.

    A line "background" at the head is dropped: class 0 is the background anyway. Raises TagsegError
    where a name cannot be a class.
    """
    path = folder / CLASS_LIST
    if not path.exists():
        return None
    lines = (line.strip() for line in read_text(path, "restore it").splitlines())
    names = [line for line in lines if line]
    if names and names[0].casefold() == BACKGROUND:
        del names[0]
    check_class_names(names, path)
    return tuple(names)


def in_class_order(tags: Collection[str], names: Collection[str]) -> tuple[str, ...]:
    """Return the `names` of the class list that are among `tags`, each once."""
    return tuple(name for name in names if name in tags)


def check_mask_size(mask: Path, width: int, height: int) -> None:
    """Raise TagsegError where a mask is not a PNG of the photograph's width and height (pixels).

    Reads the PNG's header only; the labels are checked where they are used.
    """
    with open(mask, "rb") as stream:
        header = stream.read(24)
    if len(header) < 24 or not header.startswith(_PNG_SIGNATURE):
        raise TagsegError(f"{mask}: not a PNG, as masks have to be; save it as one or remove it")
    size = struct.unpack(">II", header[16:24])
    if size != (width, height):
        raise TagsegError(
            f"{mask}: {size[0]}x{size[1]} pixels, where the photograph has {width}x{height} after "
            "EXIF rotation; replace or remove the mask"
        )
