"""The CRF refines the masks of images with a single class, and copies the others."""

import json
import sys

import numpy as np
from PIL import Image

import refine_masks
from helpers import image_rows
from tagseg.storage.index import ImageRecord, Index, write_index
from tagseg.storage.mask_shards import read_mask_shards, write_mask_shard

CRF = {"iterations": 10, "confidence": 0.7, "gaussian_sxy": 3, "gaussian_compat": 3}
CRF |= {"bilateral_sxy": 50, "bilateral_srgb": 5, "bilateral_compat": 10}


def test_masks_of_a_single_class_alone_are_refined(tmp_path, monkeypatch):
    paths = [row.path for row in image_rows(tmp_path / "images", 2)]
    for path in paths:
        Image.new("RGB", (12, 8), "grey").save(path)
    tags = (("cat",), ("cat", "dog"))
    rows = tuple(ImageRecord(str(n), paths[n], 12, 8, "train", tags[n]) for n in (0, 1))
    write_index(tmp_path / "index", Index(("background", "cat", "dog"), rows))
    dot = np.zeros((8, 12), np.uint8)
    dot[3, 3] = 1  # on a grey image: the CRF removes it
    write_mask_shard(tmp_path / "masks", [(row.id, dot) for row in rows])
    settings = {"crf": CRF, "reference_side": None, "longest_side": 1024}
    line = ["--index", tmp_path / "index", "--settings", json.dumps(settings), "--shard", 0, "--shards", 1]
    line += ["--masks", tmp_path / "masks", "--refined", tmp_path / "refined"]
    monkeypatch.setattr(sys, "argv", ["refine_masks.py", *map(str, line)])
    refine_masks.main()
    refined = read_mask_shards([tmp_path / "refined"])
    assert [int(refined[row.id].read()[3, 3]) for row in rows] == [0, 1]
