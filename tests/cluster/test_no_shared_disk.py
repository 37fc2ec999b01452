"""The miniature where jobs share no disk: everything goes through a storage, here a folder in place of a bucket."""

import importlib.util
import json
import shutil
import subprocess

import pytest
import slurm

from helpers import write_image, write_labels
from result_trees import differences
from workflow.conftest import Checkout

PREDICTIONS = "results/mini/predictions/blocks.5.1/efficientnet_lite0/round1/val/shard-0"
COMPARED = ("subsets", "features", "cam", "patterns", "proxy_masks", "predictions")
SPLITS = ("train",) * 6 + ("val",) * 2
WITHOUT_STORAGE = not importlib.util.find_spec("snakemake_storage_plugin_fs") or not shutil.which("rsync")

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(WITHOUT_STORAGE, reason="not installed: snakemake-storage-plugin-fs, rsync"),
    pytest.mark.timeout(1800),
]


def storage(folder) -> list[str]:
    folder.mkdir()
    provider = ["--default-storage-provider", "fs", "--default-storage-prefix", str(folder)]
    return ["--shared-fs-usage", "none", *provider]


def test_results_are_those_of_a_shared_disk(fresh_checkout, tmp_path):
    apart, together = fresh_checkout("apart"), fresh_checkout("together")
    apart.make(*storage(tmp_path / "bucket"), "--", "all")
    assert {path.name for path in apart.results.iterdir()} == {"devkit"}
    together.make("--", "all")
    found = tmp_path / "bucket/results/mini"
    assert all(not differences(together.results / name, found / name) for name in COMPARED)
    for scores in together.results.glob("scores/**/*.json"):
        own = found / scores.relative_to(together.results)
        assert json.loads(own.read_text())["iou"] == json.loads(scores.read_text())["iou"]
    assert (found / "report/report.html").stat().st_size > 10000


@pytest.mark.skipif(slurm.missing() is not None, reason=str(slurm.missing()))
def test_jobs_of_a_cluster_need_no_folder_of_the_user(cluster, fresh_checkout, tmp_path):
    apart, photos = fresh_checkout("submitted"), tmp_path / "photos"
    make_repository(apart)
    for number in range(8):
        write_image(photos / f"{number}.jpg", seed=number)
    write_labels(photos, *(f"{number}.jpg,{('dog', 'cat')[number % 2]},{SPLITS[number]}" for number in range(8)))
    config = {"dataset": {"kind": "photos"}, "photos": str(photos)}
    run = cluster.start(apart, tmp_path / "output.txt", *storage(tmp_path / "bucket"), "--", PREDICTIONS, config=config)
    slurm.wait_for(lambda: (tmp_path / "bucket/results/mini/index/index.csv").is_file(), run)
    photos.rename(tmp_path / "gone")
    assert run.wait(1500) == 0, (tmp_path / "output.txt").read_text()[-6000:]
    assert list((tmp_path / "bucket" / PREDICTIONS).glob("**/*.png"))


def test_a_file_that_jobs_would_not_see_ends_the_run_before_anything_runs(fresh_checkout, tmp_path):
    apart = fresh_checkout("weights")
    network = {"classifier": {"network": {"weights": str(tmp_path / "own.pth")}}}
    done = apart.snakemake(*storage(tmp_path / "bucket"), "--", "all", config=network)
    assert done.returncode and "classifier.network.weights" in done.stdout and "do not see this file" in done.stdout
    assert not apart.results.exists()


def make_repository(checkout: Checkout) -> None:
    """Make a git repository: Snakemake sends the files that git knows to jobs elsewhere."""
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "copy"]):
        subprocess.run(["git", *command], cwd=checkout.folder, check=True)
