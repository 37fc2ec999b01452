"""Pools of processes: results in order, failures reported, nothing left behind."""

import multiprocessing
import os
import signal
import time
from contextlib import suppress

import pytest

from tagseg.runtime.pools import in_processes


def square_and_process(number):
    if number == "three":
        raise ValueError(number)
    return number**2, os.getpid()


@pytest.mark.parametrize("chunk", [1, 7, 100])
@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_tasks_and_failures_reach_the_caller(processes, chunk):
    results = list(in_processes(square_and_process, iter(range(30)), processes, chunk))
    assert [square for square, _ in results] == [number**2 for number in range(30)]
    assert ({process for _, process in results} == {os.getpid()}) == (processes == 1)
    with pytest.raises(ValueError, match="three"):  # the failure of a task
        list(in_processes(square_and_process, [1, 2, "three", *range(9)], processes, chunk))


def test_a_long_iterable_is_read_little_by_little():
    taken = []
    results = in_processes(abs, (taken.append(number) or number for number in range(1000)), 2, chunk=5)
    assert next(results) == 0
    assert len(taken) <= (3 * 2 + 1) * 5
    assert list(results) == list(range(1, 1000)) and len(taken) == 1000


def begin_and_be_killed(pipe):
    """Send the process of the first result, and die as if memory were short."""
    os.setsid()
    results = in_processes(square_and_process, iter(range(1000)), 2)
    pipe.send(next(results)[1])
    os.kill(os.getpid(), signal.SIGKILL)


def test_processes_end_with_a_parent_that_was_killed():
    hears, tells = multiprocessing.Pipe()
    parent = multiprocessing.get_context("fork").Process(target=begin_and_be_killed, args=(tells,))
    parent.start()
    orphan = hears.recv()
    parent.join()
    patience = time.monotonic() + 20
    try:
        while is_running(orphan):
            assert time.monotonic() < patience, "the process waits for a parent that is gone"
            time.sleep(0.1)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)


def is_running(process):
    """Return whether a process is alive and no zombie."""
    try:
        with open(f"/proc/{process}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
