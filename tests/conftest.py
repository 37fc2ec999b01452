"""Tests that run side by side (`pytest -n 2`) compute with one thread each: more would only wait."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
