"""Interrupted and failing jobs as processes: exit status, log lines, and the files they leave."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers import image_rows
from tagseg.storage.files import read_json
from tagseg.storage.index import Index, write_index
from tagseg.storage.mask_shards import write_mask_shard

TIME_AND_LEVEL = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]+ ")
SCRIPTS = Path(sys.modules["tagseg.storage.index"].__file__).parents[2]
TRAINING = {
    "epochs": 2, "batch_size": 1, "micro_batch": None, "optimizer": "adam", "backbone_lr": 1e-3, "head_lr": 1e-2,
    "weight_decay": 1e-4, "poly_power": 0.9, "batch_norm": "frozen", "frozen": [], "input_size": 32,
    "scales": [0.7, 1.4], "flip": True, "precision": "float32",
}  # fmt: skip
NETWORK = {"backbone": "timm:resnet10t", "weights": None, "output_stride": 16, "dropout": 0.5}
SETTINGS = {"training": TRAINING, "network": NETWORK, "random_seed": 5, "deterministic": True}


def start(script, *arguments, **options) -> subprocess.Popen:
    """Start a script of the workflow, or a text in Python; its standard error can be read."""
    words = ["-c", script, *arguments] if "\n" in script else [SCRIPTS / script, *arguments]
    options |= {"env": {**os.environ, "PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}, "text": True}
    return subprocess.Popen([sys.executable, *map(str, words)], stderr=subprocess.PIPE, **options)


def lines_until(job: subprocess.Popen, text: str) -> list[str]:
    """Return the log lines of a job up to the first that contains a text."""
    lines = []
    for line in job.stderr:
        lines.append(line.rstrip("\n"))
        if text in line:
            return lines
    raise AssertionError("\n".join(lines))


def ended(job: subprocess.Popen) -> tuple[int, list[str]]:
    """Return a job's status and its remaining log lines, without time and level."""
    _, rest = job.communicate(timeout=100)
    return job.returncode, [TIME_AND_LEVEL.sub("", line) for line in rest.splitlines()]


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    """An index of twelve images with tags."""
    folder = tmp_path_factory.mktemp("index")
    rows = image_rows(tmp_path_factory.mktemp("images"), 12, tags=("dog",))
    write_index(folder, Index(("background", "dog"), rows))
    return folder


def train(index: Path, folder: Path) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    outputs = {"checkpoint": "checkpoint.pth", "log": "log.json", "average-precision": "precision.json"}
    named = [word for name, file in outputs.items() for word in (f"--{name}", folder / file)]
    return start("train_classifier.py", "--index", index, "--settings", json.dumps(SETTINGS), *named)


def test_an_interrupted_training_makes_the_same_checkpoint(index, tmp_path):
    """Twice in the middle of epochs; the checkpoints are equal to the byte."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    status, lines = ended(train(index, whole))
    assert status == 0, "\n".join(lines[-30:])
    for epoch in (0, 1):
        job = train(index, stopped)
        lines_until(job, f"epoch {epoch + 1}: 2 of ")
        job.send_signal(signal.SIGTERM)
        status, lines = ended(job)
        assert (status, lines[-1]) == (143, "Interrupted by SIGTERM. Run again to resume.")
        assert any(line.startswith(f"saved after epoch {epoch}, step ") for line in lines), lines
        assert [path.name for path in stopped.iterdir()] == ["checkpoint.pth.resume"]
    job = train(index, stopped)
    assert "resumed after epoch 1, step " in lines_until(job, "resumed")[-1]
    assert ended(job)[0] == 0
    for name in ("checkpoint.pth", "precision.json"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()
    assert sorted(path.name for path in stopped.iterdir()) == sorted(path.name for path in whole.iterdir())
    losses = [[row["loss"] for row in read_json(name / "log.json")["epochs"]] for name in (whole, stopped)]
    assert losses[0] == losses[1] and len(losses[0]) == 2


POOL = """
import os, signal, sys, time
from tagseg.runtime import commandline
from tagseg.runtime.pools import in_processes
from tagseg.storage.mask_shards import write_mask_shard
import numpy as np
def mask(number):
    if number == 5:
        print("under way", file=sys.stderr, flush=True)
        if sys.argv[2] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if sys.argv[2] == "compute":
            sum(range(1 << 32))
        time.sleep(1)
    return np.zeros((2, 2), np.uint8)
def main():
    write_mask_shard(sys.argv[1], zip(map(str, range(99)), in_processes(mask, iter(range(99)), 2)))
commandline.run(main)
"""


def test_a_killed_process_of_a_pool_ends_the_stage_with_a_line(tmp_path):
    status, lines = ended(start(POOL, tmp_path / "shard", "die"))
    assert status == 1 and lines[-1].startswith("error: a process of the job was killed")
    assert lines[:-1] == ["under way"] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("deed", "number", "status"), [
    ("sleep", signal.SIGTERM, 143), ("compute", signal.SIGTERM, 143), ("compute", signal.SIGINT, 130),
])  # fmt: skip
def test_an_interrupted_stage_ends_at_once_and_leaves_nothing(tmp_path, deed, number, status):
    """Clusters and terminals signal all its processes, also the one that computes for a minute."""
    job = start(POOL, tmp_path / "shard", deed, start_new_session=True)
    lines_until(job, "under way")
    started = time.monotonic()
    (os.killpg if deed == "compute" else os.kill)(job.pid, number)
    assert ended(job) == (status, [f"Interrupted by {number.name}. Run again to resume."])
    assert time.monotonic() - started < 10 and not list(tmp_path.iterdir())


READS = """
import sys, time
from tagseg.runtime import commandline
from tagseg.storage.mask_shards import read_mask_shards
def main():
    masks = read_mask_shards([sys.argv[1]])
    print("under way", file=sys.stderr, flush=True)
    sys.stdin.readline()
    for mask in masks.values():
        mask.read()
commandline.run(main)
"""


def test_a_folder_swapped_under_its_reader_is_reported(tmp_path):
    """Another shard in its place: its masks are not those of the manifest that was read."""
    for name, label in (("shard", 1), ("other", 2)):
        write_mask_shard(tmp_path / name, [("a", np.full((2, 2), label, np.uint8))])
    job = start(READS, tmp_path / "shard", stdin=subprocess.PIPE)
    lines_until(job, "under way")
    (tmp_path / "shard").rename(tmp_path / "before")
    (tmp_path / "other").rename(tmp_path / "shard")
    _, lines = job.communicate("\n", timeout=100)
    assert job.returncode == 1 and len(lines.splitlines()) == 1
    assert lines.startswith(f"error: {tmp_path}/shard/a.png: changed since it was written. Delete the folder")
