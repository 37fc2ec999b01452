"""Process pools for work on many images; threads would wait for Python's lock.

The work must not use CUDA or torch: a fork breaks them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from tagseg.runtime.signals import begin_pool_process

Result = TypeVar("Result")
Task = TypeVar("Task")

SMALL_TASKS = 32
"""Chunk for tasks of a few milliseconds: handing over a chunk takes about one."""


def in_processes(
    function: Callable[[Task], Result], tasks: Iterable[Task], processes: int, chunk: int = 1
) -> Iterator[Result]:
    """Yield function(task) in the order of `tasks`, computed in chunks; few chunks are in memory at once.

    Raises BrokenProcessPool if one of the processes is killed.
    """
    if processes <= 1:
        yield from map(function, tasks)
        return
    remaining = iter(tasks)
    context = get_context("fork")
    with ProcessPoolExecutor(processes, context, initializer=begin_pool_process) as pool:
        running: deque[Future[list[Result]]] = deque()
        while some := list(islice(remaining, chunk)):
            running.append(pool.submit(_each, function, some))
            if len(running) > 3 * processes:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


def _each(function: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
    return [function(task) for task in tasks]
