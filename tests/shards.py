"""Shards of small maps."""

import numpy as np

from tagseg.storage.cam_shards import write_cam
from tagseg.storage.feature_shards import View, write_maps

IDS = ("2007_000032", "deep/Größe 1", "木")


def random_maps():
    """Return maps float32 (3, 5, 4, 6), one per image of IDS."""
    return np.random.default_rng(1).normal(50, 20, size=(3, 5, 4, 6)).astype(np.float32)


def write_shard(path, maps):
    with write_maps(path, IDS) as writer:
        writer.write(View(8), 0, maps)


def write_cams(path):
    write_cam(path, [(name, 1, np.ones((4, 6), np.float32)) for name in IDS])
