"""Loaded by itself: how the process of the tests, and all that it starts, computes and hears."""

import os
import signal

# Tests that run side by side (`pytest -n 2`) compute with one thread each: more would only wait.
if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell lets what it runs in the background ignore Ctrl-C, and so would all that tests start there.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
