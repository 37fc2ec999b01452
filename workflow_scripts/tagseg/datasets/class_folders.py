"""Photographs sorted into folders: one a class, and above them, if one likes, one a split.

    FOLDER/dog/beach/1.jpg            FOLDER/train/dog/1.jpg

Each photograph has the one class of its folder; a photograph with several tags wants a table of labels.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from tagseg.datasets.image_files import find_files, is_image
from tagseg.datasets.labels_table import Row
from tagseg.datasets.places import shown
from tagseg.datasets.problems import Problem
from tagseg.errors import TagsegError
from tagseg.images import PHOTOGRAPH_SUFFIXES
from tagseg.index import SPLITS

_OTHER_IMAGES = frozenset({".avif", ".dng", ".gif", ".heic", ".heif", ".jp2", ".jpe", ".jxl", ".svg"})
_LIKE_SPLITS = frozenset({*SPLITS, "training", "valid", "validation", "testing"})


def read_class_folders(root: Path, results: Path | None = None) -> tuple[list[Row], list[Problem]]:
    """Return a row for each image below the folders of `root`, sorted by path, and all problems.

    The class is the name of the first folder below `root`, however deep the image lies in it. Where
    all folders with images are named train, val or test, they are the splits and the classes are one
    level below; images of test need no class. Hidden folders, SegmentationClass and the `results` of our
    runs are left out. A file that lies, or is linked, in two folders is two photographs. Raises TagsegError
    where there is no folder with images.
    """
    found = find_files(root, results)
    images = [file for file in found.files if is_image(file)]
    tops = {image.parts[0] for image in images if len(image.parts) > 1}
    if not tops:
        raise TagsegError(f"{root}: no image in a folder of a class; put the images into one folder a class")
    level = 1 if tops <= set(SPLITS) else 0
    rows = [_row(image, level) for image in images]
    problems = [*found.problems, *_links(found.links), *other_images(found.files), *_mixed(tops)]
    problems += [row.problem(_no_class(level)) for row in rows if not row.tags and row.split != "test"]
    return rows, problems


def _row(image: PurePosixPath, level: int) -> Row:
    """Return an image's row, given how many folders are above those of the classes."""
    folders = image.parts[:-1]
    split = folders[0] if level and folders else ""
    return Row(image, frozenset(folders[level : level + 1]), split)


def _no_class(level: int) -> str:
    below = "train, val or test" if level else "the folder"
    return f"in no folder of a class; move it into one below {below}, or remove it"


def _links(links: Sequence[PurePosixPath]) -> list[Problem]:
    text = "a link to a folder, which is not followed; put the images themselves there"
    return [Problem(shown(link), 0, text) for link in links]


def other_images(files: Sequence[PurePosixPath]) -> list[Problem]:
    """Return a problem for each image of a kind that would be left out without a word."""
    known = ", ".join(sorted(PHOTOGRAPH_SUFFIXES))
    text = f"a kind of image that is not read; convert it (to one of {known}) or remove it"
    return [Problem(shown(file), 0, text) for file in files if file.suffix.lower() in _OTHER_IMAGES]


def _mixed(tops: Iterable[str]) -> list[Problem]:
    """Return a problem where folders look like splits and would be taken for classes.

    A single one is a class: there are trains on photographs.
    """
    like = sorted(top for top in tops if top.casefold() in _LIKE_SPLITS)
    if len(like) < 2 or set(tops) <= set(SPLITS):
        return []
    names = " and ".join(repr(name) for name in like)
    text = f"folders {names} look like splits; name them {', '.join(SPLITS)} and move other folders away"
    return [Problem("", 0, text)]
