"""Threads and processors of a job: the number of threads never depends on --cores."""

import os
import subprocess
import sys

import pytest

from tagseg.runtime import threads
from tagseg.runtime.threads import AUTO, MOST, THREADS, computing_threads, keep_to_cores

needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen")


@pytest.fixture
def processors(monkeypatch):
    """How to pretend to be on a machine of so many processors; every other one, as after a `taskset`."""

    def pretend(count: int) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(0, 2 * count, 2)), raising=False)

    return pretend


@pytest.fixture
def kept(monkeypatch):
    """What processors a process was kept to; this one is not."""
    asked = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, chosen: asked.append(chosen), raising=False)
    return asked


@pytest.mark.parametrize("cores", [1, 2, 64])
@pytest.mark.parametrize(("wanted", "count"), [("1", 1), ("5", 5), (AUTO, 3)])
def test_threads_are_the_configured_ones_whatever_the_cores(monkeypatch, processors, cores, wanted, count):
    processors(3)
    monkeypatch.setenv(THREADS, wanted)
    assert computing_threads(cores) == count


def test_a_large_machine_gives_no_more_than_helps(monkeypatch, processors):
    processors(64)
    monkeypatch.setenv(THREADS, AUTO)
    assert computing_threads(2) == MOST == 8


@pytest.mark.parametrize(("cores", "count"), [(-1, 1), (0, 1), (1, 1), (6, 6)])
def test_a_script_that_is_run_by_hand_computes_on_the_cores_that_it_gets(monkeypatch, cores, count):
    monkeypatch.delenv(THREADS, raising=False)
    assert computing_threads(cores) == count


@pytest.mark.parametrize("cores", [1, 3])
def test_fewer_cores_than_threads_are_kept_to(processors, kept, cores):
    processors(6)
    keep_to_cores(cores, 4)
    (chosen,) = kept
    assert len(chosen) == len(set(chosen)) == cores and set(chosen) <= {0, 2, 4, 6, 8, 10}


@pytest.mark.parametrize(
    ("cores", "count"), [(4, 4), (8, 4), (6, 8), (0, 4)], ids=["as many", "more", "all there are", "none"]
)
def test_otherwise_every_processor_may_be_used(processors, kept, cores, count):
    processors(6)
    keep_to_cores(cores, count)
    assert kept == []


@needs_affinity
@pytest.mark.skipif(len(threads._processors()) < 2, reason="one processor")
def test_the_real_system_keeps_a_process_to_its_cores():
    code = "import os; from tagseg.runtime.threads import *; keep_to_cores(1, 2); print(len(os.sched_getaffinity(0)))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
