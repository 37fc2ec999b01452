"""Image files below a folder: the walk, which follows links, and checks of their names."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from tagseg.datasets.common import MASK_FOLDER
from tagseg.datasets.paths import check_utf8, is_loop, is_utf8, shown
from tagseg.datasets.problems import Problem
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import IMAGE_SUFFIXES

MADE_SUFFIXES = (".png", ".jpg")
"""Suffixes of masks and overlays, whose names are the ids of the images."""

MANIFEST = "manifest.json"
"""The file beside the masks of a shard. (Repeated here, so that the index depends on no code of masks.)"""

MAX_PART_BYTES = 255 - len(".png")
"""Longest file or folder name of an id: file systems must accept the mask's name."""

_SYSTEM_FOLDERS = frozenset(
    {"@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX", "Thumbs", "lost+found", "System Volume Information"}
)
"""Folders that network drives and operating systems fill with thumbnails and deleted files."""

_OTHER_IMAGES = frozenset({".avif", ".dng", ".gif", ".heic", ".heif", ".jp2", ".jpe", ".jxl", ".svg"})


def find_files(root: Path, results: Path | None = None) -> tuple[list[PurePosixPath], list[Problem]]:
    """Return the relative paths of all files below `root`, sorted, and the problems.

    Linked folders are followed. Hidden files, SegmentationClass, folders of thumbnails and `results`, the folder of
    our runs, are skipped. Problems are a link back to a parent folder, a folder without read permission and an image
    of a format that is not read.
    """
    files: list[PurePosixPath] = []
    problems: list[Problem] = []
    unread: list[OSError] = []
    for folder, names, found in os.walk(root, onerror=unread.append, followlinks=True):
        relative = PurePosixPath(Path(folder).relative_to(root).as_posix())
        names[:] = [name for name in names if not _is_skipped(root, Path(folder, name), results)]
        loops = {name for name in names if is_loop(root, Path(folder, name))}
        problems += [Problem(shown(relative / name), 0, "a link to a parent folder. Remove it.") for name in loops]
        names[:] = [name for name in names if name not in loops]
        files += [relative / name for name in found if not name.startswith(".")]
    problems += [_unread(root, error) for error in unread]
    return sorted(files), [*problems, *_other_images(files)]


def _is_skipped(root: Path, folder: Path, results: Path | None) -> bool:
    is_ours = results is not None and os.path.abspath(folder) == os.path.abspath(results)
    is_system = folder.name.startswith(".") or folder.name in _SYSTEM_FOLDERS
    return is_system or folder == root / MASK_FOLDER or is_ours


def _unread(root: Path, error: OSError) -> Problem:
    path = os.path.relpath(error.filename or root, root)
    return Problem(shown(path), 0, f"cannot be read ({error.strerror}). Change its permissions or remove it.")


def _other_images(files: Sequence[PurePosixPath]) -> list[Problem]:
    convert = f"Convert it to one of {', '.join(sorted(IMAGE_SUFFIXES))}, or remove it."
    install = dict.fromkeys((".heic", ".heif"), "Run `pip install pillow-heif`, or convert it.")
    return [
        Problem(shown(file), 0, f"unsupported image format. {install.get(file.suffix.lower(), convert)}")
        for file in files
        if file.suffix.lower() in _OTHER_IMAGES - IMAGE_SUFFIXES
    ]


def is_image(file: PurePosixPath) -> bool:
    """Return whether a file's suffix is that of an image format that is read."""
    return file.suffix.lower() in IMAGE_SUFFIXES


def check_folder(root: Path) -> None:
    """Raise TagsegError if there is no such folder, or its path is not UTF-8."""
    check_utf8(root)
    if not root.is_dir():
        raise TagsegError(f"{root}: no such folder. Name the folder of your images.")


def choose_ids(images: Sequence[PurePosixPath]) -> dict[PurePosixPath, str]:
    """Return each image's id: its path without suffix, or with it where two ids would be equal."""
    counts = Counter(str(image.with_suffix("")) for image in images)
    whole = {str(image) for image in images}
    short = {image: str(image.with_suffix("")) for image in images}
    return {image: str(image) if counts[name] > 1 or name in whole else name for image, name in short.items()}


def clashes(ids: Collection[str]) -> dict[str, str]:
    """Return, by id, why the mask <id>.png or overlay <id>.jpg cannot be written beside those of all `ids`."""
    folders = {str(folder) for name in ids for folder in PurePosixPath(name).parents}
    texts = {name: _clash(name, folders) for name in ids}
    return {name: text for name, text in texts.items() if text}


def _clash(name: str, folders: Collection[str]) -> str:
    parts = PurePosixPath(name).parts
    if any(len(os.fsencode(part)) > MAX_PART_BYTES for part in parts):
        return f"a name longer than {MAX_PART_BYTES} bytes, too long for its mask. Shorten it."
    if parts[0] == MANIFEST and len(parts) > 1:
        return f"the folder {MANIFEST} has the name of a result. Rename it."
    taken = [made for suffix in MADE_SUFFIXES if (made := f"{name}{suffix}") in folders]
    return f"its mask or overlay would have the name of the folder {taken[0]}. Rename one." if taken else ""


def wrong_file(root: Path, image: PurePosixPath) -> str:
    """Return why a file is not opened as an image, or "". The reader reports a missing file.

    The workflow watches files that are not hidden and have an image's suffix (`tagseg.workflow.listing`).
    """
    if image.parts[0] == MASK_FOLDER:
        return f"in {MASK_FOLDER}, the folder of the masks. Remove the row."
    if not is_utf8(str(image)):
        return "the file name is not UTF-8. Rename it."
    if not os.path.exists(root / image):
        return ""
    if not os.path.isfile(root / image):  # reading a pipe would block
        return "not a readable image (not a file). Name a file."
    if any(part.startswith(".") for part in image.parts):
        return "a hidden file, or in a hidden folder. Rename it."
    if not is_image(image):
        return f"unknown suffix. Use one of {', '.join(sorted(IMAGE_SUFFIXES))}: rename or convert the image."
    return ""
