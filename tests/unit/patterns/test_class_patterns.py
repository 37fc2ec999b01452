"""Class patterns against NumPy in float64: np.cov and np.linalg.eigh. And their files.

The features have a mean of about 1000 and a standard deviation of about 1 on purpose: there
sum(t t^T) - K mean mean^T has lost six of its digits, and float32 has lost all.
"""

from dataclasses import replace

import numpy as np
import pytest

from tagseg.patterns.class_patterns import patterns_classifier, patterns_digest, read_patterns, write_patterns
from tagseg.patterns.moments import (
    COMPONENTS,
    Moments,
    class_moments,
    image_moments,
    leading_pattern,
    open_shards,
)
from tagseg.runtime.errors import TagsegError
from tagseg.storage.feature_shards import View, write_maps

DIMENSION = 60
VIEWS = {View(8): (4, 5), View(8, mirrored=True): (4, 5), View(12): (6, 7)}
SUBSETS = {
    "dog": ("a", "c", "d", "f"),
    "wine glass": ("b", "c", "f"),  # c and f count for both
    "cat": ("g",),
}
NODE = "blocks.5.1"
SHARD_IDS = (("a", "b", "ignored 1"), ("c", "ignored 2"), (), ("d", "e", "f", "g"))


@pytest.fixture(scope="module")
def features():
    """Float16 maps by image and view; an object along one direction of each class, in a corner."""
    rng = np.random.default_rng(11)
    directions = {tag: 2 * rng.normal(size=DIMENSION) / np.sqrt(DIMENSION) for tag in SUBSETS}
    mean = 1000 + 20 * rng.normal(size=DIMENSION)
    maps = {}
    for name in (name for ids in SHARD_IDS for name in ids):
        for view, (h, w) in VIEWS.items():
            noise = rng.normal(size=(DIMENSION, h, w))
            for tag, ids in SUBSETS.items():
                if name in ids:
                    noise[:, : h // 2, : w // 2] += 3 * directions[tag][:, None, None]
            if name.startswith("ignored"):
                noise *= 50
            maps[name, view] = (mean[:, None, None] + noise).astype(np.float16)
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


def descriptors_of(features, tag):
    """Every descriptor of the subset, float64 (K, d)."""
    return np.concatenate(
        [
            features[name, view].astype(np.float64).reshape(DIMENSION, -1).T
            for name in SUBSETS[tag]
            for view in VIEWS
        ]
    )


def random_moments(rng, dimension, positions):
    moments = Moments(np.zeros(dimension))
    moments.add(*image_moments([rng.normal(size=(dimension, 1, positions))], moments.shift))
    return moments


@pytest.mark.parametrize("tag", SUBSETS)
def test_moments_are_those_of_numpy(features, moments, tag):
    descriptors = descriptors_of(features, tag)
    assert moments[tag].count == len(descriptors)
    np.testing.assert_allclose(moments[tag].mean(), descriptors.mean(axis=0), rtol=1e-12)
    covariance = np.cov(descriptors.T, bias=True)
    np.testing.assert_allclose(
        moments[tag].covariance(), covariance, rtol=0, atol=1e-10 * np.abs(covariance).max()
    )


@pytest.mark.parametrize("tag", SUBSETS)
def test_pattern_is_the_leading_eigenvector_of_numpy(features, moments, tag):
    values, vectors = np.linalg.eigh(np.cov(descriptors_of(features, tag).T, bias=True))
    pattern = leading_pattern(moments[tag])
    # Of either sign: the cosine of the angle between them is 1 up to 1e-10.
    assert abs(pattern.eigenvector @ vectors[:, -1]) == pytest.approx(1, abs=1e-10)
    assert np.linalg.norm(pattern.eigenvector) == pytest.approx(1, abs=1e-12)
    expected = values[::-1][:COMPONENTS] / values.sum()
    np.testing.assert_allclose(pattern.explained_variance, expected, rtol=0, atol=1e-10)
    assert pattern.positions == len(SUBSETS[tag]) * sum(h * w for h, w in VIEWS.values())


@pytest.mark.parametrize("tag", SUBSETS)
def test_deviation_is_that_of_the_projections(features, moments, tag):
    pattern = leading_pattern(moments[tag])
    projections = (descriptors_of(features, tag) - pattern.mean) @ pattern.eigenvector
    assert pattern.deviation == pytest.approx(projections.std(), rel=1e-9)
    assert isinstance(pattern.deviation, float)


def test_moments_do_not_depend_on_the_shift():
    rng = np.random.default_rng(0)
    maps = [rng.normal(3, 2, size=(7, 4, 5)), rng.normal(3, 2, size=(7, 2, 2))]
    descriptors = np.concatenate([one.reshape(7, -1) for one in maps], axis=1)
    for shift in (np.zeros(7), np.full(7, 3.0), rng.normal(size=7)):
        moments = Moments(shift)
        for one in maps:
            moments.add(*image_moments([one], shift))
        np.testing.assert_allclose(moments.mean(), descriptors.mean(axis=1), rtol=1e-12)
        np.testing.assert_allclose(moments.covariance(), np.cov(descriptors, bias=True), atol=1e-12)


def test_subset_with_a_image_that_no_shard_holds_is_an_error(shard_paths):
    with (
        open_shards(shard_paths) as shards,
        pytest.raises(TagsegError, match="nowhere: in a subset but in no feature shard"),
    ):
        class_moments(shards, {"dog": ("a", "nowhere")})


@pytest.mark.parametrize("positions, dimension", [(10, 80), (400, 80), (400, 3), (400, 2), (60, 51)])
def test_explained_variance_of_few_positions_and_few_dimensions(positions, dimension):
    rng = np.random.default_rng(positions)
    moments = random_moments(rng, dimension, positions)
    values = np.linalg.eigvalsh(moments.covariance())[::-1]
    fractions = leading_pattern(moments).explained_variance
    assert len(fractions) == min(COMPONENTS, dimension - 1)
    assert (fractions >= 0).all()
    expected = np.clip(values[: len(fractions)], 0, None) / values.sum()
    np.testing.assert_allclose(fractions, expected, rtol=0, atol=1e-10)


def test_pattern_is_the_same_to_the_bit_every_time():
    first, second = (leading_pattern(random_moments(np.random.default_rng(2), 70, 500)) for _ in range(2))
    assert first.eigenvector.tobytes() == second.eigenvector.tobytes()
    assert first.explained_variance.tobytes() == second.explained_variance.tobytes()


@pytest.mark.parametrize("value", [0.0, 0.1, 1000.3])
def test_features_that_do_not_vary_are_an_error(value):
    maps = np.full((60, 4, 4), value, np.float16)
    moments = Moments(maps[:, 0, 0])
    moments.add(*image_moments([maps, maps], moments.shift))
    with pytest.raises(TagsegError, match="do not vary"):
        leading_pattern(moments)


@pytest.fixture
def written(tmp_path, moments):
    """The folder of patterns, and the patterns: one oriented by CAM, one without a CAM, one of neither."""
    patterns = {tag: leading_pattern(one) for tag, one in moments.items()}
    by_cam = {
        "cam_correlation": 1 / 3,
        "object_threshold": 0.1 + 0.2,
        "background_threshold": -1 / 7,
        "mask_correlation": 2 / 7,
    }
    patterns["wine glass"] = replace(patterns["wine glass"], **by_cam)
    patterns["cat"] = replace(
        patterns["cat"], cam_correlation=0.0, object_threshold=-1e-17, mask_correlation=0.0
    )
    write_patterns(tmp_path / "patterns", patterns, NODE)
    return tmp_path / "patterns", patterns


def test_round_trip_is_exact(written):
    folder, patterns = written
    read, node = read_patterns(folder)
    assert node == NODE
    assert list(read) == list(patterns)
    for tag, pattern in patterns.items():
        np.testing.assert_equal(vars(read[tag]), vars(pattern))


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
    with pytest.raises(
        TagsegError, match="patterns.*: (not class patterns of tagseg, or damaged|no such file)"
    ):
        read_patterns(written[0])


def test_patterns_name_their_classifier(tmp_path, written):
    folder, patterns = written
    assert patterns_classifier(folder) == ""
    write_patterns(tmp_path / "other", patterns, NODE, "5eed")
    assert patterns_classifier(tmp_path / "other") == "5eed"
    assert patterns_digest(tmp_path / "other") != patterns_digest(folder)
