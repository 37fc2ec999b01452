"""The miniature on a real Slurm of one node, through profiles/slurm: submissions, GPUs, a requeued training."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import slurm
import torch

from result_trees import differences
from workflow.conftest import MINI, Checkout

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(slurm.missing() is not None, reason=str(slurm.missing())),
    pytest.mark.timeout(1800),
]

SUBMITTED = re.compile(r"submitted with SLURM jobid (\d+)")
CLASSIFIER = "results/mini/classifier/checkpoint.pth"
LONG = {"classifier": {"training": {"epochs": 8}}}


class Cluster:
    """A Slurm of one node, and Snakemake with our profile on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.environment = folder, slurm.ENVIRONMENT | {"OMP_NUM_THREADS": "1"}

    def start(self, checkout: Checkout, output: Path, *arguments: str, config: dict | None = None) -> subprocess.Popen:
        files = [MINI, *([str(checkout._write(config))] if config else [])]
        size = ["--cores", "2", "--resources", "gpu=2", "mem_mb=8000"]
        fast = ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"]
        profile = ["--workflow-profile", "profiles/slurm", *size, *fast, "--configfile", *files]
        with open(output, "w", encoding="utf-8") as stream:
            return subprocess.Popen(
                slurm.configured(self.folder, sys.executable, "-m", "snakemake", *profile, *arguments),
                cwd=checkout.folder, env=self.environment, stdout=stream, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def scontrol(self, *arguments: str) -> str:
        command = slurm.configured(self.folder, "scontrol", *arguments)
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout

    def gpus(self) -> dict[str, str]:
        """Return the GPUs that each job saw, by its number."""
        return dict(line.split() for line in (self.folder / "gpus.txt").read_text().splitlines())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    with slurm.running(folder):
        yield Cluster(folder)


def test_the_miniature_takes_few_submissions_and_gives_the_results_of_one_machine(cluster, fresh_checkout, tmp_path):
    remote, local = fresh_checkout("remote"), fresh_checkout("local")
    run = cluster.start(remote, tmp_path / "output.txt")
    assert run.wait(1500) == 0, (tmp_path / "output.txt").read_text()[-6000:]
    jobs = SUBMITTED.findall((tmp_path / "output.txt").read_text())
    assert 5 <= len(jobs) <= 15
    local.make()
    assert not differences(local.results, remote.results)
    asked = {number: cluster.scontrol("show", "job", number) for number in jobs}
    seen = cluster.gpus()
    with_gpu = [number for number, text in asked.items() if "gres:gpu:" in text]
    assert with_gpu and {seen[number] for number in with_gpu} <= {"0", "1", "0,1"}
    assert {seen[number] for number in asked.keys() - with_gpu} == {"none"}
    wanted = {number: int(re.search(r"gres:gpu:(\d)", asked[number])[1]) for number in with_gpu}
    assert all(len(seen[number].split(",")) == count for number, count in wanted.items())
    trainings = [number for number in with_gpu if "train_" in asked[number]]
    assert len(trainings) == 3 and all(wanted[number] == 1 for number in trainings)


def test_a_requeued_training_resumes_and_ends_with_the_same_weights(cluster, fresh_checkout, tmp_path):
    remote, local = fresh_checkout("requeued"), fresh_checkout("undisturbed")
    run = cluster.start(remote, tmp_path / "output.txt", "--", CLASSIFIER, config=LONG)
    log = remote.folder / "results/mini/logs/train_classifier.log"
    wait_for(lambda: log.is_file() and "epoch 2: loss" in log.read_text(), run)
    number = SUBMITTED.findall((tmp_path / "output.txt").read_text())[-1]
    cluster.scontrol("requeue", number)
    assert run.wait(900) == 0, (tmp_path / "output.txt").read_text()[-6000:]
    assert "Requeue=1 Restarts=1" in cluster.scontrol("show", "job", number)
    assert re.search(r"resumed after epoch \d", log.read_text())
    local.make("--", CLASSIFIER, config=LONG)
    one, other = (torch.load(made.folder / CLASSIFIER, weights_only=True) for made in (local, remote))
    assert json.dumps(one["description"]) == json.dumps(other["description"])
    assert all(torch.equal(tensor, other["model"][name]) for name, tensor in one["model"].items())


def wait_for(condition, run: subprocess.Popen) -> None:
    while not condition():
        assert run.poll() is None
        time.sleep(0.1)
