"""Threads of a job on the CPU.

The order of a sum, and so its last digits, depends on the number of threads. That number comes from the
configuration or the machine, never from --cores.
"""

import os
import random

THREADS = "TAGSEG_THREADS"
"""Environment variable with the configuration's `threads`: a number, or AUTO."""

AUTO = "auto"
MOST = 8
"""Maximum of AUTO: with more threads a training on a CPU hardly gets faster."""


def computing_threads(cores: int) -> int:
    """Return the number of threads to compute with.

    It is the environment variable THREADS; AUTO is one per processor, at most MOST. Without the variable, as
    in a script that is run by hand, it is `cores`, at least 1.
    """
    threads = os.environ.get(THREADS) or max(1, cores)
    return min(MOST, len(_processors())) if threads == AUTO else int(threads)


def keep_to_cores(cores: int, threads: int) -> None:
    """Restrict this process to `cores` processors if it has more `threads`, as --cores promises.

    The processors are chosen at random, so that jobs rarely share them. macOS cannot do it.
    """
    processors = _processors()
    if 0 < cores < min(threads, len(processors)) and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, random.SystemRandom().sample(processors, cores))


def _processors() -> list[int]:
    """Return the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
