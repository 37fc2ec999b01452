"""Outputs appear complete or not at all; a malformed file is named in the error."""

import errno
import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import full_disk_writer
from helpers import small_disk
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import LastingStream, atomic_file, atomic_folder, digest, read_json, write_json

ATOMIC = {"file": atomic_file, "folder": atomic_folder}


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
    content = {"tags": ["Grünspecht", "木"], "ratio": 0.1, "none": None}
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content
    assert "Grünspecht" in (tmp_path / "a.json").read_text(encoding="utf-8")


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


KILLED = """
import os, signal, sys
from tagseg.storage.files import atomic_file, atomic_folder
with {"file": atomic_file, "folder": atomic_folder}[sys.argv[1]](sys.argv[2]) as aside:
    (aside / "half" if aside.is_dir() else aside).write_text("half of the n")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_a_writer(kind: str, path: Path) -> list[str]:
    """Let a process begin to write an output and be killed; return what is left beside it."""
    scripts = str(Path(sys.modules[TagsegError.__module__].__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": scripts}
    done = subprocess.run([sys.executable, "-c", KILLED, kind, str(path)], env=environment)
    assert done.returncode == -signal.SIGKILL
    return sorted(entry.name for entry in path.parent.iterdir())


@pytest.mark.parametrize("kind", ATOMIC)
def test_the_next_writer_removes_what_a_killed_one_left(tmp_path, kind):
    (left,) = kill_a_writer(kind, tmp_path / "a.x")
    assert left.startswith(".a.x.")
    with ATOMIC[kind](tmp_path / "a.x") as aside:
        assert list(aside.parents[1].iterdir()) == [aside.parent]
    assert [path.name for path in tmp_path.iterdir()] == ["a.x"]


@pytest.mark.parametrize("other", ["a", "a.y", "a.x.y", "b.a.x", ".a.x"])
@pytest.mark.parametrize("kind", ATOMIC)
def test_what_is_left_of_another_output_stays(tmp_path, kind, other):
    left = kill_a_writer("folder", tmp_path / other)
    with ATOMIC[kind](tmp_path / "a.x"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*left, "a.x"])


def _write_slowly(path, kind, pipe):
    with ATOMIC[kind](path) as aside:
        (aside / "1" if kind == "folder" else aside).write_text("slow")
        pipe.send("writing")
        pipe.recv()


@pytest.mark.parametrize("kind", ATOMIC)
def test_what_a_live_process_is_writing_stays(tmp_path, kind):
    ours, theirs = multiprocessing.Pipe()
    slow = multiprocessing.get_context("fork").Process(target=_write_slowly, args=(tmp_path / "a", kind, theirs))
    slow.start()
    ours.recv()
    with ATOMIC[kind](tmp_path / "a") as aside:
        (aside / "1" if kind == "folder" else aside).write_text("fast")
    ours.send("go on")
    slow.join()
    assert slow.exitcode == 0
    assert (tmp_path / "a" / "1" if kind == "folder" else tmp_path / "a").read_text() == "slow"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_forked_process_does_not_keep_its_dead_parents_lock(tmp_path):
    """As the processes of a pool that outlive a killed job for a moment."""
    ready, go = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_kill_and_leave_a_child, args=(tmp_path, go))
    child.start()
    grandchild = ready.recv()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    try:
        with atomic_file(tmp_path / "a") as aside:
            assert list(aside.parents[1].iterdir()) == [aside.parent]
    finally:
        os.kill(grandchild, signal.SIGKILL)


def _kill_and_leave_a_child(folder: Path, pipe) -> None:
    with atomic_file(folder / "a"):
        child = os.fork()
        if not child:
            signal.pause()
        pipe.send(child)
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_folder_that_is_replaced_is_never_seen_in_part(tmp_path, monkeypatch):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "stale").touch()
    seen = []
    replace = os.replace
    monkeypatch.setattr(
        os, "replace", lambda *names: (seen.append([path.name for path in (tmp_path / "b").glob("*")]), replace(*names))
    )
    with atomic_folder(tmp_path / "b") as aside:
        (aside / "fresh").touch()
    assert seen == [["stale"], []]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["fresh"]


def fail(number: int, *file: str):
    raise OSError(number, os.strerror(number), *file)


@pytest.mark.parametrize("kind", ATOMIC)
def test_an_error_of_writing_names_the_output(tmp_path, kind):
    with pytest.raises(OSError) as full, ATOMIC[kind](tmp_path / "a"):
        fail(errno.ENOSPC)
    assert full.value.filename == str(tmp_path / "a")
    with pytest.raises(OSError) as inside, ATOMIC[kind](tmp_path / "a") as aside:
        fail(errno.EIO, str(aside / "x"))
    assert inside.value.filename == str(tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file", [(), ("input.h5",)])
def test_an_error_of_reading_names_what_was_read(tmp_path, file):
    with pytest.raises(OSError) as error, atomic_file(tmp_path / "a"):
        fail(errno.EIO, *file)
    assert error.value.filename == (file[0] if file else None)


def test_a_lasting_stream_writes_what_it_is_given(tmp_path):
    with LastingStream(tmp_path / "a") as stream:
        assert stream.write(b"abc") == 3 and stream.write(memoryview(b"def")) == 3
        stream.seek(1)
        assert stream.read(2) == b"bc"
        stream.check()
    assert (tmp_path / "a").read_bytes() == b"abcdef"


def test_a_lasting_stream_reports_a_full_disk_in_check_and_at_the_end(tmp_path):
    with small_disk(tmp_path) as disk:
        with pytest.raises(OSError, match="No space left"), LastingStream(disk / "a") as stream:
            assert stream.write(bytes(3 << 20)) == 3 << 20
            assert stream.write(b"more") == 4
            with pytest.raises(OSError, match="No space left"):
                stream.check()
        assert stream.closed


def write_too_much(kind: str, path: Path, *limit: str) -> list[str]:
    """Let a process write more than there is room for, as a script would; return the lines that it says."""
    command = [*limit, sys.executable, full_disk_writer.__file__, kind, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done
    return done.stderr.splitlines()


@pytest.mark.parametrize("kind", full_disk_writer.WRITERS)
def test_no_output_is_written_to_a_full_disk_in_part(tmp_path, kind):
    """HDF5 passes over the error and leaves a file that lacks maps; torch names neither reason nor file."""
    with small_disk(tmp_path) as disk:
        (line,) = write_too_much(kind, disk / "out")
        assert not list(disk.iterdir())
    assert line == f"error: {disk / 'out'}: No space left on device. Free some space there and run again."


def test_a_limit_on_the_size_of_files_is_reported(tmp_path):
    (line,) = write_too_much("maps", tmp_path / "out", "bash", "-c", 'ulimit -f 1024; exec "$@"', "bash")
    assert line == (
        f"error: {tmp_path / 'out'}: File too large. Raise the limit on the size of a file (`ulimit -f`) and run again."
    )
    assert not list(tmp_path.iterdir())
