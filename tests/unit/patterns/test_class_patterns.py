"""Class patterns, their correlations and thresholds against NumPy in float64; and their files.

The features have a mean of about 1000 and a standard deviation of about 1 on purpose: there
sum(t t^T) - K mean mean^T has lost six of its digits, and float32 has lost all.
"""

from dataclasses import replace

import numpy as np
import pytest

from tagseg.patterns import class_patterns
from tagseg.patterns import moments as patterns_module
from tagseg.patterns.algorithm_1 import pattern_seed
from tagseg.patterns.class_patterns import ClassPattern, project, read_patterns, write_patterns
from tagseg.patterns.moments import class_moments, leading_pattern
from tagseg.patterns.orientation import BINS, REACH, Correlation, MaskCorrelation, orient_patterns
from tagseg.runtime.errors import TagsegError
from tagseg.storage.feature_shards import View, open_shards, write_maps
from tagseg.storage.images import resize_map

ONE_BIN = 0.01
"""How far the best of the bins may stay behind the best of all thresholds.

A bin is 1/256 standard deviation wide and holds at most 0.16 % of normal numbers. To move a mask's pixels
of that fraction moves its correlation by less than this, save for masks of a few per mille of the pixels.
"""


def of_mask(q, threshold, values):
    mask = q.ravel() > threshold
    return np.corrcoef(mask, values.ravel())[0, 1] if mask.any() and not mask.all() else 0.0


def best_of_all(q, values):
    """Return the highest correlation that any threshold gives: all distinct values of q are tried."""
    return max(of_mask(q, threshold, values) for threshold in np.unique(q))


DIMENSION = 60
VIEWS = {View(8): (9, 10), View(8, mirrored=True): (9, 10), View(12): (12, 14)}
SUBSETS = {"dog": ("a", "c", "d", "f"), "wine glass": ("b", "c", "e", "f")}  # c and f count for both
CLASS_INDICES = {"dog": 1, "wine glass": 7}
SHARD_IDS = (("a", "b", "ignored"), (), ("c", "d", "e", "f"))


@pytest.fixture(scope="module")
def features():
    """Float16 maps by image and view; a small object along one direction of each class, in a corner."""
    rng = np.random.default_rng(11)
    directions = {tag: 2 * rng.normal(size=DIMENSION) / np.sqrt(DIMENSION) for tag in SUBSETS}
    mean = 1000 + 20 * rng.normal(size=DIMENSION)
    maps = {}
    for name in (name for ids in SHARD_IDS for name in ids):
        for view, (h, w) in VIEWS.items():
            noise = rng.normal(size=(DIMENSION, h, w)) * (50 if name == "ignored" else 1)
            for tag, ids in SUBSETS.items():
                if name in ids:
                    noise[:, : h // 3, : w // 3] += 4 * directions[tag][:, None, None]
            maps[name, view] = (mean[:, None, None] + noise).astype(np.float16)
    return maps


@pytest.fixture(scope="module")
def shard_paths(features, tmp_path_factory):
    paths = [tmp_path_factory.mktemp("features") / "shard.h5" for _ in SHARD_IDS]
    for path, ids in zip(paths, SHARD_IDS, strict=True):
        with write_maps(path, ids) as writer:
            for position, name in enumerate(ids):
                for view in VIEWS:
                    writer.write(view, position, features[name, view][None])
    return paths


@pytest.fixture(scope="module")
def moments(shard_paths):
    with open_shards(shard_paths) as shards:
        return class_moments(shards, SUBSETS)


def descriptors_of(features, tag):
    maps = [features[name, view] for name in SUBSETS[tag] for view in VIEWS]
    return np.concatenate([one.astype(np.float64).reshape(DIMENSION, -1).T for one in maps])


@pytest.mark.parametrize("tag", SUBSETS)
def test_moments_and_pattern_are_those_of_numpy(features, moments, tag):
    descriptors, pattern = descriptors_of(features, tag), leading_pattern(moments[tag])
    covariance = np.cov(descriptors.T, bias=True)
    np.testing.assert_allclose(moments[tag].mean(), descriptors.mean(axis=0), rtol=1e-12)
    # Gram matrices of a few images, of 2,800 float32 products a number, are float32.
    tolerance = 1e-5 * np.abs(covariance).max()
    np.testing.assert_allclose(moments[tag].covariance(), covariance, rtol=0, atol=tolerance)
    values, vectors = np.linalg.eigh(covariance)
    sign = np.sign(pattern.eigenvector @ vectors[:, -1])
    np.testing.assert_allclose(sign * pattern.eigenvector, vectors[:, -1], rtol=0, atol=1e-5)
    assert np.linalg.norm(pattern.eigenvector) == pytest.approx(1, abs=1e-12)
    expected = values[::-1][: patterns_module.COMPONENTS] / values.sum()
    np.testing.assert_allclose(pattern.explained_variance, expected, rtol=0, atol=1e-6)
    assert pattern.positions == moments[tag].count == len(descriptors)
    projections = (descriptors - pattern.mean) @ pattern.eigenvector
    assert pattern.deviation == pytest.approx(projections.std(), rel=1e-6)


@pytest.fixture
def written(tmp_path):
    """The folder of patterns, and the patterns: one oriented by CAM, one without a CAM, one of neither."""
    rng = np.random.default_rng(0)
    plain = ClassPattern(rng.normal(size=5), rng.normal(size=5), rng.random(3), 7, deviation=0.1)
    thresholds = {"object_threshold": 0.1 + 0.2, "background_threshold": -1 / 7, "mask_correlation": 2 / 7}
    patterns = {"dog": plain, "wine glass": replace(plain, cam_correlation=1 / 3, **thresholds)}
    patterns["cat"] = replace(plain, cam_correlation=0.0, object_threshold=-1e-17, mask_correlation=0.0)
    write_patterns(tmp_path / "patterns", patterns, "blocks.5.1")
    return tmp_path / "patterns", patterns


def test_round_trip_is_exact_and_patterns_name_their_classifier(written, tmp_path):
    folder, patterns = written
    read, node = read_patterns(folder)
    assert node == "blocks.5.1" and list(read) == list(patterns)
    for tag, pattern in patterns.items():
        np.testing.assert_equal(vars(read[tag]), vars(pattern))
    assert class_patterns.patterns_classifier(folder) == ""
    write_patterns(tmp_path / "other", patterns, node, "5eed")
    assert class_patterns.patterns_classifier(tmp_path / "other") == "5eed"
    assert class_patterns.patterns_digest(tmp_path / "other") != class_patterns.patterns_digest(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: np.save(folder / "dog/mean.npy", np.load(folder / "dog/mean.npy") * 2),
        lambda folder: (folder / "dog/mean.npy").unlink(),
        lambda folder: (folder / "patterns.json").write_text("{}"),
        lambda folder: (folder / "patterns.json").unlink(),
    ],
)
def test_damaged_patterns_are_an_error(written, damage):
    damage(written[0])
    with pytest.raises(TagsegError, match="patterns.*: (not class patterns of tagseg, or damaged|no such file)"):
        read_patterns(written[0])


@pytest.fixture
def cams():
    """A CAM of each subset's images, high where the object is, of another scale in each."""
    cam = np.random.default_rng(12).normal(0, 0.05, size=(6, 6)).astype(np.float32)
    cam[:2, :2] += 1
    return {
        name: {CLASS_INDICES[tag]: 3.0**scale * cam for tag, ids in SUBSETS.items() if name in ids}
        for scale, name in enumerate("abcdef")
    }


def oriented(moments, shard_paths, cams, threshold="cam"):
    raw = {tag: leading_pattern(one) for tag, one in moments.items()}
    with open_shards(shard_paths) as shards:
        return orient_patterns(raw, CLASS_INDICES, shards, SUBSETS, cams, threshold)


@pytest.mark.parametrize("tag", SUBSETS)
def test_threshold_is_the_best_of_all_thresholds_or_the_mean_or_both(features, moments, shard_paths, cams, tag):
    by_cam, at_mean, both = (
        oriented(moments, shard_paths, cams, threshold)[tag] for threshold in ("cam", "mean", "both")
    )
    q, fractions = [], []  # of all images and views of the subset
    for name in SUBSETS[tag]:
        for view, size in VIEWS.items():
            cam = resize_map(cams[name][CLASS_INDICES[tag]], *size).astype(np.float64)
            q.append(project([by_cam], features[name, view]).ravel())
            fractions.append(cam.clip(0).ravel() / max(cam.max(), 1e-9))
    q, fractions = np.concatenate(q), np.concatenate(fractions)
    threshold, correlation = by_cam.object_threshold, by_cam.mask_correlation
    assert correlation == pytest.approx(of_mask(q, threshold, fractions), abs=1e-6)
    assert correlation > best_of_all(q, fractions) - ONE_BIN
    assert threshold == by_cam.background_threshold > 0.5 * by_cam.deviation
    assert at_mean.object_threshold == at_mean.background_threshold == both.background_threshold == 0
    assert at_mean.mask_correlation == pytest.approx(of_mask(q, 0, fractions), abs=1e-6)
    assert correlation > at_mean.mask_correlation + 0.1, "the mean does as well, so the choice proves nothing"
    assert (both.object_threshold, both.mask_correlation) == (threshold, correlation)


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


def test_the_solvers_sign_changes_nothing(features, moments, shard_paths, cams, monkeypatch):
    def mask_of(patterns, name="c"):
        of_image = {CLASS_INDICES[tag]: patterns[tag] for tag in SUBSETS if name in SUBSETS[tag]}
        return pattern_seed(of_image, [features[name, view] for view in VIEWS], 24, 30)

    def flipped(*arguments, return_eigenvectors=True, **options):
        found = solver(*arguments, return_eigenvectors=return_eigenvectors, **options)
        return (found[0], -found[1]) if return_eigenvectors else found

    solver = patterns_module.eigsh
    usual = oriented(moments, shard_paths, cams)
    monkeypatch.setattr(patterns_module, "eigsh", flipped)
    other = oriented(moments, shard_paths, cams)
    for tag in SUBSETS:
        np.testing.assert_equal(vars(other[tag]), vars(usual[tag]))
        assert usual[tag].cam_correlation > 0
    np.testing.assert_array_equal(mask_of(other), mask_of(usual))
    first = mask_of(usual, "a")
    assert (first[:7, :9] == CLASS_INDICES["dog"]).mean() > 0.9 > 0.1 > (first[10:, 12:] > 0).mean()


def test_class_whose_cam_is_nowhere_positive_keeps_the_mean_and_missing_ones_are_named(moments, shard_paths, cams):
    usual = oriented(moments, shard_paths, cams)
    for name in SUBSETS["dog"]:
        cams[name][CLASS_INDICES["dog"]] -= 1e4
    patterns = oriented(moments, shard_paths, cams)
    assert (patterns["dog"].object_threshold, patterns["dog"].mask_correlation) == (0, 0)
    np.testing.assert_equal(vars(patterns["wine glass"]), vars(usual["wine glass"]))
    del cams["c"][CLASS_INDICES["wine glass"]]
    with pytest.raises(TagsegError, match="c: no CAM of wine glass"):
        oriented(moments, shard_paths, cams)
    missing = pytest.raises(TagsegError, match="nowhere: in a subset but in no feature shard")
    with open_shards(shard_paths) as shards, missing:
        class_moments(shards, {"dog": ("a", "nowhere")})


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
    rng = np.random.default_rng(1)
    q = rng.choice(made.edges[1950:2150:20], size=(20, 20))
    q[0, :10] = 0
    values = q + rng.normal(size=q.shape)
    check(mask_correlation_of(deviation, (q, values)), q, values)  # a value on an edge is not above it


@pytest.mark.parametrize("seed", range(5))
def test_best_is_that_of_all_thresholds_but_for_a_bins_width(seed):
    q, values = random_pair(20 + seed, shape=(50, 40))
    threshold, correlation = mask_correlation_of(3.0, (q, values)).best()
    assert correlation == pytest.approx(of_mask(q, threshold, values), abs=1e-9)
    assert best_of_all(q, values) - ONE_BIN < correlation < best_of_all(q, values) + 1e-9
    against = mask_correlation_of(3.0, (q, -q))
    assert against.best() == (0, 0) and against.at_mean() < -0.7
