"""Several processes that train one network, each on its own GPU, as torchrun starts them.

In a single process every function here is a no-op.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from tagseg.models.backbones import Network
from tagseg.models.torchvision_compat import convert_sync_batchnorm
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.processes import by_torchrun, is_main, processes, rank
from tagseg.training.settings import TrainingSettings

__all__ = ["gathered", "is_main", "launch", "process_group", "processes", "rank", "summed"]

Item = TypeVar("Item")


def launch(gpus: int) -> None:
    """Restart the running script under torchrun with one process per GPU; return if one process is enough.

    `gpus` is the number that the job has. If fewer are visible, fewer processes run.
    """
    count = min(gpus, torch.cuda.device_count())
    if count < 2 or by_torchrun():
        return
    torchrun = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}")
    os.execv(sys.executable, [sys.executable, *torchrun, *sys.argv])


@contextmanager
def process_group(where: torch.device) -> Iterator[None]:
    """Join the processes of a training during a block: NCCL between GPUs, Gloo between CPUs."""
    if processes() == 1:
        yield
        return
    dist.init_process_group("nccl" if where.type == "cuda" else "gloo")
    try:
        yield
    finally:
        gc.collect()  # a data-parallel model that outlives its group may block its end
        dist.destroy_process_group()


def data_parallel(model: Network, settings: TrainingSettings, random_seed: int, where: torch.device) -> nn.Module:
    """Return the model, with several processes one whose gradients are averaged over them.

    Raises TagsegError for trained batch norms with micro-batches: the processes would wait forever.
    """
    if processes() == 1:
        return model
    if settings.batch_norm == "trained" and settings.micro_batch:
        raise TagsegError("batch_norm: trained on several GPUs requires micro_batch: null. Change one of them.")
    torch.manual_seed(random_seed + rank())  # dropout differs between processes
    if settings.batch_norm == "trained" and where.type == "cuda":
        # timm's conversion: torch's drops the activation in timm's batch norms.
        model.backbone = convert_sync_batchnorm(model.backbone)
    return DistributedDataParallel(model, [where] if where.type == "cuda" else None)


def gradients_stay_local(network: nn.Module) -> AbstractContextManager[None]:
    """Return a context that adds gradients up without exchanging them between processes."""
    return network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext()


def summed(value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    if processes() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def gathered(item: Item) -> list[Item]:
    """Return the items of all processes, by rank."""
    items = [item] * processes()
    if processes() > 1:
        dist.all_gather_object(items, item)
    return items
