"""Features projected on the plane of their first two principal components (the paper's Figure 1)."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.linalg import eigh
from scipy.stats import rankdata

from tagseg.errors import TagsegError
from tagseg.images import VOID
from tagseg.map_shards import MapShard
from tagseg.nodes import canonical_node
from tagseg.patterns import Moments, image_moments

LabelsOf = Callable[[str, int, int], np.ndarray | None]
"""Gives the labels uint8 (height, width) of a photograph's id at a map's size, or None: not known."""


@dataclass(frozen=True)
class Plane:
    """The mean descriptor float64 (d,) and the unit axes float64 (2, d), that of most variance first."""

    mean: np.ndarray
    axes: np.ndarray

    def project(self, maps: np.ndarray) -> np.ndarray:
        """Return the places float64 (h * w, 2) of the descriptors in maps (d, h, w)."""
        descriptors = np.asarray(maps, np.float64).reshape(len(self.mean), -1).T
        return (descriptors - self.mean) @ self.axes.T


def principal_plane(maps: Iterable[np.ndarray]) -> Plane:
    """Return the plane of most variance of the descriptors in maps (d, h, w), d > 1, of photographs.

    Of either sign an axis has the one that makes its largest entry positive. Raises ValueError where
    there are no maps.
    """
    moments = None
    for one in maps:
        if moments is None:
            moments = Moments(np.asarray(one, np.float64).mean(axis=(1, 2)))
        moments.add(*image_moments([one], moments.shift))
    if moments is None:
        raise ValueError("the plane of no descriptor")
    covariance = moments.covariance()
    last = len(covariance) - 1
    _, vectors = eigh(covariance, subset_by_index=(last - 1, last))
    axes = vectors.T[::-1]
    signs = np.sign([axis[np.abs(axis).argmax()] for axis in axes])
    return Plane(moments.mean(), axes * signs[:, None])


def area_under_roc(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """Return the chance that a positive's score exceeds a negative's (a tie counts half); None without both.

    `scores` float (n,), `positive` bool (n,). It is the area under the ROC curve, by the rank sum of Mann
    and Whitney.
    """
    count = int(positive.sum())
    if not 0 < count < len(positive):
        return None
    ranks = rankdata(scores)[positive].sum()
    return float((ranks - count * (count + 1) / 2) / (count * (len(positive) - count)))


@dataclass(frozen=True)
class Cloud:
    """A layer's descriptors in their principal plane: places float64 (n, 2), true labels uint8 (n,) or None.

    `separation` is the area under the ROC curve with which the first component tells the class from the
    background; None where it is not known.
    """

    layer: str
    places: np.ndarray
    labels: np.ndarray | None
    separation: float | None


@contextlib.contextmanager
def shards_of(layer: str, paths: Sequence[str | Path]) -> Iterator[list[MapShard]]:
    """Yield those of the feature shards that are of `layer`, under the paper's name or the network's.

    Raises TagsegError where there is none.
    """
    with contextlib.ExitStack() as stack:
        opened = []
        for path in paths:
            shard = MapShard(path)
            if shard.node == canonical_node(layer):
                opened.append(stack.enter_context(shard))
            else:
                shard.close()
        if not opened:
            raise TagsegError(
                f"figures.layers: no features of {layer}; name a node of the classifier's network"
            )
        yield opened


def cloud_of(
    layer: str, shards: Sequence[MapShard], ids: Sequence[str], number: int, truth: LabelsOf, cam: LabelsOf
) -> Cloud:
    """Return the cloud of a layer over the photographs `ids` of the class `number`.

    The first component is turned so that the class lies at its right by `truth`, or else by `cam`. Where
    any truth is known, the places without one, and void, are left out. Two passes over the shards, one
    photograph at a time. Raises TagsegError where no shard holds a photograph.
    """
    found = {name: (shard, place) for shard in shards for place, name in enumerate(shard.ids)}
    missing = next((name for name in ids if name not in found), None)
    if missing is not None:
        raise TagsegError(f"{missing}: in a subset but in no feature shard of {layer}; run again")
    plane = principal_plane(upright(*found[name]) for name in ids)
    maps = (upright(*found[name]) for name in ids)
    pairs = [(plane.project(one), one.shape[1:]) for one in maps]
    places = np.concatenate([pair[0] for pair in pairs])
    true, seeds = (_labels(ids, [pair[1] for pair in pairs], labels) for labels in (truth, cam))
    known = (true != VOID).any()
    places[:, 0] *= _sign(places[:, 0], true if known else seeds, number)
    if not known:
        return Cloud(layer, places, None, None)
    judged = np.isin(true, (0, number))
    separation = area_under_roc(places[judged, 0], true[judged] == number)
    return Cloud(layer, places[true != VOID], true[true != VOID], separation)


def upright(shard: MapShard, place: int) -> np.ndarray:
    """Return the largest map float16 (d, h, w) of a photograph that was not mirrored."""
    maps = shard.maps(place)
    return max((maps[name] for name in maps if name.isdecimal()), key=lambda one: one.size)


def _labels(ids: Sequence[str], shapes: Sequence[tuple[int, int]], labels_of: LabelsOf) -> np.ndarray:
    """Return the labels uint8 (n,) of all places; void where they are not known."""
    given = (labels_of(name, *shape) for name, shape in zip(ids, shapes, strict=True))
    void = (np.full(shape, VOID, np.uint8) for shape in shapes)
    pairs = zip(given, void, strict=True)
    return np.concatenate([(empty if labels is None else labels).ravel() for labels, empty in pairs])


def _sign(first: np.ndarray, labels: np.ndarray, number: int) -> int:
    """Return -1 where the class lies left of the background on the first component, else 1."""
    if not ((labels == number).any() and (labels == 0).any()):
        return 1
    return -1 if first[labels == number].mean() < first[labels == 0].mean() else 1
