"""SIGTERM and SIGINT: how a job that is told to end does so in good order.

A cluster takes a node away with SIGTERM and kills half a minute later; Ctrl-C is SIGINT. The signal becomes
an exception, so that what a job was writing is cleared away; a training finishes its step first and saves
where it is. The exit status is the shell's, 128 and the signal's number (143, 130).
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SECONDS_BETWEEN_LOOKS = 1.0


class Ended(SystemExit):
    """The job was told to end; `code` is its exit status."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)


class Note:
    """Whether a signal has come: true from then on."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __bool__(self) -> bool:
        return self.number is not None

    def take(self, number: int, _frame: object) -> None:
        """Note a signal; a handler."""
        self.number = number


@contextmanager
def signals_end() -> Iterator[None]:
    """Let the signals raise Ended for the time of a block."""
    with _handled(_end):
        yield


@contextmanager
def signals_noted() -> Iterator[Note]:
    """Note the signals that come in a block, and raise Ended when the block has ended well."""
    note = Note()
    with _handled(note.take):
        yield note
    if note:
        raise Ended(note.number)


def _end(number: int, _frame: object) -> None:
    raise Ended(number)


@contextmanager
def _handled(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Handle the signals for the time of a block, but for those that this process was started to ignore."""
    if threading.current_thread() is not threading.main_thread():  # Python lets no other one handle signals
        yield
        return
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old or signal.SIG_DFL)


def begin_pool_process() -> None:
    """Prepare a process of a pool: a signal ends it at once, and so does the end of its parent.

    Without this a killed job's processes would wait for ever for their next task.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)
