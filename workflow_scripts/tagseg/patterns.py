"""Class patterns: the first principal component of a class's features (the paper's Eq. 1 and 2).

One pass over the feature shards serves all classes: a photograph's moments are computed once and added to
every class whose subset holds it. The covariance is exactly Eq. 2 (division by K, the number of positions);
what is added up is centred on a shift near the mean, because sum(t t^T) - K mean mean^T cancels badly.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.linalg.blas import dsyrk
from scipy.sparse.linalg import eigsh

from tagseg.errors import TagsegError
from tagseg.files import atomic_folder, digest, read_json, write_json
from tagseg.map_shards import MapShard

COMPONENTS = 50
"""Explained variance is kept of so many components (the paper's Figure 3)."""


class Moments:
    """Running count, sum and Gram matrix of descriptors (float64) about a fixed shift.

    `mean()` and `covariance()` are those of Eq. 2 whatever the shift; the nearer it is to the mean, the
    fewer digits are lost.
    """

    def __init__(self, shift: np.ndarray) -> None:
        self.shift = np.asarray(shift, np.float64)
        self.count = 0
        self._sum = np.zeros(len(self.shift))
        self._upper = np.zeros((len(self.shift),) * 2, order="F")

    def add(self, count: int, total: np.ndarray, upper: np.ndarray) -> None:
        """Add `count` descriptors with shifted sum `total` (d,) and shifted Gram matrix `upper` (d, d).

        Of the Gram matrix the upper triangle is read.
        """
        self.count += count
        self._sum += total
        self._upper += upper

    def mean(self) -> np.ndarray:
        """Return the mean descriptor (d,), float64. Raises ValueError where nothing was added."""
        self._check()
        return self.shift + self._sum / self.count

    def covariance(self) -> np.ndarray:
        """Return the covariance (d, d), float64, of Eq. 2. Raises ValueError where nothing was added."""
        self._check()
        offset = self._sum / self.count
        gram = np.triu(self._upper) + np.triu(self._upper, 1).T
        return gram / self.count - np.outer(offset, offset)

    def _check(self) -> None:
        if not self.count:
            raise ValueError("moments of no descriptor")


def image_moments(maps: Iterable[np.ndarray], shift: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Return count, shifted sum (d,) and the upper triangle of the shifted Gram matrix (d, d), float64.

    `maps` are the views (d, h, w) of a photograph.
    """
    descriptors = np.concatenate(
        [np.asarray(one, np.float64).reshape(len(shift), -1) for one in maps], axis=1
    )
    descriptors -= shift[:, None]
    # A C-ordered (d, n) array is an F-ordered (n, d) one to BLAS: no copy is made of it.
    upper = dsyrk(1.0, descriptors.T, trans=1)
    return descriptors.shape[1], descriptors.sum(axis=1), upper


def class_moments(shards: Sequence[MapShard], subsets: Mapping[str, Sequence[str]]) -> dict[str, Moments]:
    """Return each class's moments over all positions and views of the photographs in its subset.

    `subsets` maps a class to photograph ids. Raises TagsegError where a subset names a photograph that
    no shard holds.
    """
    classes_of: dict[str, list[str]] = {}
    for tag, ids in subsets.items():
        for name in ids:
            classes_of.setdefault(name, []).append(tag)
    moments: dict[str, Moments] = {}
    shift = None
    for shard in shards:
        for position, name in enumerate(shard.ids):
            tags = classes_of.pop(name, ())
            if not tags:
                continue
            maps = shard.maps(position).values()
            shift = _first_mean(maps) if shift is None else shift
            addend = image_moments(maps, shift)
            for tag in tags:
                moments.setdefault(tag, Moments(shift)).add(*addend)
    if classes_of:
        raise TagsegError(f"{next(iter(classes_of))}: in a subset but in no feature shard; run again")
    return moments


def _first_mean(maps: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean descriptor of one photograph: near enough to every class's mean to shift by."""
    return np.mean([np.asarray(one, np.float64).mean(axis=(1, 2)) for one in maps], axis=0)


@dataclass(frozen=True)
class ClassPattern:
    """A class's pattern and the mean it is centred on: the q_c of Eq. 3 is (t - mean) . eigenvector.

    `eigenvector` and `mean` are float64 (d,), the former of length 1; `explained_variance` float64
    (<= 50,) are shares of the whole variance, in descending order; `positions` is K; `deviation` is q_c's
    standard deviation over the subset, the root of the largest eigenvalue. What `agreement` adds: the
    Pearson correlation of q_c with the CAM (`cam_correlation`); the `boundary` above which q_c says object,
    the `floor` down from which it says background (what lies between is uncertain), and the correlation of
    the masks with the CAM's share of its maximum (`mask_correlation`).
    """

    eigenvector: np.ndarray
    mean: np.ndarray
    explained_variance: np.ndarray
    positions: int
    cam_correlation: float = float("nan")
    deviation: float = float("nan")
    boundary: float = 0.0
    floor: float = 0.0
    mask_correlation: float = float("nan")

    def project(self, maps: np.ndarray) -> np.ndarray:
        """Return q_c (Eq. 3), float32 (h, w), of the features (d, h, w)."""
        centred = np.array(maps, np.float32).reshape(len(self.mean), -1)
        # Before the product, not after: float32 would lose the digits that a large mean has in common.
        centred -= self.mean.astype(np.float32)[:, None]
        return (self.eigenvector.astype(np.float32) @ centred).reshape(maps.shape[1:])


def leading_pattern(moments: Moments) -> ClassPattern:
    """Return the pattern of `moments`: the unit eigenvector of the largest eigenvalue, of either sign.

    Raises TagsegError where the features do not vary at all.
    """
    covariance = moments.covariance()
    trace = np.trace(covariance)
    if not trace > 0:
        raise TagsegError("the features of the class do not vary, so they have no principal component")
    components = min(COMPONENTS, len(covariance) - 1)
    # A fixed start vector: the solver's own is random, and would change the last bits of every run.
    values, vectors = eigsh(covariance, k=components, which="LA", v0=_start_vector(len(covariance)))
    order = np.argsort(values)[::-1]
    leading = vectors[:, order[0]]
    shares = np.clip(values[order], 0, None) / trace
    return ClassPattern(
        leading / np.linalg.norm(leading),
        moments.mean(),
        shares,
        moments.count,
        deviation=float(np.sqrt(values[order[0]])),
    )


def _start_vector(dimension: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(dimension)


def write_patterns(
    folder: str | Path, patterns: Mapping[str, ClassPattern], node: str, classifier: str = ""
) -> None:
    """Write `{class}/eigenvector.npy`, `mean.npy`, `explained_variance.npy` and a summary, all or none.

    `node` is the layer whose features the patterns belong to, `classifier` the SHA-256 of its checkpoint.
    The summary holds the arrays' digests: its own is one of everything.
    """
    with atomic_folder(folder) as aside:
        for tag, pattern in patterns.items():
            (aside / tag).mkdir()
            for name in _ARRAYS:
                np.save(aside / tag / f"{name}.npy", getattr(pattern, name), allow_pickle=False)
        classes = {tag: _summary(one, aside / tag) for tag, one in patterns.items()}
        write_json(aside / SUMMARY, {"node": node, "classifier": classifier, "classes": classes})


SUMMARY = "patterns.json"
_ARRAYS = ("eigenvector", "mean", "explained_variance")
_NUMBERS = ("positions", "cam_correlation", "deviation", "boundary", "floor", "mask_correlation")


def _summary(pattern: ClassPattern, folder: Path) -> dict:
    numbers = {name: getattr(pattern, name) for name in _NUMBERS}
    digests = {name: digest(folder / f"{name}.npy") for name in _ARRAYS}
    return {**numbers, "explained_variance": float(pattern.explained_variance[0]), "sha256": digests}


def read_patterns(folder: str | Path) -> tuple[dict[str, ClassPattern], str]:
    """Read what `write_patterns` wrote: patterns and node.

    Raises TagsegError where a file is missing, malformed or altered.
    """
    path = Path(folder) / SUMMARY
    content = read_json(path)
    try:
        classes = content["classes"].items()
        if not all(_is_summary(tag, one) for tag, one in classes):
            raise TypeError
        return {tag: _read_pattern(path.parent / tag, one) for tag, one in classes}, str(content["node"])
    except (KeyError, TypeError, AttributeError):
        raise TagsegError(f"{path}: not a summary of patterns; delete {folder} and run again") from None


def _is_summary(tag: str, summary: Mapping) -> bool:
    """Say whether a class is the name of a folder, and its summary has numbers where numbers belong."""
    numbers = [summary[name] for name in _NUMBERS]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers):
        return False
    return tag not in ("", ".", "..") and "/" not in tag and "\0" not in tag


def patterns_classifier(folder: str | Path) -> str:
    """Return the SHA-256 of the classifier's checkpoint whose features gave the patterns.

    Raises TagsegError where the summary is missing or malformed.
    """
    path = Path(folder) / SUMMARY
    try:
        return str(read_json(path)["classifier"])
    except (KeyError, TypeError):
        raise TagsegError(f"{path}: not a summary of patterns; delete {folder} and run again") from None


def patterns_digest(folder: str | Path) -> str:
    """Return the SHA-256 of the patterns in a folder: their summary's. Raises TagsegError without one."""
    path = Path(folder) / SUMMARY
    if not path.is_file():
        raise TagsegError(f"{path}: no such file; run the stage that makes it again")
    return digest(path)


def _read_pattern(folder: Path, summary: Mapping) -> ClassPattern:
    arrays = {name: _load(folder / f"{name}.npy") for name in _ARRAYS}
    if not arrays["eigenvector"].shape == arrays["mean"].shape == (arrays["mean"].size,):
        raise TagsegError(f"{folder}: eigenvector and mean differ in size; delete it and run again")
    for name in _ARRAYS:
        if digest(folder / f"{name}.npy") != summary["sha256"][name]:
            raise TagsegError(
                f"{folder / name}.npy: altered since it was made; delete {folder.parent}, run again"
            )
    return ClassPattern(**arrays, **{name: summary[name] for name in _NUMBERS})


def _load(path: Path) -> np.ndarray:
    """Return an array float (n,). Raises TagsegError where the file is none."""
    try:
        # Mapped before it is copied: a shape that the file does not hold is an error then, not memory.
        array = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        if array.ndim != 1 or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(f"{array.dtype} {array.shape}, or not finite")
    except Exception as error:  # numpy raises whatever the bytes make its parser raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TagsegError(
            f"{path}: not an array ({reason}); delete {path.parent.parent}, run again"
        ) from None
    return array


@contextlib.contextmanager
def open_shards(paths: Sequence[str | Path]):
    """Yield the feature shards at `paths`, open for reading."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(MapShard(path)) for path in paths]
