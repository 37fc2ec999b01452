"""Images sorted into one folder per class, optionally below one folder per split.

    FOLDER/dog/beach/1.jpg            FOLDER/train/dog/1.jpg

Each image has the class of its folder. Images with several tags require a table of labels.
"""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tagseg.datasets.folder.image_files import find_files, is_image
from tagseg.datasets.folder.labels_table import Row
from tagseg.datasets.problems import Problem
from tagseg.runtime.errors import TagsegError
from tagseg.storage.index import SPLITS

_LIKE_SPLITS = frozenset({*SPLITS, "training", "valid", "validation", "testing"})


def read_class_folders(root: Path, results: Path | None = None) -> tuple[list[Row], list[Problem]]:
    """Return a row for each image below the folders of `root`, sorted by path, and all problems (see `find_files`).

    The class is the name of the first folder below `root`. If all folders with images are named train, val or test,
    they are the splits, and the classes are one level below; images of test need no class. Raises TagsegError if no
    folder has images.
    """
    files, problems = find_files(root, results)
    images = [file for file in files if is_image(file)]
    tops = {image.parts[0] for image in images if len(image.parts) > 1}
    if not tops:
        raise TagsegError(f"{root}: no image in a class folder. Put the images into one folder per class.")
    level = 1 if tops <= set(SPLITS) else 0
    rows = [_row(image, level) for image in images]
    below = "train, val or test" if level else "the folder"
    text = f"not in a class folder. Move it into one below {below}, or remove it."
    untagged = [row.problem(text) for row in rows if not row.tags and row.split != "test"]
    return rows, [*problems, *_mixed(tops), *untagged]


def _row(image: PurePosixPath, level: int) -> Row:
    """Return an image's row; `level` is the number of folders above those of the classes."""
    folders = image.parts[:-1]
    split = folders[0] if level and folders else ""
    return Row(image, frozenset(folders[level : level + 1]), split)


def _mixed(tops: Iterable[str]) -> list[Problem]:
    """Return a problem if several folders look like splits but would become classes. (One may be a class: train.)"""
    like = sorted(top for top in tops if top.casefold() in _LIKE_SPLITS)
    if len(like) < 2 or set(tops) <= set(SPLITS):
        return []
    names = " and ".join(repr(name) for name in like)
    text = f"folders {names} look like splits. Name them {', '.join(SPLITS)}, and move other folders away."
    return [Problem("", 0, text)]
