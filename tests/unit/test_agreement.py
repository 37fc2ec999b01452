"""Sign and boundary of class patterns against np.corrcoef of what they stand for, mask by mask."""

from dataclasses import replace

import numpy as np
import pytest

from tagseg import patterns as patterns_module
from tagseg.agreement import BINS, REACH, Correlation, MaskCorrelation, orient_patterns
from tagseg.errors import TagsegError
from tagseg.images import resize_map
from tagseg.map_shards import View, write_maps
from tagseg.patterns import ClassPattern, class_moments, leading_pattern, open_shards
from tagseg.proxy import pattern_seed

DIMENSION = 24
VIEWS = {View(8): (9, 10), View(8, mirrored=True): (9, 10), View(12): (12, 14)}
SUBSETS = {"dog": ("a", "c", "d", "f"), "cat": ("b", "c", "e", "f")}  # c and f count for both
NUMBERS = {"dog": 1, "cat": 7}
SHARD_IDS = (("a", "b", "ignored"), (), ("c", "d", "e", "f"))

ONE_BIN = 0.01
"""How far the best of the bins may stay behind the best of all thresholds.

A bin is 1/256 standard deviation wide and holds at most 0.16 % of normal numbers. To move a mask's pixels
of that share moves its correlation by less than this, save for masks of a few per mille of the pixels.
"""


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
    rng = np.random.default_rng(4)
    correlation = Correlation()
    for _ in range(50):
        correlation.add(rng.normal(size=(9, 9)), np.full((9, 9), constant, np.float32))
    assert correlation.value() == 0


def test_correlation_of_nothing_is_0():
    assert Correlation().value() == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_perfect_correlation_stays_within_1(sign):
    correlation = Correlation()
    for seed in range(20):
        values = np.random.default_rng(seed).normal(size=77)
        correlation.add(values, sign * values / 3)
    assert correlation.value() == pytest.approx(sign, abs=1e-12)
    assert abs(correlation.value()) <= 1


def of_mask(q, boundary, values):
    """Return the correlation of {q > boundary} with the values as NumPy has it; 0 for a constant mask."""
    mask = q.ravel() > boundary
    return np.corrcoef(mask, values.ravel())[0, 1] if mask.any() and not mask.all() else 0.0


def best_of_all(q, values):
    """Return the highest correlation that any threshold gives: all distinct values of q are tried."""
    return max(of_mask(q, threshold, values) for threshold in np.unique(q))


def random_pair(seed, deviation=3.0, shape=(20, 30)):
    """Return random q, float32, and a map in [0, 1] that has to do with it."""
    rng = np.random.default_rng(seed)
    q = rng.normal(0, deviation, size=shape).astype(np.float32)
    values = 1 / (1 + np.exp(1 - q / deviation - rng.normal(size=shape)))
    return q, values.astype(np.float32)


def mask_correlation_of(deviation, *pairs):
    made = MaskCorrelation(deviation)
    for q, values in pairs:
        made.add(q, values)
    return made


def ravelled(pairs):
    return (np.concatenate([one.ravel() for one in part]) for part in zip(*pairs, strict=True))


def check_edges(made, q, values):
    """Check the correlation at every edge but the outermost, where all and nothing are object."""
    found = made.at_edges()
    assert found.shape == made.edges.shape == (BINS + 1,)
    assert found[0] == found[-1] == 0
    expected = [of_mask(q, edge, values) for edge in made.edges[1:-1]]
    np.testing.assert_allclose(found[1:-1], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("deviation", [3.0, 1e-4, 1e4])
def test_masks_of_all_boundaries_correlate_as_numpy_says(deviation):
    pairs = [random_pair(seed, deviation, shape) for seed, shape in enumerate([(4, 5), (11, 3), (9, 9)])]
    made = mask_correlation_of(deviation, *pairs)
    q, values = ravelled(pairs)
    check_edges(made, q, values)
    assert made.at_mean() == pytest.approx(of_mask(q, 0, values), abs=1e-9)
    assert made.edges[[0, BINS // 2, BINS]] == pytest.approx([-REACH * deviation, 0, REACH * deviation])


def test_a_value_on_an_edge_is_not_above_it():
    rng = np.random.default_rng(1)
    edges = MaskCorrelation(1.0).edges
    q = rng.choice(edges[1950:2150:20], size=(20, 20))
    q[0, :10] = 0
    values = q + rng.normal(size=q.shape)
    made = mask_correlation_of(1.0, (q, values))
    check_edges(made, q, values)
    assert made.at_mean() == pytest.approx(of_mask(q, 0, values), abs=1e-9)


def test_equal_values_part_together():
    rng = np.random.default_rng(2)
    q = rng.integers(-2, 3, size=(15, 15)) * 0.7003
    values = (q > 0) + rng.normal(0, 0.3, size=q.shape)
    made = mask_correlation_of(1.0, (q, values))
    check_edges(made, q, values)
    assert made.best() == (0, pytest.approx(best_of_all(q, values), abs=1e-9)), "not the lowest of equals"


def test_what_lies_beyond_the_reach_counts_as_there():
    q, values = random_pair(3, 1.0)
    q[:2], q[2:3], q[3:4] = 3 * REACH, -1e6, REACH * 1.001
    check_edges(mask_correlation_of(1.0, (q, values)), q, values)


def test_flip_is_to_add_the_negative():
    pairs = [random_pair(seed) for seed in (4, 5)]
    flipped = mask_correlation_of(3.0, *pairs)
    flipped.flip()
    negative = mask_correlation_of(3.0, *((-q, values) for q, values in pairs))
    np.testing.assert_array_equal(flipped.at_edges(), negative.at_edges())
    assert flipped.at_mean() < -0.3
    flipped.flip()
    np.testing.assert_array_equal(flipped.at_edges(), mask_correlation_of(3.0, *pairs).at_edges())


def test_what_is_added_after_a_flip_is_counted_as_it_is():
    first, second = random_pair(6), random_pair(7)
    made = mask_correlation_of(3.0, first)
    made.flip()
    made.add(*second)
    check_edges(made, *ravelled([(-first[0], first[1]), second]))


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, 0.7])
def test_masks_do_not_correlate_with_a_constant_map(constant):
    made = MaskCorrelation(1.0)
    for seed in range(30):
        q = random_pair(seed, 1.0, (9, 9))[0]
        made.add(q, np.full(q.shape, constant))
    assert not made.at_edges().any()
    assert (made.best(), made.at_mean()) == ((0, 0), 0)


def test_mask_correlation_of_nothing_is_0():
    assert MaskCorrelation(1.0).best() == (0, 0)


def test_best_is_exact_where_no_two_values_share_a_bin():
    rng = np.random.default_rng(8)
    for _ in range(5):
        empty = MaskCorrelation(2.0)
        bins = rng.permutation(np.arange(1500, 2700, 3))[:300]
        q = (empty.edges[bins] + empty.edges[bins + 1]) / 2
        values = (q > rng.normal()) + rng.normal(0, 0.5, size=q.shape)
        boundary, correlation = mask_correlation_of(2.0, (q, values)).best()
        assert correlation == pytest.approx(best_of_all(q, values), abs=1e-9)
        assert of_mask(q, boundary, values) == pytest.approx(correlation, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_best_is_that_of_all_thresholds_but_for_a_bins_width(seed):
    q, values = random_pair(20 + seed, shape=(50, 40))
    boundary, correlation = mask_correlation_of(3.0, (q, values)).best()
    assert correlation == pytest.approx(of_mask(q, boundary, values), abs=1e-9)
    assert best_of_all(q, values) - ONE_BIN < correlation < best_of_all(q, values) + 1e-9


def test_best_of_a_map_that_goes_against_is_the_mean_and_0():
    q, _ = random_pair(9, 1.0)
    made = mask_correlation_of(1.0, (q, -q))
    assert made.best() == (0, 0)
    assert made.at_mean() < -0.7


def test_best_is_the_highest_not_the_strongest():
    q, _ = random_pair(10, 1.0)
    values = np.where(q > 1.8, 3, -q)  # object far above, and the contrary everywhere else
    made = mask_correlation_of(1.0, (q, values))
    boundary, correlation = made.best()
    assert best_of_all(q, values) - ONE_BIN < correlation < best_of_all(q, values) + 1e-9
    assert boundary == pytest.approx(1.8, abs=0.1)
    assert made.at_edges().min() < -correlation, "the strongest is the highest, which proves nothing"


@pytest.mark.parametrize("deviation", [0.0, float("nan"), -1.0])
def test_deviation_that_is_none_is_an_error(deviation):
    with pytest.raises(ValueError, match="standard deviation"):
        MaskCorrelation(deviation)


@pytest.fixture(scope="module")
def features():
    """Float16 maps by photograph and view; a small object along one direction of each class, in a corner."""
    rng = np.random.default_rng(11)
    directions = {tag: 2 * rng.normal(size=DIMENSION) / np.sqrt(DIMENSION) for tag in SUBSETS}
    mean = 100 + 20 * rng.normal(size=DIMENSION)
    maps = {}
    for name in (name for ids in SHARD_IDS for name in ids):
        for view, (h, w) in VIEWS.items():
            noise = rng.normal(size=(DIMENSION, h, w))
            for tag, ids in SUBSETS.items():
                if name in ids:
                    noise[:, : h // 3, : w // 3] += 4 * directions[tag][:, None, None]
            maps[name, view] = (mean[:, None, None] + noise * (50 if name == "ignored" else 1)).astype(
                np.float16
            )
    return maps


@pytest.fixture(scope="module")
def shard_paths(features, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    for number, ids in enumerate(SHARD_IDS):
        with write_maps(folder / f"shard-{number}.h5", ids) as writer:
            for position, name in enumerate(ids):
                for view in VIEWS:
                    writer.write(view, position, features[name, view][None])
    return [folder / f"shard-{number}.h5" for number in range(len(SHARD_IDS))]


@pytest.fixture(scope="module")
def moments(shard_paths):
    with open_shards(shard_paths) as shards:
        return class_moments(shards, SUBSETS)


@pytest.fixture
def cams():
    """A CAM of each subset's photographs, high where the object is, of another scale in each."""
    cam = np.zeros((6, 6), np.float32)
    cam[:2, :2] = 1
    noise = np.random.default_rng(12).normal(0, 0.05, size=(6, 6)).astype(np.float32)
    return {
        name: {NUMBERS[tag]: 3.0**scale * (cam + noise) for tag, ids in SUBSETS.items() if name in ids}
        for scale, name in enumerate("abcdef")
    }


def oriented(moments, shard_paths, cams, boundary="cam"):
    raw = {tag: leading_pattern(one) for tag, one in moments.items()}
    with open_shards(shard_paths) as shards:
        return orient_patterns(raw, NUMBERS, shards, SUBSETS, cams, boundary)


def streams_of(pattern, tag, features, cams):
    """Return q_c of all photographs and views of the subset, and the CAM's share of its maximum there."""
    q, shares = [], []
    for name in SUBSETS[tag]:
        for view, size in VIEWS.items():
            cam = resize_map(cams[name][NUMBERS[tag]], *size).astype(np.float64)
            q.append(pattern.project(features[name, view]).ravel())
            shares.append(cam.clip(0).ravel() / max(cam.max(), 1e-9))
    return np.concatenate(q), np.concatenate(shares)


@pytest.mark.parametrize("tag", SUBSETS)
def test_boundary_is_the_best_of_all_thresholds(features, moments, shard_paths, cams, tag):
    pattern = oriented(moments, shard_paths, cams)[tag]
    q, shares = streams_of(pattern, tag, features, cams)
    assert pattern.mask_correlation == pytest.approx(of_mask(q, pattern.boundary, shares), abs=1e-6)
    assert pattern.mask_correlation > best_of_all(q, shares) - ONE_BIN
    at_mean = oriented(moments, shard_paths, cams, "mean")[tag].mask_correlation
    assert pattern.mask_correlation > at_mean + 0.1, "the mean does as well, so the choice proves nothing"
    assert pattern.boundary == pattern.floor > 0.5 * pattern.deviation


@pytest.mark.parametrize("tag", SUBSETS)
def test_both_leaves_what_lies_between_cam_and_mean(moments, shard_paths, cams, tag):
    by_cam = oriented(moments, shard_paths, cams)[tag]
    pattern = oriented(moments, shard_paths, cams, "both")[tag]
    assert (pattern.floor, pattern.boundary) == (0, by_cam.boundary)
    assert pattern.mask_correlation == by_cam.mask_correlation


def test_both_with_a_boundary_below_the_mean(tmp_path):
    """An object on three quarters of the photograph: what parts it from the rest lies below the mean."""
    values = np.ones((1, DIMENSION, 4, 4), np.float16)
    values[..., 2:, 2:] = -3
    pattern = ClassPattern(np.eye(DIMENSION)[0], np.zeros(DIMENSION), np.ones(1), 1, deviation=2.0)
    with write_maps(tmp_path / "shard.h5", "a") as writer:
        writer.write(View(8), 0, values)
    cams = {"a": {1: (values[0, 0] > 0).astype(np.float32)}}
    with open_shards([tmp_path / "shard.h5"]) as shards:
        result = orient_patterns({"dog": pattern}, {"dog": 1}, shards, {"dog": ("a",)}, cams, "both")["dog"]
    assert -3 <= result.floor < 0 == result.boundary


@pytest.mark.parametrize("tag", SUBSETS)
def test_boundary_at_the_mean_is_0(features, moments, shard_paths, cams, tag):
    pattern = oriented(moments, shard_paths, cams, "mean")[tag]
    assert pattern.boundary == pattern.floor == 0
    q, shares = streams_of(pattern, tag, features, cams)
    assert pattern.mask_correlation == pytest.approx(of_mask(q, 0, shares), abs=1e-6)
    same = replace(oriented(moments, shard_paths, cams)[tag], boundary=0, floor=0, mask_correlation=0)
    np.testing.assert_equal(vars(replace(pattern, mask_correlation=0)), vars(same))


def test_recorded_correlation_is_that_of_projection_and_cam(tmp_path):
    rng = np.random.default_rng(5)
    pattern = ClassPattern(np.eye(DIMENSION)[3], rng.normal(size=DIMENSION), np.ones(1), 1, deviation=1.0)
    maps = rng.normal(size=(3, DIMENSION, 4, 5)).astype(np.float16)
    with write_maps(tmp_path / "shard.h5", "abc") as writer:
        writer.write(View(8), 0, maps)
    cams = {name: {1: 0.5 * maps[i, 3] + rng.normal(1, 1, size=(4, 5))} for i, name in enumerate("ab")}
    with open_shards([tmp_path / "shard.h5"]) as shards:
        result = orient_patterns({"dog": pattern}, {"dog": 1}, shards, {"dog": ("a", "b")}, cams)["dog"]
    projections = maps[:2, 3].astype(np.float64) - pattern.mean[3]
    expected = np.corrcoef(projections.ravel(), np.ravel([cams["a"][1], cams["b"][1]]))[0, 1]
    # CAM and projection are float32.
    assert result.cam_correlation == pytest.approx(expected, abs=1e-6)
    assert result.boundary == 0, "without a word the boundary is the mean"


def test_pattern_against_its_cam_is_flipped(moments, shard_paths, cams):
    against = {name: {number: -cam for number, cam in of.items()} for name, of in cams.items()}
    upright, flipped = (oriented(moments, shard_paths, one) for one in (cams, against))
    for tag in SUBSETS:
        np.testing.assert_array_equal(flipped[tag].eigenvector, -upright[tag].eigenvector)
        np.testing.assert_array_equal(flipped[tag].mean, upright[tag].mean)
        assert flipped[tag].cam_correlation == pytest.approx(upright[tag].cam_correlation, abs=1e-12)
        assert upright[tag].cam_correlation > 0.4


def test_the_solvers_sign_changes_nothing(features, moments, shard_paths, cams, monkeypatch):
    def masks_of(patterns):
        return [
            pattern_seed(
                {NUMBERS[tag]: patterns[tag] for tag in SUBSETS if name in SUBSETS[tag]},
                [features[name, view] for view in VIEWS],
                24,
                30,
            )
            for name in "abcdef"
        ]

    solver = patterns_module.eigsh
    usual = oriented(moments, shard_paths, cams)
    monkeypatch.setattr(patterns_module, "eigsh", lambda *a, **k: flip_vectors(*solver(*a, **k)))
    other = oriented(moments, shard_paths, cams)
    for tag in SUBSETS:
        np.testing.assert_equal(vars(other[tag]), vars(usual[tag]))
        assert usual[tag].cam_correlation > 0
    for mask, same in zip(masks_of(usual), masks_of(other), strict=True):
        np.testing.assert_array_equal(mask, same)
    first = masks_of(usual)[0]
    assert (first[:7, :9] == NUMBERS["dog"]).mean() > 0.9 > 0.1 > (first[10:, 12:] > 0).mean()


def flip_vectors(values, vectors):
    return values, -vectors


def test_class_whose_cam_is_nowhere_positive_keeps_the_mean(moments, shard_paths, cams):
    usual = oriented(moments, shard_paths, cams)
    for name in SUBSETS["dog"]:
        cams[name][NUMBERS["dog"]] -= 1e4
    patterns = oriented(moments, shard_paths, cams)
    assert (patterns["dog"].boundary, patterns["dog"].mask_correlation) == (0, 0)
    np.testing.assert_equal(vars(patterns["cat"]), vars(usual["cat"]))


def test_missing_cam_is_named(moments, shard_paths, cams):
    del cams["c"][NUMBERS["cat"]]
    with pytest.raises(TagsegError, match="c: no CAM of class 7"):
        oriented(moments, shard_paths, cams)
