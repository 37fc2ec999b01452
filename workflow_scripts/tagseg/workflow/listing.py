"""Digests of the user's files, to detect changes."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import cache

from tagseg.datasets.base import tidy_folder
from tagseg.datasets.paths import is_loop


def listing(paths: Iterable[str], suffixes: Iterable[str], skipped: Iterable[str] = (), extra: str = "") -> str:
    """Return 16 hexadecimal digits over names, sizes and times of the data files at or below `paths`, and `extra`.

    Folders in `skipped` are not entered. A linked folder counts by its path, its target and its files.
    """
    closed = {tidy_folder(folder) for folder in skipped}
    rows = (
        f"{number}\0{path.removeprefix(root)}\0{size}\0{time}"
        for number, root in enumerate(paths)
        for path, size, time in _data_files(root, frozenset(suffixes), closed)
    )
    content = "\n".join([extra, *sorted(rows)]).encode(errors="surrogateescape")
    return hashlib.sha256(content).hexdigest()[:16]


def _data_files(root: str, suffixes: frozenset[str], closed: set[str]) -> Iterator[tuple[str, int | str, int | str]]:
    """Yield (path, size in bytes, time in nanoseconds); of a linked folder (path, target, "")."""
    if os.path.isfile(root):
        yield root, *_size_and_time(root)
    waiting = [root]
    while waiting:
        for entry in _entries(waiting.pop()):
            is_folder = entry.is_dir(follow_symlinks=False)
            is_link = entry.is_symlink() and os.path.isdir(entry.path)
            if (is_folder or is_link) and tidy_folder(entry.path) in closed:
                continue
            if is_link:
                yield entry.path, os.readlink(entry.path), ""
            if is_folder or (is_link and not is_loop(root, entry.path)):
                waiting.append(entry.path)
            elif not is_link and os.path.splitext(entry.name)[1].lower() in suffixes:
                yield entry.path, *_size_and_time(entry.path)


def _entries(folder: str) -> list[os.DirEntry]:
    """Return the entries of a folder without hidden ones; [] if it is unreadable: its reader reports that."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


@cache
def file_digest(path: str) -> str:
    """Return the SHA-256 of a file; "" if it is unreadable: its reader reports that."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
