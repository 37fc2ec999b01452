"""The two losses, each a mean over a batch that may be computed in parts and by several processes."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional as F

from tagseg.storage.images import VOID


class Loss(ABC):
    """A weighted mean, as the sum over some images and the weight to divide it by.

    The mean of a batch is the sum of its parts' totals over the sum of their weights, also if parts weigh
    differently, as masks with much void do.
    """

    @abstractmethod
    def total(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the loss summed over the images, a scalar that carries the gradient."""

    @abstractmethod
    def weight(self, targets: Tensor, grid: torch.Size) -> Tensor:
        """Return what the total of these targets is divided by; `grid` is the shape (..., h, w) of scores."""

    def __call__(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the mean over the images."""
        return self.total(scores, targets) / self.weight(targets, scores.shape).clamp(min=1)


class TagLoss(Loss):
    """The multi-label soft margin loss of scores (N, classes - 1), before the sigmoid, and tags likewise."""

    def total(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the sum over images of the mean over classes."""
        return F.multilabel_soft_margin_loss(scores, targets, reduction="sum")

    def weight(self, targets: Tensor, grid: torch.Size) -> Tensor:
        """Return the number of images."""
        return torch.tensor(float(len(targets)), device=targets.device)


class MaskLoss(Loss):
    """The cross entropy of scores (N, classes, h, w) and masks uint8 (N, H, W), void skipped.

    The labels are shrunk to the scores' grid with nearest neighbours, as DeepLab does.
    """

    def total(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the sum over the labelled positions of the grid."""
        labels = shrink_labels(targets, scores.shape).long()
        # cross_entropy's own sum on a GPU is not deterministic.
        return F.cross_entropy(scores, labels, ignore_index=VOID, reduction="none").sum()

    def weight(self, targets: Tensor, grid: torch.Size) -> Tensor:
        """Return the number of labelled positions of the grid."""
        return (shrink_labels(targets, grid) != VOID).sum().float()


def shrink_labels(masks: Tensor, grid: torch.Size) -> Tensor:
    """Return masks uint8 (N, H, W) at the resolution of a grid (..., h, w), with nearest neighbours."""
    return F.interpolate(masks[:, None].float(), grid[-2:], mode="nearest-exact")[:, 0].to(torch.uint8)
