"""Work on many images, shared out among processes. What is called there uses neither CUDA nor torch."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from tagseg.interrupts import begin_pool_process

Result = TypeVar("Result")
Task = TypeVar("Task")

CHUNK = 32
"""Tasks that a process is given at a time."""


def in_processes(
    function: Callable[[Task], Result], tasks: Sequence[Task], processes: int
) -> Iterator[Result]:
    """Yield function(task) in the order of `tasks`: in processes, since such work holds Python's lock."""
    if processes <= 1:
        yield from map(function, tasks)
        return
    # Forked children start at once; a fork would break torch alone.
    fork = get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=fork, initializer=begin_pool_process) as pool:
        yield from pool.map(function, tasks, chunksize=CHUNK)
