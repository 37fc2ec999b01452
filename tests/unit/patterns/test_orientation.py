"""Running correlations, and those of the masks of all thresholds, against np.corrcoef."""

import numpy as np
import pytest

from tagseg.patterns.orientation import BINS, REACH, Correlation, MaskCorrelation
from threshold_references import ONE_BIN, best_of_all, of_mask


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_correlation_is_that_of_numpy(offset):
    # With an offset of 1e3 the raw sums keep 16 - 6 digits.
    rng = np.random.default_rng(3)
    first = [rng.normal(offset, 1, size=(3, 4)) for _ in range(5)]
    second = [0.3 * one + rng.normal(size=(3, 4)) for one in first]
    correlation = Correlation()
    for pair in zip(first, second, strict=True):
        correlation.add(*pair)
    expected = np.corrcoef(np.ravel(first), np.ravel(second))[0, 1]
    assert correlation.value() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, 0.7, 123.456])
def test_correlation_with_a_constant_is_0(constant):
    correlation, masks = Correlation(), MaskCorrelation(1.0)
    for seed in range(50):
        q = random_pair(seed, 1.0, (9, 9))[0]
        correlation.add(q, np.full(q.shape, constant, np.float32))
        masks.add(q, np.full(q.shape, constant))
    assert correlation.value() == 0
    assert not masks.at_edges().any() and (masks.best(), masks.at_mean()) == ((0, 0), 0)


def random_pair(seed, deviation=3.0, shape=(20, 30)):
    rng = np.random.default_rng(seed)
    q = rng.normal(0, deviation, size=shape).astype(np.float32)
    values = 1 / (1 + np.exp(1 - q / deviation - rng.normal(size=shape)))
    return q, values.astype(np.float32)


def mask_correlation_of(deviation, *pairs):
    made = MaskCorrelation(deviation)
    for q, values in pairs:
        made.add(q, values)
    return made


def check(made, q, values):
    """Check the correlation at the mean and at every edge; at the outermost all and nothing are object."""
    found = made.at_edges()
    assert found.shape == made.edges.shape == (BINS + 1,) and found[0] == found[-1] == 0
    expected = [of_mask(q, edge, values) for edge in made.edges[1:-1]]
    np.testing.assert_allclose(found[1:-1], expected, rtol=0, atol=1e-9)
    assert made.at_mean() == pytest.approx(of_mask(q, 0, values), abs=1e-9)


@pytest.mark.parametrize("deviation", [3.0, 1e-4, 1e4])
def test_masks_of_all_thresholds_correlate_as_numpy_says(deviation):
    pairs = [random_pair(seed, deviation, shape) for seed, shape in enumerate([(4, 5), (11, 3), (9, 9)])]
    made = mask_correlation_of(deviation, *pairs)
    check(made, *(np.concatenate([one.ravel() for one in part]) for part in zip(*pairs, strict=True)))
    assert made.edges[[0, BINS // 2, BINS]] == pytest.approx([-REACH * deviation, 0, REACH * deviation])


def test_value_on_an_edge_is_not_above_it():
    rng = np.random.default_rng(1)
    q = rng.choice(MaskCorrelation(1.0).edges[1950:2150:20], size=(20, 20))
    q[0, :10] = 0
    values = q + rng.normal(size=q.shape)
    check(mask_correlation_of(1.0, (q, values)), q, values)


@pytest.mark.parametrize("seed", range(5))
def test_best_is_that_of_all_thresholds_but_for_a_bins_width(seed):
    q, values = random_pair(20 + seed, shape=(50, 40))
    threshold, correlation = mask_correlation_of(3.0, (q, values)).best()
    assert correlation == pytest.approx(of_mask(q, threshold, values), abs=1e-9)
    assert best_of_all(q, values) - ONE_BIN < correlation < best_of_all(q, values) + 1e-9
    against = mask_correlation_of(3.0, (q, -q))
    assert against.best() == (0, 0) and against.at_mean() < -0.7
