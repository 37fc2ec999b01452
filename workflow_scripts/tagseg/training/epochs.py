"""An epoch: its order of images, its progress, and the processes that load the images."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from tagseg.runtime.errors import TagsegError
from tagseg.runtime.signals import SIGNALS
from tagseg.training.distributed import processes, rank


class EpochBatches:
    """The batches of an epoch, in an order that depends on the seed and the epoch alone.

    Iterating yields this process's part of each batch from the step `first` on: every n-th image, as keys
    (epoch, position) of a TrainingSet. If a last, short batch has none for this process (see `has_own`), it
    yields another process's image, because a loader cannot load nothing.
    """

    def __init__(self, images: int, batch_size: int, random_seed: int) -> None:
        self.images, self.batch_size, self.random_seed = images, batch_size, random_seed
        self.epoch, self.first = 0, 0

    def __len__(self) -> int:
        return -(-self.images // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng((self.random_seed, self.epoch)).permutation(self.images)
        for start in range(self.first * self.batch_size, self.images, self.batch_size):
            batch = [(self.epoch, int(position)) for position in order[start : start + self.batch_size]]
            yield batch[rank() :: processes()] or batch[:1]

    def size_of(self, step: int) -> int:
        """Return the number of images in the batch of a step of the epoch."""
        return min(self.batch_size, self.images - step * self.batch_size)

    def has_own(self, step: int) -> bool:
        """Return whether this process has an image of its own in the batch of a step."""
        return rank() < self.size_of(step)


@dataclass
class EpochSoFar:
    """Progress in an epoch: steps, the sum of the images' losses (float64 ()), seconds."""

    steps: int = 0
    loss: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    seconds: float = 0.0

    def add(self, loss: Tensor) -> None:
        """Count a step whose images' losses add up to `loss` ()."""
        self.loss = self.loss.to(loss.device) + loss
        self.steps += 1


def obey_parent_only(_worker: int) -> None:
    """Let a process that loads images, started with signals blocked, obey its parent's alone.

    A scheduler signals every process; the training then finishes its step and ends the loading processes.
    """
    threading.Thread(target=_end_on_signal_of, args=(os.getppid(),), daemon=True).start()


def _end_on_signal_of(parent: int) -> None:
    while signal.sigwaitinfo(SIGNALS).si_pid != parent:
        pass
    os._exit(1)


@contextmanager
def clear_loader_errors() -> Iterator[None]:
    """Raise TagsegError with its original text if a process that loads images raises one or is killed."""
    try:
        yield
    except TagsegError as error:  # torch puts the traceback of the process before the text
        name = f"{type(error).__module__}.{type(error).__qualname__}: "
        raise TagsegError(str(error).rpartition(name)[2].strip()) from None
    except (RuntimeError, ConnectionError, EOFError) as error:  # the latter two while it hands over a batch
        if isinstance(error, RuntimeError) and not str(error).startswith("DataLoader worker"):
            raise
        raise TagsegError(
            "a process that loads images was killed, usually because memory or /dev/shm is full. Run again "
            "with fewer --cores; training resumes after the last complete epoch."
        ) from None
