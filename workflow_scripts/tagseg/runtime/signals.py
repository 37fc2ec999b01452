"""SIGTERM and SIGINT: a job that is interrupted removes unfinished outputs; a training saves its state first.

A cluster sends SIGTERM and kills half a minute later; Ctrl-C is SIGINT. The signal becomes an exception. The
exit status is 128 plus the signal's number (143, 130), as in a shell.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class JobInterrupted(SystemExit):
    """A signal ended the job; `code` is its exit status."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)


class SignalFlag:
    """True once a signal has come."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __bool__(self) -> bool:
        return self.number is not None

    def take(self, number: int, _frame: object) -> None:
        """Remember a signal; a handler."""
        self.number = number


@contextmanager
def signals_end() -> Iterator[None]:
    """Let signals raise JobInterrupted inside the block."""
    with _handled(_end):
        yield


@contextmanager
def signals_noted() -> Iterator[SignalFlag]:
    """Yield a flag that signals set; raise JobInterrupted after the block if one has come."""
    flag = SignalFlag()
    with _handled(flag.take):
        yield flag
    if flag.number is not None:
        raise JobInterrupted(flag.number)


def _end(number: int, _frame: object) -> None:
    raise JobInterrupted(number)


@contextmanager
def _handled(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Handle the signals inside the block, except those that this process was started to ignore."""
    if threading.current_thread() is not threading.main_thread():  # Python handles signals in this one only
        yield
        return
    handled = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old or signal.SIG_DFL)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Let signals wait until the block ends; processes and threads that are started in it never get them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_pool_process() -> None:
    """Prepare a process of a pool: it ends at once with a signal, and soon after its parent.

    Otherwise the pool of a killed job would wait forever for its next task.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
