"""Work on many images, shared out among processes: most of it holds Python's lock, so threads would not do.

What is called there uses neither CUDA nor torch, which a fork would break.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from tagseg.interrupts import begin_pool_process

Result = TypeVar("Result")
Task = TypeVar("Task")

SMALL_TASKS = 32
"""How many tasks of a few milliseconds a process is given at a time; to hand one over takes about one."""


def in_processes(
    function: Callable[[Task], Result], tasks: Iterable[Task], processes: int, chunk: int = 1
) -> Iterator[Result]:
    """Yield function(task) in the order of `tasks`. A process is given `chunk` tasks at a time.

    A few chunks are under way at once and no more, so that a long iterable never lies in memory whole. Raises
    BrokenProcessPool where one of the processes is killed, which `commandline.run` tells.
    """
    if processes <= 1:
        yield from map(function, tasks)
        return
    with ProcessPoolExecutor(
        processes, mp_context=get_context("fork"), initializer=begin_pool_process
    ) as pool:
        under_way: deque[Future[list[Result]]] = deque()
        for some in _chunks(tasks, chunk):
            under_way.append(pool.submit(_each, function, some))
            if len(under_way) > 3 * processes:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()


def _chunks(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    remaining = iter(tasks)
    while some := list(islice(remaining, size)):
        yield some


def _each(function: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Result]:
    return [function(task) for task in tasks]
