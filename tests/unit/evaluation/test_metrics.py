"""Scores against hand counts and loops over pixels. Tolerance: 1e-9 percent (all is float64)."""

import math

import numpy as np
import pytest

from tagseg.evaluation.metrics import Confusion, average_precision, intersection_over_union, scores

VOID = 255


def confusion_of(truth, prediction, classes):
    confusion = Confusion(classes)
    confusion.add(np.asarray(truth, np.uint8), np.asarray(prediction, np.uint8))
    return confusion


def iou_by_loop(pairs, classes, void_counts_as_background):
    """IoU in percent by counting each pixel into intersection and union of each class."""
    intersection, union = [0] * classes, [0] * classes
    for truth, prediction in pairs:
        for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
            if t == VOID:
                continue
            if p == VOID:
                if not void_counts_as_background:
                    continue
                p = 0
            for label in range(classes):
                intersection[label] += t == label and p == label
                union[label] += t == label or p == label
    return [100 * i / u if u else math.nan for i, u in zip(intersection, union, strict=True)]


def average_precision_by_loop(relevant, scored):
    """Area under the precision-recall curve in percent, a threshold at each score that occurs."""
    area, recall = 0.0, 0.0
    for threshold in sorted(set(scored.tolist()), reverse=True):
        taken = [r for r, s in zip(relevant.tolist(), scored.tolist(), strict=True) if s >= threshold]
        new_recall = sum(taken) / relevant.sum()
        area += (new_recall - recall) * sum(taken) / len(taken)
        recall = new_recall
    return 100 * area


def test_hand_count():
    truth = [[0, 0, 1, 1], [2, 2, VOID, 1]]
    prediction = [[0, 1, 1, 1], [2, VOID, 2, 0]]
    confusion = confusion_of(truth, prediction, 3)
    assert confusion.counts.tolist() == [[1, 1, 0, 0], [1, 2, 0, 0], [0, 0, 1, 1]]
    assert confusion.counts.dtype == np.int64
    score = scores(confusion, ("background", "cat", "dog"), images=1)
    # Void as background: background 1 of 4, cat 2 of 4, dog 1 of 2.
    assert score.iou == pytest.approx({"background": 25, "cat": 50, "dog": 50}, abs=1e-9)
    assert score.miou == pytest.approx(125 / 3, abs=1e-9)
    # Void skipped: background 1 of 3, cat 2 of 4, dog 1 of 1.
    assert score.miou_void_skipped == pytest.approx(100 * (1 / 3 + 1 / 2 + 1) / 3, abs=1e-9)
    assert score.coverage == pytest.approx(6 / 7, abs=1e-12)
    assert score.pixel_accuracy == pytest.approx(100 * 4 / 7, abs=1e-9)
    assert score.confusion == confusion.counts.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_both_conventions_agree_with_a_loop_over_pixels(seed):
    rng = np.random.default_rng(seed)
    shapes = [(13, 7), (5, 11), (1, 1)]
    pairs = [rng.choice([*range(6), VOID], size=(2, *shape)).astype(np.uint8) for shape in shapes]
    confusion = Confusion(6)
    for truth, prediction in pairs:
        confusion.add(truth, prediction)
    for square, as_background in ((confusion.void_as_background(), True), (confusion.void_skipped(), False)):
        expected = iou_by_loop(pairs, 6, as_background)
        np.testing.assert_allclose(intersection_over_union(square), expected, rtol=0, atol=1e-9)


def test_class_absent_everywhere_is_not_in_the_mean():
    confusion = confusion_of([[0, 0, 1, 1]], [[0, 0, 1, 0]], 3)
    assert np.isnan(intersection_over_union(confusion.void_as_background())).tolist() == [False, False, True]
    score = scores(confusion, ("background", "cat", "dog"), 1)
    assert score.iou["dog"] is None and score.miou == pytest.approx((200 / 3 + 50) / 2, abs=1e-9)


def test_nothing_scored_and_a_label_under_a_true_void_are_zero():
    score = scores(confusion_of([[VOID]], [[77]], 2), ("background", "cat"), 0)
    assert (score.miou, score.pixel_accuracy, score.coverage) == (0, 0, 0) and not np.any(score.confusion)


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        ([[0, 0]], [[0], [0]], r"ground truth \(1, 2\) and prediction \(2, 1\) differ in size"),
        ([[3]], [[0]], "beyond the 3 classes"),
        ([[0]], [[3]], "beyond the 3 classes"),
    ],
)
def test_other_sizes_and_labels_beyond_the_classes_are_errors(truth, prediction, message):
    with pytest.raises(ValueError, match=message):
        confusion_of(truth, prediction, 3)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("distinct", [3, 10, 10_000])
def test_average_precision_agrees_with_a_threshold_loop(seed, distinct):
    rng = np.random.default_rng(seed)
    relevant = rng.random(60) < 0.3
    scored = rng.integers(distinct, size=60) / distinct
    expected = average_precision_by_loop(relevant, scored)
    assert average_precision(relevant, scored) == pytest.approx(expected, abs=1e-9)
    shuffled = rng.permutation(60)
    assert average_precision(relevant[shuffled], scored[shuffled]) == pytest.approx(expected, abs=1e-9)


def test_average_precision_of_a_class_nobody_carries_is_nan():
    assert math.isnan(average_precision(np.zeros(3, bool), np.arange(3.0)))
