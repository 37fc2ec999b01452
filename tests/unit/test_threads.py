"""With how many threads jobs compute, and on how many processors: the one never follows from the other."""

import os
import subprocess
import sys

import pytest

from tagseg import threads
from tagseg.threads import AUTO, MOST, THREADS, computing_threads, keep_to_cores

needs_affinity = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen"
)


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


def test_a_system_without_affinity_counts_its_processors(monkeypatch):
    monkeypatch.setenv(THREADS, AUTO)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert computing_threads(1) == 5


@pytest.mark.parametrize("cores", [1, 3])
def test_fewer_cores_than_threads_are_kept_to(processors, kept, cores):
    processors(6)
    keep_to_cores(cores, 4)
    (chosen,) = kept
    assert len(chosen) == len(set(chosen)) == cores and set(chosen) <= {0, 2, 4, 6, 8, 10}


def test_several_jobs_seldom_meet_on_the_same_processors(processors, kept):
    processors(64)
    for _ in range(20):
        keep_to_cores(1, 8)
    assert len({tuple(chosen) for chosen in kept}) > 5


@pytest.mark.parametrize(
    ("cores", "count"), [(4, 4), (8, 4), (6, 8), (0, 4)], ids=["as many", "more", "all there are", "none"]
)
def test_otherwise_every_processor_may_be_used(processors, kept, cores, count):
    processors(6)
    keep_to_cores(cores, count)
    assert kept == []


def test_a_system_that_cannot_choose_goes_on(monkeypatch, processors):
    processors(6)
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    keep_to_cores(1, 4)


@needs_affinity
@pytest.mark.skipif(len(threads._processors()) < 2, reason="one processor")
def test_the_real_system_keeps_a_process_to_its_cores():
    code = "import os; from tagseg.threads import *; keep_to_cores(1, 2); print(len(os.sched_getaffinity(0)))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
