"""Explained variances of patterns against NumPy in float64, and features without a pattern."""

import numpy as np
import pytest

from tagseg.patterns.moments import COMPONENTS, Moments, image_moments, leading_pattern
from tagseg.runtime.errors import TagsegError


def random_moments(rng, dimension, positions):
    moments = Moments(np.zeros(dimension))
    moments.add(*image_moments([rng.normal(size=(dimension, 1, positions))], moments.shift))
    return moments


@pytest.mark.parametrize("positions, dimension", [(10, 80), (400, 80), (400, 3), (400, 2), (60, 51)])
def test_explained_variance_of_few_positions_and_few_dimensions_the_same_to_the_bit(positions, dimension):
    moments, same = (random_moments(np.random.default_rng(2), dimension, positions) for _ in range(2))
    pattern, again = leading_pattern(moments), leading_pattern(same)
    values, fractions = np.linalg.eigvalsh(moments.covariance())[::-1], pattern.explained_variance
    assert len(fractions) == min(COMPONENTS, dimension - 1) and (fractions >= 0).all()
    expected = np.clip(values[: len(fractions)], 0, None) / values.sum()
    np.testing.assert_allclose(fractions[0], expected[0], rtol=0, atol=1e-10)
    np.testing.assert_allclose(fractions, expected, rtol=0, atol=1e-3 * expected[0])
    assert (np.diff(fractions) <= 0).all()
    assert fractions.tobytes() == again.explained_variance.tobytes()
    assert pattern.eigenvector.tobytes() == again.eigenvector.tobytes()


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e4])
def test_explained_variance_does_not_depend_on_the_scale_of_features(scale):
    rng = np.random.default_rng(3)
    maps = rng.normal(size=(200, 30, 30)) / np.arange(1, 201)[:, None, None] ** 0.5
    moments = Moments(np.zeros(200))
    moments.add(*image_moments([scale * maps], moments.shift))
    values = np.linalg.eigvalsh(moments.covariance())[::-1]
    expected = values[:COMPONENTS] / values.sum()
    np.testing.assert_allclose(leading_pattern(moments).explained_variance, expected, rtol=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.1, 1000.3])
def test_features_that_do_not_vary_are_an_error(value):
    maps = np.full((60, 4, 4), value, np.float16)
    moments = Moments(maps[:, 0, 0])
    moments.add(*image_moments([maps, maps], moments.shift))
    with pytest.raises(TagsegError, match="do not vary"):
        leading_pattern(moments)
