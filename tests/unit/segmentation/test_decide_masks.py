"""The scripts of a prediction: logits of a shard, the masks that they give; and proxy masks after the CRF."""

import numpy as np
import pytest
from PIL import Image

import compute_logits
import decide_masks
import refine_masks
from helpers import image_rows, run_script
from seeded_networks import CLASSES, save_small_segmenter
from tagseg.runtime.errors import TagsegError
from tagseg.storage.feature_shards import MapShard
from tagseg.storage.files import digest
from tagseg.storage.index import ImageRecord, Index, write_index
from tagseg.storage.mask_shards import mask_provenance, read_mask_shards, write_mask_shard

INFERENCE = {"sizes": [32, 48], "flip": True, "precision": "float32"}
LOGITS = {"inference": INFERENCE, "longest_side": 32, "deterministic": False}
MASKS = {"longest_side": 32, "restrict_to_tags": True, "crf": None}
CRF = {
    "gaussian_sxy": 3,
    "gaussian_compat": 3,
    "bilateral_sxy": 50,
    "bilateral_srgb": 5,
    "bilateral_compat": 10,
}


@pytest.fixture
def folder(tmp_path):
    rows = image_rows(tmp_path / "images", 5, 20, 14, tags=("dog",))
    write_index(tmp_path / "index", Index(CLASSES, tuple(rows)))
    save_small_segmenter(tmp_path / "network.pth")
    return tmp_path


def call(script, folder, settings, shard, *arguments):
    line = ["--index", folder / "index", "--settings", settings, "--shard", shard, "--shards", 2, "--split"]
    run_script(script, *line, "train", "--checkpoint", folder / "network.pth", "--threads", 1, *arguments)


def forward(folder, shard=0):
    call(compute_logits, folder, LOGITS, shard, "--logits", folder / f"logits-{shard}.h5")
    return folder / f"logits-{shard}.h5"


def decide(folder, logits, **changes):
    call(decide_masks, folder, MASKS | changes, 0, "--logits", logits, "--masks", folder / "masks")
    return {name: file.read() for name, file in read_mask_shards([folder / "masks"]).items()}


def test_logits_are_the_networks_scores_of_every_view(folder):
    logits = forward(folder)
    with MapShard(logits) as shard:
        assert shard.node == "head" and shard.ids == ("0", "2", "4")
        sides = {"32": 2, "32-mirrored": 2, "48": 3, "48-mirrored": 3}
        shapes = {view: maps.shape for view, maps in shard.maps(1).items()}
        assert shapes == {view: (3, side, side) for view, side in sides.items()}
        decide(folder, logits)
        assert shard.origin == mask_provenance(folder / "masks") == digest(folder / "network.pth")


def test_masks_have_the_size_and_the_tags_of_the_image_or_every_class(folder):
    logits = forward(folder)
    masks = [decide(folder, logits, crf=crf) for crf in (None, CRF | {"iterations": 2})]
    free = decide(folder, logits, restrict_to_tags=False)
    for made in masks:
        assert set(made) == {"0", "2", "4"}
        assert all(mask.shape == (14, 20) and set(np.unique(mask)) <= {0, 2} for mask in made.values())
    assert any((masks[0][name] != free[name]).any() for name in free)


def test_logits_of_another_shard_or_network_are_refused(folder):
    with pytest.raises(TagsegError, match=r"logits-1\.h5: logits of other images"):
        decide(folder, forward(folder, shard=1))
    logits = forward(folder)
    save_small_segmenter(folder / "network.pth", seed=1)
    with pytest.raises(TagsegError, match=r"logits-0\.h5: not from .*network\.pth\. Delete it"):
        decide(folder, logits)
    assert not (folder / "masks").exists()


def test_proxy_masks_of_a_single_class_alone_are_refined(tmp_path):
    rows = []
    for name, tags in (("0", ("cat",)), ("1", ("cat", "dog"))):
        Image.new("RGB", (12, 8), "grey").save(tmp_path / f"{name}.png")
        rows.append(ImageRecord(name, str(tmp_path / f"{name}.png"), 12, 8, "train", tags))
    write_index(tmp_path / "index", Index(CLASSES, tuple(rows)))
    dot = np.zeros((8, 12), np.uint8)
    dot[3, 3] = 1  # on a grey image: the CRF removes it
    write_mask_shard(tmp_path / "masks", [(row.id, dot) for row in rows])
    crf = CRF | {"iterations": 10, "confidence": 0.7}
    settings = {"crf": crf, "reference_side": None, "longest_side": 1024}
    line = ["--index", tmp_path / "index", "--settings", settings, "--shard", 0, "--shards", 1]
    run_script(refine_masks, *line, "--masks", tmp_path / "masks", "--refined", tmp_path / "refined")
    refined = read_mask_shards([tmp_path / "refined"])
    assert [int(refined[row.id].read()[3, 3]) for row in rows] == [0, 1]
