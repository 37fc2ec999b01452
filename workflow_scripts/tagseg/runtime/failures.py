"""Failures of the machine as one line: full disks, lost mounts, too little memory, killed processes."""

import errno
import os
import re
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

_MEMORY = (
    "Lower `micro_batch` (the result stays the same), then `batch_size` or `input_size`, or give the job more memory, "
    "and run again."
)
_SPACE = "Free some space there and run again."
_FILES = "Raise the limit (`ulimit -n`) or lower --cores, and run again."
_PERMISSION = "Make it readable and writable for you (chmod, chown) and run again."
_MOUNT = "Check its disk or network mount and run again."
_REMEDIES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "Raise the limit on the size of a file (`ulimit -f`) and run again.",
    errno.EROFS: "Mount it for writing, or name another folder in `results`, and run again.",
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOMEM: _MEMORY,
    errno.EAGAIN: "Raise the limit on processes (`ulimit -u`) or lower --cores, and run again.",
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    **dict.fromkeys((errno.ENOENT, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT), _MOUNT),
}
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can(no|')t allocate memory|not enough memory|memory allocation failed|ALLOC_FAILED", re.I
)
_NUMBER = re.compile(r"(?:\[Errno |\berrno = )(\d+)")


def machine_failure(error: BaseException) -> str | None:
    """Return one line with the file (if known), the reason and a remedy; None if the error is a bug."""
    if _is_out_of_memory(error):
        return f"out of memory ({_first_line(error)}). {_MEMORY}"
    if isinstance(error, BrokenExecutor):
        return "a process of the job was killed, probably for lack of memory. Run again with fewer --cores."
    for one in _chain(error):
        number = _errno(one)
        if number is not None or isinstance(one, OSError):
            return _line(one, number)
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and bool(_OUT_OF_MEMORY.search(str(error)))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes: torch raises a RuntimeError for a full disk's OSError."""
    while isinstance(error, RuntimeError | OSError):
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _errno(error: BaseException) -> int | None:
    """Return the error number; from the text if a library or another process passed it on."""
    number = getattr(error, "errno", None)
    if number is None and (found := _NUMBER.findall(str(error))):
        number = int(found[-1])
    return number or next((known for known in _REMEDIES if os.strerror(known) in str(error)), None)


def _line(error: BaseException, number: int | None) -> str:
    file = getattr(error, "filename", None)
    reason = _first_line(error) if number is None else os.strerror(number)
    remedy = _REMEDIES.get(number or 0, "Fix this and run again.")
    return f"{os.fsdecode(file)}: {reason}. {remedy}" if file else f"{reason}. {remedy}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
