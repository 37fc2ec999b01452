"""How many threads a job computes with on the processor.

A sum that threads share is added up in an order that depends on how many they are, and so do its last
digits. So their number comes from the configuration or the machine, never from how many cores a run may use:
a job that may use fewer cores shares them out among its threads.
"""

import os
import random

THREADS = "TAGSEG_THREADS"
"""Environment variable with the configuration's `threads`: a number, or AUTO."""

AUTO = "auto"
MOST = 8
"""Threads at most with AUTO: from about here on a training on a processor hardly gains."""


def computing_threads(cores: int) -> int:
    """Return with how many threads to compute, whatever the number of `cores` that the job may use.

    That is what the environment variable THREADS says; AUTO: one a processor of the machine, MOST at most.
    Without the variable, as where a script is run by hand, it is `cores`, and one at least.
    """
    wanted = os.environ.get(THREADS) or max(1, cores)
    return min(MOST, len(_processors())) if wanted == AUTO else int(wanted)


def keep_to_cores(cores: int, threads: int) -> None:
    """Keep this process to `cores` processors where its `threads` are more, as the run's --cores promises.

    Which ones is left to chance, so that several runs on one machine seldom meet. Systems that cannot tie
    a process to processors (macOS) share them out as they like.
    """
    processors = _processors()
    if 0 < cores < min(threads, len(processors)) and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, random.SystemRandom().sample(processors, cores))


def _processors() -> list[int]:
    """Return the numbers of the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
