"""`snakemake verify` on the results of a whole run: it passes, tells damage, and what it says to do helps."""

import os
import shlex
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tagseg.files import digest
from tagseg.images import write_mask
from tagseg.map_shards import MapShard
from tagseg.mask_shards import mask_origin

LAYER = "blocks.5.1"
SHARD = f"proxy_masks/{LAYER}/shard-1"


@pytest.fixture(scope="module")
def copied(run, tmp_path_factory):
    """A copy of the whole run, results and Snakemake's records, that may be damaged."""
    made = type(run)(tmp_path_factory.mktemp("verified") / "repository")
    for name in ("results", ".snakemake"):
        shutil.copytree(run.folder / name, made.folder / name)
    return made


def said(done, start: str) -> list[str]:
    return [line.strip() for line in done.stdout.splitlines() if line.strip().startswith(start)]


def files_of(folder: Path) -> dict[Path, str]:
    """Return the digest of each file but logs."""
    return {path: digest(path) for path in folder.rglob("*") if path.is_file() and "logs" not in path.parts}


def test_a_whole_run_is_verified_every_time_and_not_changed(copied):
    before = files_of(copied.results)
    for _ in range(2):
        done = copied.snakemake("--", "verify")
        assert done.returncode == 0, done.stdout
        assert " outputs verified, 0 problems, 0 left over" in done.stdout
    assert files_of(copied.results) == before
    assert not copied.planned()


def test_origins_are_the_digests_of_the_networks(copied):
    with MapShard(copied.results / f"features/{LAYER}/shard-0.h5") as shard:
        assert shard.origin == digest(copied.results / "classifier/checkpoint.pth")
    network = f"{LAYER}/efficientnet_lite0/round2"
    origin = mask_origin(copied.results / f"predictions/{network}/val/shard-1")
    assert origin == digest(copied.results / f"segmenter/{network}/checkpoint.pth")


def test_what_was_damaged_is_told_and_made_again_by_the_commands_that_are_printed(copied):
    before = files_of(copied.results)
    masks = sorted((copied.results / SHARD).glob("*.png"))
    write_mask(masks[0], np.full((48, 64), 255, np.uint8))
    masks[1].unlink()
    features = copied.results / f"features/{LAYER}/shard-0.h5"
    os.truncate(features, features.stat().st_size // 2)
    done = copied.snakemake("--", "verify")
    assert done.returncode != 0
    wrong = "\n".join(said(done, "wrong: "))
    assert f"{masks[0].name}: altered since it was made" in wrong
    assert f"{masks[1].name}: gone since it was made; delete the folder results/mini/{SHARD}" in wrong
    assert f"features/{LAYER}/shard-0.h5: not a shard of feature maps" in wrong
    for command in (said(done, "rm -rf ")[0], said(done, "snakemake --cores all ")[0]):
        follow(copied, shlex.split(command))
    assert files_of(copied.results).keys() == before.keys()
    done = copied.snakemake("--", "verify")
    assert done.returncode == 0, done.stdout


def test_a_damaged_source_is_made_again_and_nothing_that_was_made_with_it(copied):
    classifier = copied.results / "classifier/checkpoint.pth"
    before = files_of(copied.results)
    content = torch.load(classifier, weights_only=True)
    content["model"]["head.weight"][0, 0] += 1
    torch.save(content, classifier)
    scores = copied.results / f"scores/proxy_masks/{LAYER}.json"
    scores.write_text(scores.read_text().replace('"miou": ', '"miou": 1'))
    done = copied.snakemake("--", "verify")
    assert done.returncode != 0
    assert len(said(done, "wrong: ")) == 2, done.stdout
    delete, make = said(done, "rm -rf ")[0], said(done, "snakemake --cores all ")[0]
    assert shlex.split(delete)[2:] == [
        f"results/mini/{path.relative_to(copied.results)}" for path in (classifier, scores)
    ]
    for command in (delete, make):
        follow(copied, shlex.split(command))
    done = copied.snakemake("--", "verify")
    assert done.returncode == 0, done.stdout
    after = files_of(copied.results)
    assert {path for path in before if before[path] != after[path]} <= {
        *classifier.parent.iterdir(),  # its log tells the time
        *(path for path in before if "benchmarks" in path.parts or "seals" in path.parts),
    }


def test_an_edited_score_is_refused_by_the_stage_that_reads_it(copied):
    scores = copied.results / f"scores/proxy_masks/{LAYER}.json"
    before = scores.read_bytes()
    scores.write_bytes(before.replace(b'"miou": ', b'"miou": 1'))
    done = copied.snakemake("--force", "--", "results/mini/tables/ablation.csv")
    scores.write_bytes(before)
    assert done.returncode != 0
    assert f"scores/proxy_masks/{LAYER}.json: altered since it was made; delete" in done.stdout


def follow(copied, command: list[str]) -> None:
    """Do what a command that was printed says."""
    if command[0] == "rm":
        for name in command[2:]:
            place = copied.folder / name
            shutil.rmtree(place) if place.is_dir() else place.unlink()
        return
    done = copied.snakemake("--", *command[3:])
    assert done.returncode == 0, done.stdout


def test_features_of_another_classifier_are_refused_by_the_stage_that_reads_them(copied):
    path = copied.results / "features/blocks.6/shard-1.h5"
    with h5py.File(path, "r+") as file:
        file.attrs.modify("origin", b"d" * 64)
    done = copied.snakemake("--force", "--", "results/mini/patterns/blocks.6")
    assert done.returncode != 0
    assert "shard-1.h5: of another classifier than results/mini/features/blocks.6/shard-0.h5" in done.stdout


def test_run_without_results_is_an_error(copied):
    done = copied.snakemake("--", "verify", config={"run": "none"})
    assert done.returncode != 0
    assert "results/none: no results of a run; name one with --config run=NAME" in done.stdout
