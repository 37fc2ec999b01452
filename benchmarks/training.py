"""Training from images on disk against the same steps on batches that lie in memory."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from common import Row
from crf import write_images
from networks import Bench, masked, tagged, trained

from tagseg.models.classifier import Classifier
from tagseg.models.deeplab import DeepLabLargeFov
from tagseg.models.settings import ClassifierSettings, SegmenterSettings
from tagseg.runtime.devices import device, prepare
from tagseg.training.losses import MaskLoss, TagLoss

CLASSES = ("background", "dog")


def rows() -> Iterator[Row]:
    """Yield seconds per image of a step of both trainings, with the sizes of config/photos.yaml."""
    prepare(len(os.sched_getaffinity(0)), deterministic=True)
    with tempfile.TemporaryDirectory() as folder, device() as where:
        records = write_images(Path(folder))
        for size, batch, stage in ((288, 16, "classifier"), (256, 8, "segmenter")):
            bench = Bench(records, CLASSES, size, batch, "float32", torch.get_num_threads(), where)
            per_image, share = of_stage(bench, stage)
            what = f"training the {stage}, EfficientNet-Lite2, {size} pixels, from disk"
            yield Row(what, per_image, "the same steps from memory", per_image * share, "s per image")


def of_stage(bench: Bench, stage: str) -> tuple[float, float]:
    """Return seconds per image from disk, and the fraction of them that the steps take from memory."""
    network = {"backbone": "efficientnet_lite2", "weights": None, "output_stride": 16}
    if stage == "classifier":
        rate, share = trained(bench, Classifier(ClassifierSettings(**network), len(CLASSES)), tagged(bench), TagLoss())
    else:
        settings = SegmenterSettings(**network, head_channels=512, head_dilation=4)
        rate, share = trained(bench, DeepLabLargeFov(settings, 2), masked(bench), MaskLoss())
    return 1 / rate, share
