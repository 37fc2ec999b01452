"""What the scripts share: errors a user can read, settings, progress in a log."""

import argparse
import errno
import os
import signal
import sys
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
import torch

from tagseg.commandline import progress, run, say, settings
from tagseg.errors import TagsegError
from tagseg.failures import machine_failure
from tagseg.interrupts import SIGNALS, Ended, signals_noted


def test_a_users_error_is_one_line_and_exit_status_1(capsys):
    def main():
        raise TagsegError("a.jpg: no such image")

    with pytest.raises(SystemExit) as exit_:
        run(main)
    # A string as exit status is what the interpreter prints to stderr, with status 1.
    assert exit_.value.code == "error: a.jpg: no such image"


def test_a_bug_keeps_its_traceback():
    def main():
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        run(main)


def status_of(main) -> object:
    """Return what a script would exit with."""
    with pytest.raises(SystemExit) as end:
        run(main)
    return end.value.code


def raising(error: BaseException):
    def main():
        raise error

    return main


def os_error(number: int, *file: str) -> OSError:
    return OSError(number, os.strerror(number), *file)


RIGHTS = "make it readable and writable for you (chmod, chown) and run again"
READ_ONLY = "mount it for writing, or name another folder in `results`, and run again"
GONE = "if its disk or network mount is gone, bring it back, and run again"
SILENT = "its disk or network mount does not answer; bring it back and run again"
FILES = "raise the limit (`ulimit -n`) or give the job fewer threads, and run again"
MEMORY = (
    "lower `micro_batch` of the training (to the same effect), or `batch_size`, `input_size` or the stage's "
    "sizes, or give the job more memory, and run again"
)


@pytest.mark.parametrize(
    "number, reason, remedy",
    [
        (errno.ENOSPC, "No space left on device", "free some space there and run again"),
        (errno.EDQUOT, "Disk quota exceeded", "free some of your quota there and run again"),
        (errno.EACCES, "Permission denied", RIGHTS),
        (errno.EROFS, "Read-only file system", READ_ONLY),
        (errno.ENOENT, "No such file or directory", GONE),
        (errno.ESTALE, "Stale file handle", SILENT),
        (errno.EIO, "Input/output error", SILENT),
        (errno.EMFILE, "Too many open files", FILES),
        (errno.ENOMEM, "Cannot allocate memory", MEMORY),
        (errno.EISDIR, "Is a directory", "mend that and run again"),
    ],
)
def test_what_the_machine_does_is_one_line_with_file_reason_and_remedy(number, reason, remedy):
    assert status_of(raising(os_error(number, "results/a.h5"))) == f"error: results/a.h5: {reason}; {remedy}"
    assert status_of(raising(os_error(number))) == f"error: {reason}; {remedy}"


def allocate_numpy():
    np.zeros(1 << 60, np.uint8)


def allocate_torch():
    torch.empty(1 << 60, dtype=torch.uint8)


@pytest.mark.parametrize(
    "main, reason",
    [
        (allocate_numpy, "Unable to allocate 1.00 EiB"),
        (allocate_torch, "DefaultCPUAllocator: can't allocate memory"),
        (raising(torch.OutOfMemoryError("CUDA out of memory.")), "CUDA out of memory."),
        (raising(RuntimeError("CUDNN_STATUS_ALLOC_FAILED")), "CUDNN_STATUS_ALLOC_FAILED"),
        (raising(MemoryError()), "MemoryError"),
    ],
)
def test_short_memory_is_told_with_what_to_lower(main, reason):
    line = status_of(main)
    assert line.startswith("error: out of memory (") and reason in line and line.endswith(f"); {MEMORY}")
    assert "\n" not in line


def test_a_killed_process_of_a_pool_is_told():
    assert status_of(raising(BrokenProcessPool("terminated abruptly"))) == (
        "error: one of the job's processes was killed, mostly for want of memory; run again, with fewer "
        "--cores if it comes back"
    )


@pytest.mark.parametrize(
    "error",
    [
        OSError("Caught OSError in worker 0.\nTraceback\nOSError: [Errno 28] No space left on device"),
        RuntimeError("Can't decrement id ref count (file write failed: errno = 28, error message = ...)"),
        RuntimeError("unable to write to file </torch_7>: No space left on device (28)"),
    ],
)
def test_an_error_number_is_found_in_the_text_of_a_library(error):
    assert machine_failure(error) == "No space left on device; free some space there and run again"


def test_a_full_disk_behind_an_error_of_torch_is_found():
    error = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")
    error.__context__ = os_error(errno.ENOSPC, "state")
    assert machine_failure(error).startswith("state: No space left on device; free")
    error.__suppress_context__ = True
    assert machine_failure(error) is None


@pytest.mark.parametrize(
    "bug", [KeyError("No space left on device"), ValueError("out of memory"), RuntimeError("shapes differ")]
)
def test_a_bug_is_none_of_the_machines_failures(bug):
    assert machine_failure(bug) is None
    with pytest.raises(type(bug)):
        run(raising(bug))


def test_a_bug_while_an_error_of_the_machine_is_handled_is_a_bug():
    bug = KeyError("a")
    bug.__context__ = os_error(errno.ENOENT, "a.jpg")
    assert machine_failure(bug) is None


# ------------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_job_in_good_order(number, status, capsys):
    cleared = []

    def main():
        try:
            signal.raise_signal(number)
        finally:
            cleared.append(True)

    before = [signal.getsignal(one) for one in SIGNALS]
    assert status_of(main) == status and cleared
    assert capsys.readouterr().err == f"ended by {number.name}; run again, and it goes on\n"
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_a_signal_that_is_noted_ends_the_job_after_the_block():
    done = []

    def main():
        with signals_noted() as note:
            assert not note
            signal.raise_signal(signal.SIGTERM)
            done.append(bool(note))
        done.append("after")

    assert status_of(main) == 143 and done == [True]


def test_an_error_after_a_noted_signal_is_told():
    with pytest.raises(TagsegError), signals_noted():
        signal.raise_signal(signal.SIGTERM)
        raise TagsegError("a")


def test_a_signal_that_is_ignored_stays_ignored():
    """As SIGINT in a job that a shell started in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run(lambda: signal.raise_signal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_status_of_argparse_stays():
    assert status_of(raising(SystemExit(2))) == 2 and not isinstance(SystemExit(2), Ended)


def test_success_does_not_exit():
    called = []
    run(lambda: called.append(True))
    assert called == [True]


def test_settings_are_a_json_object():
    assert settings('{"epochs": 3, "sizes": [241, 328]}') == {"epochs": 3, "sizes": [241, 328]}


@pytest.mark.parametrize(
    "text, message",
    [("{epochs: 3}", "not valid JSON"), ("", "not valid"), ("[1]", "object"), ("3", "object")],
)
def test_malformed_settings_are_reported_by_argparse(text, message, capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("--settings", type=settings)
    with pytest.raises(SystemExit) as exit_:
        parser.parse_args(["--settings", text])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_say_prints_a_line_to_stderr(capsys):
    say("epoch 1")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "epoch 1\n")


def test_progress_passes_on_every_item_with_few_lines_in_a_log(capsys):
    assert list(progress(range(1000), "features")) == list(range(1000))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"features: {count} of 1000" for count in range(100, 1001, 100)]


def test_progress_of_a_stream_with_a_known_total(capsys):
    assert list(progress(iter("abc"), "masks", total=3)) == ["a", "b", "c"]
    assert capsys.readouterr().err.splitlines()[-1] == "masks: 3 of 3"


def test_progress_of_a_stream_of_unknown_length_is_quiet(capsys):
    assert list(progress(iter("abc"), "masks")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_passes_on_every_item(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress([1, 2, 3], "masks")) == [1, 2, 3]


def test_no_items_no_lines(capsys):
    assert list(progress([], "masks")) == []
    assert capsys.readouterr().err == ""
