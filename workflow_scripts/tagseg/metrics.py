"""Scores: one confusion matrix over a whole set, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tagseg.images import VOID


class Confusion:
    """Counts of pixels, int64 (classes, classes + 1): true class by predicted class, void last.

    Pixels whose true label is void are left out.
    """

    def __init__(self, classes: int) -> None:
        self.counts = np.zeros((classes, classes + 1), np.int64)

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Add the labels uint8 (H, W) of one photograph.

        Raises ValueError where the shapes differ or a label is neither a class nor void.
        """
        if truth.shape != prediction.shape:
            raise ValueError(f"truth {truth.shape} and prediction {prediction.shape} differ in size")
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
        """Return counts (classes, classes) in which a predicted void counts as background."""
        square = self.counts[:, :-1].copy()
        square[:, 0] += self.counts[:, -1]
        return square

    def void_left_out(self) -> np.ndarray:
        """Return counts (classes, classes) over the pixels with a prediction."""
        return self.counts[:, :-1]

    def coverage(self) -> float:
        """Return the share of the scored pixels whose prediction is not void."""
        return float(self.counts[:, :-1].sum() / max(self.counts.sum(), 1))


def intersection_over_union(counts: np.ndarray) -> np.ndarray:
    """Return each class's IoU in percent, float64 (classes,): TP / (TP + FP + FN).

    A class that is neither true nor predicted anywhere has no IoU: nan.
    """
    hits = np.diag(counts).astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hits
    return 100 * np.divide(hits, union, out=np.full(len(hits), np.nan), where=union > 0)


@dataclass(frozen=True)
class Scores:
    """What a score file says; IoU in percent, by class; see `Confusion` for the two conventions."""

    miou: float
    miou_void_left_out: float
    iou: dict[str, float | None]
    pixel_accuracy: float
    coverage: float
    photographs: int
    confusion: list[list[int]]


def scores(confusion: Confusion, classes: Sequence[str], photographs: int) -> Scores:
    """Return the scores of `confusion`; the mean is over all classes that occur, those of IoU 0 too."""
    square = confusion.void_as_background()
    iou = intersection_over_union(square)
    by_class = {
        name: None if np.isnan(value) else float(value) for name, value in zip(classes, iou, strict=True)
    }
    return Scores(
        miou=_mean(iou),
        miou_void_left_out=_mean(intersection_over_union(confusion.void_left_out())),
        iou=by_class,
        pixel_accuracy=100 * float(np.trace(square) / max(square.sum(), 1)),
        coverage=confusion.coverage(),
        photographs=photographs,
        confusion=confusion.counts.tolist(),
    )


def _mean(iou: np.ndarray) -> float:
    return float(np.nanmean(iou)) if np.isfinite(iou).any() else 0.0


def average_precision(relevant: np.ndarray, scored: np.ndarray) -> float:
    """Return the area under the precision-recall curve of one class, in percent.

    `relevant` bool (n,), `scored` float (n,): the mean of the precision at each relevant item, in
    descending order of score. Ties share the precision at their end, so that the order of the items
    does not matter. nan where nothing is relevant.
    """
    order = np.argsort(-scored, kind="stable")
    relevant, scored = np.asarray(relevant, bool)[order], np.asarray(scored)[order]
    if not relevant.any():
        return float("nan")
    ends = np.append(np.flatnonzero(np.diff(scored)), len(scored) - 1)
    hits = np.cumsum(relevant)[ends]
    precision, new_hits = hits / (ends + 1), np.diff(hits, prepend=0)
    return 100 * float((precision * new_hits).sum() / relevant.sum())
