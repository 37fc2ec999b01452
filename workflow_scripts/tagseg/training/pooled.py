"""A classifier whose backbone is not trained: its head learns from pooled features that are computed once."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from tagseg.models.backbones import Backbone, Network
from tagseg.models.classifier import Classifier
from tagseg.models.inputs import batches, square
from tagseg.runtime.commandline import progress
from tagseg.runtime.devices import autocast
from tagseg.storage.index import ImageRecord
from tagseg.training.settings import TrainingSettings

SMALLEST_DEVIATION = 1e-3
"""Added to standard deviations, which may be 0."""


class HeadAlone(Network):
    """The dropout and the head of a classifier: pooled features (N, C) -> scores (N, classes - 1).

    The features are standardised, so that one learning rate suits every backbone. The head is that of `classifier`;
    `fold` makes it one for plain features.
    """

    head: nn.Linear
    mean: Tensor
    deviation: Tensor

    def __init__(self, classifier: Classifier, features: Tensor) -> None:
        """`features` (views, N, C) are those of `pooled_features`."""
        super().__init__()
        self.backbone = _NoBackbone()  # type: ignore[assignment]
        self.dropout, self.head = classifier.dropout, classifier.head
        rows = features.flatten(0, 1)
        self.register_buffer("mean", rows.mean(dim=0))
        self.register_buffer("deviation", rows.std(dim=0, correction=0) + SMALLEST_DEVIATION)

    def forward(self, features: Tensor) -> Tensor:
        """Return the scores before the sigmoid of pooled features (N, C)."""
        return self.head(self.dropout((features - self.mean) / self.deviation))

    @torch.no_grad()
    def fold(self) -> None:
        """Change the head so that it gives the same scores for plain features; once, after the training."""
        self.head.weight.div_(self.deviation)
        self.head.bias.sub_(self.head.weight @ self.mean)


class _NoBackbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Identity()


class PooledSet(Dataset):
    """Pooled features of the images, plain or mirrored at random, addressed by (epoch, position) as a TrainingSet."""

    def __init__(self, features: Tensor, targets: Tensor, random_seed: int) -> None:
        """`features` (views, N, C) are those of `pooled_features`, `targets` float32 (N, classes - 1) tag vectors."""
        self.features, self.targets, self.random_seed = features, targets, random_seed

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, position = key
        view = np.random.default_rng((self.random_seed, epoch, position)).integers(len(self.features))
        return self.features[view, position], self.targets[position]


@torch.no_grad()
def pooled_features(
    backbone: Backbone, rows: Sequence[ImageRecord], settings: TrainingSettings, where: torch.device, threads: int
) -> Tensor:
    """Return the means over the positions of the backbone's maps, float32 (views, N, C): plain, and mirrored.

    Images are resized to squares of `settings.input_size` pixels. Without `settings.flip` there is the plain view
    alone.
    """
    backbone.eval().to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    size, views = settings.batch_size, (False, True)[: 1 + settings.flip]
    pooled = torch.empty(len(views), len(rows), backbone.channels)
    for start, images in progress(batches(rows, size, threads), "pooled features", -(-len(rows) // size)):
        for view, mirrored in enumerate(views):
            batch = torch.stack([square(image, settings.input_size, mirrored) for image in images]).to(where)
            with autocast(where, settings.precision):
                means = backbone(batch).float().mean(dim=(2, 3))
            pooled[view, start : start + len(images)] = means.cpu()
    return pooled
