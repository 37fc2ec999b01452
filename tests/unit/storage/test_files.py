"""Outputs appear complete or not at all; a malformed file is named in the error."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

import full_disk_writer
from helpers import small_disk
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import LastingStream, atomic_file, atomic_folder, read_json, write_json

ATOMIC = {"file": atomic_file, "folder": atomic_folder}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def content_of(kind, path):
    """Return the file that holds what an output of a kind consists of."""
    return path / "1" if kind == "folder" else path


@pytest.mark.parametrize("kind", ATOMIC)
def test_an_output_replaces_the_one_before_or_leaves_it_if_the_block_fails(tmp_path, kind):
    for text, failure in (("old", False), ("half of the n", True), ("new", False)):
        with suppress(SystemExit), ATOMIC[kind](tmp_path / "deep" / "a.txt") as aside:
            content_of(kind, aside).write_text(text)
            assert aside.suffix == ".txt"
            if text != "old":
                assert content_of(kind, tmp_path / "deep" / "a.txt").read_text() == "old"
            if failure:
                raise SystemExit  # as a signal does
        assert names_in(tmp_path / "deep") == ["a.txt"]
        assert content_of(kind, tmp_path / "deep" / "a.txt").read_text() == ("old" if failure else text)


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "a.txt"), atomic_folder(tmp_path / "b"):
            pass
        assert os.umask(0o027) == 0o027, "the process's umask was left changed"
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a.txt", "b")] == [0o640, 0o750]


def test_a_folder_that_is_replaced_is_never_seen_in_part(tmp_path, monkeypatch):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "stale").touch()
    seen, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda *names: (seen.append(list((tmp_path / "b").glob("*"))), replace(*names)))
    with atomic_folder(tmp_path / "b") as aside:
        (aside / "fresh").touch()
    assert seen == [[tmp_path / "b" / "stale"], []] and names_in(tmp_path / "b") == ["fresh"]


@pytest.mark.parametrize("content", [b'{"a": ', b"", b"\xff\xfe\x00", b"[" * 100_000])
def test_json_is_readable_and_a_malformed_one_is_named(tmp_path, content):
    write_json(tmp_path / "a.json", {"木": [0.1, None]})
    assert read_json(tmp_path / "a.json") == {"木": [0.1, None]}
    assert "木" in (tmp_path / "a.json").read_text(encoding="utf-8")
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(TagsegError, match=r"a\.json: not valid JSON .*run again"):
        read_json(tmp_path / "a.json")
    with pytest.raises(TagsegError, match=r"b\.json: no such file"):
        read_json(tmp_path / "b.json")


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
    return names_in(path.parent)


@pytest.mark.parametrize("kind", ATOMIC)
def test_the_next_writer_removes_what_a_killed_one_left(tmp_path, kind):
    (left,) = kill_a_writer(kind, tmp_path / "a.x")
    assert left.startswith(".a.x.")
    with ATOMIC[kind](tmp_path / "a.x") as aside:
        assert list(aside.parents[1].iterdir()) == [aside.parent]
    assert names_in(tmp_path) == ["a.x"]


@pytest.mark.parametrize("other", ["a", "a.y", "a.x.y", "b.a.x", ".a.x"])
def test_what_is_left_of_another_output_stays(tmp_path, other):
    left = kill_a_writer("folder", tmp_path / other)
    for writer, name in ((atomic_file, "a.x"), (atomic_folder, "a.x2")):
        with writer(tmp_path / name):
            pass
    assert names_in(tmp_path) == sorted([*left, "a.x", "a.x2"])


@pytest.mark.parametrize("kind", ATOMIC)
def test_what_a_live_process_is_writing_stays(tmp_path, kind):
    ours, theirs = multiprocessing.Pipe()

    def write_slowly():
        with ATOMIC[kind](tmp_path / "a") as aside:
            content_of(kind, aside).write_text("slow")
            theirs.send("writing")
            theirs.recv()

    slow = multiprocessing.get_context("fork").Process(target=write_slowly)
    slow.start()
    ours.recv()
    with ATOMIC[kind](tmp_path / "a") as aside:
        content_of(kind, aside).write_text("fast")
    ours.send("go on")
    slow.join()
    assert slow.exitcode == 0 and names_in(tmp_path) == ["a"]
    assert content_of(kind, tmp_path / "a").read_text() == "slow"


def test_a_forked_process_does_not_keep_its_dead_parents_lock(tmp_path):
    ready, go = multiprocessing.Pipe()

    def be_killed_and_leave_a_child():
        with atomic_file(tmp_path / "a"):
            child = os.fork()
            if not child:
                signal.pause()
            go.send(child)
            os.kill(os.getpid(), signal.SIGKILL)

    child = multiprocessing.get_context("fork").Process(target=be_killed_and_leave_a_child)
    child.start()
    grandchild = ready.recv()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    try:
        with atomic_file(tmp_path / "a") as aside:
            assert list(aside.parents[1].iterdir()) == [aside.parent]
    finally:
        os.kill(grandchild, signal.SIGKILL)


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
    for file in (None, "input.h5"):  # of reading: what was read
        with pytest.raises(OSError) as reading, ATOMIC[kind](tmp_path / "a"):
            fail(errno.EIO, *[file] * bool(file))
        assert reading.value.filename == file
    assert not list(tmp_path.iterdir())


def test_a_lasting_stream_reports_a_full_disk_in_check_and_at_the_end(tmp_path):
    with LastingStream(tmp_path / "a") as stream:
        assert stream.write(b"abc") == 3 and stream.write(memoryview(b"def")) == 3
        stream.seek(1)
        assert stream.read(2) == b"bc"
        stream.check()
    assert (tmp_path / "a").read_bytes() == b"abcdef"
    with small_disk(tmp_path) as disk:
        with pytest.raises(OSError, match="No space left"), LastingStream(disk / "a") as stream:
            assert stream.write(bytes(3 << 20)) == 3 << 20
            assert stream.write(b"more") == 4
            with pytest.raises(OSError, match="No space left"):
                stream.check()
        assert stream.closed


@pytest.mark.parametrize("kind", [*full_disk_writer.WRITERS, "limit"])
def test_no_output_is_written_in_part_to_a_full_disk_or_beyond_a_limit(tmp_path, kind):
    """HDF5 passes over the error and leaves a file that lacks maps; torch names neither reason nor file."""
    line = "No space left on device. Free some space there and run again."
    with nullcontext(tmp_path) if kind == "limit" else small_disk(tmp_path) as disk:
        command = [sys.executable, full_disk_writer.__file__, kind, disk / "out"]
        if kind == "limit":
            command = ["bash", "-c", 'ulimit -f 1024; exec "$@"', "bash", *command[:2], "maps", disk / "out"]
            line = "File too large. Raise the limit on the size of a file (`ulimit -f`) and run again."
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr == f"error: {disk / 'out'}: {line}\n"
        assert not list(disk.iterdir())
