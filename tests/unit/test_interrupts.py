"""Jobs, as processes, that are told to end or that the machine fails: status, lines, and what is left."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import numpy as np
import pytest

from helpers import photograph_rows
from tagseg import failures
from tagseg.files import read_json
from tagseg.index import Index, write_index
from tagseg.mask_shards import write_mask_shard

SCRIPTS = Path(sys.modules["tagseg.index"].__file__).parents[1]
TRAINING = {
    "epochs": 2, "batch_size": 1, "micro_batch": None, "optimizer": "adam",
    "backbone_lr": 1e-3, "head_lr": 1e-2, "weight_decay": 1e-4, "poly_power": 0.9,
    "batch_norm": "frozen", "frozen": [], "input_size": 32, "scales": [0.7, 1.4], "flip": True,
    "precision": "float32", "random_seed": 5,
}  # fmt: skip
NETWORK = {"backbone": "timm:resnet10t", "weights": None, "output_stride": 16, "dropout": 0.5}
SETTINGS = {"training": TRAINING, "network": NETWORK, "deterministic": True}


def start(script, *arguments) -> subprocess.Popen:
    """Start a script of the workflow, or a text in Python; its standard error can be read."""
    command = ["-c", script] if "\n" in script else [SCRIPTS / script]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *command, *map(str, arguments)], env=environment, stderr=subprocess.PIPE, text=True
    )


def lines_until(job: subprocess.Popen, text: str) -> list[str]:
    """Return what a job says, as far as a line with a text in it."""
    lines = []
    for line in job.stderr:
        lines.append(line.rstrip("\n"))
        if text in line:
            return lines
    raise AssertionError("\n".join(lines))


def ended(job: subprocess.Popen) -> tuple[int, list[str]]:
    """Return a job's status and what it still says."""
    _, rest = job.communicate(timeout=100)
    return job.returncode, rest.splitlines()


# ------------------------------------------------------------------------------------------- training


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    """An index of twelve photographs with tags: a log has a line a step of one."""
    folder = tmp_path_factory.mktemp("index")
    rows = photograph_rows(tmp_path_factory.mktemp("photographs"), 12, tags=("dog",))
    write_index(folder, Index(("background", "dog"), rows))
    return folder


def train(index: Path, folder: Path) -> subprocess.Popen:
    outputs = {"checkpoint": "checkpoint.pth", "log": "log.json", "average-precision": "precision.json"}
    named = [word for name, file in outputs.items() for word in (f"--{name}", folder / file)]
    return start("train_classifier.py", "--index", index, "--settings", json.dumps(SETTINGS), *named)


def test_a_training_that_was_told_to_end_makes_the_same_checkpoint(index, tmp_path):
    """Told twice, in the middle of epochs; the checkpoints are equal to the byte."""
    for place in ("whole", "stopped"):
        (tmp_path / place).mkdir()
    assert ended(train(index, tmp_path / "whole"))[0] == 0
    for epoch in (0, 1):
        job = train(index, tmp_path / "stopped")
        lines_until(job, f"epoch {epoch + 1}: 2 of ")
        job.send_signal(signal.SIGTERM)
        status, said = ended(job)
        assert status == 143
        assert said[-1] == "ended by SIGTERM; run again, and it goes on"
        assert any(line.startswith(f"saved after epoch {epoch}, step ") for line in said), said
        assert [path.name for path in (tmp_path / "stopped").iterdir()] == ["checkpoint.pth.resume"]
    job = train(index, tmp_path / "stopped")
    assert "resumed after epoch 1, step " in lines_until(job, "resumed")[-1]
    assert ended(job)[0] == 0
    whole, stopped = (tmp_path / place for place in ("whole", "stopped"))
    assert (whole / "checkpoint.pth").read_bytes() == (stopped / "checkpoint.pth").read_bytes()
    assert (whole / "precision.json").read_bytes() == (stopped / "precision.json").read_bytes()
    assert sorted(path.name for path in stopped.iterdir()) == sorted(path.name for path in whole.iterdir())
    losses = [[row["loss"] for row in read_json(place / "log.json")["epochs"]] for place in (whole, stopped)]
    assert losses[0] == losses[1] and len(losses[0]) == 2


SNAKEFILE = """
rule train:
    output:
        "out",
    retries: 3
    shell:
        "python job.py"
"""
JOB = """
import os, signal
from pathlib import Path
from tagseg import commandline
def main():
    with open("attempts", "a") as attempts:
        attempts.write(".")
    if len(Path("attempts").read_text()) < 3:
        os.kill(os.getpid(), signal.SIGTERM)
    Path("out").touch()
commandline.run(main)
"""


def test_snakemake_starts_a_job_again_that_was_told_to_end(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "job.py").write_text(JOB)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "PATH": path}
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "out"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "attempts").read_text() == "..." and (tmp_path / "out").exists()


@pytest.mark.parametrize("file, rule", [("classifier", "train_classifier"), ("segmenter", "train_segmenter")])
def test_the_trainings_are_started_again(file, rule):
    text = (SCRIPTS.parent / "rules" / f"{file}.smk").read_text()
    body = text.partition(f"rule {rule}:")[2].partition("\nrule ")[0]
    assert "\n    retries: 3\n" in body


# ---------------------------------------------------------------------------------------- other stages

WRITES = """
import sys, time
from tagseg import commandline
from tagseg.files import atomic_file, atomic_folder
def main():
    with atomic_folder(sys.argv[1]) as folder, atomic_file(sys.argv[2]) as file:
        (folder / "half").touch()
        print("under way", file=sys.stderr, flush=True)
        time.sleep(60)
commandline.run(main)
"""


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stage_that_is_told_to_end_leaves_nothing(tmp_path, number, status):
    job = start(WRITES, tmp_path / "folder", tmp_path / "file")
    lines_until(job, "under way")
    job.send_signal(number)
    assert ended(job) == (status, [f"ended by {number.name}; run again, and it goes on"])
    assert not list(tmp_path.iterdir())


POOL = """
import os, signal, sys, time
from tagseg import commandline
from tagseg.pools import in_processes
from tagseg.mask_shards import write_mask_shard
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
    status, said = ended(start(POOL, tmp_path / "shard", "die"))
    assert status == 1 and said[-1].startswith("error: one of the job's processes was killed")
    assert said[:-1] == ["under way"] and not list(tmp_path.iterdir())


def begin_pool(folder: Path, deed: str) -> subprocess.Popen:
    """Start a stage with a pool in a process group of its own; return when its pool is at work."""
    command = [sys.executable, "-c", POOL, str(folder), deed]
    pipes = {"stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    job = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)
    lines_until(job, "under way")
    return job


def test_a_stage_with_a_pool_ends_when_it_alone_is_told_to(tmp_path):
    job = begin_pool(tmp_path / "shard", "sleep")
    job.terminate()
    assert ended(job) == (143, ["ended by SIGTERM; run again, and it goes on"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stage_with_a_pool_ends_at_once_when_all_its_processes_are_told_to(tmp_path, number, status):
    """As clusters and terminals do it; one process is deep in a computation that takes a minute."""
    job = begin_pool(tmp_path / "shard", "compute")
    started = time.monotonic()
    os.killpg(job.pid, number)
    assert ended(job) == (status, [f"ended by {number.name}; run again, and it goes on"])
    assert time.monotonic() - started < 10
    assert not list(tmp_path.iterdir())


# -------------------------------------------------------------------------------- what the machine does


def test_the_docs_have_the_lines_that_are_said():
    text = (SCRIPTS.parent / "docs" / "crashes.md").read_text()
    for number in failures._REMEDIES:
        line = failures.machine_failure(OSError(number, os.strerror(number)))
        assert line.partition("; ")[2] in text, line
    assert failures.machine_failure(BrokenExecutor()) in text
    assert failures._MEMORY in text


FAILS = """
import sys
from tagseg import commandline
from tagseg.files import write_json
commandline.run(lambda: write_json(sys.argv[1], {}))
"""


def test_an_unwritable_folder_is_told(tmp_path):
    """As root may write anywhere, a file stands in where the folder is asked for."""
    if os.getuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        reason = "Permission denied"
        remedy = "make it readable and writable for you (chmod, chown) and run again"
    else:
        (tmp_path / "closed").touch()
        reason, remedy = "Not a directory", "mend that and run again"
    out = tmp_path / "closed" / "a.json"
    assert ended(start(FAILS, out)) == (1, [f"error: {out}: {reason}; {remedy}"])


OPENS = """
import resource, sys
from tagseg import commandline
resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
commandline.run(lambda: [open(sys.argv[1]) for _ in range(12)])
"""


def test_too_many_open_files_are_told(tmp_path):
    (tmp_path / "a").touch()
    remedy = "raise the limit (`ulimit -n`) or give the job fewer threads, and run again"
    expected = f"error: {tmp_path / 'a'}: Too many open files; {remedy}"
    assert ended(start(OPENS, tmp_path / "a")) == (1, [expected])


READS = """
import sys, time
from tagseg import commandline
from tagseg.mask_shards import read_mask_shards
def main():
    masks = read_mask_shards([sys.argv[1]])
    print("under way", file=sys.stderr, flush=True)
    sys.stdin.readline()
    for mask in masks.values():
        mask.read()
commandline.run(main)
"""


def test_a_folder_swapped_under_its_reader_is_told(tmp_path):
    """Another shard in its place: its masks are not those of the manifest that was read."""
    for place, label in (("shard", 1), ("other", 2)):
        write_mask_shard(tmp_path / place, [("a", np.full((2, 2), label, np.uint8))])
    command = [sys.executable, "-c", READS, str(tmp_path / "shard")]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    job = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines_until(job, "under way")
    (tmp_path / "shard").rename(tmp_path / "before")
    (tmp_path / "other").rename(tmp_path / "shard")
    _, said = job.communicate("\n", timeout=100)
    assert job.returncode == 1 and len(said.splitlines()) == 1
    assert said.startswith(
        f"error: {tmp_path / 'shard' / 'a.png'}: altered since it was made; delete the folder"
    )
