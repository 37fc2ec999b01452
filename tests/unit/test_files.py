"""Outputs appear complete or not at all; a malformed file is named in the error."""

import hashlib
import os

import pytest

from tagseg.errors import TagsegError
from tagseg.files import atomic_file, atomic_folder, digest, read_json, write_json


@pytest.fixture
def umask_027():
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_file_appears_with_its_content_and_nothing_else(tmp_path):
    with atomic_file(tmp_path / "deep" / "a.txt") as aside:
        aside.write_text("new")
        assert aside.suffix == ".txt"
        assert not (tmp_path / "deep" / "a.txt").exists()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.txt"]
    assert (tmp_path / "deep" / "a.txt").read_text() == "new"


def test_failed_block_keeps_the_old_file_and_leaves_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "a.txt") as aside:
        aside.write_text("half of the n")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_interrupted_block_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "a.txt"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_permissions_follow_the_umask(tmp_path, umask_027):
    with atomic_file(tmp_path / "a.txt"):
        pass
    with atomic_folder(tmp_path / "b"):
        pass
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o750
    assert os.umask(0o027) == 0o027, "the process's umask was left changed"


def test_folder_replaces_the_one_before(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "stale").touch()
    with atomic_folder(tmp_path / "b") as aside:
        (aside / "fresh").touch()
        assert (tmp_path / "b" / "stale").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["fresh"]


def test_failed_folder_keeps_the_old_one_and_leaves_nothing(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "old").touch()
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "b") as aside:
        (aside / "half").touch()
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["old"]


def test_json_round_trip_keeps_non_ascii_readable(tmp_path):
    content = {"tags": ["Grünspecht", "木"], "share": 0.1, "none": None}
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content
    assert "Grünspecht" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_json_that_cannot_be_written_leaves_the_old_one(tmp_path):
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"new": object()})
    assert read_json(tmp_path / "a.json") == {"old": 1}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b'{"a": ', b"", b"\xff\xfe\x00", b"[" * 100_000])
def test_malformed_json_is_named(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(TagsegError, match=r"a\.json: not valid JSON .*run again"):
        read_json(tmp_path / "a.json")


def test_missing_json_is_named(tmp_path):
    with pytest.raises(TagsegError, match=r"a\.json: no such file"):
        read_json(tmp_path / "a.json")


def test_digest_is_sha256(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(content)
    assert digest(tmp_path / "a") == hashlib.sha256(content).hexdigest()
