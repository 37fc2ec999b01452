"""Several processes that train one network, each on a GPU of its own, as torchrun starts them.

Without torchrun every function here does what it should for one process: nothing.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

Item = TypeVar("Item")


def rank() -> int:
    """Return this process's number among those of its training; 0 where it is alone."""
    return int(os.environ["RANK"]) if _by_torchrun() else 0


def processes() -> int:
    """Return how many processes train together."""
    return int(os.environ["WORLD_SIZE"]) if _by_torchrun() else 1


def _by_torchrun() -> bool:
    """Say whether torchrun started this process: others set RANK and WORLD_SIZE for purposes of their own."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_main() -> bool:
    """Say whether this is the process that writes the files."""
    return rank() == 0


def launch(wanted: int) -> None:
    """Start the running script again under torchrun, a process a GPU; return where one process is enough.

    `wanted` is the number of GPUs that the job was given. Where fewer are visible, as many processes run;
    without any GPU, the script goes on as it is, on the CPU.
    """
    count = min(wanted, torch.cuda.device_count())
    if count < 2 or _by_torchrun():
        return
    torchrun = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}")
    os.execv(sys.executable, [sys.executable, *torchrun, *sys.argv])


@contextmanager
def process_group(where: torch.device) -> Iterator[None]:
    """Join the processes of a training for the time of a block: NCCL between GPUs, Gloo between CPUs."""
    if processes() == 1:
        yield
        return
    dist.init_process_group("nccl" if where.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def summed(number: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    if processes() > 1:
        number = number.clone()
        dist.all_reduce(number)
    return number


def gathered(item: Item) -> list[Item]:
    """Return what each process has, by its rank."""
    if processes() == 1:
        return [item]
    items: list[Item | None] = [None] * processes()
    dist.all_gather_object(items, item)
    return items
