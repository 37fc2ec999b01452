"""Scores: one confusion matrix over a whole set, and the metrics that follow from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tagseg.storage.images import VOID


class Confusion:
    """Counts of pixels, int64 (classes, classes + 1): true class by predicted class, void last.

    Pixels whose true label is void are skipped.
    """

    def __init__(self, classes: int) -> None:
        self.counts = np.zeros((classes, classes + 1), np.int64)

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Add the labels uint8 (H, W) of one image.

        Raises ValueError if the shapes differ or a label is neither a class nor void.
        """
        if truth.shape != prediction.shape:
            raise ValueError(f"ground truth {truth.shape} and prediction {prediction.shape} differ in size")
        classes = len(self.counts)
        scored = truth != VOID
        true, predicted = truth[scored].astype(np.int64), prediction[scored].astype(np.int64)
        void = predicted == VOID
        if max(true.max(initial=0), predicted.max(initial=0, where=~void)) >= classes:
            raise ValueError(f"a label is beyond the {classes} classes")
        predicted[void] = classes
        joint = np.bincount(true * (classes + 1) + predicted, minlength=self.counts.size)
        self.counts += joint.reshape(self.counts.shape)

    def void_as_background(self) -> np.ndarray:
        """Return counts (classes, classes); a predicted void counts as background."""
        square = self.counts[:, :-1].copy()
        square[:, 0] += self.counts[:, -1]
        return square

    def void_skipped(self) -> np.ndarray:
        """Return counts (classes, classes) over the pixels with a predicted class."""
        return self.counts[:, :-1]

    def coverage(self) -> float:
        """Return the fraction of the scored pixels whose prediction is not void."""
        return float(self.counts[:, :-1].sum() / max(self.counts.sum(), 1))


def intersection_over_union(counts: np.ndarray) -> np.ndarray:
    """Return the IoU per class in percent, float64 (classes,): TP / (TP + FP + FN).

    nan for a class that is neither true nor predicted anywhere.
    """
    hits = np.diag(counts).astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hits
    return 100 * np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)


@dataclass(frozen=True)
class Scores:
    """The content of a score file; IoU in percent, None for a class that does not occur."""

    miou: float  # void as background
    miou_void_skipped: float
    iou: dict[str, float | None]
    pixel_accuracy: float
    coverage: float
    images: int
    confusion: list[list[int]]


def scores(confusion: Confusion, classes: Sequence[str], images: int) -> Scores:
    """Return the scores; the mean is over all classes that occur, those of IoU 0 too."""
    square = confusion.void_as_background()
    iou = intersection_over_union(square)
    return Scores(
        miou=_mean(iou),
        miou_void_skipped=_mean(intersection_over_union(confusion.void_skipped())),
        iou={name: None if np.isnan(one) else float(one) for name, one in zip(classes, iou, strict=True)},
        pixel_accuracy=100 * float(np.trace(square) / max(square.sum(), 1)),
        coverage=confusion.coverage(),
        images=images,
        confusion=confusion.counts.tolist(),
    )


def _mean(iou: np.ndarray) -> float:
    return float(np.nanmean(iou)) if np.isfinite(iou).any() else 0.0


def average_precision(relevant: np.ndarray, scored: np.ndarray) -> float:
    """Return the area under the precision-recall curve of one class, in percent.

    `relevant` bool (n,), `scored` float (n,): the mean precision at each relevant item, by descending score.
    Ties share the precision at their end. nan if nothing is relevant.
    """
    order = np.argsort(-scored, kind="stable")
    relevant, scored = np.asarray(relevant, bool)[order], np.asarray(scored)[order]
    if not relevant.any():
        return float("nan")
    ends = np.append(np.flatnonzero(np.diff(scored)), len(scored) - 1)
    hits = np.cumsum(relevant)[ends]
    precision, new_hits = hits / (ends + 1), np.diff(hits, prepend=0)
    return 100 * float((precision * new_hits).sum() / relevant.sum())
