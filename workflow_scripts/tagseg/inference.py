"""Multi-scale prediction: what the trained segmenter says of photographs of any size."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tagseg.checkpoints import another_network, load_settings, rebuilt
from tagseg.crf import CrfSettings, refine_probabilities
from tagseg.deeplab import DeepLabLargeFov, SegmenterSettings
from tagseg.devices import autocast
from tagseg.images import largest_map, shrink_photograph
from tagseg.index import Photograph
from tagseg.map_shards import MapShard, View, views
from tagseg.photographs import batches, square
from tagseg.pools import in_processes

BATCH = 16  # photographs that go through the network at once
MOST_DILATION = 256
"""Of a segmenter's head: the configuration takes no larger one."""


@dataclass(frozen=True)
class InferenceSettings:
    """The test phase: sides of the square inputs, mirrored inputs too or not, precision."""

    sizes: tuple[int, ...]
    flip: bool
    precision: str


def load_segmenter(path: str, classes: tuple[str, ...]) -> DeepLabLargeFov:
    """Return the segmenter of a checkpoint, in evaluation mode.

    Raises TagsegError where the checkpoint is none or of other classes.
    """
    settings, state = load_settings(path, "segmenter", classes, SegmenterSettings)
    if misfit := _misfit(settings, state):
        raise another_network(path, misfit)
    model = rebuilt(DeepLabLargeFov, settings, len(classes), state, path)
    return model.to(memory_format=torch.channels_last)


def _misfit(settings: SegmenterSettings, state: Mapping[str, Tensor]) -> str | None:
    """Return why a state dict is of no segmenter of these settings, None where it may be.

    Asked before the network is built: its memory is to be that of the file, not of what a number says.
    """
    first = state.get("head.0.weight")
    if first is None or first.shape[:1] != (settings.head_channels,):
        return f"the head has not {settings.head_channels} channels"
    if not 1 <= settings.head_dilation <= MOST_DILATION:
        return f"its dilation is {settings.head_dilation}"
    return None


def multi_scale_scores(
    model: nn.Module, images: Sequence[np.ndarray], settings: InferenceSettings, where: torch.device
) -> Iterator[Tensor]:
    """Yield the scores float32 (classes, H, W) of photographs uint8 (H, W, 3), before the softmax.

    Each photograph is resized to a square of every size; the scores are enlarged bilinearly to the
    photograph and averaged (those of a mirrored input mirrored back first).
    """
    grids = [scores for _, scores in view_scores(model, images, settings, where)]
    for position, image in enumerate(images):  # enlarged when asked for, they are large
        yield mean_enlarged([scores[position] for scores in grids], image.shape[:2])


@torch.no_grad()
def view_scores(
    model: nn.Module, images: Sequence[np.ndarray], settings: InferenceSettings, where: torch.device
) -> Iterator[tuple[View, Tensor]]:
    """Yield each view and its scores float32 (N, classes, h, w), at the network's stride.

    Scores of a mirrored view are mirrored back.
    """
    for view in views(settings.sizes, settings.flip):
        batch = torch.stack([square(image, view.size, view.mirrored) for image in images]).to(where)
        with autocast(where, settings.precision):
            scores = model(batch).float()
        yield view, scores.flip(-1) if view.mirrored else scores


def mean_enlarged(grids: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Return scores (classes, h, w) of several views, enlarged bilinearly to (H, W) and averaged."""
    total = _enlarge(grids[0], size)
    for scores in grids[1:]:
        total += _enlarge(scores, size)
    return total / len(grids)


def _enlarge(scores: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(scores[None], size=size, mode="bilinear", align_corners=False)[0]


def probabilities(scores: Tensor, allowed: Sequence[int] | None = None) -> np.ndarray:
    """Return the softmax float32 (len(allowed), H, W) over the `allowed` class numbers (None: all)."""
    chosen = scores if allowed is None else scores[torch.as_tensor(allowed, device=scores.device)]
    return chosen.softmax(dim=0).cpu().numpy()


@dataclass(frozen=True)
class Scored:
    """A photograph uint8 (h, w, 3) with softmax probabilities (L, h, w) of the class numbers `labels`.

    `size` is the (height, width) of the mask to be made, not smaller than (h, w).
    """

    photograph: np.ndarray
    probabilities: np.ndarray
    labels: tuple[int, ...]
    crf: CrfSettings | None
    size: tuple[int, int]

    def decide(self) -> np.ndarray:
        """Return the most probable label of each pixel, uint8 `size`, after the CRF if there is one."""
        marginals = self.probabilities
        if self.crf is not None and len(self.labels) > 1:
            marginals = refine_probabilities(self.photograph, marginals, self.crf)
        return np.array(self.labels, np.uint8)[largest_map(marginals, *self.size)]


def decide_shard(
    shard: MapShard,
    rows: Sequence[Photograph],
    allowed: Sequence[tuple[int, ...]],
    crf: CrfSettings | None,
    longest_side: int,
    processes: int,
) -> Iterator[np.ndarray]:
    """Yield the mask uint8 (H, W) of each photograph of a shard of logits, in the shard's order.

    `allowed` gives, a photograph, the class numbers that its pixels may take. The CRF runs in `processes`
    processes. A few photographs are in memory at once.
    """
    scored = (
        _scored(shard.maps(position).values(), row, labels, crf, longest_side)
        for position, (row, labels) in enumerate(zip(rows, allowed, strict=True))
    )
    yield from in_processes(Scored.decide, scored, processes if crf else 1)


def _scored(
    grids: Iterable[np.ndarray],
    row: Photograph,
    labels: tuple[int, ...],
    crf: CrfSettings | None,
    longest_side: int,
) -> Scored:
    """Return a photograph with the probabilities that its logits float16 (classes, h, w) give."""
    image = row.read()
    small = shrink_photograph(image, longest_side)
    chosen = [torch.from_numpy(grid[list(labels)]).float() for grid in grids]
    return Scored(small, probabilities(mean_enlarged(chosen, small.shape[:2])), labels, crf, image.shape[:2])


@dataclass(frozen=True)
class Prediction:
    """What is predicted of one photograph: its RGB uint8 (H, W, 3) and the labels uint8 (H, W)."""

    photograph: np.ndarray
    mask: np.ndarray


def predict(
    model: nn.Module,
    rows: Sequence[Photograph],
    allowed: Sequence[tuple[int, ...]],
    settings: InferenceSettings,
    crf: CrfSettings | None,
    longest_side: int,
    where: torch.device,
    processes: int,
) -> Iterator[Prediction]:
    """Yield the predictions of photographs in order, each of its photograph's size.

    `allowed` gives, a photograph, the class numbers that its pixels may take. Scores and CRF are computed
    with the longer side at most `longest_side` pixels. A batch goes through the network, then its CRFs run
    in `processes` processes: both want all cores, and would be in each other's way.
    """
    for start, images in batches(rows, BATCH):
        small = [shrink_photograph(image, longest_side) for image in images]
        all_scores = multi_scale_scores(model, small, settings, where)
        labels_of = allowed[start : start + len(images)]
        scored = [
            Scored(photograph, probabilities(scores, labels), labels, crf, image.shape[:2])
            for image, photograph, scores, labels in zip(images, small, all_scores, labels_of, strict=True)
        ]
        masks = in_processes(Scored.decide, scored, processes if crf else 1)
        yield from map(Prediction, images, masks)
