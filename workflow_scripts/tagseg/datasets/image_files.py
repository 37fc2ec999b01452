"""Image files below a folder of anyone's: which there are, whether they are safe, what size they have."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tagseg.datasets.common import MASK_FOLDER
from tagseg.datasets.places import check_utf8, is_utf8, leads_out, shown
from tagseg.datasets.problems import Problem
from tagseg.errors import TagsegError
from tagseg.images import PHOTOGRAPH_SUFFIXES

MADE_SUFFIXES = (".png", ".jpg")
"""Suffixes of what is made of a photograph and has its id as its name: masks, overlays."""

TAKEN_NAME = "manifest.json"
"""File of ours that lies beside the masks of a shard. (Said here, so that the index depends on no masks.)"""

MAX_PART_BYTES = 255 - len(".png")
"""Longest file or folder name of an id: the mask's name has to be one that file systems take."""


class Found(NamedTuple):
    """What is below a folder, as sorted relative paths: files, links to folders inside, problems."""

    files: list[PurePosixPath]
    links: list[PurePosixPath]
    problems: list[Problem]


def find_files(root: Path, results: Path | None = None) -> Found:
    """Return all files below `root`, without hidden ones and what is in SegmentationClass or `results`.

    No linked folder is entered; a link to a folder outside, or a folder that cannot be read, is a problem.
    """
    found = Found([], [], [])
    walk = os.walk(root, onerror=lambda error: found.problems.append(_unread(root, error)))
    for place, folders, files in walk:
        relative = PurePosixPath(Path(place).relative_to(root).as_posix())
        skipped = {MASK_FOLDER} if Path(place) == root else set()
        folders[:] = [name for name in folders if not name.startswith(".") and name not in skipped]
        folders[:] = [name for name in folders if not _is_results(Path(place, name), results)]
        _tell_links(root, [relative / name for name in folders], found)
        found.files.extend(relative / name for name in files if not name.startswith("."))
    return Found(sorted(found.files), sorted(found.links), found.problems)


def _is_results(path: Path, results: Path | None) -> bool:
    """Return whether a path is that of the results of our runs, whose pictures are no photographs."""
    return results is not None and os.path.abspath(path) == os.path.abspath(results)


def _unread(root: Path, error: OSError) -> Problem:
    place = os.path.relpath(error.filename or root, root)
    return Problem(shown(place), 0, f"cannot be read ({error.strerror}); change its rights or remove it")


def _tell_links(root: Path, folders: Sequence[PurePosixPath], found: Found) -> None:
    """Sort the links among `folders` into those that stay inside and problems."""
    for folder in folders:
        if not os.path.islink(root / folder):
            continue
        text = leads_out(root, folder)
        if text:
            found.problems.append(Problem(shown(folder), 0, text))
        else:
            found.links.append(folder)


def is_image(file: PurePosixPath) -> bool:
    """Return whether a file's suffix is that of a photograph that can be read."""
    return file.suffix.lower() in PHOTOGRAPH_SUFFIXES


def check_folder(root: Path) -> None:
    """Raise TagsegError where there is no such folder, or its path is not UTF-8."""
    check_utf8(root)
    if not root.is_dir():
        raise TagsegError(f"{root}: no such folder; name the one that holds your photographs")


def choose_ids(images: Sequence[PurePosixPath]) -> dict[PurePosixPath, str]:
    """Return each image's id: its path without suffix; with it where two ids would be the same."""
    counts = Counter(str(image.with_suffix("")) for image in images)
    whole = {str(image) for image in images}
    short = {image: str(image.with_suffix("")) for image in images}
    return {image: str(image) if counts[name] > 1 or name in whole else name for image, name in short.items()}


def clashes(ids: Collection[str]) -> dict[str, str]:
    """Return, by id, why the mask <id>.png or the overlay <id>.jpg cannot lie with those of all `ids`."""
    folders = {str(folder) for name in ids for folder in PurePosixPath(name).parents}
    texts = {name: _wrong_id(name, folders) for name in ids}
    return {name: text for name, text in texts.items() if text}


def _wrong_id(name: str, folders: Collection[str]) -> str:
    """Return what is wrong with an id, given the `folders` of all ids, or "" for nothing."""
    parts = PurePosixPath(name).parts
    if any(len(os.fsencode(part)) > MAX_PART_BYTES for part in parts):
        return f"a name of more than {MAX_PART_BYTES} bytes, too long for a mask's; shorten it"
    if parts[0] == TAKEN_NAME and len(parts) > 1:
        return f"the folder {TAKEN_NAME} has the name of a file of ours; rename it"
    taken = [made for suffix in MADE_SUFFIXES if (made := f"{name}{suffix}") in folders]
    return f"its mask or overlay would have the name of the folder {taken[0]}; rename one" if taken else ""


def unfit(root: Path, image: PurePosixPath) -> str:
    """Return why a file should not even be opened as a photograph, or "" for nothing.

    One that is missing is left to its reader.
    """
    if image.parts[0] == MASK_FOLDER:
        return f"the folder {MASK_FOLDER} holds masks; remove the row"
    if not is_utf8(str(image)):
        return "a file name that is not UTF-8; rename it"
    if os.path.exists(root / image) and not os.path.isfile(root / image):
        return "not a readable image (no file); name a file"  # a pipe would be waited on forever
    return leads_out(root, image) or (_unwatched(image) if os.path.exists(root / image) else "")


def _unwatched(image: PurePosixPath) -> str:
    """Return why a change of a file would go unseen, or "" for nothing.

    The workflow watches what is not hidden and has a photograph's suffix (`listing` in rules/common.smk).
    """
    if any(part.startswith(".") for part in image.parts):
        return "a hidden file, or in a hidden folder; rename it"
    if not is_image(image):
        known = ", ".join(sorted(PHOTOGRAPH_SUFFIXES))
        return f"a name that ends in none of {known}; rename it, or convert it where it is of another kind"
    return ""
