"""Archives of data sets (tar, tar.gz and the like, zip), unpacked without trust in what they hold.

Only plain files and folders are made, by us and with our own rights, so that nothing depends on what an
archive says of owners, modes or links.
"""

import errno
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from tagseg import commandline
from tagseg.download import check_free_space
from tagseg.errors import TagsegError
from tagseg.files import atomic_folder

MAX_BYTES = 60 * 10**9
"""Most that an archive may unpack to; COCO's largest holds 20 GB."""

MAX_RATIO = 100
"""How often its own size an archive may unpack to; COCO's annotations, JSON, do less than 10 times."""

SMALL = 2**30  # bytes that any archive may unpack to: ratios of small ones say little

_CHUNK = 2**20
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # a member of a zip is encrypted
    NotImplementedError,
    UnicodeError,
    gzip.BadGzipFile,
)


class _Member(NamedTuple):
    """A member of an archive: `kind` is file, folder, link or other; `open` gives a file's content."""

    name: str
    kind: str
    open: Callable[[], IO[bytes]]


def unpack(archive: str | Path, members: str, folder: str | Path) -> int:
    """Unpack what an archive holds below its folder `members` into `folder`; return the number of files.

    `folder` appears complete or not at all. Links are left out, which the log says. Raises TagsegError
    where the file is no archive or a damaged one, holds nothing below `members`, or a member is neither
    file nor folder, leads out of the folder, or is too large (see MAX_BYTES, MAX_RATIO).
    """
    archive, folder = Path(archive), Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _opened(archive) as (held, total, size):
        check_free_space(folder.parent, size, folder.name)
        with atomic_folder(folder) as aside:
            held = commandline.progress(held, f"{folder.name}, members", total)
            count = _write_members(archive, _below(archive, held, members), aside)
            if not count:
                raise TagsegError(f"{archive}: holds no file in {members}/; put the right archive there")
    return count


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[Iterator[_Member], int | None, int]]:
    """Yield the members of an archive, their number, if known, and the bytes that they take at least."""
    try:
        with open(archive, "rb") as stream:
            zipped = stream.read(2) == b"PK"
    except OSError as error:
        raise TagsegError(f"{archive}: {error.strerror}; fetch it, or put it there") from None
    try:
        with zipfile.ZipFile(archive) if zipped else tarfile.open(archive) as opened:
            yield _zip_content(opened) if zipped else _tar_content(opened, archive)
    except _DAMAGE as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise TagsegError(
            f"{archive}: not a readable tar or zip archive ({text}); delete it and run again"
        ) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TagsegError(f"{archive}: the disk is full; free some space and run again") from None


def _zip_content(opened: zipfile.ZipFile) -> tuple[Iterator[_Member], int, int]:
    infos = opened.infolist()
    return (_zip_member(opened, info) for info in infos), len(infos), sum(info.file_size for info in infos)


def _tar_content(opened: tarfile.TarFile, archive: Path) -> tuple[Iterator[_Member], None, int]:
    return _tar_members(opened), None, archive.stat().st_size


def _tar_members(opened: tarfile.TarFile) -> Iterator[_Member]:
    yield from (_tar_member(opened, info) for info in opened)
    while opened.fileobj.read(_CHUNK):  # the checksum of a compressed tar comes at its very end
        pass


def _zip_member(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    form = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
    kinds = {0: "file", stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    kind = "folder" if info.is_dir() else kinds.get(form, "other")
    return _Member(info.filename, kind, lambda: opened.open(info))


def _tar_member(opened: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    tests = {"file": info.isreg(), "folder": info.isdir(), "link": info.issym() or info.islnk()}
    kind = next((kind for kind, is_it in tests.items() if is_it), "other")
    return _Member(info.name, kind, lambda: opened.extractfile(info))


def _below(archive: Path, held: Iterator[_Member], members: str) -> Iterator[tuple[PurePosixPath, _Member]]:
    """Yield (path below the folder `members`, member) of those that are to be written."""
    for member in held:
        path = _safe_path(archive, member)
        if path.is_relative_to(members) and path != PurePosixPath(members):
            if member.kind == "link":
                commandline.say(f"left out {member.name}: a link")
            else:
                yield path.relative_to(members), member


def _safe_path(archive: Path, member: _Member) -> PurePosixPath:
    """Return a member's path. Raises TagsegError where it leads out of the archive or is no file's."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or any(sign in member.name for sign in "\\\0"):
        raise TagsegError(
            f"{archive}: the member {member.name!r} leads out of the folder; do not use this archive"
        )
    if member.kind == "other":
        raise TagsegError(
            f"{archive}: the member {member.name!r} is neither file nor folder; do not use this archive"
        )
    return path


def _write_members(archive: Path, held: Iterator[tuple[PurePosixPath, _Member]], folder: Path) -> int:
    """Write members below a folder; return the number of files. Raises TagsegError on too many bytes."""
    left = min(MAX_BYTES, max(SMALL, MAX_RATIO * archive.stat().st_size))
    count = 0
    for path, member in held:
        try:
            (folder / path if member.kind == "folder" else (folder / path).parent).mkdir(
                parents=True, exist_ok=True
            )
            if member.kind == "file":
                left -= _write_file(archive, member, folder / path, left)
                count += 1
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise TagsegError(
                f"{archive}: {member.name!r} is a file and a folder; do not use this archive"
            ) from None
    return count


def _write_file(archive: Path, member: _Member, path: Path, most: int) -> int:
    """Write a member; return its bytes, counted as they come: what an archive states may be wrong."""
    written = 0
    with member.open() as source, open(path, "wb") as target:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > most:
                raise TagsegError(
                    f"{archive}: unpacks to more than can be meant ({member.name!r} goes beyond the limit); "
                    "do not use this archive"
                )
            target.write(chunk)
    return written
