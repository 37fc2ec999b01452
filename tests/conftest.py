"""How the tests' process computes, receives signals and logs, and which tests come first."""

import logging
import os
import signal
import sys

import pytest

# Tests that run side by side (`pytest -n 2`) compute with one thread each: more would only wait.
if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell makes its background processes ignore Ctrl-C, and so would everything that the tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items) -> None:
    """Put the tests of the whole run first: it is longest, and other files run beside it."""
    items.sort(key=lambda item: "run" not in item.fixturenames)


class ToStderr(logging.Handler):
    """Writes messages alone to the stderr of the moment, which is that of `capsys`."""

    def emit(self, record: logging.LogRecord) -> None:
        print(record.getMessage(), file=sys.stderr)


@pytest.fixture(autouse=True)
def logs_to_stderr(monkeypatch):
    root, handler = logging.getLogger(), ToStderr()
    for name in ("tagseg", "__main__"):  # as another test may have left them
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    monkeypatch.setattr(root, "level", logging.INFO)
    root.addHandler(handler)
    yield
    root.removeHandler(handler)
