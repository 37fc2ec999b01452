"""Class patterns against BLAS, NumPy, torch and scikit-learn, on the same random float16 maps in memory."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from common import Row, in_turn
from scipy.linalg.blas import ssyrk
from sklearn.decomposition import PCA, IncrementalPCA

from tagseg.patterns.moments import class_moments, leading_pattern
from tagseg.storage.feature_shards import single_of_half

CHANNELS, SIDE, IMAGES = 2048, 21, 400  # ResNet-101 at stride 16
IMAGES_OF_CLASS = (
    670, 552, 765, 508, 706, 421, 1161, 1080, 1119, 303, 538, 1286, 482, 526, 4087, 527, 325, 507, 544, 575
)  # fmt: skip
"""Images of each class of VOC 2012's trainval: a person is in a third of them."""

CLASSES, TAGS_PER_IMAGE = len(IMAGES_OF_CLASS), 1.555


class MemoryShard:
    """The part of a MapShard that the moments read, in memory."""

    def __init__(self, maps: np.ndarray) -> None:
        self.ids = tuple(f"image {number}" for number in range(len(maps)))
        self._maps = maps

    def maps(self, position: int) -> dict[str, np.ndarray]:
        return {"view": single_of_half(self._maps[position])}


def rows() -> Iterator[Row]:
    """Yield our time per image and for all classes, against one product, and one solver or covariance per class."""
    shard, subsets = data()
    size = f"{CHANNELS} channels, {SIDE}x{SIDE} positions"
    per_image = np.ascontiguousarray(shard.maps(0)["view"].reshape(CHANNELS, -1))
    times = in_turn(lambda: class_moments([shard], subsets), lambda: products(per_image))
    yield Row(f"moments of {IMAGES} images, {size}", times[0], "`ssyrk` of each image alone", times[1])

    one_class = {"class 11": subsets["class 11"]}
    check(shard, one_class)
    for name, solver in SOLVERS.items():
        times = in_turn(lambda: patterns(shard, one_class), lambda solver=solver: each(shard, one_class, solver), 1)
        yield Row(f"pattern of one class, {size}", times[0], name, times[1])
    best = min(SOLVERS, key=lambda name: in_turn(int, lambda: each(shard, one_class, SOLVERS[name]), 1)[1])
    times = in_turn(lambda: patterns(shard, subsets), lambda: each(shard, subsets, SOLVERS[best]), 1)
    yield Row(f"patterns of {CLASSES} classes, {IMAGES} images", times[0], f"{best}, per class", times[1])


def data() -> tuple[MemoryShard, dict[str, list[str]]]:
    """Return maps with a direction of most variance, and subsets with VOC's number of tags per image."""
    rng = np.random.default_rng(0)
    shares = np.array(IMAGES_OF_CLASS) / sum(IMAGES_OF_CLASS)
    maps = rng.normal(3, 1, (IMAGES, CHANNELS, SIDE, SIDE)).astype(np.float16)
    maps[:, :40, : SIDE // 2] += np.float16(2)
    shard = MemoryShard(maps)
    subsets: dict[str, list[str]] = {f"class {number}": [] for number in range(CLASSES)}
    for name in shard.ids:
        tags = 1 + rng.binomial(3, (TAGS_PER_IMAGE - 1) / 3)
        for number in rng.choice(CLASSES, tags, replace=False, p=shares):
            subsets[f"class {number}"].append(name)
    return shard, subsets


def products(descriptors: np.ndarray) -> None:
    for _ in range(IMAGES):
        ssyrk(1.0, descriptors.T, trans=1)


def patterns(shard: MemoryShard, subsets: dict[str, list[str]]) -> dict[str, np.ndarray]:
    moments = class_moments([shard], subsets)
    return {tag: leading_pattern(one).eigenvector for tag, one in moments.items()}


def check(shard: MemoryShard, one_class: dict[str, list[str]]) -> None:
    """Compare our pattern with the first eigenvector of NumPy's covariance."""
    ((tag, ids),) = one_class.items()
    maps = np.concatenate([shard.maps(shard.ids.index(name))["view"].reshape(CHANNELS, -1) for name in ids], axis=1)
    expected = np.linalg.eigh(np.cov(maps.astype(np.float64), bias=True))[1][:, -1]
    found = patterns(shard, one_class)[tag]
    assert np.abs(found - np.sign(found @ expected) * expected).max() < 1e-5


def each(shard: MemoryShard, subsets: dict[str, list[str]], solver: Callable) -> None:
    """Solve class by class, as a library's PCA has it."""
    for ids in subsets.values():
        positions = [shard.ids.index(name) for name in ids]
        solver(np.concatenate([shard.maps(position)["view"].reshape(CHANNELS, -1).T for position in positions]))


SOLVERS: dict[str, Callable] = {
    'scikit-learn `PCA(50, svd_solver="covariance_eigh")`': PCA(50, svd_solver="covariance_eigh").fit,
    'scikit-learn `PCA(50, svd_solver="randomized")`': PCA(50, svd_solver="randomized", random_state=0).fit,
    "scikit-learn `IncrementalPCA(50)`": IncrementalPCA(50).fit,
    "`np.cov` and `np.linalg.eigh`": lambda x: np.linalg.eigh(np.cov(x.T, bias=True)),
    "`torch.cov` and `torch.linalg.eigh`": lambda x: torch.linalg.eigh(torch.cov(torch.from_numpy(x.T))),
}
