"""Which device a job computes on, and in which precision."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

PRECISIONS = ("auto", "float32", "bfloat16")


@contextlib.contextmanager
def device(wanted: str = "auto") -> Iterator[torch.device]:
    """Yield the device to compute on: a free GPU where there is one, else the CPU.

    `wanted` "cpu" keeps to the CPU. A CUDA_VISIBLE_DEVICES that is already set, as Slurm does, names
    the job's own GPU and its first is taken. Without it nothing deals the GPUs of a machine out, so a
    free one is taken with a file lock, held until the block ends; where all are taken, the first is
    shared.
    """
    if wanted == "cpu" or not torch.cuda.is_available():
        yield torch.device("cpu")
    elif os.environ.get("CUDA_VISIBLE_DEVICES"):
        yield torch.device("cuda", 0)
    else:
        with contextlib.ExitStack() as locks:
            yield torch.device("cuda", _lock_free_gpu(locks, torch.cuda.device_count()))


def _lock_free_gpu(locks: contextlib.ExitStack, count: int) -> int:
    """Return the number of the first GPU whose lock is free, and hold the lock in `locks`."""
    folder = Path(tempfile.gettempdir()) / f"tagseg-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in range(count):
        stream = open(folder / f"{number}.lock", "w")  # noqa: SIM115  (closed by `locks`, or below)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            continue
        locks.enter_context(stream)
        return number
    return 0


def autocast(where: torch.device, precision: str) -> torch.autocast:
    """Return the autocast context of `precision`: "float32", "bfloat16", or "auto".

    "auto" is bfloat16 where the hardware computes in it, else float32.
    """
    wanted = precision == "bfloat16" or (precision == "auto" and _has_bfloat16(where))
    return torch.autocast(where.type, torch.bfloat16, enabled=wanted)


def _has_bfloat16(where: torch.device) -> bool:
    if where.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()


def set_threads(threads: int) -> None:
    """Compute on the CPU with as many threads as the job was given, and no more."""
    torch.set_num_threads(max(1, threads))
