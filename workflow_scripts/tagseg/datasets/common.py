"""What the adapters share: class list, lists of ids, a mask's size, problems collected."""

import os
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tagseg.datasets.places import check_file, check_inside, lies_there, read_text
from tagseg.datasets.problems import Problem
from tagseg.errors import TagsegError
from tagseg.index import BACKGROUND, MAX_NAME_BYTES, check_class_names

CLASS_LIST = "classes.txt"
MASK_FOLDER = "SegmentationClass"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@contextmanager
def collected(problems: list[Problem], file: str | Path, place: str | None = None) -> Iterator[None]:
    """Add the TagsegError of a block about one file to `problems`, so that the next file has its turn.

    What the message says before its text, the file's name, becomes the problem's place, if not `place` does.
    """
    try:
        yield
    except TagsegError as error:
        text = str(error).removeprefix(f"{file}: ")
        problems.append(Problem(str(file) if place is None else place, 0, text))


def read_ids(path: Path, remedy: str, problems: list[Problem]) -> dict[str, int]:
    """Return the ids of a list, one a line, with their line numbers; empty lines are left out.

    Lines that are no file names and ids listed before go to `problems`. Raises TagsegError where the
    list cannot be read, with `remedy` where it is missing.
    """
    ids: dict[str, int] = {}
    for line, text in enumerate(read_text(path, remedy).splitlines(), start=1):
        name = text.strip()
        wrong = _wrong_id(name, ids) if name else ""
        if wrong:
            problems.append(Problem(str(path), line, wrong))
        elif name:
            ids[name] = line
    return ids


def _wrong_id(name: str, earlier: dict[str, int]) -> str:
    """Return what is wrong with an id that follows the `earlier` ones, or "" for nothing."""
    if ".." in name or any(sign in name for sign in "/\\\0") or len(name.encode()) > MAX_NAME_BYTES:
        return f"{name[:80]!r} is not an id; write the photograph's file name without folder and suffix"
    if name in earlier:
        return f"{name!r} is already in line {earlier[name]}; an id may be listed once: remove one"
    return ""


def read_class_list(folder: Path) -> tuple[str, ...] | None:
    """Return the names in `folder`/classes.txt, one a line, or None where there is no such file.

    A line "background" at the head is dropped: class 0 is the background anyway. Raises TagsegError
    where a name cannot be a class, or the file is a link out of the folder or one that leads nowhere:
    without its list, the numbers of the masks would be those of other classes.
    """
    path = folder / CLASS_LIST
    if not lies_there(path):
        return None
    check_inside(folder, path)
    lines = (line.strip() for line in read_text(path, "restore it").splitlines())
    names = [line for line in lines if line]
    if names and names[0].casefold() == BACKGROUND:
        del names[0]
    check_class_names(names, path)
    return tuple(names)


def in_class_order(tags: Collection[str], places: Mapping[str, int]) -> tuple[str, ...]:
    """Return the names among `tags` that the class list has, in its order; `places` are those in the list."""
    return tuple(sorted((tag for tag in tags if tag in places), key=places.__getitem__))


def places_of(names: Sequence[str]) -> dict[str, int]:
    """Return the place of each name in the class list."""
    return {name: place for place, name in enumerate(names)}


def holds_masks(root: Path) -> bool:
    """Return whether there is a folder of masks below `root`.

    Raises TagsegError where something else has its name, it is a link out of `root`, or it cannot be read.
    """
    folder = root / MASK_FOLDER
    if not lies_there(folder):
        return False
    check_inside(root, folder)
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise TagsegError(
            f"{folder}: cannot be read ({error.strerror}); make it a folder of masks, or remove it"
        ) from None
    return True


def check_mask(root: Path, mask: Path, width: int, height: int) -> None:
    """Raise TagsegError where a mask is not a PNG of the photograph's width and height (pixels).

    Nor may it be a link out of `root`. The PNG's header alone is read.
    """
    check_file(root, mask)
    try:
        with open(mask, "rb") as stream:
            header = stream.read(24)
    except OSError as error:
        raise TagsegError(f"{mask}: cannot be read ({error.strerror}); replace or remove it") from None
    if len(header) < 24 or not header.startswith(_PNG_SIGNATURE):
        raise TagsegError(f"{mask}: not a PNG, as masks have to be; save it as one or remove it")
    size = struct.unpack(">II", header[16:24])
    if size != (width, height):
        raise TagsegError(
            f"{mask}: {size[0]}x{size[1]} pixels, where the photograph has {width}x{height} after "
            "EXIF rotation; replace or remove the mask"
        )
