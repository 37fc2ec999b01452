"""Agreement of class patterns with class activation maps (CAM): it fixes a pattern's sign and its boundary.

PCA leaves a component's sign open. Its origin, the mean of all descriptors, parts object from background
well only where both cover about as much of the subset. The classifier's own activation decides both, over the
whole subset and with nothing but tags: the sign is that of the correlation of q_c with the CAM, the boundary
the one whose mask {q_c > boundary} correlates most with the CAM as a share of its maximum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tagseg.cam_shards import CamMaps, share_of_maximum
from tagseg.errors import TagsegError
from tagseg.images import resize_map
from tagseg.map_shards import MapShard
from tagseg.patterns import ClassPattern

BOUNDARIES = ("cam", "mean", "both")
"""Where q_c parts object from background: where the CAM agrees most; at 0, the mean (the paper); or both:
what lies in between is uncertain."""

WEAK_CORRELATION = 0.1
"""Below it, the sign of a pattern that the CAM gives is little better than luck: a warning is due."""

ROUNDING = 1e-12
"""Below this share of n * sum(x^2), what float64 sums give as a variance is rounding."""

BINS = 4096
REACH = 8.0  # standard deviations of q_c that the bins span on either side; what lies beyond counts as there


class Correlation:
    """Pearson correlation of two streams of numbers, added up in float64."""

    def __init__(self) -> None:
        self._sums = np.zeros(6)

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Add two arrays of one shape."""
        a, b = first.astype(np.float64).ravel(), second.astype(np.float64).ravel()
        self._sums += (a.size, a.sum(), b.sum(), a @ a, b @ b, a @ b)

    def value(self) -> float:
        """Return the correlation in [-1, 1]; 0 where one of the streams does not vary."""
        n, a, b, aa, bb, ab = self._sums
        first, second = n * aa - a * a, n * bb - b * b
        # What rounding leaves of a constant stream is not a variance.
        if not (first > ROUNDING * n * aa and second > ROUNDING * n * bb):
            return 0.0
        return float(np.clip((n * ab - a * b) / np.sqrt(first * second), -1, 1))


class MaskCorrelation:
    """Pearson correlation of the masks {q > b} with a map, for every boundary b at once.

    One pass: counts and sums of the map by bins of q, whose width is 2 * REACH / BINS standard deviations.
    """

    def __init__(self, deviation: float) -> None:
        """`deviation` is the standard deviation of q. Raises ValueError unless it is positive."""
        if not deviation > 0:
            raise ValueError(f"standard deviation {deviation}")
        self.edges = np.linspace(-REACH, REACH, BINS + 1) * deviation
        self._counts, self._sums = np.zeros(BINS), np.zeros(BINS)
        self._square = 0.0

    def add(self, q: np.ndarray, values: np.ndarray) -> None:
        """Add the projection of a photograph and the map's values, arrays of one shape."""
        values = values.astype(np.float64).ravel()
        bins = np.clip(np.searchsorted(self.edges, q.ravel(), side="left") - 1, 0, BINS - 1)
        self._counts += np.bincount(bins, minlength=BINS)
        self._sums += np.bincount(bins, weights=values, minlength=BINS)
        self._square += values @ values

    def flip(self) -> None:
        """Go over to -q; values on an edge, which belong to the bin below it, then count as above theirs."""
        self._counts, self._sums = self._counts[::-1].copy(), self._sums[::-1].copy()

    def at_edges(self) -> np.ndarray:
        """Return the correlation, float64 (BINS + 1,), of {q > edge}; 0 where mask or map do not vary."""
        above, sums = (np.append(np.cumsum(x[::-1])[::-1], 0.0) for x in (self._counts, self._sums))
        n, total = above[0], sums[0]
        spread = n * self._square - total**2
        if not spread > ROUNDING * n * self._square:
            return np.zeros(BINS + 1)
        varies = (above > 0) & (above < n)
        scale = np.sqrt(np.where(varies, above * (n - above), 1) * spread)
        return np.where(varies, (n * sums - above * total) / scale, 0)

    def best(self) -> tuple[float, float]:
        """Return the boundary of the largest correlation and that correlation; (0, 0) if none is positive."""
        correlations = self.at_edges()
        largest = int(correlations.argmax())
        if not correlations[largest] > 0:
            return 0.0, 0.0
        return float(self.edges[largest]), float(correlations[largest])

    def at_mean(self) -> float:
        """Return the correlation of {q > 0}."""
        return float(self.at_edges()[BINS // 2])


@dataclass
class _Agreement:
    """What is added up of one class: q_c with the CAM, and its masks with the CAM's share of the maximum."""

    sign: Correlation
    masks: MaskCorrelation

    def add(self, q: np.ndarray, cam: np.ndarray) -> None:
        cam = resize_map(cam, *q.shape)
        self.sign.add(q, cam)
        self.masks.add(q, share_of_maximum(cam))

    def applied_to(self, pattern: ClassPattern, boundary: str) -> ClassPattern:
        correlation = self.sign.value()
        sign = -1.0 if correlation < 0 else 1.0
        if sign < 0:
            self.masks.flip()
        place, mask_correlation = (0.0, self.masks.at_mean()) if boundary == "mean" else self.masks.best()
        other = 0.0 if boundary == "both" else place
        return replace(
            pattern,
            eigenvector=sign * pattern.eigenvector,
            cam_correlation=abs(correlation),
            boundary=max(place, other),
            floor=min(place, other),
            mask_correlation=mask_correlation,
        )


def orient_patterns(
    patterns: Mapping[str, ClassPattern],
    numbers: Mapping[str, int],
    shards: Sequence[MapShard],
    subsets: Mapping[str, Sequence[str]],
    cams: CamMaps,
    boundary: str = "mean",
) -> dict[str, ClassPattern]:
    """Turn each pattern so that q_c correlates positively with the CAM of its class; set boundary and floor.

    `numbers` gives a class's number in `cams`; `boundary` is one of BOUNDARIES. Raises TagsegError where a
    CAM is missing.
    """
    members = {tag: frozenset(ids) for tag, ids in subsets.items()}
    agreements = {
        tag: _Agreement(Correlation(), MaskCorrelation(one.deviation)) for tag, one in patterns.items()
    }
    for shard in shards:
        for position, name in enumerate(shard.ids):
            tags = [tag for tag in patterns if name in members[tag]]
            maps = shard.maps(position).values() if tags else ()
            for tag in tags:
                cam = _cam_of(cams, name, numbers[tag])
                for one in maps:
                    agreements[tag].add(patterns[tag].project(one), cam)
    return {tag: agreements[tag].applied_to(pattern, boundary) for tag, pattern in patterns.items()}


def _cam_of(cams: CamMaps, name: str, number: int) -> np.ndarray:
    try:
        return cams[name][number]
    except KeyError:
        raise TagsegError(f"{name}: no CAM of class {number}; delete the CAM shards and run again") from None
