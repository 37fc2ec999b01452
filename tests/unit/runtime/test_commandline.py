"""What all scripts share: readable errors, settings, progress in a log or on a terminal."""

import errno
import logging
import os
import signal
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from tagseg.runtime.commandline import command, progress, run
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.failures import machine_failure
from tagseg.runtime.settings import Settings
from tagseg.runtime.signals import signals_noted


def status_of(main) -> object:
    """Return the exit status of a script; a text is printed to stderr with status 1."""
    with pytest.raises(SystemExit) as end:
        run(main)
    return end.value.code


def raising(error: BaseException):
    def main():
        raise error

    return main


def test_errors_of_users_and_a_killed_process_of_a_pool_are_one_line():
    assert status_of(raising(TagsegError("a.jpg: no such image"))) == "error: a.jpg: no such image"
    line = status_of(raising(BrokenProcessPool("terminated abruptly")))
    assert line.startswith("error: a process of the job was killed") and "--cores" in line


@pytest.mark.parametrize(("number", "remedy"), [
    (errno.ENOSPC, "Free some space there and run again."),
    (errno.EACCES, "Make it readable and writable for you (chmod, chown) and run again."),
    (errno.EROFS, "Mount it for writing, or name another folder in `results`, and run again."),
    (errno.ESTALE, "Check its disk or network mount and run again."),
    (errno.EMFILE, "Raise the limit (`ulimit -n`) or lower --cores, and run again."),
    (errno.EISDIR, "Fix this and run again."),
])  # fmt: skip
def test_a_failure_of_the_machine_is_one_line_with_file_reason_and_remedy(number, remedy):
    line = f"{os.strerror(number)}. {remedy}"
    error = OSError(number, os.strerror(number), "results/a.h5")
    assert status_of(raising(error)) == f"error: results/a.h5: {line}"
    error.filename = None
    assert status_of(raising(error)) == f"error: {line}"


@pytest.mark.parametrize(("main", "reason"), [
    (lambda: np.zeros(1 << 60, np.uint8), "Unable to allocate 1.00 EiB"),
    (lambda: torch.empty(1 << 60, dtype=torch.uint8), "DefaultCPUAllocator: can't allocate memory"),
    (raising(torch.OutOfMemoryError("CUDA out of memory.")), "CUDA out of memory."),
    (raising(RuntimeError("CUDNN_STATUS_ALLOC_FAILED")), "CUDNN_STATUS_ALLOC_FAILED"),
    (raising(MemoryError()), "MemoryError"),
])  # fmt: skip
def test_too_little_memory_is_reported_with_what_to_lower(main, reason):
    line = status_of(main)
    assert line.startswith("error: out of memory (") and reason in line and "Lower `micro_batch`" in line
    assert "\n" not in line


def test_a_full_disk_is_found_in_the_text_of_a_library_and_behind_an_error_of_torch():
    for error in (
        OSError("Caught OSError in worker 0.\nTraceback\nOSError: [Errno 28] No space left on device"),
        RuntimeError("Can't decrement id ref count (file write failed: errno = 28, error message = ...)"),
        RuntimeError("unable to write to file </torch_7>: No space left on device (28)"),
    ):
        assert machine_failure(error) == "No space left on device. Free some space there and run again."
    error = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")
    error.__context__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "state")
    assert machine_failure(error).startswith("state: No space left on device. Free")
    error.__suppress_context__ = True
    assert machine_failure(error) is None


def test_a_bug_keeps_its_traceback():
    for bug in (KeyError("No space left on device"), ValueError("out of memory"), RuntimeError("shapes differ")):
        with pytest.raises(type(bug)):
            run(raising(bug))


def test_a_noted_signal_ends_the_job_after_the_block_unless_that_fails():
    done = []

    def main():
        with signals_noted() as flag:
            assert not flag
            signal.raise_signal(signal.SIGTERM)
            done.append(bool(flag))
        done.append("after")

    assert status_of(main) == 143 and done == [True]
    with pytest.raises(TagsegError), signals_noted():
        signal.raise_signal(signal.SIGTERM)
        raise TagsegError("a")


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run(lambda: signal.raise_signal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)


class Example(Settings):
    epochs: int


REST = ("--ground-truth", "a", "--masks", "b", "c", "--split", "val")


@pytest.mark.parametrize(("words", "message"), [
    (("--settings", "{epochs: 3}", *REST), "JSON"), (("--settings", '{"epochs": 2.5}', *REST), "epochs: "),
    (("--settings", '{"epoch": 3}', *REST), "epoch: "), (("--settings", "[1]", *REST), "JSON"),
    (("--settings", '{"epochs": 3}', *REST[:-1], "test"), "--split"), (REST, "--settings"),
])  # fmt: skip
def test_arguments_are_read_as_they_are_annotated_and_wrong_ones_reported(monkeypatch, words, message, capsys):
    @command
    def main(
        settings: Example, ground_truth: Path, masks: list[Path], split: Literal["val"], threads: int = 1
    ) -> tuple:
        return settings, ground_truth, masks, split, threads

    monkeypatch.setattr(sys, "argv", ["script.py", "--settings", '{"epochs": 3}', *REST])
    assert main() == (Example(epochs=3), Path("a"), [Path("b"), Path("c")], "val", 1)
    monkeypatch.setattr(sys, "argv", ["script.py", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize(("items", "known", "expected"), [
    (range(1000), True, [f"what: {count} of 1000" for count in range(100, 1001, 100)]),
    ("abc", True, ["what: 1 of 3", "what: 2 of 3", "what: 3 of 3"]), ("abc", False, []), ("", True, []),
])  # fmt: skip
def test_progress_in_a_log_is_at_most_ten_lines(caplog, items, known, expected):
    caplog.set_level(logging.INFO, "tagseg")
    assert list(progress(iter(items), "what", len(items) if known else None)) == list(items)
    assert caplog.messages == expected


@pytest.mark.parametrize(("stream", "logged"), [("stderr", False), ("stdout", True)])
def test_a_progress_bar_is_on_the_terminal(monkeypatch, capsys, caplog, stream, logged):
    caplog.set_level(logging.INFO, "tagseg")
    monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True, raising=False)
    assert list(progress([1, 2, 3], "masks")) == [1, 2, 3]
    assert "masks: " in getattr(capsys.readouterr(), {"stderr": "err", "stdout": "out"}[stream])
    assert bool(caplog.messages) == logged
