"""Outputs that appear complete or not at all, JSON files, and digests."""

import errno
import fcntl
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tagseg.runtime.errors import TagsegError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path; it becomes `path` when the block ends without error."""
    path = Path(path)
    with _scratch_folder(path) as scratch:
        partial = scratch / path.name
        partial.touch()  # with the permissions of the user's umask
        yield partial
        os.replace(partial, path)


@contextmanager
def atomic_folder(folder: str | Path) -> Iterator[Path]:
    """Yield an empty temporary folder; it replaces `folder` when the block ends without error."""
    folder = Path(folder)
    with _scratch_folder(folder) as scratch:
        partial = scratch / folder.name
        partial.mkdir()
        yield partial
        if folder.exists():  # moved whole: a half-removed folder would look like a half-written one
            os.replace(folder, scratch / f"{folder.name}.before")
        os.replace(partial, folder)


@contextmanager
def _scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a folder below `.NAME.partial` beside `path`, locked while its writer lives, removed at the end.

    An OSError names `path` in place of a temporary file.
    """
    parent = path.parent / f".{path.name}.partial"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_dead(parent)
        scratch = Path(tempfile.mkdtemp(dir=parent))
        descriptor = os.open(scratch / "writer.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield scratch
        finally:
            os.close(descriptor)
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        unnamed = error.filename is None and error.errno in _DISK_FULL
        if unnamed or str(error.filename).startswith(str(parent)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with suppress(OSError):  # another writer of the same output uses it
            parent.rmdir()


def _remove_dead(parent: Path) -> None:
    """Remove the scratch folders of killed writers: nobody holds their lock."""
    for scratch in parent.iterdir():
        with suppress(OSError), open(scratch / "writer.lock", "a") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(scratch, ignore_errors=True)


class LastingStream(io.FileIO):
    """A file for libraries that crash on a failed write (HDF5) or hide it.

    It keeps the first failure, drops what comes after, and raises the failure in `check` and on exit.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "w+")
        self._failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data`, or nothing once a write has failed; return its length in bytes."""
        rest = memoryview(data).cast("B")
        length = len(rest)
        try:
            while self._failure is None and len(rest):
                rest = rest[super().write(rest) :]
        except OSError as error:
            self._failure = error
        return length

    def check(self) -> None:
        """Raise the OSError of the first write that failed, if any."""
        if self._failure is not None:
            raise self._failure

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.check()


def write_json(path: str | Path, content: object) -> None:
    """Write `content` as indented JSON, atomically."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict:
    """Return the content of a JSON file. Raises TagsegError if it is missing or malformed."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such file. Run the stage that writes it again.") from None
    except (ValueError, RecursionError) as error:
        raise TagsegError(f"{path}: not valid JSON ({error}). Delete it and run again.") from None


def digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
