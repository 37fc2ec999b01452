"""A run that was killed, at whatever moment, ends as one that was not; two runs at once do not meet."""

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
from tagseg.files import digest

MASKS = f"results/mini/proxy_masks/{LAYER}/shard-1"
SCORES_FILE = f"results/mini/{SCORES}"
CLASSIFIER = ("--forcerun", "train_classifier", "--", "results/mini/classifier/checkpoint.pth")
CHECKPOINT = f"results/mini/segmenter/{NETWORK}/checkpoint.pth"
SHORT = Counter(train_classifier=1, extract_features=1, refine_masks=1, train_segmenter=1)
START = "no job"
PATIENCE = 600  # seconds


class Attempt:
    """A run of Snakemake in a process group of its own, which can be watched and killed."""

    def __init__(self, checkout, *arguments, **options) -> None:
        self.said = checkout.folder.with_name("said.txt")
        self.process = checkout.start(*arguments, said=self.said, **options)

    def descendants(self) -> list[psutil.Process]:
        """Return all processes that Snakemake started, directly or not, and that are alive."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def jobs(self) -> list[psutil.Process]:
        """Return the processes of jobs: those that run one of our scripts."""
        return [process for process in self.descendants() if script_of(process)]

    def wait_for(self, rules) -> str | None:
        """Return which of the rules has a job at work, as soon as one has; None if the run ended before."""
        until = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            found = START if START in rules else next(filter(rules.__contains__, self.rules()), None)
            if found:
                return found
            assert time.monotonic() < until, self.text()
            time.sleep(0.02)
        return None

    def work_on(self, rule: str, seconds: float) -> None:
        """Wait for `seconds`, or until no job of the rule is at work: a machine may be faster than before."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and (rule == START or rule in self.rules()):
            time.sleep(0.1)

    def rules(self) -> list[str]:
        """Return the rules that are at work, by the names of their scripts."""
        return [name for name in map(script_of, self.descendants()) if name]

    def kill(self) -> list[str]:
        """Kill Snakemake and all its jobs at once; return which were at work."""
        rules, family = self.rules(), self.descendants()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while not all(map(is_gone, family)):
            time.sleep(0.02)
        return rules

    def ended(self) -> int:
        """Wait for the end; return the exit status."""
        return self.process.wait(PATIENCE)

    def text(self) -> str:
        return self.said.read_text(encoding="utf-8")[-8000:]


def script_of(process: psutil.Process) -> str | None:
    """Return the name of our script that a process runs, if it runs one."""
    try:
        scripts = [Path(word) for word in process.cmdline()[1:2]]
    except psutil.Error:
        return None
    return next((path.stem for path in scripts if path.parent.name == "workflow_scripts"), None)


def is_gone(process: psutil.Process) -> bool:
    """Say whether a process has ended; one that nobody waited for counts as gone."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def attempt(checkout, *arguments, **options):
    """Start a run; whatever happens in the block, none of its processes outlives it."""
    made = Attempt(checkout, *arguments, **options)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.kill()


def go_on(checkout, *arguments, **options) -> None:
    """Do what the README says after a crash: unlock, and the same command again."""
    unlock(checkout)
    done = checkout.snakemake(*arguments, **options)
    assert done.returncode == 0, done.stdout[-8000:]


def unlock(checkout) -> None:
    done = checkout.snakemake("--unlock")
    assert done.returncode == 0, done.stdout


def run_with_kills(checkout, targets, often: Counter[str], seconds, seed: int) -> list[list[str]]:
    """Run to the end, killed while a rule's jobs are at work, as often as `often` says of the rule.

    That is at random moments of the duration that `seconds` gives; but of several kills the first comes as
    soon as a job is seen, so that the shortest are met. Returns for each kill the rules that were at work.
    """
    moments, wanted, kills = random.Random(seed), Counter(often), []
    while +wanted:
        unlock(checkout)
        with attempt(checkout, "--", *targets) as run:
            rule = run.wait_for(set(+wanted))
            if rule is None:
                assert run.ended() == 0, run.text()
                break
            at_once = wanted[rule] == often[rule] > 1
            wanted[rule] -= 1
            run.work_on(rule, 0 if at_once else moments.uniform(0, seconds(rule)))
            if run.process.poll() is None:
                kills.append(run.kill())
    go_on(checkout, "--", *targets)
    return kills


def hit(kills: list[list[str]]) -> set[str]:
    """Return the rules that were at work when the run was killed."""
    return {rule for rules in kills for rule in rules}


@pytest.fixture(scope="module")
def killed(run, fresh_checkout):
    """A checkout in which the first round was made with four kills, and who was at work then."""
    made = fresh_checkout("killed")
    kills = run_with_kills(made, [SCORES_FILE], SHORT, run.seconds, seed=1)
    return made, kills


def test_kills_met_different_stages(killed):
    _, kills = killed
    assert len(kills) == SHORT.total()
    assert len(hit(kills)) >= 3, kills


def test_a_killed_run_ends_like_one_that_was_not(run, killed):
    made, kills = killed
    assert len(files_of(made.results, ONE_ROUND)) > 50
    assert not differences(run.results, made.results, ONE_ROUND), kills


@pytest.mark.slow
def test_forty_kills_across_all_stages_change_nothing(run, fresh_checkout):
    wanted = Counter({rule: min(count, 3) for rule, count in run.first_plan.items()})
    wanted += Counter({START: 4, "train_segmenter": 2, "score_masks": wanted.pop("score_predictions")})
    # Several of the miniature's stages take but a fifth of a second: not each of them is met.
    check_many_kills(run, fresh_checkout("killed_often"), wanted, seed=2, share_met=0.7)


@pytest.mark.slow
def test_forty_kills_of_the_embedded_default_change_nothing(demo, fresh_checkout):
    wanted = Counter(dict.fromkeys(demo.first_plan, 4))
    wanted += Counter({START: 2, "train_segmenter": 3, "score_masks": wanted.pop("score_predictions")})
    check_many_kills(demo, fresh_checkout("demo_killed", type(demo)), wanted, seed=3, share_met=0.9)


def check_many_kills(undisturbed, made, wanted: Counter[str], seed: int, share_met: float) -> None:
    """Run all targets in `made`, killed as often as `wanted` says, and compare with a run that was not.

    `share_met` of the rules wanted have to be at work when a kill comes.
    """
    kills = run_with_kills(made, undisturbed.targets, wanted, undisturbed.seconds, seed)
    met = Counter(rule for rules in kills for rule in rules)
    print(f"{len(kills)} kills; at work were {dict(met)}")
    assert len(kills) >= 40
    assert len(met) >= share_met * len(wanted.keys() - {START}), met
    assert not differences(undisturbed.results, made.results), kills


EPOCHS = 5


@pytest.fixture(scope="module")
def longer(killed):
    """Options and target of a training of several epochs, in the checkout with the proxy masks."""
    made, _ = killed
    return made, ("--", CHECKPOINT), {"config": {"segmenter": {"training": {"epochs": EPOCHS}}}}


def training_log(checkout) -> str:
    path = checkout.results / "logs" / "train_segmenter" / f"{NETWORK}.log"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def test_a_killed_training_resumes_after_the_last_whole_epoch(longer, tmp_path):
    checkout, target, options = longer
    saved = killed_after_an_epoch(checkout, target, options)
    go_on(checkout, *target, **options)
    resumed = re.search(r"resumed after epoch (\d+)", training_log(checkout))
    assert resumed and saved <= int(resumed[1]) < EPOCHS, training_log(checkout)
    place = (checkout.folder / CHECKPOINT).parent
    interrupted = place.rename(tmp_path / "interrupted")
    go_on(checkout, *target, **options)
    assert "resumed" not in training_log(checkout)
    assert len(json.loads((place / "training.json").read_text())["epochs"]) == EPOCHS
    assert not differences(place, interrupted)


def killed_after_an_epoch(checkout, target, options) -> int:
    """Kill a training as soon as its log tells of a second epoch; return how many it told of."""
    unlock(checkout)
    with attempt(checkout, *target, **options) as run:
        assert run.wait_for({"train_segmenter"})
        while run.process.poll() is None and "epoch 2: loss" not in training_log(checkout):
            time.sleep(0.005)
        assert run.kill() == ["train_segmenter"]
    told = re.findall(r"^epoch (\d+): loss", training_log(checkout), re.M)
    assert not (checkout.folder / CHECKPOINT).exists()
    return int(told[-1])


def test_a_job_that_was_killed_fails_the_run_and_leaves_nothing_partial(run, killed):
    checkout, _ = killed
    target = ("--forcerun", "refine_masks", "--", MASKS)
    with attempt(checkout, *target) as made:
        assert made.wait_for({"refine_masks"})
        for process in made.jobs():
            process.kill()
        assert made.ended() != 0
        assert "refine_masks" in made.text()
    assert not (checkout.folder / MASKS).exists()
    done = checkout.snakemake("--", MASKS)  # Snakemake ended by itself: nothing is locked
    assert done.returncode == 0, done.stdout
    assert not differences(run.results, checkout.results, [f"proxy_masks/{LAYER}/shard-1"])


def test_a_training_that_was_killed_alone_is_tried_again(run, killed):
    checkout, _ = killed
    with attempt(checkout, *CLASSIFIER) as made:
        assert made.wait_for({"train_classifier"})
        for process in made.jobs():
            process.kill()
        assert made.ended() == 0, made.text()
        assert "Trying to restart job" in made.text()
    assert not differences(run.results, checkout.results, ["classifier"])


def test_a_second_run_in_the_same_folder_is_refused_and_changes_nothing(killed):
    checkout, _ = killed
    with attempt(checkout, *CLASSIFIER) as first:
        assert first.wait_for({"train_classifier"})
        with standing_still(first.process.pid):
            before = content(checkout)
            second = checkout.snakemake(*CLASSIFIER)
            assert second.returncode != 0
            assert "LockException" in second.stdout and "--unlock" in second.stdout, second.stdout
            assert content(checkout) == before
        assert first.ended() == 0, first.text()


@contextmanager
def standing_still(group: int):
    """Stop all processes of a group for the time of a block."""
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


def content(checkout) -> dict[str, str]:
    """Return the digests of all results, logs and temporary files too, and of Snakemake's notes on them."""
    notes = (path for name in ("metadata", "incomplete", "locks") for path in notes_of(checkout, name))
    files = [path for path in (*checkout.results.rglob("*"), *notes) if path.is_file()]
    return {str(path): digest(path) for path in files}


def notes_of(checkout, name: str):
    return (checkout.folder / ".snakemake" / name).rglob("*")
