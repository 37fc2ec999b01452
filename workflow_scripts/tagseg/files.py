"""Outputs that appear complete or not at all, and digests."""

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

from tagseg.errors import TagsegError
from tagseg.seals import break_seal, check_seal, seal

LOCK = "writer.lock"
WRITING_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

_held: set[int] = set()
"""Open locks of the outputs that this process is writing."""


@contextmanager
def atomic_file(path: str | Path, sealed: bool = True) -> Iterator[Path]:
    """Yield a temporary path near `path`; it becomes `path` when the block ends without error.

    An output of the run is sealed (`tagseg.seals`), unless it has checksums of its own or is none for others.
    """
    path = Path(path)
    with _shelter(path) as own:
        aside = own / path.name
        aside.touch()
        yield aside
        aside.chmod(0o666 & ~_umask())
        break_seal(path)
        os.replace(aside, path)
        if sealed:
            seal(path)


@contextmanager
def atomic_folder(folder: str | Path) -> Iterator[Path]:
    """Yield an empty folder near `folder`; it takes the place of `folder` when the block ends well.

    An output of the run is sealed (`tagseg.seals`).
    """
    folder = Path(folder)
    with _shelter(folder) as own:
        aside = own / folder.name
        aside.mkdir()
        yield aside
        break_seal(folder)
        if folder.exists():  # moved away whole: a folder half removed would look like one half written
            os.replace(folder, own / f"{folder.name}.before")
        os.replace(aside, folder)
        seal(folder)


@contextmanager
def _shelter(path: Path) -> Iterator[Path]:
    """Yield an empty folder for what is to become `path`; whatever is in it at the end is removed.

    It lies in `.NAME.partial` beside `path`, which is for this output alone. What killed writers left there
    is removed first. An OSError names `path`, not a place that nobody knows.
    """
    place = path.parent / f".{path.name}.partial"
    try:
        place.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(place)
        with _folder_in(place) as own:
            yield own
    except OSError as error:
        _name(error, place, path)
        raise
    finally:
        with suppress(OSError):  # another writer of the same output is at work in there
            place.rmdir()


def _name(error: OSError, place: Path, path: Path) -> None:
    """Let an error name the output where it names our place, or no file and is one of writing."""
    nameless = error.filename is None and error.errno in WRITING_ERRORS
    if nameless or str(error.filename).startswith(str(place)):
        error.filename, error.filename2 = str(path), None


@contextmanager
def _folder_in(place: Path) -> Iterator[Path]:
    """Yield a new folder, locked by this process and removed at the end."""
    own = Path(tempfile.mkdtemp(dir=place))
    try:
        with _locked(own / LOCK):
            yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _remove_leftovers(place: Path) -> None:
    """Remove the folders in `place` whose writer is no longer alive: nobody holds their lock."""
    for own in place.iterdir():
        with suppress(OSError):  # its writer lives, or the file system has no locks and cannot say
            with open(own / LOCK, "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(own, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file for the time of a block, where the file system has locks; forks do not inherit it."""
    lock = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    _held.add(lock)
    try:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        _held.discard(lock)
        os.close(lock)


def _let_go() -> None:
    """Close, in a forked process, the parent's locks: they are to end with the parent."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)


class LastingStream(io.FileIO):
    """A file to write, and to read back, for libraries that a failed write would crash or escape.

    HDF5 passes over a full disk while it clears its cache and then crashes. This stream keeps the first
    failure, drops what comes after, and raises the failure in `check`, and when it is closed as a context.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "w+")
        self._failure: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        """Write all of `data`, or nothing any more once a write has failed; return its length in bytes."""
        rest = memoryview(data).cast("B")
        length = len(rest)
        try:
            while self._failure is None and len(rest):
                rest = rest[super().write(rest) :]
        except OSError as error:
            self._failure = error
        return length

    def check(self) -> None:
        """Raise the OSError of the first write that failed, if one has."""
        if self._failure is not None:
            raise self._failure

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.check()


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: str | Path, content: object) -> None:
    """Write `content` as indented JSON, atomically."""
    with atomic_file(path) as aside:
        aside.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict:
    """Return the content of a JSON file. Raises TagsegError where it is missing, malformed or altered."""
    check_seal(path)
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such file; run the stage that makes it again") from None
    except (ValueError, RecursionError) as error:
        raise TagsegError(f"{path}: not valid JSON ({error}); delete it and run again") from None


def digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
