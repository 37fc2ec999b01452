"""Which device a job computes on, and in which precision."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from tagseg.distributed import processes
from tagseg.errors import TagsegError
from tagseg.threads import computing_threads, keep_to_cores

PRECISIONS = ("auto", "float32", "bfloat16")


@contextlib.contextmanager
def device(wanted: str = "auto") -> Iterator[torch.device]:
    """Yield the device to compute on: a free GPU where there is one, else the CPU.

    `wanted` "cpu" keeps to the CPU. A CUDA_VISIBLE_DEVICES that names one GPU, as Slurm sets it, is the
    job's own. Among several nothing deals them out, so a free one is taken with a file lock, held until
    the block ends; where all are taken, the first is shared. Processes that train one network together
    share none: TagsegError where too few are free.
    """
    if wanted == "cpu" or not torch.cuda.is_available():
        yield torch.device("cpu")
    elif torch.cuda.device_count() == 1 and os.environ.get("CUDA_VISIBLE_DEVICES"):
        yield _current(0)
    else:
        with contextlib.ExitStack() as locks:
            yield _current(_lock_free_gpu(locks, torch.cuda.device_count()))


def _current(number: int) -> torch.device:
    """Return a GPU, made the current one: what names no GPU must not take memory of another job's."""
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def _lock_free_gpu(locks: contextlib.ExitStack, count: int) -> int:
    """Return the number, among the visible GPUs, of the first whose lock is free; hold it in `locks`."""
    folder = _lock_folder()
    for number, name in enumerate(_gpu_names(count)):
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(folder / f"{name}.lock", flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        locks.callback(os.close, lock)
        return number
    if processes() > 1:
        raise TagsegError(f"{count} GPUs, too few free for {processes()} processes; lower `gpus`, or wait")
    return 0


def _gpu_names(count: int) -> list[str]:
    """Return names of the visible GPUs that are theirs in every job, so that two jobs' locks mean the same.

    Numbers are not, where a scheduler shows each job but its own GPUs, counted from 0.
    """
    with contextlib.suppress(AssertionError, AttributeError, RuntimeError):  # an older driver or torch
        return [str(torch.cuda.get_device_properties(number).uuid) for number in range(count)]
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return visible if len(visible) == count else [str(number) for number in range(count)]


def _lock_folder() -> Path:
    """Return the folder of the user's locks. Raises TagsegError where it is somebody else's."""
    folder = Path(tempfile.gettempdir()) / f"tagseg-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise TagsegError(f"{folder}: not a folder of yours; remove it, or set TMPDIR to another place")
    return folder


def describe(where: torch.device) -> str:
    """Return a device's name and the version of torch that computes on it, for logs."""
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else "CPU"
    together = f" x {processes()}" if processes() > 1 else ""
    return f"{name}{together}, torch {torch.__version__}"


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


def prepare(cores: int, deterministic: bool) -> None:
    """Set with how many threads to compute on the CPU; before anything is computed.

    They are shared out among the processes of a training, and keep to the `cores` that the job may use.

    `deterministic` asks for algorithms that give the same bits every time on one GPU too; where torch has
    none for an operation it warns, and goes on. Otherwise cuDNN may try which of its algorithms is fastest.
    """
    threads = computing_threads(cores)
    torch.set_num_threads(max(1, threads // processes()))
    keep_to_cores(cores, threads)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it by this name
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # it costs time, and nothing reads it
    torch.backends.cudnn.benchmark = not deterministic


def workers(where: torch.device, cores: int) -> int:
    """Return how many processes are to load photographs: on the CPU none, they would take its threads."""
    return max(1, cores // processes()) if where.type == "cuda" else 0
