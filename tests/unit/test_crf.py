"""The dense CRF against exact mean field over all pairs of pixels, float64, on small images.

pydensecrf approximates the Gaussian sums on a permutohedral lattice, so marginals differ by some per
cent; labels agree in at least 97 % of the pixels. Semantics that the reference fixes: the kernels are
normalised symmetrically, K_ij / sqrt(n_i n_j) with n the row sums; a pixel's message to itself counts.
"""

import os

import numpy as np
import pytest
from tagseg.crf import CrfSettings, in_processes, refine_labels, refine_probabilities

VOID = 255
SIZE = 24
AGREEMENT = 0.97
ON_MASKS = CrfSettings(10, 3, 3, 50, 5, 10, confidence=0.7)
ON_TEST = CrfSettings(10, 3, 3, 80, 13, 10)


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


def coloured_shapes(seed, labels):
    """A photograph of noisy coloured rectangles on a ground, and their labels (0: the ground)."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(30, 226, size=(labels, 3))
    truth = np.zeros((SIZE, SIZE), np.uint8)
    for label in range(1, labels):
        top, left = rng.integers(0, SIZE - 10, size=2)
        truth[top : top + rng.integers(7, 11), left : left + rng.integers(7, 11)] = label
    noise = rng.normal(0, 6, size=(SIZE, SIZE, 3))
    return np.clip(colours[truth] + noise, 0, 255).astype(np.uint8), truth


def noisy_probabilities(seed, truth, labels):
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1, size=(labels, *truth.shape))
    scores += 1.5 * (truth == np.arange(labels)[:, None, None])
    return softmax(scores)


def noisy_mask(seed, truth, labels, wrong=0.15, void=0.0):
    rng = np.random.default_rng(seed)
    mask = np.where(rng.random(truth.shape) < wrong, rng.choice(labels, size=truth.shape), truth)
    return np.where(rng.random(truth.shape) < void, VOID, mask).astype(np.uint8)


@pytest.mark.parametrize("settings", [ON_MASKS, ON_TEST], ids=["masks", "test"])
@pytest.mark.parametrize("labels", [2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_probabilities_agree_with_exact_mean_field(seed, labels, settings):
    photograph, truth = coloured_shapes(seed, labels)
    probabilities = noisy_probabilities(seed, truth, labels)
    refined = refine_probabilities(photograph, probabilities, settings)
    assert (refined.dtype, refined.shape) == (np.float32, probabilities.shape)
    np.testing.assert_allclose(refined.sum(axis=0), 1, atol=1e-5)
    exact = mean_field(photograph, probabilities, settings)
    assert (refined.argmax(axis=0) == exact.argmax(axis=0)).mean() >= AGREEMENT
    assert np.abs(refined - exact).mean() < 0.03


def test_refinement_changes_what_it_refines():
    photograph, truth = coloured_shapes(1, 3)
    probabilities = noisy_probabilities(1, truth, 3)
    exact = mean_field(photograph, probabilities, ON_TEST).argmax(axis=0)
    assert (exact != probabilities.argmax(axis=0)).mean() > 1 - AGREEMENT, "no proof of agreement"


@pytest.mark.parametrize("seed", range(6))
def test_labels_agree_with_exact_mean_field_on_a_hard_unary(seed):
    photograph, truth = coloured_shapes(seed, 3)
    present = np.array([0, 7, 20], np.uint8)
    mask = noisy_mask(seed, truth, 3, void=0.1)
    mask = np.where(mask == VOID, VOID, present[mask % 3]).astype(np.uint8)
    probabilities = np.full((3, SIZE, SIZE), 0.15)
    for number, label in enumerate(present):
        probabilities[number][mask == label] = 0.7
    probabilities[:, mask == VOID] = 1 / 3
    exact = present[mean_field(photograph, probabilities, ON_MASKS).argmax(axis=0)]
    refined = refine_labels(photograph, mask, ON_MASKS)
    assert refined.dtype == np.uint8
    assert (refined == exact).mean() >= AGREEMENT
    assert (exact != mask).mean() > 0.1, "no proof of agreement"


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


def test_void_has_no_opinion():
    """In a photograph without colours a lone void pixel takes the label around it, whichever it is."""
    grey = np.full((SIZE, SIZE, 3), 128, np.uint8)
    for label in (0, 9):
        mask = np.full((SIZE, SIZE), label, np.uint8)
        mask[-1, -1] = 9 - label
        mask[5:7, 5:7] = VOID
        assert (refine_labels(grey, mask, ON_MASKS)[5:7, 5:7] == label).all()


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


def square_and_process(number):
    return number**2, os.getpid()


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_tasks(processes):
    results = list(in_processes(square_and_process, iter(range(30)), processes))
    assert [square for square, _ in results] == [number**2 for number in range(30)]
    assert ({process for _, process in results} == {os.getpid()}) == (processes == 1)


def fail_on_three(number):
    if number == 3:
        raise ValueError("three")
    return number


@pytest.mark.parametrize("processes", [1, 2])
def test_failure_of_a_task_reaches_the_caller(processes):
    with pytest.raises(ValueError, match="three"):
        list(in_processes(fail_on_three, range(10), processes))
