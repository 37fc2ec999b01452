"""Which device, precision, threads and processors a job takes; the threads never depend on --cores."""

import multiprocessing
import os
import subprocess
import sys
import tempfile

import pytest
import torch

from tagseg.runtime import devices, threads
from tagseg.runtime.devices import autocast, device, prepare, workers
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.threads import AUTO, MOST, THREADS, computing_threads, keep_to_cores

CPU = torch.device("cpu")


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


def gpu(number):
    return torch.device("cuda", number)


def test_without_a_gpu_or_on_request_it_is_the_cpu(two_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with device("cpu") as where:
        assert where == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with device() as where:
        assert where == CPU


def test_jobs_take_free_gpus_and_share_the_first_if_none_is_free(two_gpus):
    with device() as first:
        for _ in range(2):  # it is free again when its job ends
            with device() as second, device() as third:
                assert (first, second, third) == (gpu(0), gpu(1), gpu(0))
    with device() as where:
        assert where == gpu(0)


def test_another_process_is_respected(two_gpus):
    """A child holds the first GPU; the lock is the file's, not the process's."""
    ours, theirs = multiprocessing.Pipe()

    def hold():
        with device():
            theirs.send("held")
            theirs.recv()

    child = multiprocessing.get_context("fork").Process(target=hold)
    child.start()
    assert ours.recv() == "held"
    with device() as where:
        assert where == gpu(1)
    ours.send("go on")
    child.join()
    with device() as where:
        assert where == gpu(0)


def test_a_gpu_from_the_scheduler_is_taken_without_a_lock(two_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with device() as first, device() as second:
        assert first == second == gpu(0)  # the first that is visible
    assert list(two_gpus.iterdir()) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, 3")  # of several each job takes another
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with device() as first, device() as second:
        assert (first, second) == (gpu(0), gpu(1))  # in the order in which they are visible
        (folder,) = two_gpus.iterdir()
        assert {lock.name for lock in folder.iterdir()} == {"5.lock", "3.lock"}


def product_type(precision):
    with autocast(CPU, precision):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


@pytest.mark.parametrize(("hardware", "expected"), [(False, torch.float32), (True, torch.bfloat16)])
def test_a_named_precision_is_used_and_auto_goes_by_the_hardware(monkeypatch, hardware, expected):
    monkeypatch.setattr(devices, "_has_bfloat16", lambda where: hardware)
    assert product_type("float32") == torch.float32 and product_type("bfloat16") == torch.bfloat16
    assert product_type("auto") == expected


@pytest.fixture
def settings_of_torch(monkeypatch):
    """Put back what `prepare` changes for the whole process."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.delenv(THREADS, raising=False)
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    yield
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = benchmark
    torch.use_deterministic_algorithms(False)
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_the_configured_threads_and_deterministic_algorithms_are_set(settings_of_torch, monkeypatch):
    kept = []
    monkeypatch.setattr(devices, "keep_to_cores", lambda cores, threads: kept.append((cores, threads)))
    monkeypatch.setenv(THREADS, "3")
    prepare(1, deterministic=True)
    assert torch.get_num_threads() == 3 and kept == [(1, 3)]
    assert torch.are_deterministic_algorithms_enabled() and not torch.backends.cudnn.benchmark
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.fixture
def two_processes(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "a run"}.items():
        monkeypatch.setenv(name, value)


def test_processes_that_train_together_share_the_threads(settings_of_torch, two_processes):
    prepare(4, deterministic=False)
    assert torch.get_num_threads() == 2
    assert (workers(gpu(0), 4), workers(CPU, 4)) == (2, 0)


def test_processes_that_train_together_never_share_a_gpu(two_gpus, two_processes):
    with device() as first, device() as second:
        assert (first, second) == (gpu(0), gpu(1))
        message = "^gpus: fewer than 2 of 2 GPUs are free. Lower `gpus`"
        with pytest.raises(TagsegError, match=message), device():
            pass


@pytest.fixture
def processors(monkeypatch):
    """How to pretend to be on a machine of so many processors; every other one, as after a `taskset`."""

    def pretend(count):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(0, 2 * count, 2)), raising=False)

    return pretend


@pytest.mark.parametrize("cores", [1, 2, 64])
@pytest.mark.parametrize(("wanted", "count"), [("1", 1), ("5", 5), (AUTO, 3)])
def test_threads_are_the_configured_ones_whatever_the_cores(monkeypatch, processors, cores, wanted, count):
    processors(3)
    monkeypatch.setenv(THREADS, wanted)
    assert computing_threads(cores) == count
    processors(64)  # no more than helps
    assert computing_threads(cores) == (MOST if wanted == AUTO else count)
    monkeypatch.delenv(THREADS)  # by hand
    assert computing_threads(cores) == cores and computing_threads(0) == computing_threads(-1) == 1


@pytest.mark.parametrize(("cores", "count", "kept"), [
    (1, 4, 1), (3, 4, 3), (4, 4, None), (8, 4, None), (6, 8, None), (0, 4, None),
])  # fmt: skip
def test_a_job_is_kept_to_fewer_cores_than_threads_alone(monkeypatch, processors, cores, count, kept):
    asked = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, chosen: asked.append(chosen), raising=False)
    processors(6)
    keep_to_cores(cores, count)
    assert [len(chosen) for chosen in asked] == ([kept] if kept else [])
    assert all(set(chosen) <= {0, 2, 4, 6, 8, 10} and len(set(chosen)) == len(chosen) for chosen in asked)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen")
@pytest.mark.skipif(len(threads._processors()) < 2, reason="one processor")
def test_the_real_system_keeps_a_process_to_its_cores():
    code = "import os; from tagseg.runtime.threads import *; keep_to_cores(1, 2); print(len(os.sched_getaffinity(0)))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
