"""Multi-scale prediction: scores and masks of the trained segmenter for images of any size."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tagseg.models.deeplab import DeepLabLargeFov
from tagseg.models.inputs import batches
from tagseg.models.settings import SegmenterSettings
from tagseg.models.views import forward_views
from tagseg.segmentation.decision import Scored, decide_all
from tagseg.segmentation.settings import InferenceSettings, SegmentStage
from tagseg.storage.checkpoints import load_network
from tagseg.storage.feature_shards import View, views
from tagseg.storage.images import shrink_image
from tagseg.storage.index import ImageRecord

BATCH = 16  # images per forward pass


def load_segmenter(path: Path, classes: tuple[str, ...]) -> DeepLabLargeFov:
    """Return the segmenter of a checkpoint, in evaluation mode.

    Raises TagsegError if the file is not a checkpoint of a segmenter of these classes.
    """
    model = load_network(path, "segmenter", classes, SegmenterSettings, DeepLabLargeFov)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def view_scores(
    model: nn.Module, images: Sequence[np.ndarray], settings: InferenceSettings, where: torch.device
) -> Iterator[tuple[View, Tensor]]:
    """Return an iterator over views and their scores float32 (N, classes, h, w), at the network's stride."""
    return forward_views(model, images, views(settings.sizes, settings.flip), settings.precision, where)


@dataclass(frozen=True)
class Prediction:
    """An image RGB uint8 (H, W, 3) and its predicted labels uint8 (H, W)."""

    image: np.ndarray
    mask: np.ndarray


def predict(
    model: nn.Module,
    rows: Sequence[ImageRecord],
    allowed: Sequence[tuple[int, ...]],
    stage: SegmentStage,
    where: torch.device,
    processes: int,
) -> Iterator[Prediction]:
    """Yield the predictions of images, in order and at their sizes.

    `allowed` gives the possible class indices per image. Scores and CRF are computed with a longer side of at
    most `stage.longest_side` pixels. After the forward pass of a batch, its CRFs run in `processes`
    processes; at the same time the two would compete for the cores.
    """
    for start, images in batches(rows, BATCH):
        small = [shrink_image(image, stage.longest_side) for image in images]
        grids = [scores.cpu().numpy() for _, scores in view_scores(model, small, stage.inference, where)]
        of_batch = enumerate(zip(images, small, allowed[start : start + len(images)], strict=True))
        scored = [
            Scored(shrunk, [grid[position][list(labels)] for grid in grids], labels, stage, image.shape[:2])
            for position, (image, shrunk, labels) in of_batch
        ]
        yield from map(Prediction, images, decide_all(scored, stage, processes))
