"""Multi-scale prediction: scores and masks of the trained segmenter for images of any size."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.models.deeplab import DeepLabLargeFov
from tagseg.models.inputs import batches
from tagseg.models.settings import SegmenterSettings
from tagseg.models.views import forward_views
from tagseg.runtime.pools import in_processes
from tagseg.segmentation.crf import refine_probabilities
from tagseg.segmentation.settings import CrfStage, InferenceSettings, SegmentStage
from tagseg.storage.checkpoints import load_network
from tagseg.storage.feature_shards import MapShard, View, views
from tagseg.storage.images import largest_map, shrink_image
from tagseg.storage.index import ImageRecord

BATCH = 16  # images per forward pass


def load_segmenter(path: Path, classes: tuple[str, ...]) -> DeepLabLargeFov:
    """Return the segmenter of a checkpoint, in evaluation mode.

    Raises TagsegError if the file is not a checkpoint of a segmenter of these classes.
    """
    model = load_network(path, "segmenter", classes, SegmenterSettings, DeepLabLargeFov)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def multi_scale_scores(
    model: nn.Module, images: Sequence[np.ndarray], settings: InferenceSettings, where: torch.device
) -> Iterator[Tensor]:
    """Yield the scores float32 (classes, H, W), before the softmax, of images uint8 (H, W, 3).

    They are the mean over all views of the scores, enlarged bilinearly to the image.
    """
    grids = [scores for _, scores in view_scores(model, images, settings, where)]
    for position, image in enumerate(images):  # enlarged one by one, they are large
        yield mean_enlarged([scores[position] for scores in grids], image.shape[:2])


def view_scores(
    model: nn.Module, images: Sequence[np.ndarray], settings: InferenceSettings, where: torch.device
) -> Iterator[tuple[View, Tensor]]:
    """Return an iterator over views and their scores float32 (N, classes, h, w), at the network's stride."""
    return forward_views(model, images, views(settings.sizes, settings.flip), settings.precision, where)


def mean_enlarged(grids: Sequence[Tensor], size: tuple[int, ...]) -> Tensor:
    """Return the mean of the scores (classes, h, w) of several views, enlarged bilinearly to (H, W)."""
    enlarged = (F.interpolate(scores[None], size=size, mode="bilinear", align_corners=False)[0] for scores in grids)
    total = next(enlarged)
    for scores in enlarged:
        total += scores
    return total / len(grids)


def probabilities(scores: Tensor, allowed: Sequence[int] | None = None) -> np.ndarray:
    """Return the softmax float32 (len(allowed), H, W) over the `allowed` class indices (None: all)."""
    chosen = scores if allowed is None else scores[torch.as_tensor(allowed, device=scores.device)]
    return chosen.softmax(dim=0).cpu().numpy()


@dataclass(frozen=True)
class Scored:
    """An image uint8 (h, w, 3) with softmax probabilities (L, h, w) of the class indices `labels`.

    `size` is the (height, width) of its mask, at least (h, w).
    """

    image: np.ndarray
    probabilities: np.ndarray
    labels: tuple[int, ...]
    stage: CrfStage
    size: tuple[int, ...]

    def decide(self) -> np.ndarray:
        """Return the most probable label per pixel, uint8 `size`, after the CRF if there is one."""
        marginals, stage = self.probabilities, self.stage
        if stage.crf is not None and len(self.labels) > 1:
            marginals = refine_probabilities(self.image, marginals, stage.crf, stage.reference_side)
        height, width = self.size
        return np.array(self.labels, np.uint8)[largest_map(marginals, height, width)]


def decide_shard(
    shard: MapShard, rows: Sequence[ImageRecord], allowed: Sequence[tuple[int, ...]], stage: CrfStage, processes: int
) -> Iterator[np.ndarray]:
    """Yield the mask uint8 (H, W) of each image of a shard of logits, in order.

    `allowed` gives the possible class indices per image. The CRF runs in `processes` processes. Only a few
    images are in memory at once.
    """
    scored = (
        _scored(shard.maps(position).values(), row, labels, stage)
        for position, (row, labels) in enumerate(zip(rows, allowed, strict=True))
    )
    yield from in_processes(Scored.decide, scored, processes if stage.crf else 1)


def _scored(grids: Iterable[np.ndarray], row: ImageRecord, labels: tuple[int, ...], stage: CrfStage) -> Scored:
    """Return an image with the probabilities of its logits float16 (classes, h, w)."""
    image = row.read()
    small = shrink_image(image, stage.longest_side)
    chosen = [torch.from_numpy(grid[list(labels)]).float() for grid in grids]
    return Scored(small, probabilities(mean_enlarged(chosen, small.shape[:2])), labels, stage, image.shape[:2])


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
        all_scores = multi_scale_scores(model, small, stage.inference, where)
        labels_of = allowed[start : start + len(images)]
        scored = [
            Scored(shrunk, probabilities(scores, labels), labels, stage, image.shape[:2])
            for image, shrunk, scores, labels in zip(images, small, all_scores, labels_of, strict=True)
        ]
        masks = in_processes(Scored.decide, scored, processes if stage.crf else 1)
        yield from map(Prediction, images, masks)
