"""The two scripts of a prediction: logits of a shard, and the masks that they give."""

import json
import sys

import numpy as np
import pytest
import torch

import compute_logits
import decide_masks
from helpers import image_rows
from tagseg.models.deeplab import DeepLabLargeFov
from tagseg.models.settings import SegmenterSettings
from tagseg.runtime.errors import TagsegError
from tagseg.storage.checkpoints import describe, save_checkpoint
from tagseg.storage.feature_shards import MapShard
from tagseg.storage.files import digest
from tagseg.storage.index import Index, write_index
from tagseg.storage.mask_shards import mask_provenance, read_mask_shards

CLASSES = ("background", "cat", "dog")
NETWORK = SegmenterSettings(backbone="timm:resnet10t", weights=None, output_stride=16, head_channels=8, head_dilation=2)
LOGITS = {
    "inference": {"sizes": [32, 48], "flip": True, "precision": "float32"},
    "longest_side": 32,
    "deterministic": False,
}
MASKS = {"longest_side": 32, "restrict_to_tags": True, "crf": None}
CRF = {
    "iterations": 2,
    "gaussian_sxy": 3,
    "gaussian_compat": 3,
    "bilateral_sxy": 50,
    "bilateral_srgb": 5,
    "bilateral_compat": 10,
}


@pytest.fixture
def folder(tmp_path):
    """A folder with an index of five images of two classes, and an untrained network."""
    rows = image_rows(tmp_path / "images", 5, 20, 14, tags=("dog",))
    write_index(tmp_path / "index", Index(CLASSES, tuple(rows)))
    save_network(tmp_path)
    return tmp_path


def save_network(folder, seed=0):
    torch.manual_seed(seed)
    description = describe("segmenter", CLASSES, NETWORK)
    save_checkpoint(folder / "network.pth", DeepLabLargeFov(NETWORK, 3), description)


def call(monkeypatch, script, folder, settings, *arguments, shard=0):
    line = ["--index", folder / "index", "--settings", json.dumps(settings), "--shard", shard, "--shards", 2]
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, [*line, "--split", "train", *arguments])])
    script.main()


def forward(monkeypatch, folder, shard=0, threads=1):
    path = folder / f"logits-{shard}-{threads}.h5"
    more = ("--checkpoint", folder / "network.pth", "--logits", path, "--threads", threads)
    call(monkeypatch, compute_logits, folder, LOGITS, *more, shard=shard)
    return path


def decide(monkeypatch, folder, logits, shard=0, threads=1, **changes):
    more = ("--checkpoint", folder / "network.pth", "--logits", logits)
    more += ("--masks", folder / "masks", "--threads", threads)
    call(monkeypatch, decide_masks, folder, MASKS | changes, *more, shard=shard)
    return read_mask_shards([folder / "masks"])


def test_logits_are_the_networks_scores_of_every_view(folder, monkeypatch):
    with MapShard(forward(monkeypatch, folder)) as shard:
        assert shard.node == "head" and shard.ids == ("0", "2", "4")
        assert {view: maps.shape for view, maps in shard.maps(1).items()} == {
            name: (3, side, side) for name, side in (("32", 2), ("32-mirrored", 2), ("48", 3), ("48-mirrored", 3))
        }


@pytest.mark.parametrize("crf", [None, CRF])
def test_masks_have_the_size_and_the_tags_of_the_image(folder, monkeypatch, crf):
    masks = decide(monkeypatch, folder, forward(monkeypatch, folder), threads=2, crf=crf)
    assert set(masks) == {"0", "2", "4"}
    for file in masks.values():
        assert file.read().shape == (14, 20) and set(np.unique(file.read())) <= {0, 2}


def test_without_restriction_every_class_is_possible(folder, monkeypatch):
    logits = forward(monkeypatch, folder)
    masks = [
        {name: file.read() for name, file in decide(monkeypatch, folder, logits, restrict_to_tags=one).items()}
        for one in (True, False)
    ]
    assert any((masks[0][name] != masks[1][name]).any() for name in masks[0])


def test_logits_of_another_shard_are_refused(folder, monkeypatch):
    logits = forward(monkeypatch, folder, shard=1)
    with pytest.raises(TagsegError, match=r"logits-1-1\.h5: its image ids differ from the index"):
        decide(monkeypatch, folder, logits)
    assert not (folder / "masks").exists()


def test_logits_and_masks_name_their_network(folder, monkeypatch):
    logits = forward(monkeypatch, folder)
    decide(monkeypatch, folder, logits)
    with MapShard(logits) as shard:
        assert shard.origin == mask_provenance(folder / "masks") == digest(folder / "network.pth")


def test_logits_of_another_network_are_refused(folder, monkeypatch):
    logits = forward(monkeypatch, folder)
    save_network(folder, seed=1)
    with pytest.raises(TagsegError, match=r"logits-0-1\.h5: not computed with .*network\.pth\. Delete it"):
        decide(monkeypatch, folder, logits)
    assert not (folder / "masks").exists()
