"""Orientation of class patterns by class activation maps (CAM): the sign and the thresholds of a pattern.

PCA leaves the sign of a component open, and its origin, the mean of all descriptors, separates object from
background well only if both cover about as much of the subset. The CAM decides both, from tags alone: the
sign is that of the correlation of q_c with the CAM, the threshold the one whose mask {q_c > threshold}
correlates most with the CAM as a fraction of its maximum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tagseg.patterns.class_patterns import ClassPattern, project
from tagseg.runtime.errors import TagsegError
from tagseg.storage.cam_shards import CamMaps, fraction_of_maximum
from tagseg.storage.feature_shards import MapShard
from tagseg.storage.images import resize_map

WEAK_CORRELATION = 0.1
"""Below it, the sign that the CAM gives is little better than chance."""

ROUNDING = 1e-12
"""Below this fraction of n * sum(x^2), a variance from float64 sums is rounding."""

BINS = 4096
REACH = 8.0  # standard deviations of q_c that the bins span on either side; outliers count in the last bin


class Correlation:
    """Pearson correlation of two streams of numbers, summed in float64."""

    def __init__(self) -> None:
        self._sums = np.zeros(6)

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Add two arrays of one shape."""
        a, b = first.astype(np.float64).ravel(), second.astype(np.float64).ravel()
        self._sums += np.array([a.size, a.sum(), b.sum(), a @ a, b @ b, a @ b])

    def value(self) -> float:
        """Return the correlation in [-1, 1]; 0 if one of the streams does not vary."""
        n, a, b, aa, bb, ab = self._sums
        first, second = n * aa - a * a, n * bb - b * b
        if not (first > ROUNDING * n * aa and second > ROUNDING * n * bb):
            return 0.0
        return float(np.clip((n * ab - a * b) / np.sqrt(first * second), -1, 1))


class MaskCorrelation:
    """Pearson correlation of the masks {q > threshold} with a map, for all thresholds at once.

    One pass: counts and sums of the map by bins of q, each 2 * REACH / BINS standard deviations wide.
    """

    def __init__(self, deviation: float) -> None:
        self.edges = np.linspace(-REACH, REACH, BINS + 1) * deviation
        self._counts, self._sums = np.zeros(BINS), np.zeros(BINS)
        self._square = 0.0

    def add(self, q: np.ndarray, values: np.ndarray) -> None:
        """Add the projection of an image and the values of the map, arrays of one shape."""
        values = values.astype(np.float64).ravel()
        bins = np.clip(np.searchsorted(self.edges, q.ravel(), side="left") - 1, 0, BINS - 1)
        self._counts += np.bincount(bins, minlength=BINS)
        self._sums += np.bincount(bins, weights=values, minlength=BINS)
        self._square += float(values @ values)

    def flip(self) -> None:
        """Replace q by -q; a value on an edge belongs to the bin above it afterwards."""
        self._counts, self._sums = self._counts[::-1].copy(), self._sums[::-1].copy()

    def at_edges(self) -> np.ndarray:
        """Return the correlation, float64 (BINS + 1,), of {q > edge}; 0 if mask or map do not vary."""
        above, sums = (np.append(np.cumsum(x[::-1])[::-1], 0.0) for x in (self._counts, self._sums))
        n, total = above[0], sums[0]
        spread = n * self._square - total**2
        if not spread > ROUNDING * n * self._square:
            return np.zeros(BINS + 1)
        varies = (above > 0) & (above < n)
        scale = np.sqrt(np.where(varies, above * (n - above), 1) * spread)
        return np.where(varies, (n * sums - above * total) / scale, 0)

    def best(self) -> tuple[float, float]:
        """Return the threshold of the largest correlation, and this correlation; (0, 0) if none is positive."""
        correlations = self.at_edges()
        largest = int(correlations.argmax())
        edge, correlation = float(self.edges[largest]), float(correlations[largest])
        return (edge, correlation) if correlation > 0 else (0.0, 0.0)

    def at_mean(self) -> float:
        """Return the correlation of {q > 0}."""
        return float(self.at_edges()[BINS // 2])


class _Agreement:
    """Correlations of one class: q_c with the CAM, its masks with the CAM as a fraction of the maximum."""

    def __init__(self, deviation: float) -> None:
        self.sign, self.masks = Correlation(), MaskCorrelation(deviation)

    def add(self, q: np.ndarray, cam: np.ndarray) -> None:
        cam = resize_map(cam, *q.shape)
        self.sign.add(q, cam)
        self.masks.add(q, fraction_of_maximum(cam))

    def orient(self, pattern: ClassPattern, threshold: str) -> ClassPattern:
        correlation, sign = self.sign.value(), 1.0
        if correlation < 0:
            sign = -1.0
            self.masks.flip()
        best, mask_correlation = (0.0, self.masks.at_mean()) if threshold == "mean" else self.masks.best()
        other = 0.0 if threshold == "both" else best
        return replace(
            pattern,
            eigenvector=sign * pattern.eigenvector,
            cam_correlation=abs(correlation),
            object_threshold=max(best, other),
            background_threshold=min(best, other),
            mask_correlation=mask_correlation,
        )


def orient_patterns(
    patterns: Mapping[str, ClassPattern],
    class_indices: Mapping[str, int],
    shards: Sequence[MapShard],
    subsets: Mapping[str, Sequence[str]],
    cams: CamMaps,
    threshold: str = "mean",
) -> dict[str, ClassPattern]:
    """Return the patterns with the sign and the thresholds that agree with the CAM of their class.

    `class_indices` gives the index of a class in `cams`; `threshold` is `PatternSettings.threshold`. Raises
    TagsegError if a CAM is missing.
    """
    members = {tag: frozenset(ids) for tag, ids in subsets.items()}
    agreements = {tag: _Agreement(pattern.deviation) for tag, pattern in patterns.items()}
    for shard in shards:
        for position, name in enumerate(shard.ids):
            tags = [tag for tag in patterns if name in members[tag]]
            for tag in tags:
                if class_indices[tag] not in cams.get(name, {}):
                    raise TagsegError(f"{name}: no CAM of {tag}. Delete the CAM shards and run again.")
            for view in shard.maps(position).values() if tags else ():
                for tag, q in zip(tags, project([patterns[tag] for tag in tags], view), strict=True):
                    agreements[tag].add(q, cams[name][class_indices[tag]])
    return {tag: agreements[tag].orient(pattern, threshold) for tag, pattern in patterns.items()}
