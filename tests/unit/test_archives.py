"""Unpacking: what is wanted comes out as it went in, and nothing comes out of a bad archive."""

import gzip
import hashlib
import io
import random
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tagseg import archives, download
from tagseg.archives import unpack
from tagseg.errors import TagsegError

FILES = {
    "kit/a.txt": b"a",
    "kit/deep/er/b.bin": random.Random(0).randbytes(400_000),
    "kit/deep/empty": b"",
    "kit/Größe 木.txt": b"unicode",
    "kitchen/c.txt": b"not below kit/",
    "readme": b"neither",
}
WANTED = {name.removeprefix("kit/"): content for name, content in FILES.items() if name.startswith("kit/")}
SUFFIXES = (".tar", ".tgz", ".tar.xz", ".zip")


def write_archive(path: Path, files=FILES, prefix="") -> Path:
    """Write an archive of plain files; the suffix decides on the format."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(f"{prefix}{name}", content)
        return path
    mode = {".tar": "w", ".tgz": "w:gz", ".xz": "w:xz"}[path.suffix]
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{prefix}{name}")
            member.size, member.mode = len(content), 0o4777
            archive.addfile(member, io.BytesIO(content))
    return path


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if not path.is_dir()
    }


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def tar_of(path: Path, name: str, kind: bytes, target: str = "") -> Path:
    """Write a tar of a plain file and one member of a kind."""
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("kit/plain"))
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member)
    return path


def zip_of(path: Path, name: str, mode: int = 0o100644, content: bytes = b"a") -> Path:
    """Write a zip of a plain file and one member with a Unix mode."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("kit/plain", b"")
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        archive.writestr(member, content)
    return path


@pytest.mark.parametrize("prefix", ["", "./"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_members_below_a_folder_come_out_as_they_went_in(tmp_path, suffix, prefix):
    archive = write_archive(tmp_path / f"a{suffix}", prefix=prefix)
    assert unpack(archive, "kit", tmp_path / "out" / "kit") == len(WANTED)
    assert content_of(tmp_path / "out" / "kit") == WANTED
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["kit"]


def test_a_nested_folder_of_the_archive_can_be_meant(tmp_path):
    archive = write_archive(tmp_path / "a.tar")
    unpack(archive, "kit/deep", tmp_path / "out")
    assert set(content_of(tmp_path / "out")) == {"er/b.bin", "empty"}


def test_the_modes_in_the_archive_do_not_count(tmp_path):
    unpack(write_archive(tmp_path / "a.tar"), "kit", tmp_path / "out")
    (tmp_path / "own").touch()
    expected = (tmp_path / "own").stat()
    found = (tmp_path / "out" / "a.txt").stat()
    assert (found.st_mode, found.st_uid) == (expected.st_mode, expected.st_uid)


def test_folders_of_the_archive_come_too(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("kit", "kit/none"):
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE
            archive.addfile(member)
        archive.addfile(tarfile.TarInfo("kit/file"))
    assert unpack(tmp_path / "a.tar", "kit", tmp_path / "out") == 1
    assert (tmp_path / "out" / "none").is_dir()


UNSAFE = ["/outside", "../outside", "kit/../../outside", "kit/..", "a\\..\\outside"]


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_members_that_lead_out_are_refused(tmp_path, suffix, name):
    (tmp_path / "data").mkdir()
    archive = write_archive(tmp_path / f"a{suffix}", {"kit/a": b"a", name: b"evil"})
    with pytest.raises(TagsegError, match=rf"a\{suffix}: the member .* leads out of the folder"):
        unpack(archive, "kit", tmp_path / "data" / "kit")
    assert not list((tmp_path / "data").iterdir()) and not (tmp_path / "outside").exists()


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(tmp_path, kind):
    archive = tar_of(tmp_path / "a.tar", "kit/odd", kind)
    with pytest.raises(TagsegError, match="'kit/odd' is neither file nor folder"):
        unpack(archive, "kit", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_devices_in_a_zip_are_refused(tmp_path):
    with pytest.raises(TagsegError, match="'kit/odd' is neither file nor folder"):
        unpack(zip_of(tmp_path / "a.zip", "kit/odd", 0o020644), "kit", tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["/etc", "../../outside", "kit/plain", "plain"])
def test_links_are_left_out(tmp_path, kind, target, capsys):
    archive = tar_of(tmp_path / "a.tar", "kit/link", kind, target)
    assert unpack(archive, "kit", tmp_path / "out") == 1
    assert names_in(tmp_path / "out") == ["plain"]
    assert "left out kit/link: a link" in capsys.readouterr().err


def test_links_in_a_zip_are_left_out(tmp_path):
    archive = zip_of(tmp_path / "a.zip", "kit/link", 0o120777, b"/etc")
    unpack(archive, "kit", tmp_path / "out")
    assert names_in(tmp_path / "out") == ["plain"]


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "outside").mkdir()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("kit/link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "outside")
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("kit/link/evil"))
    unpack(tmp_path / "a.tar", "kit", tmp_path / "out")
    assert not list((tmp_path / "outside").iterdir())
    assert (tmp_path / "out" / "link" / "evil").is_file()


@pytest.mark.parametrize("names", [("kit/a", "kit/a/b"), ("kit/a/b", "kit/a")])
def test_a_file_that_is_a_folder_too_is_refused(tmp_path, names):
    archive = write_archive(tmp_path / "a.tar", dict.fromkeys(names, b""))
    with pytest.raises(TagsegError, match="is a file and a folder"):
        unpack(archive, "kit", tmp_path / "out")


@pytest.mark.parametrize("suffix", [".tgz", ".zip"])
def test_bombs_are_stopped(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(archives, "SMALL", 100_000)
    archive = write_archive(tmp_path / f"a{suffix}", {"kit/a": bytes(2_000_000), "kit/b": bytes(2_000_000)})
    with pytest.raises(TagsegError, match=rf"a\{suffix}: unpacks to more than can be meant"):
        unpack(archive, "kit", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_may_be_larger_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 400_000)
    archive = write_archive(tmp_path / "a.tar")
    with pytest.raises(TagsegError, match="unpacks to more than can be meant"):
        unpack(archive, "kit", tmp_path / "out")
    monkeypatch.setattr(archives, "MAX_BYTES", sum(map(len, WANTED.values())))
    unpack(archive, "kit", tmp_path / "out")


def damaged(content: bytes) -> bytes:
    """Return the bytes with some in the middle turned over."""
    middle = len(content) // 2
    return (
        content[:middle]
        + bytes(255 - byte for byte in content[middle : middle + 100])
        + content[middle + 100 :]
    )


@pytest.mark.parametrize("suffix", [".tgz", ".tar.xz", ".zip"])
@pytest.mark.parametrize("damage", [damaged, lambda content: content[: len(content) // 2]])
def test_damage_is_told(tmp_path, suffix, damage):
    archive = write_archive(tmp_path / f"a{suffix}")
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(TagsegError, match=rf"a\{suffix}: not a readable tar or zip archive .*delete it"):
        unpack(archive, "kit", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_cut_tar_is_told(tmp_path):
    archive = write_archive(tmp_path / "a.tar")
    archive.write_bytes(archive.read_bytes()[:100_000])
    with pytest.raises(TagsegError, match="not a readable tar or zip archive"):
        unpack(archive, "kit", tmp_path / "out")


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"PK\x03\x04 and so on", b"text" * 999, gzip.compress(b"text", mtime=0)]
)
def test_what_is_no_archive_is_told(tmp_path, content):
    (tmp_path / "a.tgz").write_bytes(content)
    with pytest.raises(TagsegError, match=r"a\.tgz: not a readable tar or zip archive"):
        unpack(tmp_path / "a.tgz", "kit", tmp_path / "out")


def test_a_missing_archive_is_told(tmp_path):
    with pytest.raises(TagsegError, match=r"a\.tgz: No such file or directory; fetch it, or put it there"):
        unpack(tmp_path / "a.tgz", "kit", tmp_path / "out")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_of_something_else_is_told(tmp_path, suffix):
    archive = write_archive(tmp_path / f"a{suffix}", {"kitchen/a": b"", "b/kit/a": b""})
    with pytest.raises(TagsegError, match="holds no file in kit/"):
        unpack(archive, "kit", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failure_keeps_the_folder_that_is_there(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    with pytest.raises(TagsegError):
        unpack(write_archive(tmp_path / "a.tar", {"../a": b""}), "kit", tmp_path / "out")
    assert names_in(tmp_path / "out") == ["old"]


def test_a_full_disk_is_told_beforehand(tmp_path, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: SimpleNamespace(free=300_000))
    with pytest.raises(TagsegError, match="out needs 0.0 GB, and 0.0 GB are free"):
        unpack(write_archive(tmp_path / "a.zip"), "kit", tmp_path / "out")


def run_script(root: Path, *arguments) -> subprocess.CompletedProcess:
    script = root / "workflow_scripts" / "unpack_archive.py"
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)


def test_the_script_looks_at_the_checksum_first(tmp_path):
    archive = write_archive(tmp_path / "a.tar")
    root = Path(__file__).parents[2]
    places = ("--archive", archive, "--members", "kit", "--folder", tmp_path / "out")
    done = run_script(root, *places, "--md5", "0" * 32)
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    assert "has the md5 sum" in done.stderr and "delete it and run again" in done.stderr
    done = run_script(root, *places, "--md5", hashlib.md5(archive.read_bytes()).hexdigest())
    assert done.returncode == 0, done.stderr
    assert content_of(tmp_path / "out") == WANTED
