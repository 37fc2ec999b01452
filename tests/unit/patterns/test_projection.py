"""The principal plane, the ROC area and the cloud, each against a slow reference."""

import itertools

import numpy as np
import pytest

from tagseg.patterns.projection import area_under_roc, cloud_of, principal_plane, upright
from tagseg.runtime.errors import TagsegError
from tagseg.storage.feature_shards import MapShard, View, open_shards, write_maps
from tagseg.storage.images import VOID


def random_maps(count=4, channels=6, height=3, width=5, seed=0):
    rng = np.random.default_rng(seed)
    scales = np.array([5.0, 2, 1, 0.5, 0.2, 0.1])[:channels, None, None]
    return [7 + scales * rng.standard_normal((channels, height, width)) for _ in range(count)]


def by_svd(maps):
    rows = np.concatenate([one.reshape(len(one), -1).T for one in maps])
    mean = rows.mean(axis=0)
    return mean, np.linalg.svd(rows - mean, full_matrices=False)[2][:2]


def test_the_plane_is_that_of_the_singular_vectors():
    plane = principal_plane(random_maps())
    mean, axes = by_svd(random_maps())
    assert plane.mean == pytest.approx(mean)
    assert np.abs((plane.axes * axes).sum(axis=1)) == pytest.approx([1, 1])
    assert all(axis[np.abs(axis).argmax()] > 0 for axis in plane.axes)


def pairs_in_order(scores, positive):
    pairs = list(itertools.product(scores[positive], scores[~positive]))
    return sum(1.0 if one > two else 0.5 if one == two else 0.0 for one, two in pairs) / len(pairs)


@pytest.mark.parametrize("seed", range(5))
def test_the_roc_area_counts_pairs_in_order(seed):
    rng = np.random.default_rng(seed)
    scores, positive = rng.integers(0, 8, 40).astype(float), rng.random(40) < 0.3
    assert area_under_roc(scores, positive) == pytest.approx(pairs_in_order(scores, positive))
    assert area_under_roc(scores, positive | True) is area_under_roc(scores, positive & False) is None


LABELS = np.array([[0, 0, 1, 1, VOID], [0, 0, 1, 2, 2], [0, 0, 0, 0, 0]], np.uint8)


def write_layer(path, node, names, sign=1):
    maps = np.stack(random_maps(len(names), seed=len(names))) * 0.1
    maps[:, 0] += 40 * sign * (LABELS == 1)
    with write_maps(path, names, node) as writer:
        writer.write(View(48), 0, maps)
    return path


def known(name, height, width):
    assert (height, width) == LABELS.shape
    return LABELS


def cloud(path, truth=known, cam=lambda *_: None, names=("a", "b")):
    with MapShard(path) as shard:
        return cloud_of("low", [shard], names, 1, truth, cam)


@pytest.mark.parametrize("sign", [1, -1])
def test_class_is_on_the_positive_side_by_ground_truth_or_else_by_cam_seeds(tmp_path, sign):
    found = cloud(write_layer(tmp_path / "s.h5", "low", ["a", "b", "c"], sign))
    assert found.labels.tolist() == [label for label in LABELS.ravel() if label != VOID] * 2
    assert found.points.shape == (28, 2)
    assert found.points[found.labels == 1, 0].min() > 0 > found.points[found.labels == 0, 0].max()
    assert found.separation == 1

    without = cloud(tmp_path / "s.h5", truth=lambda *_: None, cam=known)
    assert without.labels is None and without.separation is None
    assert without.points[np.tile(LABELS.ravel(), 2) == 1, 0].min() > 0 and len(without.points) == 30
    some = cloud(tmp_path / "s.h5", truth=lambda name, *size: LABELS if name == "a" else None)
    assert len(some.labels) == 14, "images without ground truth are skipped"


def test_other_classes_do_not_count_for_the_separation(tmp_path):
    labels = np.where(LABELS == 0, 2, LABELS)
    labels[2, 4] = 0
    found = cloud(write_layer(tmp_path / "s.h5", "low", ["a", "b"]), truth=lambda *_: labels)
    judged = np.isin(found.labels, (0, 1))
    expected = pairs_in_order(found.points[judged, 0], found.labels[judged] == 1)
    assert judged.sum() == 8 and found.separation == pytest.approx(expected)


def test_shards_of_the_node_alone_and_the_largest_view_that_is_not_mirrored(tmp_path):
    paths = [write_layer(tmp_path / f"{n}.h5", node, ["a"]) for n, node in enumerate(("layer4.0", "x"))]
    with write_maps(paths[0], ["a"], "layer4.0") as writer:
        for view, side in ((View(48), 3), (View(96), 6), (View(96, mirrored=True), 6)):
            writer.write(view, 0, np.full((1, 2, side, side), 9.0 if view.mirrored else side))
    with open_shards(paths, "layer4.0") as shards:
        (shard,) = shards
        assert shard.path == paths[0] and np.array_equal(upright(shard, 0), np.full((2, 6, 6), 6))
    with pytest.raises(TagsegError, match="y: no features of this layer"), open_shards(paths, "y"):
        pass
