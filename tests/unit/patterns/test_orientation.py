"""Sign and threshold of class patterns against np.corrcoef of what they stand for, mask by mask."""

import numpy as np
import pytest

from tagseg.patterns import moments as patterns_module
from tagseg.patterns.algorithm_1 import pattern_seed
from tagseg.patterns.class_patterns import ClassPattern
from tagseg.patterns.moments import class_moments, leading_pattern, open_shards
from tagseg.patterns.orientation import BINS, REACH, Correlation, MaskCorrelation, orient_patterns
from tagseg.runtime.errors import TagsegError
from tagseg.storage.feature_shards import View, write_maps
from tagseg.storage.images import resize_map

DIMENSION = 24
VIEWS = {View(8): (9, 10), View(8, mirrored=True): (9, 10), View(12): (12, 14)}
SUBSETS = {"dog": ("a", "c", "d", "f"), "cat": ("b", "c", "e", "f")}  # c and f count for both
CLASS_INDICES = {"dog": 1, "cat": 7}
SHARD_IDS = (("a", "b", "ignored"), (), ("c", "d", "e", "f"))

ONE_BIN = 0.01
"""How far the best of the bins may stay behind the best of all thresholds.

A bin is 1/256 standard deviation wide and holds at most 0.16 % of normal numbers. To move a mask's pixels
of that fraction moves its correlation by less than this, save for masks of a few per mille of the pixels.
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


def of_mask(q, threshold, values):
    """Return the correlation of {q > threshold} with the values as NumPy has it; 0 for a constant mask."""
    mask = q.ravel() > threshold
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
def test_masks_of_all_thresholds_correlate_as_numpy_says(deviation):
    pairs = [random_pair(seed, deviation, shape) for seed, shape in enumerate([(4, 5), (11, 3), (9, 9)])]
    made = mask_correlation_of(deviation, *pairs)
    q, values = ravelled(pairs)
    check_edges(made, q, values)
    assert made.at_mean() == pytest.approx(of_mask(q, 0, values), abs=1e-9)
    assert made.edges[[0, BINS // 2, BINS]] == pytest.approx([-REACH * deviation, 0, REACH * deviation])


def test_value_on_an_edge_is_not_above_it():
    rng = np.random.default_rng(1)
    edges = MaskCorrelation(1.0).edges
    q = rng.choice(edges[1950:2150:20], size=(20, 20))
    q[0, :10] = 0
    values = q + rng.normal(size=q.shape)
    made = mask_correlation_of(1.0, (q, values))
    check_edges(made, q, values)
    assert made.at_mean() == pytest.approx(of_mask(q, 0, values), abs=1e-9)


def test_flip_is_to_add_the_negative():
    pairs = [random_pair(seed) for seed in (4, 5)]
    flipped = mask_correlation_of(3.0, *pairs)
    flipped.flip()
    negative = mask_correlation_of(3.0, *((-q, values) for q, values in pairs))
    np.testing.assert_array_equal(flipped.at_edges(), negative.at_edges())
    assert flipped.at_mean() < -0.3
    flipped.flip()
    np.testing.assert_array_equal(flipped.at_edges(), mask_correlation_of(3.0, *pairs).at_edges())


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, 0.7])
def test_masks_do_not_correlate_with_a_constant_map(constant):
    made = MaskCorrelation(1.0)
    for seed in range(30):
        q = random_pair(seed, 1.0, (9, 9))[0]
        made.add(q, np.full(q.shape, constant))
    assert not made.at_edges().any()
    assert (made.best(), made.at_mean()) == ((0, 0), 0)


@pytest.mark.parametrize("seed", range(5))
def test_best_is_that_of_all_thresholds_but_for_a_bins_width(seed):
    q, values = random_pair(20 + seed, shape=(50, 40))
    threshold, correlation = mask_correlation_of(3.0, (q, values)).best()
    assert correlation == pytest.approx(of_mask(q, threshold, values), abs=1e-9)
    assert best_of_all(q, values) - ONE_BIN < correlation < best_of_all(q, values) + 1e-9


def test_best_of_a_map_that_goes_against_is_the_mean_and_0():
    q, _ = random_pair(9, 1.0)
    made = mask_correlation_of(1.0, (q, -q))
    assert made.best() == (0, 0)
    assert made.at_mean() < -0.7


@pytest.fixture(scope="module")
def features():
    """Float16 maps by image and view; a small object along one direction of each class, in a corner."""
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
            maps[name, view] = (mean[:, None, None] + noise * (50 if name == "ignored" else 1)).astype(np.float16)
    return maps


@pytest.fixture(scope="module")
def shard_paths(features, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    for position, ids in enumerate(SHARD_IDS):
        with write_maps(folder / f"shard-{position}.h5", ids) as writer:
            for position, name in enumerate(ids):
                for view in VIEWS:
                    writer.write(view, position, features[name, view][None])
    return [folder / f"shard-{position}.h5" for position in range(len(SHARD_IDS))]


@pytest.fixture(scope="module")
def moments(shard_paths):
    with open_shards(shard_paths) as shards:
        return class_moments(shards, SUBSETS)


@pytest.fixture
def cams():
    """A CAM of each subset's images, high where the object is, of another scale in each."""
    cam = np.zeros((6, 6), np.float32)
    cam[:2, :2] = 1
    noise = np.random.default_rng(12).normal(0, 0.05, size=(6, 6)).astype(np.float32)
    return {
        name: {CLASS_INDICES[tag]: 3.0**scale * (cam + noise) for tag, ids in SUBSETS.items() if name in ids}
        for scale, name in enumerate("abcdef")
    }


def oriented(moments, shard_paths, cams, threshold="cam"):
    raw = {tag: leading_pattern(one) for tag, one in moments.items()}
    with open_shards(shard_paths) as shards:
        return orient_patterns(raw, CLASS_INDICES, shards, SUBSETS, cams, threshold)


def streams_of(pattern, tag, features, cams):
    """Return q_c of all images and views of the subset, and the CAM's fraction of its maximum there."""
    q, fractions = [], []
    for name in SUBSETS[tag]:
        for view, size in VIEWS.items():
            cam = resize_map(cams[name][CLASS_INDICES[tag]], *size).astype(np.float64)
            q.append(pattern.project(features[name, view]).ravel())
            fractions.append(cam.clip(0).ravel() / max(cam.max(), 1e-9))
    return np.concatenate(q), np.concatenate(fractions)


@pytest.mark.parametrize("tag", SUBSETS)
def test_threshold_is_the_best_of_all_thresholds(features, moments, shard_paths, cams, tag):
    pattern = oriented(moments, shard_paths, cams)[tag]
    q, fractions = streams_of(pattern, tag, features, cams)
    assert pattern.mask_correlation == pytest.approx(of_mask(q, pattern.object_threshold, fractions), abs=1e-6)
    assert pattern.mask_correlation > best_of_all(q, fractions) - ONE_BIN
    at_mean = oriented(moments, shard_paths, cams, "mean")[tag].mask_correlation
    assert pattern.mask_correlation > at_mean + 0.1, "the mean does as well, so the choice proves nothing"
    assert pattern.object_threshold == pattern.background_threshold > 0.5 * pattern.deviation


@pytest.mark.parametrize("tag", SUBSETS)
def test_both_thresholds_are_the_mean_and_that_of_the_cam(moments, shard_paths, cams, tag):
    by_cam = oriented(moments, shard_paths, cams)[tag]
    pattern = oriented(moments, shard_paths, cams, "both")[tag]
    assert (pattern.background_threshold, pattern.object_threshold) == (0, by_cam.object_threshold)
    assert pattern.mask_correlation == by_cam.mask_correlation


def test_both_with_a_threshold_below_the_mean(tmp_path):
    """An object on three quarters of the image: the best threshold is below the mean."""
    values = np.ones((1, DIMENSION, 4, 4), np.float16)
    values[..., 2:, 2:] = -3
    pattern = ClassPattern(np.eye(DIMENSION)[0], np.zeros(DIMENSION), np.ones(1), 1, deviation=2.0)
    with write_maps(tmp_path / "shard.h5", "a") as writer:
        writer.write(View(8), 0, values)
    cams = {"a": {1: (values[0, 0] > 0).astype(np.float32)}}
    with open_shards([tmp_path / "shard.h5"]) as shards:
        result = orient_patterns({"dog": pattern}, {"dog": 1}, shards, {"dog": ("a",)}, cams, "both")["dog"]
    assert -3 <= result.background_threshold < 0 == result.object_threshold


@pytest.mark.parametrize("tag", SUBSETS)
def test_threshold_at_the_mean_is_0(features, moments, shard_paths, cams, tag):
    pattern = oriented(moments, shard_paths, cams, "mean")[tag]
    assert pattern.object_threshold == pattern.background_threshold == 0
    q, fractions = streams_of(pattern, tag, features, cams)
    assert pattern.mask_correlation == pytest.approx(of_mask(q, 0, fractions), abs=1e-6)


def test_the_solvers_sign_changes_nothing(features, moments, shard_paths, cams, monkeypatch):
    def masks_of(patterns):
        by_name = {
            name: {CLASS_INDICES[tag]: patterns[tag] for tag in SUBSETS if name in SUBSETS[tag]} for name in "abcdef"
        }
        return [pattern_seed(by_name[n], [features[n, view] for view in VIEWS], 24, 30) for n in by_name]

    solver = patterns_module.eigsh
    usual = oriented(moments, shard_paths, cams)
    monkeypatch.setattr(patterns_module, "eigsh", lambda *a, **k: flipped(*solver(*a, **k)))
    other = oriented(moments, shard_paths, cams)
    for tag in SUBSETS:
        np.testing.assert_equal(vars(other[tag]), vars(usual[tag]))
        assert usual[tag].cam_correlation > 0
    for mask, same in zip(masks_of(usual), masks_of(other), strict=True):
        np.testing.assert_array_equal(mask, same)
    first = masks_of(usual)[0]
    assert (first[:7, :9] == CLASS_INDICES["dog"]).mean() > 0.9 > 0.1 > (first[10:, 12:] > 0).mean()


def flipped(values, vectors):
    return values, -vectors


def test_class_whose_cam_is_nowhere_positive_keeps_the_mean(moments, shard_paths, cams):
    usual = oriented(moments, shard_paths, cams)
    for name in SUBSETS["dog"]:
        cams[name][CLASS_INDICES["dog"]] -= 1e4
    patterns = oriented(moments, shard_paths, cams)
    assert (patterns["dog"].object_threshold, patterns["dog"].mask_correlation) == (0, 0)
    np.testing.assert_equal(vars(patterns["cat"]), vars(usual["cat"]))


def test_missing_cam_is_named(moments, shard_paths, cams):
    del cams["c"][CLASS_INDICES["cat"]]
    with pytest.raises(TagsegError, match="c: no CAM of cat"):
        oriented(moments, shard_paths, cams)
