"""A run that was killed at any moment ends like an undisturbed one; two runs at once do not collide."""

import json
import os
import random
import re
import signal
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from result_trees import LAYER, NETWORK, ONE_ROUND, SCORES, differences, files_of

pytestmark = pytest.mark.slow

MASKS = f"results/mini/proxy_masks/{LAYER}/shard-1"
CLASSIFIER = ("--forcerun", "train_classifier", "--", "results/mini/classifier/checkpoint.pth")
SEGMENTER = f"results/mini/segmenter/{NETWORK}"
KILLS = Counter(
    train_classifier=2, extract_features=1, compute_cam=1, find_patterns=1, refine_masks=2, train_segmenter=2,
    compute_logits=1,
)  # fmt: skip
EPOCHS, PATIENCE = 5, 600  # PATIENCE in seconds


class Attempt:
    """A run of Snakemake in its own process group, which can be watched and killed."""

    def __init__(self, checkout, *arguments, **options) -> None:
        self.output = checkout.folder.with_name("output.txt")
        self.process = checkout.start(*arguments, output=self.output, **options)

    def jobs(self) -> dict[psutil.Process, str]:
        try:
            family = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return {}
        return {process: name for process in family if (name := script_of(process))}

    def wait_for(self, rules) -> str | None:
        """Return the first of the rules that runs; None if the run ended before."""
        while self.process.poll() is None:
            for rule in self.jobs().values():
                if rule in rules:
                    return rule
            time.sleep(0.02)
        return None

    def kill(self) -> None:
        """Kill Snakemake and all its jobs at once."""
        jobs = self.jobs()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while not all(map(has_ended, jobs)):
            time.sleep(0.02)

    def kill_jobs(self) -> None:
        for process in self.jobs():
            process.kill()
        self.process.wait(PATIENCE)

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")[-8000:]


def has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def script_of(process: psutil.Process) -> str | None:
    try:
        scripts = [Path(word) for word in process.cmdline()[1:2]]
    except psutil.Error:
        return None
    return next((path.stem for path in scripts if path.parent.name == "workflow_scripts"), None)


@contextmanager
def attempt(checkout, *arguments, **options):
    made = Attempt(checkout, *arguments, **options)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.kill()


def resume(checkout, *arguments, **options) -> None:
    """Do what the documentation says after a crash: unlock, and the same command again."""
    checkout.snakemake("--unlock")
    checkout.make(*arguments, **options)


@pytest.fixture(scope="module")
def killed(fresh_checkout):
    """A checkout that made the first round with KILLS at random moments of jobs; the rules that were killed."""
    made, moments, left, hit = fresh_checkout("killed"), random.Random(1), Counter(KILLS), []
    target = f"results/mini/{SCORES}"
    while +left:
        made.snakemake("--unlock")
        with attempt(made, "--", target) as current:
            rule = current.wait_for(+left)
            if rule is None:
                break
            time.sleep(moments.uniform(0, 5))
            left[rule] -= 1
            hit.append(rule)
            current.kill()
    resume(made, "--", target)
    return made, hit


def test_a_killed_run_ends_like_an_undisturbed_one(run, killed):
    checkout, hit = killed
    assert len(hit) >= 8 and len(set(hit)) >= 4, hit
    assert len(files_of(checkout.results, ONE_ROUND)) > 50
    assert not differences(run.results, checkout.results, ONE_ROUND), hit


def training_log(checkout) -> str:
    path = checkout.results / "logs" / "train_segmenter" / f"{NETWORK}.log"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def test_a_killed_training_resumes_after_the_last_whole_epoch(killed, tmp_path):
    checkout, _ = killed
    target = ("--", f"{SEGMENTER}/checkpoint.pth")
    options = {"config": {"segmenter": {"training": {"epochs": EPOCHS}}}}
    with attempt(checkout, *target, **options) as current:
        assert current.wait_for({"train_segmenter"})
        while current.process.poll() is None and "epoch 2: loss" not in training_log(checkout):
            time.sleep(0.005)
        current.kill()
    folder = checkout.folder / SEGMENTER
    assert not (folder / "checkpoint.pth").exists()
    saved = len(re.findall(r"epoch \d+: loss", training_log(checkout)))
    resume(checkout, *target, **options)
    resumed = re.search(r"resumed after epoch (\d+)", training_log(checkout), re.I)
    assert resumed and saved <= int(resumed[1]) < EPOCHS, training_log(checkout)
    interrupted = folder.rename(tmp_path / "interrupted")
    resume(checkout, *target, **options)
    assert len(json.loads((folder / "training.json").read_text())["epochs"]) == EPOCHS
    assert not differences(folder, interrupted)


def test_a_killed_job_fails_the_run_and_leaves_nothing_partial(run, killed):
    checkout, _ = killed
    with attempt(checkout, "--forcerun", "refine_masks", "--", MASKS) as current:
        assert current.wait_for({"refine_masks"})
        current.kill_jobs()
        assert current.process.returncode != 0 and "refine_masks" in current.text()
    assert not (checkout.folder / MASKS).exists()
    checkout.make("--", MASKS)  # Snakemake ended by itself: nothing is locked
    assert not differences(run.results, checkout.results, [f"proxy_masks/{LAYER}/shard-1"])


def test_a_killed_training_is_retried(run, killed):
    checkout, _ = killed
    with attempt(checkout, *CLASSIFIER) as current:
        assert current.wait_for({"train_classifier"})
        current.kill_jobs()
        assert current.process.returncode == 0 and "Trying to restart job" in current.text()
    assert not differences(run.results, checkout.results, ["classifier"])


def test_a_second_run_in_the_same_folder_is_refused(killed):
    checkout, _ = killed
    with attempt(checkout, *CLASSIFIER) as first:
        assert first.wait_for({"train_classifier"})
        os.killpg(first.process.pid, signal.SIGSTOP)
        second = checkout.snakemake(*CLASSIFIER)
        os.killpg(first.process.pid, signal.SIGCONT)
        assert second.returncode != 0
        assert "LockException" in second.stdout and "--unlock" in second.stdout, second.stdout
        assert first.process.wait(PATIENCE) == 0, first.text()
