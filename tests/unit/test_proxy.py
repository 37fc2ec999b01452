"""Algorithm 1 and the CAM seed against loops over pixels, written from the paper."""

from dataclasses import replace

import numpy as np
import pytest

from tagseg.patterns import ClassPattern
from tagseg.proxy import algorithm_1, cam_seed, pattern_seed, project_views

VOID = 255


def algorithm_1_by_loop(projections):
    """The paper's two loops, line by line: first the indicator Q, then the three cases."""
    numbers = list(projections)
    height, width = projections[numbers[0]].shape
    mask = np.zeros((height, width), int)
    for row in range(height):
        for column in range(width):
            indicator = [1 if projections[c][row, column] > 0 else 0 for c in numbers]
            if sum(indicator) == 0:
                mask[row, column] = 0
            elif sum(indicator) == 1:
                mask[row, column] = numbers[indicator.index(1)]
            else:
                mask[row, column] = VOID
    return mask


def enlarge_by_loop(small, height, width):
    """Bilinear, pixel centres aligned, the border repeated; float64."""
    h, w = small.shape
    large = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            y = (row + 0.5) * h / height - 0.5
            x = (column + 0.5) * w / width - 0.5
            top, left = int(np.floor(y)), int(np.floor(x))
            for r, share_y in ((top, 1 - (y - top)), (top + 1, y - top)):
                for c, share_x in ((left, 1 - (x - left)), (left + 1, x - left)):
                    value = small[min(max(r, 0), h - 1), min(max(c, 0), w - 1)]
                    large[row, column] += share_y * share_x * value
    return large


def project_by_loop(pattern, maps):
    """Eq. 3: q_c = (t_u - mean)^T xi_c, for each position u; float64."""
    _, h, w = maps.shape
    q = np.zeros((h, w))
    for row in range(h):
        for column in range(w):
            for k in range(len(pattern.mean)):
                q[row, column] += (float(maps[k, row, column]) - pattern.mean[k]) * pattern.eigenvector[k]
    return q


def random_pattern(rng, dimension, offset=0.0):
    vector = rng.normal(size=dimension)
    mean = rng.normal(offset, 1, size=dimension)
    return ClassPattern(vector / np.linalg.norm(vector), mean, np.ones(1), 1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("numbers", [(3,), (20, 7), (254, 1, 9, 4)])
def test_algorithm_1_is_the_papers_double_loop(seed, numbers):
    rng = np.random.default_rng(seed)
    # Whole numbers from -2 to 2: q_c = 0 exactly at a fifth of the positions.
    projections = {number: rng.integers(-2, 3, size=(12, 17)).astype(np.float32) for number in numbers}
    labels = algorithm_1(projections)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, algorithm_1_by_loop(projections))
    expected = {0, *numbers, VOID} if len(numbers) > 1 else {0, *numbers}
    assert set(np.unique(labels)) == expected, "not every case was hit"


def test_each_case_of_algorithm_1():
    first = np.array([[-1.0, 2.0, -1.0, 3.0, 0.0, 0.0]])
    second = np.array([[-2.0, -1.0, 5.0, 1e-9, 0.0, 1.0]])
    assert algorithm_1({4: first, 2: second}).tolist() == [[0, 4, 2, VOID, 0, 2]]


def test_algorithm_1_without_a_class_is_an_error():
    with pytest.raises(ValueError, match="one class at least"):
        algorithm_1({})


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_projection_is_equation_3(offset):
    # float32 keeps 6e-8 of a value of `offset`; the sum over 24 dimensions stays well within 1e-3.
    rng = np.random.default_rng(4)
    pattern = random_pattern(rng, 24, offset)
    maps = rng.normal(offset, 1, size=(24, 5, 7)).astype(np.float16)
    q = pattern.project(maps)
    assert (q.dtype, q.shape) == (np.float32, (5, 7))
    np.testing.assert_allclose(q, project_by_loop(pattern, maps), rtol=1e-5, atol=1e-5 + 1e-6 * offset)


def test_projection_leaves_the_features_as_they_are():
    rng = np.random.default_rng(5)
    maps = rng.normal(size=(6, 3, 3)).astype(np.float32)
    before = maps.copy()
    random_pattern(rng, 6, 10).project(maps)
    np.testing.assert_array_equal(maps, before)


def test_large_common_offset_costs_no_digits():
    rng = np.random.default_rng(6)
    pattern = ClassPattern(np.full(2048, 2048**-0.5), np.full(2048, 1000.0), np.ones(1), 1)
    maps = (1000 + rng.integers(-4, 5, size=(2048, 4, 4)) / 8).astype(np.float32)
    exact = (maps.astype(np.float64) - 1000).sum(axis=0) / np.sqrt(2048)
    np.testing.assert_allclose(pattern.project(maps), exact, rtol=0, atol=1e-5)


def test_views_are_enlarged_then_averaged():
    rng = np.random.default_rng(7)
    pattern = random_pattern(rng, 5)
    maps = [rng.normal(size=(5, h, w)).astype(np.float16) for h, w in ((3, 4), (5, 5), (2, 2))]
    expected = np.mean([enlarge_by_loop(project_by_loop(pattern, one), 11, 14) for one in maps], axis=0)
    q = project_views(pattern, maps, 11, 14)
    assert (q.dtype, q.shape) == (np.float32, (11, 14))
    np.testing.assert_allclose(q, expected, rtol=0, atol=1e-5)


def test_projection_is_enlarged_before_the_threshold():
    pattern = ClassPattern(np.array([1.0, 0.0]), np.zeros(2), np.ones(1), 1)
    small = np.array([[9.0, -1.0], [-1.0, -1.0]])
    maps = np.stack([small, np.zeros((2, 2))])
    mask = pattern_seed({1: pattern}, [maps], 16, 16)
    exact = enlarge_by_loop(small, 16, 16)
    decided = np.abs(exact) > 1e-4  # where float32 and float64 can have one sign only
    assert decided.mean() > 0.9
    np.testing.assert_array_equal(mask[decided], exact[decided] > 0)
    first_thresholded = enlarge_by_loop((small > 0).astype(float), 16, 16) > 0.5
    assert (mask != first_thresholded).mean() > 0.1


def test_mean_over_views_is_before_the_threshold():
    pattern = ClassPattern(np.array([1.0]), np.zeros(1), np.ones(1), 1)
    maps = [np.full((1, 2, 2), value) for value in (-1.0, -1.0, 3.0)]
    assert pattern_seed({8: pattern}, maps, 4, 4).tolist() == [[8] * 4] * 4  # most views say background


def test_seed_of_patterns_is_algorithm_1_of_their_projections():
    rng = np.random.default_rng(8)
    patterns = {number: random_pattern(rng, 5) for number in (2, 19)}
    maps = [rng.normal(size=(5, 4, 4)).astype(np.float16) for _ in range(2)]
    exact = {
        number: np.mean([enlarge_by_loop(project_by_loop(one, view), 9, 13) for view in maps], axis=0)
        for number, one in patterns.items()
    }
    assert min(np.abs(q).min() for q in exact.values()) > 1e-5, "a sign is not certain in float32"
    seed = pattern_seed(patterns, iter(maps), 9, 13)
    np.testing.assert_array_equal(seed, algorithm_1_by_loop(exact))


def seed_by_loop(patterns, q):
    """Algorithm 1 above the boundaries; void where it says background and, above the floors, does not."""
    above = algorithm_1_by_loop({number: q[number] - one.boundary for number, one in patterns.items()})
    generous = algorithm_1_by_loop({number: q[number] - one.floor for number, one in patterns.items()})
    for place in np.ndindex(above.shape):
        if above[place] == 0 and generous[place] != 0:
            above[place] = VOID
    return above


@pytest.mark.parametrize("numbers", [(4,), (2, 19), (1, 2, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_what_lies_between_floor_and_boundary_is_void(seed, numbers):
    rng = np.random.default_rng(seed)
    patterns = {}
    for number in numbers:
        floor, boundary = sorted(rng.normal(0, 0.5, size=2))
        patterns[number] = replace(random_pattern(rng, 5), floor=floor, boundary=boundary)
    maps = [rng.normal(size=(5, 4, 4)).astype(np.float16) for _ in range(2)]
    q = {
        number: np.mean([enlarge_by_loop(project_by_loop(one, view), 9, 13) for view in maps], axis=0)
        for number, one in patterns.items()
    }
    edges = [
        np.abs(q[number] - edge) for number, one in patterns.items() for edge in (one.floor, one.boundary)
    ]
    assert min(edge.min() for edge in edges) > 1e-5, "a sign is not certain in float32"
    expected = seed_by_loop(patterns, q)
    assert VOID in expected and set(np.unique(expected)) & set(numbers)
    np.testing.assert_array_equal(pattern_seed(patterns, maps, 9, 13), expected)


def test_boundary_parts_object_from_background():
    patterns = {
        3: ClassPattern(np.array([1.0, 0.0]), np.zeros(2), np.ones(1), 1, boundary=2.0, floor=2.0),
        7: ClassPattern(np.array([0.0, 1.0]), np.zeros(2), np.ones(1), 1, boundary=-1.0, floor=-1.0),
    }
    maps = np.array([[[1.0, 2.0, 2.5, 2.5]], [[-2.0, -0.5, -1.5, 0.0]]])
    assert pattern_seed(patterns, [maps], 1, 4).tolist() == [[0, 7, 3, VOID]]


def test_projection_itself_knows_no_boundary():
    maps = np.ones((1, 2, 2), np.float16)
    pattern = ClassPattern(np.ones(1), np.zeros(1), np.ones(1), 1, boundary=5.0)
    np.testing.assert_array_equal(pattern.project(maps), maps[0])


def cam_seed_by_loop(cams, height, width, threshold):
    large = {number: enlarge_by_loop(cam, height, width) for number, cam in cams.items()}
    top = {number: max(value for row in cam for value in row) for number, cam in large.items()}
    mask = np.zeros((height, width), int)
    for row in range(height):
        for column in range(width):
            best = threshold
            for number, cam in large.items():
                share = max(cam[row, column], 0) / top[number] if top[number] > 0 else 0
                if share > best:
                    best, mask[row, column] = share, number
    return mask


@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("numbers", [(3,), (20, 7, 1)])
def test_cam_seed_is_its_loop(threshold, numbers):
    rng = np.random.default_rng(len(numbers))
    cams = {number: (10.0**number % 7) * rng.normal(size=(4, 5)) for number in numbers}
    labels = cam_seed(cams, 13, 18, threshold)
    assert labels.dtype == np.uint8
    # A random share lies within float32's rounding of a boundary about once in a million pixels.
    np.testing.assert_array_equal(labels, cam_seed_by_loop(cams, 13, 18, threshold))
    assert set(np.unique(labels)) == {0, *numbers}


def test_cam_that_is_nowhere_positive_gives_background():
    cams = {3: np.full((2, 2), -1.0), 5: np.zeros((2, 2))}
    assert not cam_seed(cams, 4, 4, 0.2).any()


def test_cam_is_judged_by_the_share_of_its_own_maximum():
    cams = {1: np.array([[100.0, 30.0]]), 2: np.array([[0.1, 1.0]])}
    assert cam_seed(cams, 1, 2, 0.2).tolist() == [[1, 2]]
    assert cam_seed({2: cams[2]}, 1, 2, 0.2).tolist() == [[0, 2]]


def test_share_equal_to_the_threshold_is_background():
    assert cam_seed({4: np.array([[1.0, 0.5, 0.75]])}, 1, 3, 0.5).tolist() == [[4, 0, 4]]
