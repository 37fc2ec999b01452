"""The miniature on a real Slurm of one node, through profiles/slurm: submissions, GPUs, a requeued training."""

import json
import re

import pytest
import slurm
import torch
from slurm import wait_for

from result_trees import differences

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(slurm.missing() is not None, reason=str(slurm.missing())),
    pytest.mark.timeout(1800),
]

SUBMITTED = re.compile(r"submitted with SLURM jobid (\d+)")
CHECKPOINTS = {
    "classifier": "results/mini/classifier/checkpoint.pth",
    "segmenter": "results/mini/segmenter/blocks.5.1/efficientnet_lite0/round1/checkpoint.pth",
}
LOGS = {"classifier": "logs/train_classifier.log", "segmenter": "logs/train_segmenter/**/round1.log"}
BEFORE = {"classifier": "index/index.csv", "segmenter": "scores/proxy_masks/blocks.5.1.json"}


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


@pytest.mark.parametrize("network", ["classifier", "segmenter"])
def test_a_requeued_training_resumes_and_ends_with_the_same_weights(cluster, fresh_checkout, tmp_path, network):
    remote, local = fresh_checkout("requeued"), fresh_checkout("undisturbed")
    config, checkpoint = {network: {"training": {"epochs": 8}}}, CHECKPOINTS[network]
    remote.make("--", f"results/mini/{BEFORE[network]}", config=config)  # one submission is enough for this
    run = cluster.start(remote, tmp_path / "output.txt", "--", checkpoint, config=config)
    (log,) = wait_for(lambda: list(remote.results.glob(LOGS[network])), run)
    wait_for(lambda: "epoch 2: loss" in log.read_text(), run)
    number = SUBMITTED.findall((tmp_path / "output.txt").read_text())[-1]
    cluster.scontrol("requeue", number)
    assert run.wait(900) == 0, (tmp_path / "output.txt").read_text()[-6000:]
    assert "Requeue=1 Restarts=1" in cluster.scontrol("show", "job", number)
    assert re.search(r"resumed after epoch \d", log.read_text())
    local.make("--", checkpoint, config=config)
    one, other = (torch.load(made.folder / checkpoint, weights_only=True) for made in (local, remote))
    assert json.dumps(one["description"]) == json.dumps(other["description"])
    assert all(torch.equal(tensor, other["model"][name]) for name, tensor in one["model"].items())


def test_a_training_on_two_gpus_gets_both_on_one_node(cluster, fresh_checkout, tmp_path):
    remote = fresh_checkout("two_gpus")
    run = cluster.start(remote, tmp_path / "output.txt", "--", CHECKPOINTS["classifier"], config={"gpus": 2})
    assert run.wait(900) == 0, (tmp_path / "output.txt").read_text()[-6000:]
    number = SUBMITTED.findall((tmp_path / "output.txt").read_text())[-1]
    asked = cluster.scontrol("show", "job", number)
    assert "NumNodes=1 " in asked and "gres:gpu:2" in asked and cluster.gpus()[number] == "0,1"
