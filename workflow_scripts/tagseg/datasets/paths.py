"""Paths and text files of users. Symbolic links are followed: data sets often live on another disk."""

import os
from pathlib import Path, PurePosixPath

from tagseg.runtime.errors import TagsegError

MAX_TEXT_BYTES = 1 << 30
"""Longest table or list that is read; a row for each of ten million images fits."""


def user_error(path: str | Path, problem: str, remedy: str) -> TagsegError:
    """Return an error of the form "<path>: problem. Remedy."."""
    return TagsegError(f"{path}: {problem}. {remedy[:1].upper()}{remedy[1:]}.")


def read_bytes(path: Path, remedy: str) -> bytes:
    """Return the content of a user's file. Raises TagsegError; `remedy` is for a missing file."""
    try:
        if path.exists() and not path.is_file():  # opening a named pipe would block
            raise user_error(path, "not a regular file", "replace it by a text file")
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise user_error(path, f"more than {MAX_TEXT_BYTES:,} bytes", "replace it by a shorter file")
        return path.read_bytes()
    except FileNotFoundError:
        raise user_error(path, "no such file", remedy) from None
    except OSError as error:
        raise user_error(path, f"cannot be read ({error.strerror})", remedy) from None


def read_text(path: Path, remedy: str) -> str:
    """Return a UTF-8 file's text, without BOM. Raises TagsegError; `remedy` is for a missing file."""
    try:
        return read_bytes(path, remedy).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise user_error(path, "not UTF-8", "save it again in that encoding") from None


def is_present(path: str | Path) -> bool:
    """Return whether a path exists; a broken link counts. An I/O error is raised: it is no absence."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def is_loop(root: str | Path, folder: str | Path) -> bool:
    """Return whether a folder below `root` is a link to one of the folders that contain it."""
    if not os.path.islink(folder):
        return False
    target = Path(os.path.realpath(folder))
    inner = Path(folder).relative_to(root).parents
    return any(Path(os.path.realpath(Path(root, parent))).is_relative_to(target) for parent in inner)


def is_plain_name(name: str) -> bool:
    """Return whether a name in a user's list or annotation stays inside its folder."""
    return name not in ("", ".") and ".." not in name and not any(char in name for char in "/\\\0")


def is_utf8(text: str) -> bool:
    """Return whether UTF-8 can encode a text: names on disk may be any bytes, but our tables are UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_utf8(root: Path) -> None:
    """Raise TagsegError where the path of a data set is not UTF-8: our tables contain it."""
    if not is_utf8(str(root)):
        raise user_error(shown(str(root)), "the path is not UTF-8", "rename the folder")


def shown(path: str | PurePosixPath) -> str:
    """Return a path on one line; unprintable characters become escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(path))
