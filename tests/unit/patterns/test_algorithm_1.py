"""Algorithm 1 and the CAM seed against loops over pixels, written from the paper."""

from dataclasses import replace

import numpy as np
import pytest

from tagseg.patterns.algorithm_1 import algorithm_1, cam_seed, pattern_seed, project_views
from tagseg.patterns.class_patterns import ClassPattern, project
from tagseg.patterns.settings import SeedStage

VOID = 255


def algorithm_1_by_loop(projections):
    """The paper's two loops, line by line: first the indicator Q, then the three cases."""
    class_indices = list(projections)
    mask = np.zeros(projections[class_indices[0]].shape, int)
    for pixel in np.ndindex(mask.shape):
        indicator = [1 if projections[c][pixel] > 0 else 0 for c in class_indices]
        if sum(indicator) == 1:
            mask[pixel] = class_indices[indicator.index(1)]
        elif sum(indicator) > 1:
            mask[pixel] = VOID
    return mask


def enlarge_by_loop(small, height, width):
    """Bilinear, pixel centres aligned, the border repeated; float64."""
    h, w = small.shape
    large = np.zeros((height, width))
    for row, column in np.ndindex(height, width):
        y, x = (row + 0.5) * h / height - 0.5, (column + 0.5) * w / width - 0.5
        top, left = int(np.floor(y)), int(np.floor(x))
        for r, weight_y in ((top, 1 - (y - top)), (top + 1, y - top)):
            for c, weight_x in ((left, 1 - (x - left)), (left + 1, x - left)):
                value = small[min(max(r, 0), h - 1), min(max(c, 0), w - 1)]
                large[row, column] += weight_y * weight_x * value
    return large


def project_by_loop(pattern, maps):
    """Eq. 3: q_c = (t_u - mean)^T xi_c, for each position u; float64."""
    q = np.zeros(maps.shape[1:])
    for pixel in np.ndindex(q.shape):
        for k in range(len(pattern.mean)):
            q[pixel] += (float(maps[k][pixel]) - pattern.mean[k]) * pattern.eigenvector[k]
    return q


def random_pattern(rng, dimension, offset=0.0):
    vector = rng.normal(size=dimension)
    mean = rng.normal(offset, 1, size=dimension)
    return ClassPattern(vector / np.linalg.norm(vector), mean, np.ones(1), 1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("class_indices", [(3,), (20, 7), (254, 1, 9, 4)])
def test_algorithm_1_is_the_papers_double_loop(seed, class_indices):
    rng = np.random.default_rng(seed)
    # Whole numbers from -2 to 2: q_c = 0 exactly at a fifth of the positions.
    projections = {c: rng.integers(-2, 3, size=(12, 17)).astype(np.float32) for c in class_indices}
    labels = algorithm_1(projections)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, algorithm_1_by_loop(projections))
    expected = {0, *class_indices, VOID} if len(class_indices) > 1 else {0, *class_indices}
    assert set(np.unique(labels)) == expected, "not every case was hit"


@pytest.mark.parametrize("class_indices", [(3,), (20, 7), (254, 1, 9, 4)])
def test_the_largest_cam_share_decides_a_conflict(class_indices):
    rng = np.random.default_rng(len(class_indices))
    projections = {c: rng.integers(-2, 3, size=(12, 17)).astype(np.float32) for c in class_indices}
    shares = {c: rng.random((12, 17)).astype(np.float32) for c in class_indices}
    expected = algorithm_1_by_loop(projections)
    for pixel in zip(*np.nonzero(expected == VOID), strict=True):
        claims = [c for c in class_indices if projections[c][pixel] > 0]
        expected[pixel] = max(claims, key=lambda c: shares[c][pixel])
    np.testing.assert_array_equal(algorithm_1(projections, shares), expected)


def test_cams_are_enlarged_and_clipped_before_they_decide():
    rng = np.random.default_rng(5)
    patterns = {c: random_pattern(rng, 5) for c in (2, 9, 4)}
    maps = [rng.normal(size=(5, 4, 4)).astype(np.float16)]
    cams = {c: (10.0**c % 7) * rng.normal(size=(3, 4)).astype(np.float32) for c in patterns}
    q = {c: enlarge_by_loop(project_by_loop(one, maps[0]), 9, 13) for c, one in patterns.items()}
    large = {c: np.maximum(enlarge_by_loop(cam, 9, 13), 0) for c, cam in cams.items()}
    expected = algorithm_1(q, {c: one / one.max() for c, one in large.items()})
    decided = pattern_seed(patterns, maps, 9, 13, SeedStage(least_correlation=0.0), cams)
    assert (decided != expected).sum() <= 1, "two shares of 0 are equal"
    assert VOID not in decided and VOID in pattern_seed(patterns, maps, 9, 13)


def test_a_weak_pattern_is_replaced_by_the_cam():
    rng = np.random.default_rng(8)
    patterns = {c: replace(random_pattern(rng, 5), mask_correlation=m) for c, m in ((2, 0.32), (9, 0.34))}
    maps = [rng.normal(size=(5, 4, 4)).astype(np.float16)]
    cams = {c: rng.normal(size=(4, 4)).astype(np.float32) for c in patterns}
    large = {c: np.maximum(enlarge_by_loop(cam, 9, 13), 0) for c, cam in cams.items()}
    q = {2: large[2] / large[2].max() - 0.2, 9: enlarge_by_loop(project_by_loop(patterns[9], maps[0]), 9, 13)}
    seed = pattern_seed(patterns, maps, 9, 13, SeedStage(conflicts="void"), cams)
    np.testing.assert_array_equal(seed, algorithm_1_by_loop(q))
    assert {2, 9, VOID} <= set(np.unique(seed))


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_projection_is_equation_3(offset):
    # float32 keeps 6e-8 of a value of `offset`; the sum over 24 dimensions stays well within 1e-3.
    rng = np.random.default_rng(4)
    patterns = [random_pattern(rng, 24, offset) for _ in range(3)]
    maps = rng.normal(offset, 1, size=(24, 5, 7)).astype(np.float16)
    q = project(patterns, maps)
    assert (q.dtype, q.shape) == (np.float32, (3, 5, 7))
    for pattern, one in zip(patterns, q, strict=True):
        np.testing.assert_allclose(one, project_by_loop(pattern, maps), rtol=1e-5, atol=1e-5 + 1e-6 * offset)


def test_views_are_enlarged_then_averaged():
    rng = np.random.default_rng(7)
    patterns = [random_pattern(rng, 5) for _ in range(2)]
    maps = [rng.normal(size=(5, h, w)).astype(np.float16) for h, w in ((3, 4), (5, 5), (2, 2))]
    projections = project_views(patterns, iter(maps), 11, 14)
    for pattern, q in zip(patterns, projections, strict=True):
        expected = np.mean([enlarge_by_loop(project_by_loop(pattern, one), 11, 14) for one in maps], axis=0)
        assert (q.dtype, q.shape) == (np.float32, (11, 14))
        np.testing.assert_allclose(q, expected, rtol=0, atol=1e-5)


def seed_by_loop(patterns, q):
    """Algorithm 1 above the object thresholds; void where only the background thresholds give an object."""
    above = algorithm_1_by_loop({c: q[c] - one.object_threshold for c, one in patterns.items()})
    lenient = algorithm_1_by_loop({c: q[c] - one.background_threshold for c, one in patterns.items()})
    return np.where((above == 0) & (lenient != 0), VOID, above)


@pytest.mark.parametrize("class_indices", [(4,), (2, 19), (1, 2, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_pixels_between_the_thresholds_are_void(seed, class_indices):
    rng = np.random.default_rng(seed)
    patterns = {}
    for c in class_indices:
        low, high = sorted(rng.normal(0, 0.5, size=2))
        patterns[c] = replace(random_pattern(rng, 5), background_threshold=low, object_threshold=high)
    maps = [rng.normal(size=(5, 4, 4)).astype(np.float16) for _ in range(2)]
    q = {
        c: np.mean([enlarge_by_loop(project_by_loop(one, view), 9, 13) for view in maps], axis=0)
        for c, one in patterns.items()
    }
    edges = [(c, edge) for c, p in patterns.items() for edge in (p.background_threshold, p.object_threshold)]
    assert min(np.abs(q[c] - edge).min() for c, edge in edges) > 1e-5, "a sign is not certain in float32"
    expected = seed_by_loop(patterns, q)
    assert VOID in expected and set(np.unique(expected)) & set(class_indices)
    np.testing.assert_array_equal(pattern_seed(patterns, maps, 9, 13), expected)


def cam_seed_by_loop(cams, height, width, threshold):
    mask = np.zeros((height, width), int)
    best = np.full((height, width), threshold)
    for class_index, cam in cams.items():
        large = enlarge_by_loop(cam, height, width)
        for pixel in np.ndindex(height, width):
            if large[pixel] > 0 and large[pixel] / large.max() > best[pixel]:
                best[pixel], mask[pixel] = large[pixel] / large.max(), class_index
    return mask


@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("class_indices", [(3,), (20, 7, 1)])
def test_cam_seed_is_its_loop(threshold, class_indices):
    rng = np.random.default_rng(len(class_indices))
    cams = {c: (10.0**c % 7) * rng.normal(size=(4, 5)) for c in class_indices}
    labels = cam_seed(cams, 13, 18, threshold)
    assert labels.dtype == np.uint8
    # A random fraction lies within float32's rounding of the threshold about once in a million pixels.
    np.testing.assert_array_equal(labels, cam_seed_by_loop(cams, 13, 18, threshold))
    assert set(np.unique(labels)) == {0, *class_indices}


def test_cam_that_is_nowhere_positive_or_equal_to_the_threshold_gives_background():
    assert not cam_seed({3: np.full((2, 2), -1.0), 5: np.zeros((2, 2))}, 4, 4, 0.2).any()
    assert cam_seed({4: np.array([[1.0, 0.5, 0.75]])}, 1, 3, 0.5).tolist() == [[4, 0, 4]]


def test_an_image_of_none_of_the_classes_is_background():
    for mask in (pattern_seed({}, [np.ones((2, 3, 3))], 4, 5), cam_seed({}, 4, 5, 0.2)):
        assert mask.shape == (4, 5) and mask.dtype == np.uint8 and not mask.any()
