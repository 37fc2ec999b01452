"""From the segmenter's scores to masks: mean over the views, softmax, dense CRF. Needs no torch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from tagseg.runtime.pools import in_processes
from tagseg.segmentation.crf import refine_probabilities
from tagseg.segmentation.settings import CrfStage
from tagseg.storage.feature_shards import MapShard
from tagseg.storage.images import largest_map, resize_map, shrink_image
from tagseg.storage.index import ImageRecord


def mean_enlarged(grids: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """Return the mean of the scores (classes, h, w) of several views, enlarged bilinearly: float32 (classes, H, W).

    Resizing is linear, so the rows and the columns of a grid are each multiplied by a matrix. Side by side, the
    columns of all views need a single product, which adds up the views too.
    """
    rows = [_weights(grid.shape[1], height) @ grid.astype(np.float32) for grid in grids]
    columns = [_weights(grid.shape[2], width) for grid in grids]
    return np.concatenate(rows, axis=2) @ (np.concatenate(columns, axis=1).T / np.float32(len(grids)))


def _weights(size: int, resized: int) -> np.ndarray:
    """Return the matrix float32 (resized, size) of the bilinear resize of one axis."""
    return resize_map(np.eye(size), resized, size)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return the softmax float32 (classes, H, W) over the classes of scores float32."""
    powers = np.exp(scores - scores.max(axis=0))
    powers /= powers.sum(axis=0)
    return powers


@dataclass(frozen=True)
class Scored:
    """An image uint8 (h, w, 3) with the scores (L, ., .) of each view for the class indices `labels`.

    `size` is the (height, width) of its mask, at least (h, w).
    """

    image: np.ndarray
    grids: list[np.ndarray]
    labels: tuple[int, ...]
    stage: CrfStage
    size: tuple[int, ...]

    def decide(self) -> np.ndarray:
        """Return the most probable label per pixel, uint8 `size`, after the CRF if there is one."""
        marginals, stage = softmax(mean_enlarged(self.grids, *self.image.shape[:2])), self.stage
        if stage.crf is not None and len(self.labels) > 1:
            marginals = refine_probabilities(self.image, marginals, stage.crf, stage.reference_side)
        height, width = self.size
        return np.array(self.labels, np.uint8)[largest_map(marginals, height, width)]


def decide_all(scored: Iterable[Scored], stage: CrfStage, processes: int) -> Iterator[np.ndarray]:
    """Yield the mask uint8 (H, W) of each image, in order; the CRF runs in `processes` processes."""
    with threadpool_limits(1, user_api="blas"):  # one process per core
        yield from in_processes(Scored.decide, scored, processes if stage.crf else 1)


def decide_shard(
    shard: MapShard, rows: Sequence[ImageRecord], allowed: Sequence[tuple[int, ...]], stage: CrfStage, processes: int
) -> Iterator[np.ndarray]:
    """Yield the mask uint8 (H, W) of each image of a shard of logits, in order.

    `allowed` gives the possible class indices per image. Only a few images are in memory at once.
    """
    images = enumerate(zip(rows, allowed, strict=True))
    scored = (_scored(list(shard.maps(position).values()), row, labels, stage) for position, (row, labels) in images)
    return decide_all(scored, stage, processes)


def _scored(grids: list[np.ndarray], row: ImageRecord, labels: tuple[int, ...], stage: CrfStage) -> Scored:
    image = row.read()
    chosen = [grid[list(labels)] for grid in grids]
    return Scored(shrink_image(image, stage.longest_side), chosen, labels, stage, image.shape[:2])
