"""The results of a small run, made without any network."""

import json

import numpy as np
from torch import nn

from helpers import image_rows, write_zero_mask
from tagseg.storage.cam_shards import write_cam
from tagseg.storage.checkpoints import save_checkpoint
from tagseg.storage.feature_shards import View, write_maps
from tagseg.storage.ground_truth import write_ground_truth
from tagseg.storage.index import Index, write_index
from tagseg.storage.mask_shards import write_mask_shard

CLASSES = ("background", "cat", "dog")
NETWORK = "net/net/round1"
SHARDS = 2


def write_scores(path, iou, **changes):
    """Write a score file with the IoU per class; empty without images."""
    content = {"split": "val", "images": 1449, "coverage": 1.0, "pixel_accuracy": 50.0, "confusion": [[0]]}
    content |= changes
    known = [value for value in iou.values() if value is not None and content["images"]]
    miou = sum(known) / len(known) if known else 0.0
    iou = {name: None if value is None or not known else float(value) for name, value in iou.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"miou": miou, "miou_void_skipped": miou, "iou": iou} | content))
    return path


def write_maps_of(path, ids):
    with write_maps(path, ids, "blocks.6") as writer:
        writer.write(View(8), 0, np.ones((len(ids), 3, 2, 2)))


def write_masks_of(folder, ids):
    write_mask_shard(folder, [(name, np.zeros((8, 12), np.uint8)) for name in ids])


def write_results(tmp_path):
    train = image_rows(tmp_path / "photos" / "train", 4, tags=("dog",))
    val = image_rows(tmp_path / "photos" / "val", 6, tags=("cat",), split="val")[4:]
    results = tmp_path / "results" / "mini"
    write_index(results / "index", Index(CLASSES, (*train, *val)))
    for split, rows in (("train", train), ("val", val)):
        (results / "ground_truth" / split).mkdir(parents=True)
        truth = {row.id: str(write_zero_mask(tmp_path / f"{row.id}-true.png")) for row in rows}
        write_ground_truth(results / "ground_truth" / split, truth)
    for name in ("classifier", f"segmenter/{NETWORK}"):
        save_checkpoint(results / name / "checkpoint.pth", nn.Linear(16, 16), {"kind": "any"})
    for shard in range(SHARDS):
        ids = [row.id for row in train[shard::SHARDS]]
        write_maps_of(results / f"features/blocks.6/shard-{shard}.h5", ids)
        write_cam(results / f"cam/shard-{shard}.h5", [(name, 2, np.ones((2, 2))) for name in ids])
        for stage in ("seed_masks", "proxy_masks"):
            write_masks_of(results / f"{stage}/blocks.6/shard-{shard}", ids)
        ids = [row.id for row in val[shard::SHARDS]]
        write_maps_of(results / f"logits/{NETWORK}/val/shard-{shard}.h5", ids)
        write_masks_of(results / f"predictions/{NETWORK}/val/shard-{shard}", ids)
    return results
