"""The dense CRF against exact mean field over all pairs of pixels, float64, on small images.

pydensecrf approximates the Gaussian sums on a permutohedral lattice, so marginals differ by some per
cent; labels agree in at least 97 % of the pixels. Semantics that the reference fixes: the kernels are
normalised symmetrically, K_ij / sqrt(n_i n_j) with n the row sums; a pixel's message to itself counts.
"""

import numpy as np
import pytest

from tagseg.segmentation.crf import refine_labels, refine_probabilities
from tagseg.segmentation.settings import ProxyCrfSettings

VOID = 255
SIZE = 24
AGREEMENT = 0.97
KEYS = ("iterations", "gaussian_sxy", "gaussian_compat", "bilateral_sxy", "bilateral_srgb", "bilateral_compat")


def crf_of(*values):
    return ProxyCrfSettings(**dict(zip(KEYS, values, strict=True)), confidence=0.7)


ON_MASKS, ON_TEST = crf_of(10, 3, 3, 50, 5, 10), crf_of(10, 3, 3, 80, 13, 10)
SHORT_RANGE = crf_of(10, 2, 3, 8, 10, 6)  # ranges that matter in images of 24 x 24
WEAK = crf_of(10, 2, 2, 8, 10, 2)  # weak enough that the unary matters
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


def mean_field(image, probabilities, settings):
    """Krähenbühl & Koltun's Algorithm 1 with Potts compatibility, every pair of pixels summed."""
    labels, height, width = probabilities.shape
    rows, columns = (grid.ravel() for grid in np.mgrid[:height, :width].astype(float))
    place = np.stack([columns, rows], axis=1)
    colour = image.reshape(-1, 3).astype(float) / settings.bilateral_srgb
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
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1, 1], size=(labels, 3))
    colours = rng.integers(80, 170, size=3) + contrast * signs * rng.uniform(0.5, 1.5, size=(labels, 3))
    truth = np.zeros((SIZE, SIZE), np.uint8)
    for label in range(1, labels):
        top, left = rng.integers(0, SIZE - 8, size=2)
        truth[top : top + rng.integers(5, 11), left : left + rng.integers(5, 11)] = label
    shading = np.linspace(-contrast, contrast, SIZE)[:, None, None] * (0.7, 0, -0.7)
    image = colours[truth] + shading + rng.normal(0, noise, size=(SIZE, SIZE, 3))
    return np.clip(image, 0, 255).astype(np.uint8), truth


def noisy_probabilities(seed, truth, labels):
    """A unary so noisy that a fifth of its labels, at least, are changed by the refinement."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 4, size=(labels, *truth.shape))
    return softmax(scores + (truth == np.arange(labels)[:, None, None]))


def noisy_mask(seed, truth, labels, wrong=0.4, void=0.0):
    rng = np.random.default_rng(seed)
    mask = np.where(rng.random(truth.shape) < wrong, rng.choice(labels, size=truth.shape), truth)
    return np.where(rng.random(truth.shape) < void, VOID, mask).astype(np.uint8)


def agreement(labels, settings, with_settings=None, reference_side=None):
    equal, changed = [], []
    for seed in range(SCENES):
        image, truth = coloured_shapes(seed, labels)
        probabilities = noisy_probabilities(seed, truth, labels)
        refined = refine_probabilities(image, probabilities, with_settings or settings, reference_side)
        exact = mean_field(image, probabilities, settings).argmax(axis=0)
        equal.append((refined.argmax(axis=0) == exact).mean())
        changed.append((exact != probabilities.argmax(axis=0)).mean())
    assert np.mean(changed) > 0.2, "the refinement has nothing to do, so agreement proves nothing"
    return np.mean(equal)


@pytest.mark.parametrize("settings", [ON_MASKS, ON_TEST, SHORT_RANGE], ids=["masks", "test", "short range"])
@pytest.mark.parametrize("labels", [2, 3, 4])
def test_labels_agree_with_exact_mean_field(labels, settings):
    assert agreement(labels, settings) >= AGREEMENT


@pytest.mark.parametrize(("name", "factor"), list(zip(KEYS, (0.1, 3, 0, 0.25, 2, 0.5), strict=True)))
def test_agreement_is_sensitive_to_every_parameter(name, factor):
    value = getattr(SHORT_RANGE, name)
    other = SHORT_RANGE.model_copy(update={name: type(value)(factor * value)})
    assert agreement(3, SHORT_RANGE, with_settings=other) < AGREEMENT - 0.01


@pytest.mark.parametrize("width", [SIZE, 17])
def test_marginals_are_probabilities_near_the_exact_ones(width):
    image, truth = coloured_shapes(0, 3)
    image, truth = image[:, :width], truth[:, :width]
    probabilities = noisy_probabilities(0, truth, 3)
    refined = refine_probabilities(image, probabilities, ON_TEST)
    assert (refined.dtype, refined.shape) == (np.float32, probabilities.shape)
    np.testing.assert_allclose(refined.sum(axis=0), 1, atol=1e-5)
    assert np.abs(refined - mean_field(image, probabilities, ON_TEST)).mean() < 0.05


@pytest.mark.parametrize("present", [(0, 20), (0, 7, 20)])
@pytest.mark.parametrize("confidence", [0.6, 0.7, 0.8])
def test_masks_agree_with_exact_mean_field_of_a_hard_unary(confidence, present):
    settings, labels = WEAK.model_copy(update={"confidence": confidence}), len(present)
    equal, changed = [], []
    for seed in range(SCENES):
        image, truth = coloured_shapes(seed, labels)
        indices = noisy_mask(seed, truth, labels, void=0.1)
        indices[indices == VOID] = labels
        mask = np.array([*present, VOID], np.uint8)[indices]
        probabilities = np.full((labels, SIZE, SIZE), (1 - confidence) / (labels - 1))
        for label in range(labels):
            probabilities[label][indices == label] = confidence
        probabilities[:, indices == labels] = 1 / labels
        exact = np.array(present)[mean_field(image, probabilities, settings).argmax(axis=0)]
        refined = refine_labels(image, mask, settings)
        assert refined.dtype == np.uint8
        equal.append((refined == exact).mean())
        changed.append((exact != mask).mean())
    assert np.mean(equal) >= AGREEMENT
    assert np.mean(changed) > 0.15, "the refinement has nothing to do, so agreement proves nothing"


@pytest.mark.parametrize("values", [(5,), (0,), (VOID,), (5, VOID)])
def test_mask_with_nothing_to_weigh_comes_back_as_it_is(values):
    image, _ = coloured_shapes(0, 2)
    image.flags.writeable = False
    mask = np.random.default_rng(0).choice(values, size=(SIZE, SIZE)).astype(np.uint8)
    np.testing.assert_array_equal(refine_labels(image, mask, ON_MASKS), mask)


def in_pixels(settings, factor):
    names = ("gaussian_sxy", "bilateral_sxy")
    return settings.model_copy(update={name: factor * getattr(settings, name) for name in names})


@pytest.mark.parametrize("reference", [12, 24, 500])
@pytest.mark.parametrize("height, width", [(24, 24), (24, 15), (13, 20)])
def test_deviations_in_pixels_grow_with_the_longer_side(reference, height, width):
    image, truth = coloured_shapes(6, 3)
    image = np.ascontiguousarray(image[:height, :width])
    probabilities = noisy_probabilities(6, truth[:height, :width], 3)
    factor = max(height, width) / reference
    np.testing.assert_array_equal(
        refine_probabilities(image, probabilities, SHORT_RANGE, reference),
        refine_probabilities(image, probabilities, in_pixels(SHORT_RANGE, factor)),
    )


def test_a_shrunk_image_has_the_deviations_of_its_small_size():
    image, truth = coloured_shapes(7, 3)
    mask = noisy_mask(7, truth, 3)
    small, full = (
        refine_labels(image, mask, in_pixels(SHORT_RANGE, factor), longest_side=16)
        for factor in (16 / (2 * SIZE), 1 / 2)
    )
    assert (small != full).any(), "the size makes no difference, so equality proves nothing"
    np.testing.assert_array_equal(refine_labels(image, mask, SHORT_RANGE, 16, 2 * SIZE), small)


@pytest.mark.parametrize("change", [lambda image: image[:-1], lambda image: image.astype(np.float32)])
def test_image_of_another_size_or_dtype_is_an_error(change):
    image, truth = coloured_shapes(0, 2)
    with pytest.raises(ValueError, match=r"image \w+ .* for 24x24 unaries"):
        refine_probabilities(change(image), noisy_probabilities(0, truth, 2), ON_TEST)
