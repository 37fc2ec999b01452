"""The scripts that read true masks: scores, and the masks of the upper bound."""

import json
import sys

import numpy as np
import pytest

import copy_true_masks
import score_masks
from helpers import photograph_rows
from tagseg.errors import TagsegError
from tagseg.files import digest
from tagseg.images import write_mask
from tagseg.index import Index, write_index
from tagseg.mask_shards import read_mask_shards, write_mask_shard
from tagseg.true_masks import write_true_masks

CLASSES = ("background", "cat", "dog")
NAMES = "012"


def halves(label):
    """Return a mask whose right half has a label."""
    mask = np.zeros((8, 12), np.uint8)
    mask[:, 6:] = label
    return mask


@pytest.fixture
def made(tmp_path):
    """A folder with an index, masks in two shards and true masks: 0 is right, 1 is not, 2 has no truth."""
    rows = photograph_rows(tmp_path / "photos", 3, tags=("cat",))
    write_index(tmp_path / "index", Index(CLASSES, tuple(rows)))
    for shard, names in enumerate((NAMES[::2], NAMES[1::2])):
        write_mask_shard(tmp_path / "masks" / str(shard), [(name, halves(1)) for name in names])
    for name, label in zip(NAMES, (1, 2), strict=False):
        write_mask(tmp_path / f"{name}.png", halves(label))
    write_true_masks(tmp_path / "true", {name: str(tmp_path / f"{name}.png") for name in NAMES[:2]})
    return tmp_path


def call(monkeypatch, script, folder, *arguments):
    inputs = ["--index", folder / "index", "--true-masks", folder / "true"]
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, [*inputs, *arguments])])
    script.main()


def score(monkeypatch, folder):
    masks = ["--masks", folder / "masks" / "0", folder / "masks" / "1"]
    call(monkeypatch, score_masks, folder, "--split", "train", *masks, "--scores", folder / "scores.json")
    return json.loads((folder / "scores.json").read_text())


def test_masks_are_scored_against_the_true_ones(made, monkeypatch):
    scores = score(monkeypatch, made)
    assert scores["photographs"] == 2
    assert scores["iou"] == {"background": 100, "cat": 50, "dog": 0}
    assert set(scores["provenance"]) == {"index", "true_masks", "masks", "code"}
    assert scores["provenance"]["true_masks"] == digest(made / "true" / "masks.csv")


def test_without_true_masks_nothing_is_scored(made, monkeypatch):
    write_true_masks(made / "true", {})
    assert score(monkeypatch, made)["photographs"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "true" / "masks.csv").unlink(), r"masks\.csv: no such file"),
        (lambda folder: (folder / "1.png").unlink(), r"1\.png: no such image"),
        (lambda folder: write_mask(folder / "1.png", halves(1)[1:]), r"1\.png: truth \(7, 12\) .*; mend the"),
        (lambda folder: write_mask(folder / "1.png", halves(3)), r"1\.png: label 3, where"),
    ],
)
def test_true_masks_that_are_no_good_are_named(made, monkeypatch, change, message):
    change(made)
    with pytest.raises(TagsegError, match=message):
        score(monkeypatch, made)
    assert not (made / "scores.json").exists()


def test_masks_of_the_upper_bound_are_the_true_ones_that_there_are(made, monkeypatch):
    copied = []
    for shard in (0, 1):
        folder = made / "copied" / str(shard)
        call(monkeypatch, copy_true_masks, made, "--shard", shard, "--shards", 2, "--masks", folder)
        copied.append(read_mask_shards([folder]))
    assert [set(masks) for masks in copied] == [{"0"}, {"1"}]
    assert np.array_equal(copied[1]["1"].read(), halves(2))
