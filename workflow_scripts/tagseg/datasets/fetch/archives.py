"""Archives of data sets (tar, also compressed, and zip), unpacked with the safety rules of the standard library."""

import lzma
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tagseg.datasets.base import UNPACKED_MARK
from tagseg.datasets.fetch.download import check_free_space
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_folder

MAX_BYTES = 60 * 10**9
"""Most that an archive may unpack to; COCO's largest holds 20 GB."""

_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, UnicodeError),
    RuntimeError,  # a member of a zip is encrypted
    *(IsADirectoryError, NotADirectoryError, FileExistsError),  # a name is of a file and of a folder
)


def unpack(archive: str | Path, members: str, folder: str | Path) -> int:
    """Unpack what an archive holds below its folder `members` into `folder`; return the number of files.

    `folder` appears complete or not at all, with the file UNPACKED_MARK. Links are skipped. Raises TagsegError if
    the archive is damaged, unsafe or too large, or holds nothing below `members`.
    """
    archive, folder = Path(archive), Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unpack_into = _unpack_zip if zipfile.is_zipfile(archive) else _unpack_tar
    with atomic_folder(folder) as aside:
        try:
            count = unpack_into(archive, PurePosixPath(members), aside)
        except _DAMAGE as error:
            problem = " ".join(str(error).split()) or type(error).__name__
            raise TagsegError(f"{archive}: not a readable archive ({problem}). Delete it and run again.") from None
        if not count:
            raise TagsegError(f"{archive}: no file in {members}/. Replace it by the right archive.")
        (aside / UNPACKED_MARK).touch()
    return count


def _check_size(archive: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise TagsegError(
            f"{archive}: unpacks to more than {MAX_BYTES / 1e9:.0f} GB. Replace it by the published archive."
        )


def _unpack_tar(archive: Path, members: PurePosixPath, folder: Path) -> int:
    check_free_space(folder.parent, archive.stat().st_size, folder.name)
    count, size = 0, 0
    with tarfile.open(archive) as opened:
        for member in commandline.progress(opened, f"{archive.name}, members"):
            path = PurePosixPath(member.name)
            if path == members or not path.is_relative_to(members) or member.issym() or member.islnk():
                continue
            size += member.size
            _check_size(archive, size)
            inside = member.replace(name=str(path.relative_to(members)), deep=False)
            opened.extract(inside, folder, filter="data")
            count += member.isfile()
    return count


def _unpack_zip(archive: Path, members: PurePosixPath, folder: Path) -> int:
    count = 0
    with zipfile.ZipFile(archive) as opened:
        size = sum(info.file_size for info in opened.infolist())
        _check_size(archive, size)
        check_free_space(folder.parent, size, folder.name)
        for info in commandline.progress(opened.infolist(), f"{archive.name}, members"):
            path = PurePosixPath(info.filename)
            if path.is_relative_to(members) and not info.is_dir():
                info.filename = str(path.relative_to(members))
                opened.extract(info, folder)
                count += 1
    return count
