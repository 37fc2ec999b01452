"""The dense CRF against exact mean field over all pairs of pixels, float64, on small images.

pydensecrf approximates the Gaussian sums on a permutohedral lattice, so marginals differ by some per
cent; labels agree in at least 97 % of the pixels. Semantics that the reference fixes: the kernels are
normalised symmetrically, K_ij / sqrt(n_i n_j) with n the row sums; a pixel's message to itself counts.
"""

from dataclasses import replace

import numpy as np
import pytest

from tagseg import crf as crf_module
from tagseg.crf import CrfSettings, refine_labels, refine_probabilities

VOID = 255
SIZE = 24
AGREEMENT = 0.97
ON_MASKS = CrfSettings(10, 3, 3, 50, 5, 10, confidence=0.7)
ON_TEST = CrfSettings(10, 3, 3, 80, 13, 10)
SHORT_RANGE = CrfSettings(10, 2, 3, 8, 10, 6)  # ranges that matter in photographs of 24 x 24
WEAK = CrfSettings(10, 2, 2, 8, 10, 2)  # weak enough that the unary has a say
SETTINGS = (ON_MASKS, ON_TEST, SHORT_RANGE)
SCENES = 8


def softmax(energies):
    exponential = np.exp(energies - energies.max(axis=0))
    return exponential / exponential.sum(axis=0)


def kernel(features):
    """exp(-|f_i - f_j|^2 / 2) over all pairs, normalised symmetrically."""
    squares = ((features[:, None, :] - features[None, :, :]) ** 2).sum(axis=2)
    affinity = np.exp(-squares / 2)
    root = np.sqrt(affinity.sum(axis=1))
    return affinity / root[:, None] / root[None, :]


def mean_field(photograph, probabilities, settings):
    """Krähenbühl & Koltun's Algorithm 1 with Potts compatibility, every pair of pixels summed."""
    labels, height, width = probabilities.shape
    rows, columns = (grid.ravel() for grid in np.mgrid[:height, :width].astype(float))
    place = np.stack([columns, rows], axis=1)
    colour = photograph.reshape(-1, 3).astype(float) / settings.bilateral_srgb
    near = kernel(place / settings.gaussian_sxy)
    alike = kernel(np.concatenate([place / settings.bilateral_sxy, colour], axis=1))
    pairwise = settings.gaussian_compat * near + settings.bilateral_compat * alike
    unary = -np.log(np.clip(probabilities, 1e-5, 1)).reshape(labels, -1)
    q = softmax(-unary)
    for _ in range(settings.iterations):
        # Potts: what the other labels cost is, up to a constant of the pixel, what the own one gains.
        q = softmax(-unary + q @ pairwise)
    return q.reshape(probabilities.shape)


def coloured_shapes(seed, labels, contrast=10, noise=3):
    """A photograph of faint rectangles on a shaded, noisy ground, and their labels (0: the ground)."""
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1, 1], size=(labels, 3))
    colours = rng.integers(80, 170, size=3) + contrast * signs * rng.uniform(0.5, 1.5, size=(labels, 3))
    truth = np.zeros((SIZE, SIZE), np.uint8)
    for label in range(1, labels):
        top, left = rng.integers(0, SIZE - 8, size=2)
        truth[top : top + rng.integers(5, 11), left : left + rng.integers(5, 11)] = label
    shading = np.linspace(-contrast, contrast, SIZE)[:, None, None] * (0.7, 0, -0.7)
    photograph = colours[truth] + shading + rng.normal(0, noise, size=(SIZE, SIZE, 3))
    return np.clip(photograph, 0, 255).astype(np.uint8), truth


def noisy_probabilities(seed, truth, labels):
    """A unary so noisy that a fifth of its labels, at least, are changed by the refinement."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 4, size=(labels, *truth.shape))
    return softmax(scores + (truth == np.arange(labels)[:, None, None]))


def noisy_mask(seed, truth, labels, wrong=0.4, void=0.0):
    rng = np.random.default_rng(seed)
    mask = np.where(rng.random(truth.shape) < wrong, rng.choice(labels, size=truth.shape), truth)
    return np.where(rng.random(truth.shape) < void, VOID, mask).astype(np.uint8)


def agreement(labels, settings, with_settings=None):
    """Share of the pixels of several photographs whose label exact mean field gives too."""
    equal, changed = [], []
    for seed in range(SCENES):
        photograph, truth = coloured_shapes(seed, labels)
        probabilities = noisy_probabilities(seed, truth, labels)
        refined = refine_probabilities(photograph, probabilities, with_settings or settings)
        exact = mean_field(photograph, probabilities, settings).argmax(axis=0)
        equal.append((refined.argmax(axis=0) == exact).mean())
        changed.append((exact != probabilities.argmax(axis=0)).mean())
    assert np.mean(changed) > 0.2, "the refinement has nothing to do, so agreement proves nothing"
    return np.mean(equal)


@pytest.mark.parametrize("settings", SETTINGS, ids=["masks", "test", "short range"])
@pytest.mark.parametrize("labels", [2, 3, 4])
def test_labels_agree_with_exact_mean_field(labels, settings):
    assert agreement(labels, settings) >= AGREEMENT


@pytest.mark.parametrize(
    "name, factor",
    [
        ("iterations", 0.1),
        ("gaussian_sxy", 3),
        ("gaussian_compat", 0),
        ("bilateral_sxy", 0.25),
        ("bilateral_srgb", 2),
        ("bilateral_compat", 0.5),
    ],
)
def test_agreement_is_sensitive_to_every_parameter(name, factor):
    other = replace(
        SHORT_RANGE, **{name: type(getattr(SHORT_RANGE, name))(factor * getattr(SHORT_RANGE, name))}
    )
    assert agreement(3, SHORT_RANGE, with_settings=other) < AGREEMENT - 0.01


def test_marginals_are_probabilities_near_the_exact_ones():
    photograph, truth = coloured_shapes(0, 3)
    probabilities = noisy_probabilities(0, truth, 3)
    refined = refine_probabilities(photograph, probabilities, ON_TEST)
    assert (refined.dtype, refined.shape) == (np.float32, probabilities.shape)
    np.testing.assert_allclose(refined.sum(axis=0), 1, atol=1e-5)
    assert np.abs(refined - mean_field(photograph, probabilities, ON_TEST)).mean() < 0.05


@pytest.mark.parametrize("present", [(0, 20), (0, 7, 20)])
@pytest.mark.parametrize("confidence", [0.6, 0.7, 0.8])
def test_masks_agree_with_exact_mean_field_of_a_hard_unary(confidence, present):
    settings = replace(WEAK, confidence=confidence)
    labels = len(present)
    equal, changed = [], []
    for seed in range(SCENES):
        photograph, truth = coloured_shapes(seed, labels)
        numbers = noisy_mask(seed, truth, labels, void=0.1)
        numbers[numbers == VOID] = labels
        mask = np.array([*present, VOID], np.uint8)[numbers]
        probabilities = np.full((labels, SIZE, SIZE), (1 - confidence) / (labels - 1))
        for number in range(labels):
            probabilities[number][numbers == number] = confidence
        probabilities[:, numbers == labels] = 1 / labels
        exact = np.array(present)[mean_field(photograph, probabilities, settings).argmax(axis=0)]
        refined = refine_labels(photograph, mask, settings)
        assert refined.dtype == np.uint8
        equal.append((refined == exact).mean())
        changed.append((exact != mask).mean())
    assert np.mean(equal) >= AGREEMENT
    assert np.mean(changed) > 0.15, "the refinement has nothing to do, so agreement proves nothing"


def test_hard_unary_is_confidence_for_the_label_and_the_rest_for_the_others(monkeypatch):
    given = []
    monkeypatch.setattr(
        crf_module, "refine_probabilities", lambda photograph, p, settings: given.append(p) or p
    )
    mask = np.array([[0, 7, 20, VOID]], np.uint8)
    refine_labels(np.zeros((1, 4, 3), np.uint8), mask, ON_MASKS)
    expected = [[0.7, 0.15, 0.15, 1 / 3], [0.15, 0.7, 0.15, 1 / 3], [0.15, 0.15, 0.7, 1 / 3]]
    np.testing.assert_allclose(given[0][:, 0], expected, atol=1e-12)


def test_confidence_decides_how_much_a_label_weighs():
    photograph, truth = coloured_shapes(2, 2)
    mask = noisy_mask(2, truth, 2, wrong=0.3)
    certain = CrfSettings(10, 3, 3, 50, 5, 10, confidence=1 - 1e-9)
    weak = CrfSettings(1, 3, 0.01, 50, 5, 0.01)
    np.testing.assert_array_equal(refine_labels(photograph, mask, weak), mask)
    changed = [(refine_labels(photograph, mask, one) != mask).mean() for one in (ON_MASKS, certain)]
    assert changed[0] > changed[1]


def test_void_pixels_are_resolved_by_colour():
    photograph = np.full((SIZE, SIZE, 3), (40, 60, 200), np.uint8)
    photograph[:, SIZE // 2 :] = (220, 180, 30)
    truth = np.where(np.arange(SIZE) < SIZE // 2, 3, 0)[None].repeat(SIZE, 0).astype(np.uint8)
    mask = truth.copy()
    mask[4:14, 6:18] = VOID
    refined = refine_labels(photograph, mask, ON_MASKS)
    np.testing.assert_array_equal(refined, truth)


@pytest.mark.parametrize("label", [0, 9])
def test_void_has_no_opinion(label):
    """The faintest pairwise terms move a void pixel to the label around it, and no other pixel."""
    grey = np.full((SIZE, SIZE, 3), 128, np.uint8)
    expected = np.full((SIZE, SIZE), label, np.uint8)
    expected[-1, -1] = 9 - label
    mask = expected.copy()
    mask[5:7, 5:7] = VOID
    faint = replace(ON_MASKS, gaussian_compat=0.2, bilateral_compat=0.2)
    np.testing.assert_array_equal(refine_labels(grey, mask, faint), expected)


@pytest.mark.parametrize("values", [(5,), (0,), (VOID,), (5, VOID)])
def test_mask_with_nothing_to_weigh_comes_back_as_it_is(values):
    photograph, _ = coloured_shapes(0, 2)
    mask = np.random.default_rng(0).choice(values, size=(SIZE, SIZE)).astype(np.uint8)
    np.testing.assert_array_equal(refine_labels(photograph, mask, ON_MASKS), mask)


def test_read_only_arrays_work_and_nothing_is_changed():
    photograph, truth = coloured_shapes(3, 3)
    mask = noisy_mask(3, truth, 3, void=0.1)
    expected = refine_labels(photograph.copy(), mask.copy(), ON_MASKS)
    before = photograph.copy(), mask.copy()
    photograph.flags.writeable = mask.flags.writeable = False
    np.testing.assert_array_equal(refine_labels(photograph, mask, ON_MASKS), expected)
    np.testing.assert_array_equal(photograph, before[0])
    np.testing.assert_array_equal(mask, before[1])


def test_layout_in_memory_does_not_matter():
    photograph, truth = coloured_shapes(4, 3)
    probabilities = noisy_probabilities(4, truth, 3)
    expected = refine_probabilities(photograph, probabilities, ON_TEST)
    turned = refine_probabilities(
        np.asfortranarray(photograph), np.asfortranarray(probabilities.astype(np.float32)), ON_TEST
    )
    np.testing.assert_allclose(turned, expected, atol=1e-4)


def test_height_and_width_are_not_mixed_up():
    photograph, truth = coloured_shapes(5, 2)
    photograph, truth = photograph[:, :17], truth[:, :17]
    probabilities = noisy_probabilities(5, truth, 2)
    refined = refine_probabilities(photograph, probabilities, ON_TEST).argmax(axis=0)
    exact = mean_field(photograph, probabilities, ON_TEST).argmax(axis=0)
    assert (refined == exact).mean() >= AGREEMENT


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8])
def test_photograph_that_is_not_raw_is_refused(dtype):
    photograph, truth = coloured_shapes(0, 2)
    with pytest.raises(ValueError, match=f"photograph {np.dtype(dtype)} .* for 24x24 unaries"):
        refine_probabilities(photograph.astype(dtype), noisy_probabilities(0, truth, 2), ON_TEST)


def test_photograph_of_another_size_is_refused():
    photograph, truth = coloured_shapes(0, 2)
    with pytest.raises(ValueError, match=r"photograph uint8 \(23, 24, 3\) for 24x24 unaries"):
        refine_probabilities(photograph[:-1], noisy_probabilities(0, truth, 2), ON_TEST)


def test_a_large_photograph_is_refined_small_and_keeps_its_size():
    photograph = np.zeros((60, 80, 3), np.uint8)
    photograph[20:50, 30:70] = 220
    mask = np.zeros((60, 80), np.uint8)
    mask[24:46, 36:62] = 3
    truth = np.where(photograph[..., 0] > 0, 3, 0)
    refined = refine_labels(photograph, mask, CrfSettings(5, 3, 3, 20, 5, 10), longest_side=40)
    assert refined.shape == mask.shape
    assert np.mean(refined == truth) > 0.93 > 0.87 > np.mean(mask == truth)


def in_pixels(settings, factor):
    """Return settings whose standard deviations in pixels are a factor larger and hold for any size."""
    return replace(
        settings,
        gaussian_sxy=factor * settings.gaussian_sxy,
        bilateral_sxy=factor * settings.bilateral_sxy,
        reference_side=None,
    )


@pytest.mark.parametrize("reference", [12, 24, 500])
@pytest.mark.parametrize("height, width", [(24, 24), (24, 15), (13, 20)])
def test_deviations_in_pixels_grow_with_the_longer_side(reference, height, width):
    photograph, truth = coloured_shapes(6, 3)
    photograph = np.ascontiguousarray(photograph[:height, :width])
    probabilities = noisy_probabilities(6, truth[:height, :width], 3)
    scaled = replace(SHORT_RANGE, reference_side=reference)
    factor = max(height, width) / reference
    assert scaled.scale(height, width) == factor
    np.testing.assert_array_equal(
        refine_probabilities(photograph, probabilities, scaled),
        refine_probabilities(photograph, probabilities, in_pixels(SHORT_RANGE, factor)),
    )


def test_without_a_reference_the_deviations_are_pixels_of_any_photograph():
    assert CrfSettings(10, 3, 3, 50, 5, 10).reference_side is None
    assert SHORT_RANGE.scale(3000, 10) == 1
    assert agreement(3, SHORT_RANGE, with_settings=replace(SHORT_RANGE, reference_side=SIZE)) >= AGREEMENT


def test_reference_changes_what_comes_out():
    assert agreement(3, SHORT_RANGE, with_settings=replace(SHORT_RANGE, reference_side=6)) < AGREEMENT
    enlarged = replace(SHORT_RANGE, reference_side=SIZE // 2)
    assert agreement(3, in_pixels(SHORT_RANGE, 2), with_settings=enlarged) >= AGREEMENT


def test_a_shrunk_photograph_has_the_deviations_of_its_small_size():
    photograph, truth = coloured_shapes(7, 3)
    mask = noisy_mask(7, truth, 3)
    scaled = replace(SHORT_RANGE, reference_side=2 * SIZE)
    small, full = (
        refine_labels(photograph, mask, in_pixels(SHORT_RANGE, factor), longest_side=16)
        for factor in (16 / (2 * SIZE), 1 / 2)
    )
    assert (small != full).any(), "the size makes no difference, so equality proves nothing"
    np.testing.assert_array_equal(refine_labels(photograph, mask, scaled, longest_side=16), small)
