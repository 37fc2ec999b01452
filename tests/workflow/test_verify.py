"""`snakemake verify` on the results of a whole run: it passes, and lists damaged files with a remedy that works."""

import os
import shutil

import h5py
import numpy as np
import pytest

from tagseg.storage.feature_shards import MapShard
from tagseg.storage.files import digest
from tagseg.storage.images import write_mask
from tagseg.storage.mask_shards import mask_provenance

LAYER = "blocks.5.1"
SHARD = f"proxy_masks/{LAYER}/shard-1"


@pytest.fixture(scope="module")
def copied(run, tmp_path_factory):
    """A copy of the whole run, results and Snakemake's records, that may be damaged."""
    made = type(run)(tmp_path_factory.mktemp("verified") / "repository")
    for name in ("results", ".snakemake"):
        shutil.copytree(run.folder / name, made.folder / name)
    return made


def test_a_whole_run_passes_every_time_and_its_outputs_hold_the_digest_of_their_network(copied):
    for _ in range(2):
        assert " outputs verified, 0 problems" in copied.make("--", "verify")
    with MapShard(copied.results / f"features/{LAYER}/shard-0.h5") as shard:
        assert shard.origin == digest(copied.results / "classifier/checkpoint.pth")
    network = f"{LAYER}/efficientnet_lite0/round2"
    origin = mask_provenance(copied.results / f"predictions/{network}/val/shard-1")
    assert origin == digest(copied.results / f"segmenter/{network}/checkpoint.pth")


def test_damaged_files_are_listed_and_made_again_after_their_deletion(copied):
    masks = sorted((copied.results / SHARD).glob("*.png"))
    write_mask(masks[0], np.full((48, 64), 255, np.uint8))
    masks[1].unlink()
    features = copied.results / f"features/{LAYER}/shard-0.h5"
    os.truncate(features, features.stat().st_size // 2)
    done = copied.snakemake("--", "verify")
    assert done.returncode != 0 and " outputs verified, 3 problems" in done.stdout
    remedy = f"Delete the folder results/mini/{SHARD}"
    assert f"{masks[0].name}: changed since it was written. {remedy}" in done.stdout
    assert f"{masks[1].name}: missing. {remedy}" in done.stdout
    assert f"features/{LAYER}/shard-0.h5: not a file of tagseg, or damaged" in done.stdout
    shutil.rmtree(copied.results / SHARD)
    features.unlink()
    copied.make("--", f"results/mini/{SHARD}", f"results/mini/features/{LAYER}/shard-0.h5")
    copied.make("--", "verify")


def test_features_of_another_classifier_are_refused_by_the_stage_that_reads_them(copied):
    path = copied.results / "features/blocks.6/shard-1.h5"
    with h5py.File(path, "r+") as file:
        file.attrs.modify("origin", b"d" * 64)
    done = copied.snakemake("--force", "--", "results/mini/patterns/blocks.6")
    assert done.returncode != 0
    assert "shard-1.h5: from another classifier than results/mini/features/blocks.6/shard-0.h5" in done.stdout
