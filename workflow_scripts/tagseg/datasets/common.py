"""Helpers of all readers: class list, lists of ids, masks, collected problems."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from PIL import Image

from tagseg.datasets.paths import is_plain_name, is_present, read_text, user_error
from tagseg.datasets.problems import DatasetProblems, Problem
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import IMAGE_SUFFIXES
from tagseg.storage.index import BACKGROUND, MAX_NAME_BYTES, check_class_names

CLASS_LIST = "classes.txt"
MASK_FOLDER = "SegmentationClass"
AUGMENTED = "SegmentationClassAug"
"""Folder of SBD's masks as PNGs, as many repositories have it."""

_PATHS = re.compile(
    rf"(/?\S*/\S+(?:{'|'.join(map(re.escape, sorted(IMAGE_SUFFIXES)))}))(?:\s+\S+\.png)?", re.IGNORECASE
)


@contextmanager
def collected(problems: list[Problem], file: str | Path, path: str | None = None) -> Iterator[None]:
    """Append a block's TagsegError about `file` to `problems` and continue; `path` replaces its path."""
    try:
        yield
    except DatasetProblems as error:
        problems += error.problems
    except TagsegError as error:
        text = str(error).removeprefix(f"{file}: ")
        problems.append(Problem(str(file) if path is None else path, 0, text))


def read_ids(path: Path, remedy: str, problems: list[Problem]) -> dict[str, int]:
    """Return the ids of a list (one per line) with their line numbers; empty lines are skipped.

    A line may also be the path of the image, alone or before that of its mask, as in the lists of many
    repositories: `/JPEGImages/x.jpg /SegmentationClassAug/x.png`. Invalid and repeated ids go to `problems`.
    Raises TagsegError where the list cannot be read.
    """
    ids: dict[str, int] = {}
    for line, text in enumerate(read_text(path, remedy).splitlines(), start=1):
        name = _id_of_line(text.strip())
        if not name:
            continue
        if not is_plain_name(name) or len(name.encode()) > MAX_NAME_BYTES:
            wrong = f"{name[:80]!r} is not an id. Write the image's file name without folder and suffix."
            problems.append(Problem(str(path), line, wrong))
        elif name in ids:
            problems.append(Problem(str(path), line, f"{name!r} is already in line {ids[name]}. Remove one."))
        else:
            ids[name] = line
    return ids


def _id_of_line(text: str) -> str:
    """Return the id that a line of a list names; another text as it is."""
    found = _PATHS.fullmatch(text)
    return PurePosixPath(found[1]).stem if found and ".." not in text else text


def read_class_list(path: Path) -> tuple[str, ...] | None:
    """Return the class names in a list (one per line), or None where there is no such file.

    A first line "background" is dropped. Raises TagsegError on an invalid name and on a broken link: without
    the list, the labels of the masks would be other classes.
    """
    if not is_present(path):
        return None
    lines = (line.strip() for line in read_text(path, "restore it").splitlines())
    names = [line for line in lines if line]
    if names and names[0].casefold() == BACKGROUND:
        del names[0]
    check_class_names(names, path)
    return tuple(names)


def in_class_order(tags: Collection[str], positions: Mapping[str, int]) -> tuple[str, ...]:
    """Return the tags that are classes, in class order; `positions` is the result of `places_of`."""
    return tuple(sorted((tag for tag in tags if tag in positions), key=positions.__getitem__))


def places_of(names: Sequence[str]) -> dict[str, int]:
    """Return the position of each name in the class list."""
    return {name: position for position, name in enumerate(names)}


def holds_masks(folder: Path) -> bool:
    """Return whether there is a folder of masks. Raises TagsegError where it is something else."""
    if not is_present(folder):
        return False
    if not folder.is_dir():
        raise user_error(folder, "not a folder", "make it a folder of masks or remove it")
    return True


def check_mask(mask: Path, width: int, height: int) -> None:
    """Raise TagsegError where a mask is not a PNG of the image's size (pixels); reads the header only."""
    if not mask.is_file():
        raise user_error(mask, "not a file", "replace or remove it")
    try:
        with Image.open(mask, formats=["PNG"]) as image:
            size = image.size
    except (OSError, SyntaxError, ValueError):
        raise user_error(mask, "not a readable PNG", "save the mask as a palette PNG or remove it") from None
    if size != (width, height):
        problem = f"{size[0]}x{size[1]} pixels, but the image has {width}x{height} after EXIF rotation"
        raise user_error(mask, problem, "replace or remove the mask")
