"""Time of the class moments (one pass, a Gram matrix a image) against NumPy's covariance per class.

    python benchmarks/moments.py

Both see the same random float16 feature maps and overlapping subsets, and must agree to 1e-6. Prints the
seconds of each, in turn, and the ratio of the medians.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))
from tagseg.patterns.moments import class_moments  # noqa: E402

IMAGES, CLASSES, TAGS, CHANNELS, SIDE, RUNS = 60, 10, 2, 512, 21, 5


class MemoryShard:
    """The part of a MapShard that the moments read, in memory."""

    def __init__(self, maps: np.ndarray) -> None:
        self.ids = tuple(f"image {number}" for number in range(len(maps)))
        self._maps = maps

    def maps(self, position: int) -> dict[str, np.ndarray]:
        return {"view": self._maps[position]}


def numpy_covariances(maps: np.ndarray, members: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """Return each class's covariance, by stacking its descriptors and calling np.cov."""
    return {
        tag: np.cov(maps[rows].astype(np.float64).transpose(1, 0, 2, 3).reshape(CHANNELS, -1), bias=True)
        for tag, rows in members.items()
    }


def timed(function, *arguments):
    started = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - started, result


def main() -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(3, 1, (IMAGES, CHANNELS, SIDE, SIDE)).astype(np.float16)
    members: dict[str, list[int]] = {f"class {number}": [] for number in range(CLASSES)}
    for row in range(IMAGES):
        for number in rng.choice(CLASSES, TAGS, replace=False):
            members[f"class {number}"].append(row)
    shard = MemoryShard(maps)
    subsets = {tag: [shard.ids[row] for row in rows] for tag, rows in members.items()}
    ours, theirs = [], []
    for _ in range(RUNS):
        seconds, moments = timed(class_moments, [shard], subsets)
        ours.append(seconds)
        seconds, covariances = timed(numpy_covariances, maps, members)
        theirs.append(seconds)
    error = max(np.abs(moments[tag].covariance() - covariances[tag]).max() for tag in members)
    assert error < 1e-6, error
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"ours {statistics.median(ours):.3f} s, np.cov {statistics.median(theirs):.3f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
