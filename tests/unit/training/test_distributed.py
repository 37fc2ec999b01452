"""Training in parts and in several processes: the same result as one device for the same batch.

Two processes add up gradients in another order than one does, so that float32 sums differ in their last
digits: the weights may differ by 1e-5 and a thousandth of what training changed in them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import distributed_worker
from helpers import image_rows
from tagseg.models.backbones import build_backbone
from tagseg.models.torchvision_compat import convert_sync_batchnorm
from tagseg.runtime.errors import TagsegError
from tagseg.training import distributed
from tagseg.training.epochs import EpochBatches

TORCHRUN = ("RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Nine images: in batches of four the last one has but one."""
    made = tmp_path_factory.mktemp("images")
    image_rows(made, 9)
    return made


def torchrun(monkeypatch, rank: int, world: int) -> None:
    for name, value in zip(TORCHRUN, (rank, world, "a run"), strict=True):
        monkeypatch.setenv(name, str(value))


def train(folder: Path, output: Path, processes: int, *stop_after: str, **changes) -> dict | None:
    """Train in several processes; return weights and losses, or None if the training was stopped."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(torchrun if processes > 1 else []), distributed_worker.__file__]
    command += [str(folder), str(output), json.dumps(changes), *stop_after]
    environment = {key: value for key, value in os.environ.items() if key not in TORCHRUN}
    environment["OMP_NUM_THREADS"] = "1"
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if stop_after:
        assert done.returncode != 0
        return None
    assert done.returncode == 0, done.stderr
    return torch.load(output, weights_only=True)


@pytest.fixture(scope="module")
def alone(folder, tmp_path_factory) -> dict:
    return train(folder, tmp_path_factory.mktemp("alone") / "out.pt", 1)


def assert_alike(ours: dict, theirs: dict) -> None:
    """Weights as near as the module's docstring says, and far from those that nothing was learnt by."""
    torch.testing.assert_close(ours["loss"], theirs["loss"], rtol=1e-5, atol=1e-6)
    torch.manual_seed(0)
    untrained = distributed_worker.DeepLabLargeFov(distributed_worker.NETWORK, 3).state_dict()
    moved = max(float((theirs["model"][key] - value).abs().max()) for key, value in untrained.items())
    assert moved > 1e-3
    torch.testing.assert_close(ours["model"], theirs["model"], rtol=1e-3, atol=1e-5)


def test_two_processes_train_as_one(folder, alone, tmp_path):
    """Also where the last batch has no image for the second one, and the parts have different amounts of void."""
    assert_alike(train(folder, tmp_path / "two.pt", 2), alone)


@pytest.mark.parametrize("micro_batch", [1, 3])
def test_a_batch_in_parts_trains_as_a_whole_one(folder, alone, tmp_path, micro_batch):
    assert_alike(train(folder, tmp_path / "parts.pt", 1, micro_batch=micro_batch), alone)


@pytest.mark.parametrize("processes", [1, 2])
def test_two_stopped_processes_resume(folder, alone, tmp_path, processes):
    train(folder, tmp_path / "resumed.pt", 2, "1")
    assert (tmp_path / "resumed.pt.state").exists() and not (tmp_path / "resumed.pt").exists()
    assert_alike(train(folder, tmp_path / "resumed.pt", processes), alone)


def test_trained_batch_norms_with_micro_batches_are_refused(folder, monkeypatch):
    settings = distributed_worker.SETTINGS.model_copy(update={"batch_norm": "trained", "micro_batch": 1})
    torchrun(monkeypatch, 0, 2)
    with pytest.raises(TagsegError, match="batch_norm: trained on several GPUs requires micro_batch: null"):
        distributed_worker.training_of(folder, settings)


@pytest.mark.parametrize(("images", "batch_size", "world"), [(9, 4, 2), (9, 4, 3), (1, 4, 2), (8, 2, 2)])
def test_the_parts_of_all_processes_are_the_batches(monkeypatch, images, batch_size, world):
    whole = list(EpochBatches(images, batch_size, 3))
    parts = []
    for rank in range(world):
        torchrun(monkeypatch, rank, world)
        batches = EpochBatches(images, batch_size, 3)
        parts.append([batch if batches.has_own(step) else [] for step, batch in enumerate(batches)])
        assert all(len(batch) > 0 for batch in batches)  # a loader cannot load nothing
    for step, batch in enumerate(whole):
        assert sorted(key for share in parts for key in share[step]) == sorted(batch)
        assert EpochBatches(images, batch_size, 3).size_of(step) == len(batch)


@pytest.fixture
def started(monkeypatch) -> list:
    commands: list = []
    monkeypatch.setattr(os, "execv", lambda path, command: commands.append(command))
    monkeypatch.setattr(sys, "argv", ["train.py", "--x", "1"])
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    return commands


def test_a_script_starts_itself_under_torchrun(started, monkeypatch):
    for wanted, gpus, count in ((2, 4, 2), (4, 2, 2), (8, 8, 8)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        distributed.launch(wanted)
        command = started.pop()
        assert command[0] == sys.executable and command[-3:] == ["train.py", "--x", "1"]
        assert "torch.distributed.run" in command and f"--nproc-per-node={count}" in command


def test_one_process_is_enough_and_what_torchrun_started_starts_nothing(started, monkeypatch):
    for wanted, gpus in ((1, 4), (2, 1), (2, 0), (0, 4)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        distributed.launch(wanted)
    # Container platforms set these too.
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("RANK", "3")
    assert (distributed.rank(), distributed.processes(), distributed.is_main()) == (0, 1, True)
    torchrun(monkeypatch, 1, 2)
    distributed.launch(2)
    assert started == []


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18"])
def test_batch_norms_that_several_processes_share_compute_what_they_computed(name):
    """torch's own conversion drops the activation in timm's batch norms."""
    torch.manual_seed(0)
    backbone = build_backbone(name, None, 32).eval()
    images = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        before = backbone(images)
        shared = convert_sync_batchnorm(backbone)
        assert any(isinstance(layer, torch.nn.SyncBatchNorm) for layer in shared.modules())
        torch.testing.assert_close(shared(images), before)
