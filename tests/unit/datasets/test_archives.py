"""Unpacking: the files below a folder keep their bytes, and a bad archive leaves nothing behind."""

import hashlib
import io
import random
import subprocess
import sys
import tarfile
import zipfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from tagseg.datasets.base import UNPACKED_MARK, is_by_hand
from tagseg.datasets.fetch import archives, download
from tagseg.datasets.fetch.archives import unpack
from tagseg.runtime.errors import TagsegError

FILES = {
    "kit/a.txt": b"a",
    "kit/deep/er/b.bin": random.Random(0).randbytes(400_000),
    "kit/deep/empty": b"",
    "kit/Größe 木.txt": b"unicode",
    "kitchen/c.txt": b"not below kit/",
    "readme": b"neither",
}
WANTED = {UNPACKED_MARK: b"", **{name[4:]: content for name, content in FILES.items() if name.startswith("kit/")}}


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
    files = (path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("suffix", "prefix"), [
    (".tar", ""), (".tgz", ""), (".tar.xz", ""), (".zip", ""), (".tgz", "./"),
])  # fmt: skip
def test_the_members_below_a_folder_keep_their_bytes(tmp_path, suffix, prefix):
    archive = write_archive(tmp_path / f"a{suffix}", prefix=prefix)
    assert unpack(archive, "kit", tmp_path / "out" / "kit") == len(WANTED) - 1
    assert content_of(tmp_path / "out" / "kit") == WANTED
    assert names_in(tmp_path / "out") == ["kit"]
    assert not is_by_hand(str(tmp_path / "out" / "kit"))  # because of the mark
    (tmp_path / "out" / "kit" / UNPACKED_MARK).unlink()
    assert is_by_hand(str(tmp_path / "out" / "kit"))


@pytest.mark.parametrize("name", ["/outside", "../outside", "kit/../../outside", "a\\..\\outside"])
@pytest.mark.parametrize("suffix", [".tar", ".zip"])
def test_nothing_is_written_outside_the_folder(tmp_path, suffix, name):
    """A tar with such a member is refused; a member of a zip is written below the folder or not at all."""
    archive = write_archive(tmp_path / f"a{suffix}", {"kit/a": b"a", name: b"evil"})
    refused = suffix == ".tar" and name == "kit/../../outside"
    with pytest.raises(TagsegError, match="outside the destination") if refused else nullcontext():
        unpack(archive, "kit", tmp_path / "data" / "kit")
    assert names_in(tmp_path) == [archive.name, "data"]
    assert names_in(tmp_path / "data") == ([] if refused else ["kit"])


@pytest.mark.parametrize(("kind", "target"), [
    (tarfile.CHRTYPE, ""), (tarfile.FIFOTYPE, ""), (tarfile.SYMTYPE, "/etc"), (tarfile.SYMTYPE, "kit/plain"),
    (tarfile.LNKTYPE, "/etc"), (tarfile.LNKTYPE, "kit/plain"),
])  # fmt: skip
def test_devices_and_pipes_are_refused_and_links_are_skipped(tmp_path, kind, target):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("kit/plain"))
        member = tarfile.TarInfo("kit/odd")
        member.type, member.linkname = kind, target
        archive.addfile(member)
    if target:
        assert unpack(tmp_path / "a.tar", "kit", tmp_path / "out") == 1
        assert names_in(tmp_path / "out") == [UNPACKED_MARK, "plain"]
        return
    with pytest.raises(TagsegError, match="'odd' is a special file"):
        unpack(tmp_path / "a.tar", "kit", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".tgz", ".zip"])
def test_nothing_may_be_larger_than_the_limit_or_the_disk(tmp_path, suffix, monkeypatch):
    archive = write_archive(tmp_path / f"a{suffix}")
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(TagsegError, match="needs 0.0 GB, but 0.0 GB are free"):
        unpack(archive, "kit", tmp_path / "out")
    monkeypatch.undo()
    monkeypatch.setattr(archives, "MAX_BYTES", 400_000)
    with pytest.raises(TagsegError, match=rf"a\{suffix}: unpacks to more than"):
        unpack(archive, "kit", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("damage", "suffix"), [
    ("bytes", ".tar.xz"), ("bytes", ".zip"), ("cut", ".tar"), ("cut", ".tgz"), ("cut", ".zip"), ("text", ".tgz"),
])  # fmt: skip
def test_damage_and_another_archive_are_reported_and_an_older_folder_stays(tmp_path, suffix, damage):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    archive = write_archive(tmp_path / f"a{suffix}")
    content = archive.read_bytes()
    half, rest = content[: len(content) // 2], content[len(content) // 2 :]
    inverted = half + bytes(255 - byte for byte in rest[:100]) + rest[100:]
    archive.write_bytes({"bytes": inverted, "cut": half, "text": b"PK is text, too"}[damage])
    with pytest.raises(TagsegError, match=rf"a\{suffix}: not a readable archive .*Delete it"):
        unpack(archive, "kit", tmp_path / "out")
    write_archive(archive, {"kitchen/a": b"", "b/kit/a": b""})
    with pytest.raises(TagsegError, match="no file in kit/"):
        unpack(archive, "kit", tmp_path / "out")
    assert names_in(tmp_path / "out") == ["old"]


def test_the_script_verifies_the_checksum_first(tmp_path):
    archive = write_archive(tmp_path / "a.tar")
    script = Path(__file__).parents[3] / "workflow_scripts" / "unpack_archive.py"
    command = [sys.executable, script, "--archive", archive, "--members", "kit", "--folder", tmp_path / "out"]
    done = subprocess.run([*command, "--md5", "0" * 32], capture_output=True, text=True)
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    assert "expected 000" in done.stderr and "Delete it and run again" in done.stderr
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    done = subprocess.run([*command, "--md5", md5], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert content_of(tmp_path / "out") == WANTED
