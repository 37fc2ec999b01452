"""The scripts that read ground truth: scores, and masks of the upper bound."""

import json

import numpy as np
import pytest

import copy_ground_truth
import score_masks
from helpers import image_rows, run_script
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import digest
from tagseg.storage.ground_truth import write_ground_truth
from tagseg.storage.images import write_mask
from tagseg.storage.index import Index, write_index
from tagseg.storage.mask_shards import read_mask_shards, write_mask_shard

CLASSES = ("background", "cat", "dog")
NAMES = "012"


def halves(label):
    mask = np.zeros((8, 12), np.uint8)
    mask[:, 6:] = label
    return mask


@pytest.fixture
def made(tmp_path):
    """A folder with an index, masks in two shards and ground truth: 0 is right, 1 is not, 2 has no truth."""
    rows = image_rows(tmp_path / "images", 3, tags=("cat",))
    write_index(tmp_path / "index", Index(CLASSES, tuple(rows)))
    for shard, names in enumerate((NAMES[::2], NAMES[1::2])):
        write_mask_shard(tmp_path / "masks" / str(shard), [(name, halves(1)) for name in names])
    for name, label in zip(NAMES, (1, 2), strict=False):
        write_mask(tmp_path / f"{name}.png", halves(label))
    write_ground_truth(tmp_path / "true", {name: str(tmp_path / f"{name}.png") for name in NAMES[:2]})
    return tmp_path


def call(script, folder, *arguments):
    run_script(script, "--index", folder / "index", "--ground-truth", folder / "true", *arguments)


def score(folder):
    masks = ["--masks", folder / "masks" / "0", folder / "masks" / "1"]
    call(score_masks, folder, "--split", "train", *masks, "--scores", folder / "scores.json")
    return json.loads((folder / "scores.json").read_text())


def test_masks_are_scored_against_ground_truth(made):
    scores = score(made)
    assert scores["images"] == 2 and scores["iou"] == {"background": 100, "cat": 50, "dog": 0}
    assert set(scores["provenance"]) == {"index", "ground_truth", "masks", "code"}
    assert scores["provenance"]["ground_truth"] == digest(made / "true" / "masks.csv")
    write_ground_truth(made / "true", {})
    assert score(made)["images"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "true" / "masks.csv").unlink(), r"masks\.csv: no such file"),
        (lambda folder: (folder / "1.png").unlink(), r"1\.png: no such image"),
        (lambda folder: write_mask(folder / "1.png", halves(1)[1:]), r"1\.png: .*\(7, 12\) .*Fix the mask"),
        (lambda folder: write_mask(folder / "1.png", halves(3)), r"1\.png: label 3, but"),
    ],
)
def test_unusable_ground_truth_is_named(made, change, message):
    change(made)
    with pytest.raises(TagsegError, match=message):
        score(made)
    assert not (made / "scores.json").exists()


def test_masks_of_the_upper_bound_are_copies_of_ground_truth(made):
    copied = []
    for shard in (0, 1):
        folder = made / "copied" / str(shard)
        call(copy_ground_truth, made, "--shard", shard, "--shards", 2, "--masks", folder)
        copied.append(read_mask_shards([folder]))
    assert [set(masks) for masks in copied] == [{"0"}, {"1"}]
    assert np.array_equal(copied[1]["1"].read(), halves(2))
