"""Class patterns against NumPy in float64: np.cov and np.linalg.eigh. And the files they are kept in.

The features have a mean of about 1000 and a standard deviation of about 1 on purpose: there
sum(t t^T) - K mean mean^T has lost six of its digits, and float32 has lost all.
"""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from tagseg.errors import TagsegError
from tagseg.map_shards import View, write_maps
from tagseg.patterns import (
    COMPONENTS,
    ClassPattern,
    Moments,
    class_moments,
    image_moments,
    leading_pattern,
    open_shards,
    patterns_classifier,
    patterns_digest,
    read_patterns,
    write_patterns,
)

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
    """Float16 maps by photograph and view; an object along one direction of each class, in a corner."""
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


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_deviation_has_the_unit_of_the_features(scale):
    rng = np.random.default_rng(6)
    moments = Moments(np.zeros(5))
    moments.add(*image_moments([scale * rng.normal(size=(5, 6, 7))], moments.shift))
    assert leading_pattern(moments).deviation == pytest.approx(
        scale * leading_pattern(random_moments(np.random.default_rng(6), 5, 42)).deviation, rel=1e-9
    )


def test_what_the_cam_decides_is_left_open(moments):
    pattern = leading_pattern(moments["dog"])
    assert pattern.boundary == 0
    assert np.isnan([pattern.cam_correlation, pattern.mask_correlation]).all()


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


def test_moments_leave_the_features_as_they_are():
    maps = np.random.default_rng(1).normal(size=(3, 2, 2))
    before = maps.copy()
    image_moments([maps], np.ones(3))
    np.testing.assert_array_equal(maps, before)


def test_moments_of_nothing_are_an_error():
    with pytest.raises(ValueError, match="no descriptor"):
        Moments(np.zeros(3)).covariance()
    with pytest.raises(ValueError, match="no descriptor"):
        Moments(np.zeros(3)).mean()


def test_subset_with_a_photograph_that_no_shard_holds_is_an_error(shard_paths):
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
    shares = leading_pattern(moments).explained_variance
    assert len(shares) == min(COMPONENTS, dimension - 1)
    assert (shares >= 0).all()
    expected = np.clip(values[: len(shares)], 0, None) / values.sum()
    np.testing.assert_allclose(shares, expected, rtol=0, atol=1e-10)


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
    """The folder of patterns, and the patterns: one as the CAM left it, one without a CAM, one of neither."""
    patterns = {tag: leading_pattern(one) for tag, one in moments.items()}
    by_cam = {"cam_correlation": 1 / 3, "boundary": 0.1 + 0.2, "floor": -1 / 7, "mask_correlation": 2 / 7}
    patterns["wine glass"] = replace(patterns["wine glass"], **by_cam)
    patterns["cat"] = replace(patterns["cat"], cam_correlation=0.0, boundary=-1e-17, mask_correlation=0.0)
    write_patterns(tmp_path / "patterns", patterns, NODE)
    return tmp_path / "patterns", patterns


def test_round_trip_is_exact(written):
    folder, patterns = written
    read, node = read_patterns(folder)
    assert node == NODE
    assert list(read) == list(patterns)
    for tag, pattern in patterns.items():
        np.testing.assert_equal(vars(read[tag]), vars(pattern))


def test_summary_says_what_the_report_needs(written):
    folder, patterns = written
    summary = json.loads((folder / "patterns.json").read_text())
    assert (summary["node"], set(summary["classes"])) == (NODE, set(SUBSETS))
    assert summary["classes"]["wine glass"] == {
        "boundary": 0.1 + 0.2,
        "cam_correlation": 1 / 3,
        "deviation": patterns["wine glass"].deviation,
        "explained_variance": patterns["wine glass"].explained_variance[0],
        "floor": -1 / 7,
        "mask_correlation": 2 / 7,
        "positions": patterns["wine glass"].positions,
        "sha256": {
            name: hashlib.sha256((folder / "wine glass" / f"{name}.npy").read_bytes()).hexdigest()
            for name in ("eigenvector", "mean", "explained_variance")
        },
    }


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("through", ["array", "bare pickle"])
def test_pickle_in_an_array_file_is_refused_and_not_run(written, tmp_path, through):
    path = written[0] / "dog" / "mean.npy"
    trap = np.array([Trap(tmp_path / "sprung")], object)
    if through == "array":
        np.save(path, trap, allow_pickle=True)
    else:
        path.write_bytes(trap.dumps())
    with pytest.raises(TagsegError, match=r"dog/mean\.npy: not an array .*run again"):
        read_patterns(written[0])
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("length", [0, 5, 40, 200])
def test_truncated_array_is_named(written, length):
    path = written[0] / "dog" / "eigenvector.npy"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(TagsegError, match=r"dog/eigenvector\.npy: not an array"):
        read_patterns(written[0])


def test_vanished_array_is_named(written):
    (written[0] / "dog" / "explained_variance.npy").unlink()
    with pytest.raises(TagsegError, match=r"dog/explained_variance\.npy: not an array"):
        read_patterns(written[0])


@pytest.mark.parametrize("name", ["eigenvector", "mean", "explained_variance"])
def test_altered_array_is_named(written, name):
    path = written[0] / "dog" / f"{name}.npy"
    np.save(path, np.load(path) * 2)
    with pytest.raises(
        TagsegError, match=rf"dog/{name}\.npy: altered since it was made; delete .*patterns, run"
    ):
        read_patterns(written[0])


def test_patterns_name_their_classifier(tmp_path, written):
    folder, patterns = written
    assert patterns_classifier(folder) == ""
    write_patterns(tmp_path / "other", patterns, NODE, "5eed")
    assert patterns_classifier(tmp_path / "other") == "5eed"
    assert patterns_digest(tmp_path / "other") != patterns_digest(folder)


@pytest.mark.parametrize("content", ["[]", "{}"])
def test_summary_without_a_classifier_is_named(written, content):
    (written[0] / "patterns.json").write_text(content)
    with pytest.raises(
        TagsegError, match=r"patterns\.json: not a summary of patterns; delete .*and run again"
    ):
        patterns_classifier(written[0])


def test_digest_of_no_patterns_is_an_error(tmp_path):
    with pytest.raises(TagsegError, match=r"patterns\.json: no such file"):
        patterns_digest(tmp_path)


def test_arrays_that_do_not_fit_together_are_refused(written):
    np.save(written[0] / "dog" / "mean.npy", np.zeros(DIMENSION - 1))
    with pytest.raises(TagsegError, match="dog: eigenvector and mean differ in size"):
        read_patterns(written[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda summary: summary.pop("node"),
        lambda summary: summary.pop("classes"),
        lambda summary: summary.update(classes=[]),
        lambda summary: summary["classes"].update(dog=3),
        lambda summary: summary["classes"]["dog"].pop("deviation"),
        lambda summary: summary["classes"]["dog"].pop("boundary"),
        lambda summary: summary["classes"]["dog"].pop("mask_correlation"),
        lambda summary: summary["classes"]["dog"].update(boundary="high"),
        lambda summary: summary["classes"]["dog"].update(floor=None),
        lambda summary: summary["classes"]["dog"].update(deviation=True),
        lambda summary: summary["classes"]["dog"].update(sha256=3),
    ],
)
def test_malformed_summary_is_named(written, change):
    path = written[0] / "patterns.json"
    summary = json.loads(path.read_text())
    change(summary)
    path.write_text(json.dumps(summary))
    with pytest.raises(TagsegError, match=r"patterns\.json: not a summary of patterns"):
        read_patterns(written[0])


@pytest.mark.parametrize("tag", ["../../elsewhere", "..", ".", "", "a/b", "/etc", "a\0b"])
def test_a_class_does_not_lead_out_of_the_folder(written, tag):
    path = written[0] / "patterns.json"
    summary = json.loads(path.read_text())
    summary["classes"][tag] = summary["classes"].pop("dog")
    path.write_text(json.dumps(summary))
    (written[0] / "dog").rename(written[0].parent / "elsewhere")
    with pytest.raises(TagsegError, match=r"patterns\.json: not a summary of patterns; delete .* run again"):
        read_patterns(written[0])


def test_every_flipped_bit_of_an_array_is_told(written):
    """Of the header and the first numbers; a header that no parser takes is as good as any."""
    path = written[0] / "dog" / "eigenvector.npy"
    content = path.read_bytes()
    for bit in range(8 * 140):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(TagsegError, match=r"dog.*; delete"):
            read_patterns(written[0])


def npy(shape: str, kind: str = "<f8") -> bytes:
    """Return an array's file that says it has that shape, with next to nothing in it."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(80)


@pytest.mark.parametrize(
    "content",
    [npy("(10000000000000,)"), npy("(100000000000000000000000,)"), npy("(3, 3)"), npy("(5,)", "<U4")],
    ids=["terabytes", "more than a machine can count", "two dimensions", "text"],
)
def test_what_is_no_array_of_numbers_is_named(written, content):
    (written[0] / "dog" / "mean.npy").write_bytes(content)
    with pytest.raises(TagsegError, match=r"mean\.npy: not an array .*; delete .*run again"):
        read_patterns(written[0])


def test_an_array_that_is_not_finite_is_named(written):
    np.save(written[0] / "dog" / "mean.npy", np.full(DIMENSION, np.nan))
    with pytest.raises(TagsegError, match=r"mean\.npy: not an array .*not finite"):
        read_patterns(written[0])


@pytest.mark.parametrize("content", ["[]", "3", '{"dog": {"positions": 3, "cam_correlation": 0.5}}'])
def test_what_is_no_summary_is_named(written, content):
    (written[0] / "patterns.json").write_text(content)
    with pytest.raises(TagsegError, match=r"patterns\.json: not a summary of patterns"):
        read_patterns(written[0])


def test_failed_write_leaves_nothing(tmp_path):
    good = ClassPattern(np.ones(3), np.ones(3), np.ones(2), 1)
    bad = ClassPattern(np.array([object()]), np.ones(3), np.ones(2), 1)
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_patterns(tmp_path / "patterns", {"dog": good, "cat": bad}, NODE)
    assert not list(tmp_path.iterdir())
