"""Features projected on the plane of their first two principal components (the paper's Figure 1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.stats import mannwhitneyu

from tagseg.patterns.moments import Moments, image_moments
from tagseg.storage.feature_shards import MapShard
from tagseg.storage.images import VOID

LabelsOf = Callable[[str, int, int], np.ndarray | None]
"""Returns the labels uint8 (height, width) of an image id at the size of a map, or None if unknown."""


@dataclass(frozen=True)
class Plane:
    """The mean descriptor float64 (d,) and the unit axes float64 (2, d), that of most variance first."""

    mean: np.ndarray
    axes: np.ndarray

    def project(self, maps: np.ndarray) -> np.ndarray:
        """Return the coordinates float64 (h * w, 2) of the descriptors in maps (d, h, w)."""
        descriptors = np.asarray(maps, np.float64).reshape(len(self.mean), -1).T
        return (descriptors - self.mean) @ self.axes.T


def principal_plane(maps: Sequence[np.ndarray]) -> Plane:
    """Return the plane of most variance of the descriptors in the maps (d, h, w), d > 1, of images.

    The largest entry of an axis is positive.
    """
    moments = Moments(np.asarray(maps[0], np.float64).mean(axis=(1, 2)))
    for one in maps:
        moments.add(*image_moments([one], moments.shift))
    last = len(moments.shift) - 1
    axes = eigh(moments.covariance(), subset_by_index=(last - 1, last))[1].T[::-1]
    signs = np.sign([axis[np.abs(axis).argmax()] for axis in axes])
    return Plane(moments.mean(), axes * signs[:, None])


def area_under_roc(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """Return the area under the ROC curve, with a tie as half; None without both classes.

    `scores` float (n,), `positive` bool (n,). It is the U statistic of Mann and Whitney per pair.
    """
    above, below = scores[positive], scores[~positive]
    if not (len(above) and len(below)):
        return None
    u = mannwhitneyu(above, below, method="asymptotic").statistic
    return float(u / (len(above) * len(below)))


@dataclass(frozen=True)
class Cloud:
    """Descriptors of a layer in their principal plane: points float64 (n, 2), ground truth uint8 (n,) or None.

    `separation` is the area under the ROC curve of the first component, class against background; None if
    the labels are unknown.
    """

    layer: str
    points: np.ndarray
    labels: np.ndarray | None
    separation: float | None


def cloud_of(
    layer: str, shards: Sequence[MapShard], ids: Sequence[str], label: int, truth: LabelsOf, cam: LabelsOf
) -> Cloud:
    """Return the cloud of a layer over the images `ids`, at least one, of the class `label`.

    The first component points to the class by `truth`, or by `cam` if no truth is known. If any truth is
    known, positions without it and void ones are skipped.
    """
    found = {name: (shard, position) for shard in shards for position, name in enumerate(shard.ids)}
    maps = [upright(*found[name]) for name in ids]
    plane = principal_plane(maps)
    points = np.concatenate([plane.project(one) for one in maps])
    known, seeds = (_labels(ids, maps, labels) for labels in (truth, cam))
    has_truth = (known != VOID).any()
    points[:, 0] *= _sign(points[:, 0], known if has_truth else seeds, label)
    if not has_truth:
        return Cloud(layer, points, None, None)
    decided = np.isin(known, (0, label))
    separation = area_under_roc(points[decided, 0], known[decided] == label)
    return Cloud(layer, points[known != VOID], known[known != VOID], separation)


def upright(shard: MapShard, position: int) -> np.ndarray:
    """Return the largest map float32 (d, h, w) of an image that is not mirrored."""
    maps = shard.maps(position)
    return max((maps[name] for name in maps if name.isdecimal()), key=lambda one: one.size)


def _labels(ids: Sequence[str], maps: Sequence[np.ndarray], labels_of: LabelsOf) -> np.ndarray:
    """Return the labels uint8 (n,) of all positions; void if unknown."""
    shapes = [one.shape[1:] for one in maps]
    given = [labels_of(name, *shape) for name, shape in zip(ids, shapes, strict=True)]
    void = [np.full(shape, VOID, np.uint8) for shape in shapes]
    return np.concatenate([(v if g is None else g).ravel() for g, v in zip(given, void, strict=True)])


def _sign(first: np.ndarray, labels: np.ndarray, label: int) -> int:
    """Return -1 if the mean of the class on the first component is below that of the background, else 1."""
    object_, background = first[labels == label], first[labels == 0]
    return -1 if len(object_) and len(background) and object_.mean() < background.mean() else 1
