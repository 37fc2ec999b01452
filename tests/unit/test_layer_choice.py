"""The colour coefficient against counting in dictionaries, pixel by pixel; and the choice among layers."""

from collections import Counter
from math import log

import numpy as np
import pytest

from tagseg.images import resize_mask, shrink_photograph
from tagseg.layer_choice import SIDE, Candidate, choose, colour_coefficient, mean_mask_correlation

VOID = 255


def coefficient_by_counting(photograph, mask):
    """I(mask; colour) / H(mask), term by term as Shannon wrote it; colours are cubes of 32 grey values."""
    joint = Counter()
    for row, labels in zip(photograph.tolist(), mask.tolist(), strict=True):
        for (red, green, blue), label in zip(row, labels, strict=True):
            if label != VOID:
                joint[label > 0, (red // 32, green // 32, blue // 32)] += 1
    number = sum(joint.values())
    sides, colours = Counter(), Counter()
    for (side, colour), count in joint.items():
        sides[side] += count
        colours[colour] += count
    information = sum(
        count / number * log(count * number / (sides[side] * colours[colour]))
        for (side, colour), count in joint.items()
    )
    entropy = -sum(count / number * log(count / number) for count in sides.values())
    return information / entropy if entropy else 0.0


def random_photograph(seed, height=30, width=40, high=256):
    return np.random.default_rng(seed).integers(0, high, (height, width, 3), dtype=np.uint8)


def follows_colour(photograph, label=1):
    """A mask that is object where the photograph is red."""
    return np.where(photograph[..., 0] >= 128, label, 0).astype(np.uint8)


def with_wrong_pixels(mask, share, seed=0):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(mask.shape) < share, rng.integers(0, 2, mask.shape), mask).astype(np.uint8)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("wrong", [0.1, 0.5, 1.0])
def test_coefficient_is_that_of_counting(seed, wrong):
    photograph = random_photograph(seed, 20 + seed, 33)
    mask = with_wrong_pixels(follows_colour(photograph), wrong, seed)
    mask[np.random.default_rng(seed).random(mask.shape) < 0.1] = VOID
    expected = coefficient_by_counting(photograph, mask)
    assert colour_coefficient(photograph, mask) == pytest.approx(expected, abs=1e-12)


def test_borders_of_the_colour_bins():
    photograph = np.zeros((1, 8, 3), np.uint8)
    photograph[0, :, 1] = (0, 31, 32, 63, 64, 223, 224, 255)
    follows = np.array([[0, 0, 1, 1, 0, 0, 1, 1]], np.uint8)
    assert colour_coefficient(photograph, follows) == pytest.approx(1, abs=1e-12)
    apart = np.array([[0, 1, 0, 1, 0, 0, 0, 1]], np.uint8)  # parts the pixels of three bins
    expected = coefficient_by_counting(photograph, apart)
    assert colour_coefficient(photograph, apart) == pytest.approx(expected, abs=1e-12)
    assert 0 < expected < 1


@pytest.mark.parametrize("channel", range(3))
def test_mask_that_follows_any_channel_is_told_by_the_colour(channel):
    photograph = random_photograph(7)
    mask = np.where(photograph[..., channel] >= 96, 3, 0).astype(np.uint8)
    assert colour_coefficient(photograph, mask) == pytest.approx(1, abs=1e-12)


def test_mask_that_has_nothing_to_do_with_colour_is_near_0():
    photograph = random_photograph(8, 200, 250, high=64)  # 8 colours, 50 000 pixels
    mask = random_photograph(9, 200, 250, high=2)[..., 0]
    assert 0 <= colour_coefficient(photograph, mask) < 0.001


def test_photograph_of_one_colour_tells_nothing():
    photograph = np.full((10, 12, 3), 77, np.uint8)
    assert colour_coefficient(photograph, random_photograph(1, 10, 12, 2)[..., 0]) == 0


def test_the_more_of_the_mask_follows_colour_the_higher():
    photograph = random_photograph(10, high=64)
    photograph[:, :20, 0] += 128
    found = [
        colour_coefficient(photograph, with_wrong_pixels(follows_colour(photograph), share))
        for share in (0, 0.2, 0.5, 0.9)
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(1)
    assert found[-1] < 0.05


def test_classes_count_as_object_alike():
    photograph = random_photograph(11)
    mask = with_wrong_pixels(follows_colour(photograph), 0.3)
    several = np.where(mask > 0, np.random.default_rng(0).choice([1, 7, 254], mask.shape), 0)
    assert colour_coefficient(photograph, several.astype(np.uint8)) == colour_coefficient(photograph, mask)


def test_void_is_left_out():
    photograph = random_photograph(12)
    mask = with_wrong_pixels(follows_colour(photograph), 0.3)
    whole = colour_coefficient(photograph, mask)
    framed = np.pad(mask, 5, constant_values=VOID)
    noise = random_photograph(13, *framed.shape)
    noise[5:-5, 5:-5] = photograph
    assert colour_coefficient(noise, framed) == whole


@pytest.mark.parametrize("labels", [(0,), (5,), (VOID,), (0, VOID), (5, 7), (5, VOID)])
def test_mask_of_one_side_says_nothing(labels):
    mask = np.random.default_rng(0).choice(np.array(labels, np.uint8), (30, 40))
    assert colour_coefficient(random_photograph(14), mask) == 0


@pytest.mark.parametrize("height, width", [(2 * SIDE, SIDE), (300, 700), (SIDE + 1, 40)])
def test_large_photographs_are_shrunk(height, width):
    photograph = random_photograph(15, height, width)
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2, : width // 3], mask[-20:] = 4, VOID
    photograph[mask == 4, 0] //= 2
    small = shrink_photograph(photograph, SIDE)
    assert max(small.shape) == SIDE
    expected = coefficient_by_counting(small, resize_mask(mask, *small.shape[:2]))
    assert colour_coefficient(photograph, mask) == pytest.approx(expected, abs=1e-12)
    assert abs(expected - coefficient_by_counting(photograph, mask)) > 0.001


def test_photographs_of_the_side_are_counted_as_they_are():
    photograph = random_photograph(16, SIDE, 50)
    mask = with_wrong_pixels(follows_colour(photograph), 0.3)
    expected = coefficient_by_counting(photograph, mask)
    assert colour_coefficient(photograph, mask) == pytest.approx(expected, abs=1e-12)


def test_nothing_is_changed():
    photograph, mask = random_photograph(17), random_photograph(18, high=2)[..., 0].copy()
    before = photograph.copy(), mask.copy()
    photograph.flags.writeable = mask.flags.writeable = False
    colour_coefficient(photograph, mask)
    np.testing.assert_array_equal(photograph, before[0])
    np.testing.assert_array_equal(mask, before[1])


def test_class_without_a_cam_counts_as_0_in_the_mean():
    assert mean_mask_correlation({"cat": 0.6, "dog": float("nan"), "emu": 0.3}) == pytest.approx(0.3)
    assert mean_mask_correlation({"dog": float("nan")}) == 0


def chosen(*pairs):
    """Return the place of the choice among pairs of mask correlation and colour coefficient."""
    candidates = [Candidate(f"layer {number}", *pair) for number, pair in enumerate(pairs)]
    return candidates.index(choose(candidates))


def test_coarse_masks_of_the_last_block_lose():
    assert chosen((0.45, 0.2), (0.5, 0.3), (0.7, 0.1)) == 1


def test_layer_that_has_little_to_do_with_the_class_cannot_win():
    assert chosen((0.29, 0.9), (0.6, 0.2), (0.4, 0.3)) == 2
    assert chosen((0.3, 0.9), (0.6, 0.2), (0.4, 0.3)) == 0, "half of the highest is enough"


@pytest.mark.parametrize("correlation", [0.5, 0.0])
def test_of_equals_the_first_is_chosen(correlation):
    assert chosen((correlation, 0.1), (correlation, 0.2), (correlation, 0.2)) == 1


def test_without_a_positive_correlation_the_highest_is_chosen():
    assert chosen((-0.3, 0.9), (-0.1, 0.1), (-0.2, 0.5)) == 1


def test_one_candidate_is_chosen():
    assert chosen((0.0, 0.0)) == 0


def test_no_candidate_is_an_error():
    with pytest.raises(ValueError, match="no layer to choose from"):
        choose([])
