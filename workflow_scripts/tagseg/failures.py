"""What a machine does to a job, told in one line: full disks, lost mounts, short memory, killed processes."""

import errno
import os
import re
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

LONGEST_REASON = 200

_MOUNT = "its disk or network mount does not answer; bring it back and run again"
_RIGHTS = "make it readable and writable for you (chmod, chown) and run again"
_FILES = "raise the limit (`ulimit -n`) or give the job fewer threads, and run again"
_MEMORY = (
    "lower `micro_batch` of the training (to the same effect), or `batch_size`, `input_size` or the stage's "
    "sizes, or give the job more memory, and run again"
)
_REMEDIES = {
    errno.ENOSPC: "free some space there and run again",
    errno.EDQUOT: "free some of your quota there and run again",
    errno.EFBIG: "raise the limit on the size of a file (`ulimit -f`) and run again",
    errno.EROFS: "mount it for writing, or name another folder in `results`, and run again",
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOMEM: _MEMORY,
    errno.EAGAIN: "raise the limit on processes (`ulimit -u`) or lower --cores, and run again",
    errno.ENOENT: "if its disk or network mount is gone, bring it back, and run again",
    **dict.fromkeys((errno.EACCES, errno.EPERM), _RIGHTS),
    **dict.fromkeys(
        (
            errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN,
            errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ECONNRESET,
        ),
        _MOUNT,
    ),
}  # fmt: skip
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can(no|')t allocate memory|not enough memory|memory allocation failed|ALLOC_FAILED", re.I
)
_NUMBER = re.compile(r"\[Errno (\d+)\]|\berrno = (\d+)")


def machine_failure(error: BaseException) -> str | None:
    """Return one line that names the file (where it is known), the reason and a remedy.

    None where the error is none of the machine's: then it is a bug, and its traceback is wanted.
    """
    if _is_out_of_memory(error):
        return f"out of memory ({_shortened(error)}); {_MEMORY}"
    if isinstance(error, BrokenExecutor):
        return (
            "one of the job's processes was killed, mostly for want of memory; run again, with fewer "
            "--cores if it comes back"
        )
    for one in _chain(error):
        number = _errno(one)
        if number is not None or isinstance(one, OSError):
            return _line(one, number)
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    """Say whether memory was short: torch says so by a RuntimeError, or its own OutOfMemoryError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and bool(_OUT_OF_MEMORY.search(str(error)))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised for: torch raises a RuntimeError for a full disk's OSError."""
    while isinstance(error, RuntimeError | OSError):
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _errno(error: BaseException) -> int | None:
    """Return the error number; from the text, where it came through a library or another process."""
    if getattr(error, "errno", None) is not None:
        return error.errno
    found = _NUMBER.findall(str(error))
    if found:
        return int("".join(found[-1]))
    return next((number for number in _REMEDIES if os.strerror(number) in str(error)), None)


def _line(error: BaseException, number: int | None) -> str:
    file = getattr(error, "filename", None)
    reason = _shortened(error) if number is None else os.strerror(number)
    remedy = _REMEDIES.get(number, "mend that and run again")
    return f"{os.fsdecode(file)}: {reason}; {remedy}" if file else f"{reason}; {remedy}"


def _shortened(error: BaseException) -> str:
    """Return the first line of an error's text, or its type where it has none."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:LONGEST_REASON]
