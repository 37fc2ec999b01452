"""An epoch: in which order it takes the photographs, whose they are, how far it is, and who loads them."""

import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tagseg.distributed import processes, rank
from tagseg.errors import TagsegError

Item = TypeVar("Item")


class EpochBatches:
    """The batches of an epoch, in an order that depends on the seed and the epoch alone.

    Iterating gives this process's share of each batch from the step `first` on, as keys (epoch, position) of
    a TrainingSet: every n-th photograph of it. Where a last, short batch has none for this process, one
    photograph of another's stands in for its share; `has_share` tells.
    """

    def __init__(self, photographs: int, batch_size: int, random_seed: int) -> None:
        self.photographs, self.batch_size, self.random_seed = photographs, batch_size, random_seed
        self.epoch, self.first = 0, 0

    def __len__(self) -> int:
        return -(-self.photographs // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng((self.random_seed, self.epoch)).permutation(self.photographs)
        for start in range(self.first * self.batch_size, self.photographs, self.batch_size):
            batch = [(self.epoch, int(position)) for position in order[start : start + self.batch_size]]
            yield batch[rank() :: processes()] or batch[:1]

    def size_of(self, step: int) -> int:
        """Return how many photographs the batch of a step has, the steps counted through all epochs."""
        start = step % len(self) * self.batch_size
        return min(self.batch_size, self.photographs - start)

    def has_share(self, step: int) -> bool:
        """Say whether any photograph of a step's batch is this process's own."""
        return rank() < self.size_of(step)


@dataclass
class EpochSoFar:
    """What an epoch has come to: steps, the sum of the photographs' losses (float64 ()), seconds."""

    steps: int = 0
    loss: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    seconds: float = 0.0
    seconds_waiting: float = 0.0

    def add(self, loss: Tensor) -> None:
        """Count a step in, whose photographs' losses sum up to `loss` ()."""
        self.loss = self.loss.to(loss.device) + loss
        self.steps += 1

    @contextmanager
    def timed(self, waiting: "Stopwatch") -> Iterator[None]:
        """Add the time that a block takes, and what of it was spent waiting."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started
            self.seconds_waiting += waiting.seconds


class LoaderKilled(TagsegError):
    """A process that loads photographs was killed; no step is lost by it."""


def loaded(loader: DataLoader) -> Iterator:
    """Return an iterator over a loader's batches that tells its processes' errors between steps.

    Torch raises the death of a process wherever the training is at that moment, be it in the middle of a
    step. Without its handler of SIGCHLD it is told, within five seconds, when the next batch is fetched.
    """
    batches = iter(loader)
    if loader.num_workers:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return _told(batches, loader.num_workers)


def _told(batches: Iterator[Item], processes: int) -> Iterator[Item]:
    """Yield the items. Raises LoaderKilled, or TagsegError with the text that a process's error had there."""
    try:
        yield from batches
    except TagsegError as error:
        name = f"{type(error).__module__}.{type(error).__qualname__}: "
        raise TagsegError(str(error).rpartition(name)[2].strip()) from None
    except (RuntimeError, OSError, EOFError) as error:
        if not (processes and _is_of_a_dead_process(error)):
            raise
        raise LoaderKilled(
            "a process that loads photographs was killed, mostly for want of memory or of room in /dev/shm; "
            "the state is saved: run again, with fewer --cores if it comes back"
        ) from None


def _is_of_a_dead_process(error: Exception) -> bool:
    """Say whether an error is torch's of a process that is gone, or of a batch that cannot be had from it."""
    if str(error).startswith("Caught "):  # what a process that is alive has passed on
        return False
    lost = isinstance(error, ConnectionError | FileNotFoundError | EOFError)
    return lost or str(error).startswith("DataLoader worker")


class Stopwatch:
    """Adds up the time that a loop waits for its next item."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def of(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items."""
        waiting = iter(items)
        while True:
            started = time.perf_counter()
            try:
                item = next(waiting)
            except StopIteration:
                return
            self.seconds += time.perf_counter() - started
            yield item
