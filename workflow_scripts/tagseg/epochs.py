"""In which order an epoch takes the photographs, which of them are whose, and how long it waits for them."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np

from tagseg.distributed import processes, rank

Item = TypeVar("Item")


class EpochBatches:
    """The batches of an epoch, in an order that depends on the seed and the epoch alone.

    Iterating gives this process's share of each batch, as keys (epoch, position) of a TrainingSet: every
    n-th photograph of it. Where a last, short batch has none for this process, one photograph of another's
    stands in for its share; `has_share` tells.
    """

    def __init__(self, photographs: int, batch_size: int, random_seed: int) -> None:
        self.photographs, self.batch_size, self.random_seed = photographs, batch_size, random_seed
        self.epoch = 0

    def __len__(self) -> int:
        return -(-self.photographs // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng((self.random_seed, self.epoch)).permutation(self.photographs)
        for start in range(0, self.photographs, self.batch_size):
            batch = [(self.epoch, int(position)) for position in order[start : start + self.batch_size]]
            yield batch[rank() :: processes()] or batch[:1]

    def size_of(self, step: int) -> int:
        """Return how many photographs the batch of a step has, the steps counted through all epochs."""
        start = step % len(self) * self.batch_size
        return min(self.batch_size, self.photographs - start)

    def has_share(self, step: int) -> bool:
        """Say whether any photograph of a step's batch is this process's own."""
        return rank() < self.size_of(step)


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
