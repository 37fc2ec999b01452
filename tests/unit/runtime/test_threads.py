"""Threads and processors of a job: the number of threads never depends on --cores."""

import os
import subprocess
import sys

import pytest

from tagseg.runtime import threads
from tagseg.runtime.threads import AUTO, MOST, THREADS, computing_threads, keep_to_cores


@pytest.fixture
def processors(monkeypatch):
    """How to pretend to be on a machine of so many processors; every other one, as after a `taskset`."""
    return lambda count: monkeypatch.setattr(
        os, "sched_getaffinity", lambda _: set(range(0, 2 * count, 2)), raising=False
    )


@pytest.mark.parametrize("cores", [1, 2, 64])
@pytest.mark.parametrize(("wanted", "count"), [("1", 1), ("5", 5), (AUTO, 3)])
def test_threads_are_the_configured_ones_whatever_the_cores(monkeypatch, processors, cores, wanted, count):
    processors(3)
    monkeypatch.setenv(THREADS, wanted)
    assert computing_threads(cores) == count
    processors(64)  # no more than helps
    assert computing_threads(cores) == (MOST if wanted == AUTO else count)
    monkeypatch.delenv(THREADS)  # by hand
    assert computing_threads(cores) == cores and computing_threads(0) == computing_threads(-1) == 1


@pytest.mark.parametrize(("cores", "count", "kept"), [
    (1, 4, 1), (3, 4, 3), (4, 4, None), (8, 4, None), (6, 8, None), (0, 4, None),
])  # fmt: skip
def test_a_job_is_kept_to_fewer_cores_than_threads_alone(monkeypatch, processors, cores, count, kept):
    asked = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, chosen: asked.append(chosen), raising=False)
    processors(6)
    keep_to_cores(cores, count)
    assert [len(chosen) for chosen in asked] == ([kept] if kept else [])
    assert all(set(chosen) <= {0, 2, 4, 6, 8, 10} and len(set(chosen)) == len(chosen) for chosen in asked)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen")
@pytest.mark.skipif(len(threads._processors()) < 2, reason="one processor")
def test_the_real_system_keeps_a_process_to_its_cores():
    code = "import os; from tagseg.runtime.threads import *; keep_to_cores(1, 2); print(len(os.sched_getaffinity(0)))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
