"""Image files below a folder of anyone's: which there are, whether they are safe, what size they have."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tagseg.datasets.common import MASK_FOLDER
from tagseg.datasets.problems import Problem
from tagseg.errors import TagsegError
from tagseg.images import PHOTOGRAPH_SUFFIXES


class Found(NamedTuple):
    """What is below a folder, as sorted relative paths: files, links to folders inside, problems."""

    files: list[PurePosixPath]
    links: list[PurePosixPath]
    problems: list[Problem]


def find_files(root: Path) -> Found:
    """Return all files below `root`, without hidden ones and what is in SegmentationClass.

    No linked folder is entered; a link to a folder outside, or a folder that cannot be read, is a problem.
    """
    found = Found([], [], [])
    walk = os.walk(root, onerror=lambda error: found.problems.append(_unread(root, error)))
    for place, folders, files in walk:
        relative = PurePosixPath(Path(place).relative_to(root).as_posix())
        skipped = {MASK_FOLDER} if Path(place) == root else set()
        folders[:] = [name for name in folders if not name.startswith(".") and name not in skipped]
        _tell_links(root, [relative / name for name in folders], found)
        found.files.extend(relative / name for name in files if not name.startswith("."))
    return Found(sorted(found.files), sorted(found.links), found.problems)


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


def find_images(root: Path) -> tuple[list[PurePosixPath], list[Problem]]:
    """Return the relative paths of all images below a folder, sorted, and what was left unread.

    A link to a folder inside is no problem: the walk meets that folder at its own place.
    """
    found = find_files(root)
    return [file for file in found.files if is_image(file)], found.problems


def is_image(file: PurePosixPath) -> bool:
    """Return whether a file's suffix is that of a photograph that can be read."""
    return file.suffix.lower() in PHOTOGRAPH_SUFFIXES


def check_folder(root: Path) -> None:
    """Raise TagsegError where there is no such folder."""
    if not root.is_dir():
        raise TagsegError(f"{root}: no such folder; name the one that holds your photographs")


def choose_ids(images: Sequence[PurePosixPath]) -> dict[PurePosixPath, str]:
    """Return each image's id: its path without suffix; with it where two ids would be the same."""
    counts = Counter(str(image.with_suffix("")) for image in images)
    whole = {str(image) for image in images}
    short = {image: str(image.with_suffix("")) for image in images}
    return {image: str(image) if counts[name] > 1 or name in whole else name for image, name in short.items()}


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


def leads_out(root: Path, file: PurePosixPath) -> str:
    """Return a problem's text where symbolic links lead from `file` out of `root`, else ""."""
    real = Path(os.path.realpath(root / file))
    if real.is_relative_to(os.path.realpath(root)):
        return ""
    return f"a link to {shown(str(real))}, outside the folder; copy the file into it"


def is_utf8(text: str) -> bool:
    """Return whether UTF-8 can hold the text, hence our tables: names on disk may be any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(path: str | PurePosixPath) -> str:
    """Return a path for a message: on one line and fit for UTF-8, what else is in it written as escapes."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(path)
    )
