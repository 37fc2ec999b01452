"""COCO in its genuine form through the whole workflow."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from devkit_runs import Run, dataset_of
from mini_coco import CATEGORIES, edit, write_mini_coco
from tagseg.storage.ground_truth import read_ground_truth
from tagseg.storage.images import VOID, read_mask

pytestmark = pytest.mark.slow

LAYER, NETWORK = "blocks.5.1", "blocks.5.1/efficientnet_lite0"
TARGETS = ("all", "ablation", "upper_bound")


@pytest.fixture(scope="module")
def coco_root(tmp_path_factory) -> Path:
    """Polygons, run lengths of both forms, and crowds, in train of a class that the image has not otherwise."""
    root = write_mini_coco(tmp_path_factory.mktemp("coco"), train=9, val=5)
    edit(root, "train", set_other_class_of_crowds)
    return root


def set_other_class_of_crowds(content: dict) -> None:
    for one in content["annotations"]:
        if one["iscrowd"]:
            own = {x["category_id"] for x in content["annotations"] if x["image_id"] == one["image_id"]}
            one["category_id"] = min(CATEGORIES.keys() - own)


@pytest.fixture(scope="module")
def coco(checkout, coco_root) -> Run:
    changes = {"root": str(coco_root), "counts_known": False, "ground_truth": ["train", "val"]}
    dataset = dataset_of(checkout, "coco2017", **changes)
    config = {"shards": 1, "ablation": {"layers": [LAYER]}, "segmenter": {"rounds": 1}}
    made = Run(checkout, "coco", dataset=dataset, **config)
    made.snakemake(*TARGETS)
    return made


def annotations(root: Path, split: str) -> list[dict]:
    return json.loads((root / "annotations" / f"instances_{split}2017.json").read_text())["annotations"]


def tags_of(root: Path, split: str) -> dict[str, tuple[str, ...]]:
    own: dict[str, set[int]] = {}
    for one in annotations(root, split):
        own.setdefault(f"{one['image_id']:012}", set()).add(one["category_id"])
    return {name: tuple(CATEGORIES[one] for one in sorted(ids)) for name, ids in own.items()}


def crowds(root: Path, split: str) -> dict[str, np.ndarray]:
    regions = {}
    for one in annotations(root, split):
        if one["iscrowd"]:
            (height, width), counts = one["segmentation"]["size"], one["segmentation"]["counts"]
            runs = np.repeat(np.arange(len(counts)) % 2, counts)
            regions[f"{one['image_id']:012}"] = runs.reshape(width, height).T.astype(bool)
    return regions


def test_tags_are_the_categories_crowd_included(coco, coco_root):
    index = coco.index()
    assert index.classes == ("background", "traffic light", "dog", "bottle")  # by ids: 2, 7, 44
    for split in ("train", "val"):
        tagged = {row.id: row.tags for row in index.of_split(split) if row.tags}
        assert tagged == tags_of(coco_root, split)
    assert all(row.tags for row in index.of_split("train"))


@pytest.mark.parametrize("split", ["train", "val"])
def test_crowd_without_an_instance_is_void_in_the_ground_truth(coco, coco_root, split):
    truth, regions = read_ground_truth(coco.results / "ground_truth" / split), crowds(coco_root, split)
    assert regions and set(truth) == {row.id for row in coco.index().of_split(split)}
    for name, path in truth.items():
        labels = read_mask(path, 4)
        region = regions.get(name, np.zeros(labels.shape, bool))
        assert (labels[region] > 0).all() and not (labels[~region] == VOID).any()
        assert (labels == VOID).any() == (name in regions)


def test_scores_are_over_all_pixels_but_the_crowd_and_predictions_have_the_sizes_of_the_images(coco):
    for name, split in {f"proxy_masks/{LAYER}": "train", f"val/{NETWORK}/round1": "val"}.items():
        truth, scores = read_ground_truth(coco.results / "ground_truth" / split), coco.scores(name)
        assert scores["split"] == split and scores["images"] == len(truth)
        assert np.sum(scores["confusion"]) == sum((read_mask(path) != VOID).sum() for path in truth.values())
    masks = coco.masks(f"predictions/{NETWORK}/round1/val", shards=1)
    sizes = {row.id: (row.height, row.width) for row in coco.index().of_split("val")}
    assert {name: file.read().shape for name, file in masks.items()} == sizes
    rows = coco.table("tables/upper_bound.csv")
    assert [row["class"] for row in rows] == ["background", "traffic light", "dog", "bottle", "mean"]
    assert coco.planned(*TARGETS) == Counter()
