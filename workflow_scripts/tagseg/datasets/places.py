"""Files in anyone's folder: whether they are there, whether links lead out of it, the text of one."""

import os
import stat
from pathlib import Path, PurePosixPath

from tagseg.errors import TagsegError

MAX_TEXT_BYTES = 1 << 30
"""Longest table or list that is read; a row for each of ten million photographs fits."""


def read_text(path: Path, remedy: str) -> str:
    """Return a file's text, UTF-8 with or without BOM, its line ends as they are.

    Raises TagsegError: with `remedy` where the file is missing, else naming what is wrong with it.
    """
    try:
        _check_text_file(path)
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such file; {remedy}") from None
    except UnicodeDecodeError:
        raise TagsegError(f"{path}: not UTF-8; save it again with that encoding") from None
    except OSError as error:
        raise TagsegError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None


def _check_text_file(path: Path) -> None:
    """Raise TagsegError where a path is no regular file (a pipe would be waited on forever) or too long."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise TagsegError(f"{path}: cannot be read (no regular file); put a file of text there")
    if status.st_size > MAX_TEXT_BYTES:
        raise TagsegError(f"{path}: more than {MAX_TEXT_BYTES:,} bytes, which no list has; replace it")


def lies_there(path: str | Path) -> bool:
    """Say whether anything has that name, a link that leads nowhere as well.

    Raises TagsegError where the machine does not say: a lost mount must not look like an empty folder.
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise TagsegError(
            f"{path}: cannot be read ({error.strerror}); see to its rights and to the disk or the network it "
            "lies on"
        ) from None
    return True


def leads_out(root: Path, file: PurePosixPath) -> str:
    """Return a problem's text where symbolic links lead from `file` out of `root`, else ""."""
    real = Path(os.path.realpath(root / file))
    if real.is_relative_to(os.path.realpath(root)):
        return ""
    return f"a link to {shown(str(real))}, outside the folder; copy the file into it"


def check_inside(root: Path, path: Path) -> None:
    """Raise TagsegError where symbolic links lead from `path`, which is below `root`, out of it."""
    if text := leads_out(root, PurePosixPath(path.relative_to(root))):
        raise TagsegError(f"{path}: {text}")


def check_file(root: Path, path: Path) -> None:
    """Raise TagsegError where `path`, below `root`, is no regular file or a link out of `root`."""
    check_inside(root, path)
    if not os.path.isfile(path):
        raise TagsegError(f"{path}: not a file that can be read; replace or remove it")


def is_utf8(text: str) -> bool:
    """Return whether UTF-8 can hold the text, hence our tables: names on disk may be any bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_utf8(root: Path) -> None:
    """Raise TagsegError where the path of a data set is not UTF-8: our tables, which name it, are."""
    if not is_utf8(str(root)):
        raise TagsegError(f"{shown(root)}: a path that is not UTF-8; rename the folder")


def shown(path: str | PurePosixPath) -> str:
    """Return a path for a message: on one line and fit for UTF-8, what else is in it written as escapes."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(path)
    )
