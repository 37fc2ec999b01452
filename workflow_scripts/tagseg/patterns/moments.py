"""Moments and principal component of the descriptors of each class (the paper's Eq. 1 and 2).

One pass over the feature shards serves all classes: the moments of an image are computed once and added to
every class whose subset holds it. Eq. 2 divides by K, the number of positions. The sums are centred on a
shift near the mean, because sum(t t^T) - K mean mean^T cancels badly. The Gram matrices of a few images are
float32, which is enough about the shift; sums over them are float64.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from scipy.linalg.blas import ssyrk
from scipy.sparse.linalg import eigsh

from tagseg.patterns.class_patterns import ClassPattern
from tagseg.runtime.errors import TagsegError
from tagseg.storage.feature_shards import MapShard

COMPONENTS = 50
"""Number of components whose explained variance is kept (the paper's Figure 3)."""

IMAGES_AT_ONCE = 8
"""Images of the same classes whose descriptors make one Gram matrix."""

BLOCK = 128
"""Columns of the Gram matrix that are added at once."""


class Moments:
    """Running count, sum and Gram matrix of descriptors (float64) about a fixed shift.

    `mean()` and `covariance()` do not depend on the shift, but lose few digits only if it is near the mean. It is
    rounded to float32, so that subtracting it from descriptors near it is exact.
    """

    def __init__(self, shift: np.ndarray) -> None:
        self.shift = np.asarray(shift, np.float32).astype(np.float64)
        self.count = 0
        self._sum = np.zeros(len(self.shift))
        self._upper = np.zeros((len(self.shift),) * 2, order="F")

    def add(self, count: int, total: np.ndarray, upper: np.ndarray) -> None:
        """Add `count` descriptors by their shifted sum (d,) and upper triangle of the shifted Gram matrix."""
        self.count += count
        self._sum += total
        for start in range(0, len(upper), BLOCK):  # the upper triangle alone, by columns
            end = start + BLOCK
            self._upper[:end, start:end] += upper[:end, start:end]

    def mean(self) -> np.ndarray:
        """Return the mean descriptor (d,), float64."""
        return self.shift + self._sum / self.count

    def covariance(self) -> np.ndarray:
        """Return the covariance (d, d), float64, of Eq. 2."""
        offset = self._sum / self.count
        gram = np.triu(self._upper) + np.triu(self._upper, 1).T
        return gram / self.count - np.outer(offset, offset)


def image_moments(maps: Iterable[np.ndarray], shift: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Return count, shifted sum float64 (d,) and upper triangle float32 (d, d) of the shifted Gram matrix.

    `maps` are views (d, h, w) of one image or several, `shift` is that of a Moments.
    """
    descriptors = np.concatenate([view.reshape(len(shift), -1) for view in maps], axis=1, dtype=np.float32)
    descriptors -= shift.astype(np.float32)[:, None]
    # A C-ordered (d, n) array is an F-ordered (n, d) one to BLAS, so that nothing is copied.
    upper = ssyrk(1.0, descriptors.T, trans=1)
    return descriptors.shape[1], descriptors.sum(axis=1, dtype=np.float64), upper


def class_moments(shards: Iterable[MapShard], subsets: Mapping[str, Sequence[str]]) -> dict[str, Moments]:
    """Return the moments per class, over all positions and views of the images in its subset.

    `subsets` maps a class to image ids. Raises TagsegError if no shard holds an image of a subset.
    """
    classes_of: dict[str, tuple[str, ...]] = {}
    for tag, ids in subsets.items():
        classes_of |= {name: (*classes_of.get(name, ()), tag) for name in ids}
    moments: dict[str, Moments] = {}
    for shard in shards:
        for tags, positions in _groups([classes_of.pop(name, ()) for name in shard.ids]):
            maps = [view for position in positions for view in shard.maps(position).values()]
            if not moments:
                moments = {tag: Moments(_mean_descriptor(maps)) for tag in subsets}
            addend = image_moments(maps, moments[tags[0]].shift)
            for tag in tags:
                moments[tag].add(*addend)
    if classes_of:
        raise TagsegError(f"{min(classes_of)}: in a subset but in no feature shard. Delete the features and run again.")
    return {tag: one for tag, one in moments.items() if one.count}


def _groups(classes: Sequence[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    """Yield classes, and the positions of a few images that are in the subsets of exactly these."""
    rows: dict[tuple[str, ...], list[int]] = {}
    for position, tags in enumerate(classes):
        rows.setdefault(tags, []).append(position)
    rows.pop((), None)
    for tags, positions in rows.items():
        for start in range(0, len(positions), IMAGES_AT_ONCE):
            yield tags, positions[start : start + IMAGES_AT_ONCE]


def _mean_descriptor(maps: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean descriptor of a few images: near enough to the mean of every class to shift by it."""
    return np.mean([np.asarray(view, np.float64).mean(axis=(1, 2)) for view in maps], axis=0)


def leading_pattern(moments: Moments) -> ClassPattern:
    """Return the pattern of `moments`: the unit eigenvector of the largest eigenvalue, of either sign.

    Raises TagsegError if the features do not vary.
    """
    covariance = moments.covariance()
    trace = np.trace(covariance)
    if not trace > 0:
        raise TagsegError("its features do not vary. Check the images and the weights of the classifier.")
    # A fixed start vector: the default one is random and changes the last bits from run to run.
    start = np.random.default_rng(0).standard_normal(len(covariance))
    (value,), (leading,) = (part.T for part in eigsh(covariance, k=1, which="LA", v0=start))
    first = value / trace
    return ClassPattern(
        eigenvector=leading / np.linalg.norm(leading),
        mean=moments.mean(),
        explained_variance=np.append(first, _further_fractions(covariance / trace, start).clip(0, first)),
        positions=moments.count,
        deviation=float(np.sqrt(value)),
    )


def _further_fractions(covariance: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the second and further eigenvalues of a covariance of trace 1, in descending order.

    They are drawn and not computed with: float32 and a relative tolerance of 0.001 take a third of the time. The
    tolerance is absolute for small values, hence the trace.
    """
    components = min(COMPONENTS, len(covariance) - 1)
    single = covariance.astype(np.float32)
    values = eigsh(single, components, which="LA", v0=start.astype(np.float32), tol=1e-3, return_eigenvectors=False)
    return np.sort(values)[-2::-1].astype(np.float64)
