"""The device a job computes on, and its precision."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from tagseg.runtime.errors import TagsegError
from tagseg.runtime.processes import processes
from tagseg.runtime.threads import computing_threads, keep_to_cores


@contextlib.contextmanager
def device(wanted: str = "auto") -> Iterator[torch.device]:
    """Yield a free GPU if there is one, else the CPU; with "cpu" always the CPU.

    A single GPU in CUDA_VISIBLE_DEVICES, as Slurm sets it, belongs to the job. Of several the job locks a free
    one until the block ends, or shares the first if all are taken. Processes that train one network share
    none: TagsegError if too few are free.
    """
    if wanted == "cpu" or not torch.cuda.is_available():
        yield torch.device("cpu")
    elif torch.cuda.device_count() == 1 and os.environ.get("CUDA_VISIBLE_DEVICES"):
        yield _current(0)
    else:
        with contextlib.ExitStack() as locks:
            yield _current(_lock_free_gpu(locks, torch.cuda.device_count()))


def _current(number: int) -> torch.device:
    torch.cuda.set_device(number)  # otherwise some memory is taken on the first GPU
    return torch.device("cuda", number)


def _lock_free_gpu(locks: contextlib.ExitStack, count: int) -> int:
    """Return the first visible GPU whose lock is free; hold its lock in `locks`."""
    folder = Path(tempfile.gettempdir()) / f"tagseg-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for number, name in enumerate(_gpu_names(count)):
        lock = open(folder / f"{name}.lock", "a")  # noqa: SIM115 (closed by `locks`)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        locks.callback(lock.close)
        return number
    if processes() > 1:
        raise TagsegError(f"gpus: fewer than {processes()} of {count} GPUs are free. Lower `gpus`, or wait.")
    return 0


def _gpu_names(count: int) -> list[str]:
    """Return names of the visible GPUs that mean the same in every job, unlike their numbers."""
    with contextlib.suppress(AssertionError, AttributeError, RuntimeError):  # an older driver or torch
        return [str(torch.cuda.get_device_properties(number).uuid) for number in range(count)]
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return visible if len(visible) == count else [str(number) for number in range(count)]


def describe(where: torch.device) -> str:
    """Return a device's name and the version of torch, for logs."""
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU"
    together = f" x {processes()}" if processes() > 1 else ""
    return f"{name}{together}, torch {torch.__version__}"


def autocast(where: torch.device, precision: str) -> torch.autocast:
    """Return the autocast context of "float32", "bfloat16", or "auto": bfloat16 if the hardware has it."""
    enabled = precision == "bfloat16" or (precision == "auto" and _has_bfloat16(where))
    return torch.autocast(where.type, torch.bfloat16, enabled=enabled)


def _has_bfloat16(where: torch.device) -> bool:
    if where.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()


def prepare(cores: int, deterministic: bool) -> None:
    """Set the threads, divided among the processes of a training, and the choice of algorithms.

    `deterministic`: the same bits every time on one GPU; torch warns about operations that cannot.
    Otherwise cuDNN tries which of its algorithms is fastest.
    """
    threads = computing_threads(cores)
    torch.set_num_threads(max(1, threads // processes()))
    keep_to_cores(cores, threads)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS needs it
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # it is slow
    torch.backends.cudnn.benchmark = not deterministic


def workers(where: torch.device, cores: int) -> int:
    """Return how many processes load images: none on the CPU, where they would take its threads."""
    return max(1, cores // processes()) if where.type == "cuda" else 0
