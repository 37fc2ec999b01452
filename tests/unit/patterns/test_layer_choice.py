"""The colour coefficient against counting in dictionaries, pixel by pixel; and the choice among layers."""

from collections import Counter
from math import log

import numpy as np
import pytest

from tagseg.patterns.layer_choice import SIDE, Candidate, choose, colour_coefficient, mean_mask_correlation
from tagseg.storage.images import resize_mask, shrink_image

VOID = 255


def coefficient_by_counting(image, mask):
    """I(mask; colour) / H(mask), term by term as Shannon wrote it; colours are bins of 32 grey values."""
    joint = Counter()
    for row, labels in zip(image.tolist(), mask.tolist(), strict=True):
        for (red, green, blue), label in zip(row, labels, strict=True):
            if label != VOID:
                joint[label > 0, (red // 32, green // 32, blue // 32)] += 1
    total = sum(joint.values())
    sides, colours = Counter(), Counter()
    for (side, colour), count in joint.items():
        sides[side] += count
        colours[colour] += count
    information = sum(
        count / total * log(count * total / (sides[side] * colours[colour]))
        for (side, colour), count in joint.items()
    )
    entropy = -sum(count / total * log(count / total) for count in sides.values())
    return information / entropy if entropy else 0.0


def random_image(seed, height=30, width=40, high=256):
    return np.random.default_rng(seed).integers(0, high, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("wrong", [0.1, 0.5, 1.0])
def test_coefficient_is_that_of_counting(seed, wrong):
    image = random_image(seed, 20 + seed, 33)
    rng = np.random.default_rng(seed)
    size = image.shape[:2]
    mask = np.where(rng.random(size) < wrong, rng.integers(0, 2, size), image[..., 0] >= 128)
    mask = np.where(mask > 0, rng.choice([1, 7, 254], mask.shape), 0).astype(np.uint8)
    mask[np.random.default_rng(seed).random(mask.shape) < 0.1] = VOID
    expected = coefficient_by_counting(image, mask)
    assert colour_coefficient(image, mask) == pytest.approx(expected, abs=1e-12)


def test_coefficient_without_object_or_background_is_0():
    for labels in [(0,), (5,), (VOID,), (0, VOID), (5, 7), (5, VOID)]:
        mask = np.random.default_rng(0).choice(np.array(labels, np.uint8), (30, 40))
        assert colour_coefficient(random_image(14), mask) == 0


@pytest.mark.parametrize("height, width", [(2 * SIDE, SIDE), (300, 700), (SIDE + 1, 40)])
def test_large_images_are_shrunk(height, width):
    image = random_image(15, height, width)
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2, : width // 3], mask[-20:] = 4, VOID
    image[mask == 4, 0] //= 2
    small = shrink_image(image, SIDE)
    assert max(small.shape) == SIDE
    expected = coefficient_by_counting(small, resize_mask(mask, *small.shape[:2]))
    assert colour_coefficient(image, mask) == pytest.approx(expected, abs=1e-12)
    assert abs(expected - coefficient_by_counting(image, mask)) > 0.001


def test_class_without_a_cam_counts_as_0_in_the_mean():
    assert mean_mask_correlation({"cat": 0.6, "dog": float("nan"), "emu": 0.3}) == pytest.approx(0.3)
    assert mean_mask_correlation({"dog": float("nan")}) == 0


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([(0.45, 0.2), (0.5, 0.3), (0.7, 0.1)], 1),  # the coarse masks of the last block lose
        ([(0.29, 0.9), (0.6, 0.2), (0.4, 0.3)], 2),  # masks that hardly correlate with the CAM cannot win
        ([(0.3, 0.9), (0.6, 0.2), (0.4, 0.3)], 0),  # half of the highest correlation is enough
        ([(0.5, 0.1), (0.5, 0.2), (0.5, 0.2)], 1),  # the first of equals
        ([(-0.3, 0.9), (-0.1, 0.1), (-0.2, 0.5)], 1),  # the highest correlation if none is positive
        ([(0.0, 0.0)], 0),
    ],
)
def test_choice_of_mask_correlation_and_colour_coefficient(candidates, chosen):
    layers = [Candidate(f"layer {position}", *pair) for position, pair in enumerate(candidates)]
    assert choose(layers) is layers[chosen]
