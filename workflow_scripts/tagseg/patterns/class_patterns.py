"""Class patterns: projection of features (Eq. 3), reading and writing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_folder, digest, read_json, write_json

SUMMARY = "patterns.json"
_ARRAYS = ("eigenvector", "mean", "explained_variance")
_NUMBERS = ("cam_correlation", "deviation", "object_threshold", "background_threshold", "mask_correlation")


@dataclass(frozen=True)
class ClassPattern:
    """The pattern of a class and the mean it is centred on: q_c of Eq. 3 is (t - mean) . eigenvector.

    `eigenvector` (of length 1) and `mean` are float64 (d,); `explained_variance` float64 (<= 50,) are
    fractions of the variance in descending order: the first exact, the others to 0.001; `positions` is
    K; `deviation` is the standard deviation of q_c over the subset. Orientation by CAM adds the rest: the
    Pearson correlation of q_c with the CAM; the thresholds (a pixel is object above `object_threshold`,
    background up to `background_threshold`, void between the two); the correlation of the masks with the CAM.
    """

    eigenvector: np.ndarray
    mean: np.ndarray
    explained_variance: np.ndarray
    positions: int
    cam_correlation: float = float("nan")
    deviation: float = float("nan")
    object_threshold: float = 0.0
    background_threshold: float = 0.0
    mask_correlation: float = float("nan")


def project(patterns: Sequence[ClassPattern], maps: np.ndarray) -> np.ndarray:
    """Return q_c (Eq. 3) of several classes, float32 (classes, h, w), of the features (d, h, w)."""
    # Centred before the product: float32 loses the digits that large means have in common.
    shift = np.mean([pattern.mean for pattern in patterns], axis=0).astype(np.float32)
    centred = np.asarray(maps, np.float32).reshape(len(shift), -1) - shift[:, None]
    vectors = np.stack([pattern.eigenvector for pattern in patterns]).astype(np.float32)
    offsets = np.array([pattern.eigenvector @ (shift - pattern.mean) for pattern in patterns], np.float32)
    q = vectors @ centred + offsets[:, None]
    return q.reshape(len(patterns), *maps.shape[1:])


def write_patterns(folder: str | Path, patterns: Mapping[str, ClassPattern], node: str, classifier: str = "") -> None:
    """Write `{class}/eigenvector.npy`, `mean.npy`, `explained_variance.npy` and a summary, atomically.

    `node` is the layer of the features, `classifier` the SHA-256 of its checkpoint. The summary holds the
    digests of the arrays, so that its own digest covers everything.
    """
    with atomic_folder(folder) as aside:
        classes = {tag: _write_pattern(aside / tag, pattern) for tag, pattern in patterns.items()}
        write_json(aside / SUMMARY, {"node": node, "classifier": classifier, "classes": classes})


def _write_pattern(folder: Path, pattern: ClassPattern) -> dict[str, object]:
    """Write the arrays of a pattern, and return its part of the summary."""
    folder.mkdir()
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(pattern, name), allow_pickle=False)
    return {
        **{name: getattr(pattern, name) for name in ("positions", *_NUMBERS)},
        "explained_variance": float(pattern.explained_variance[0]),
        "sha256": {name: digest(folder / f"{name}.npy") for name in _ARRAYS},
    }


def read_patterns(folder: str | Path) -> tuple[dict[str, ClassPattern], str]:
    """Return the patterns that `write_patterns` wrote, and their node.

    Raises TagsegError if a file is missing or damaged.
    """
    content = read_json(Path(folder) / SUMMARY)
    try:
        classes = content["classes"].items()
        return {tag: _read_pattern(Path(folder) / tag, one) for tag, one in classes}, content["node"]
    except (OSError, KeyError, TypeError, AttributeError, ValueError):
        raise TagsegError(f"{folder}: not class patterns of tagseg, or damaged. Delete it and run again.") from None


def _read_pattern(folder: Path, summary: Mapping) -> ClassPattern:
    if any(digest(folder / f"{name}.npy") != summary["sha256"][name] for name in _ARRAYS):
        raise ValueError(f"{folder}: changed")
    fields: dict[str, Any] = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _ARRAYS}
    fields |= {name: float(summary[name]) for name in _NUMBERS}
    return ClassPattern(**fields, positions=summary["positions"])


def patterns_classifier(folder: str | Path) -> str:
    """Return the SHA-256 of the checkpoint of the classifier. Raises TagsegError without a summary."""
    return read_json(Path(folder) / SUMMARY)["classifier"]


def patterns_digest(folder: str | Path) -> str:
    """Return the SHA-256 of the patterns that `read_patterns` accepts in a folder."""
    return digest(Path(folder) / SUMMARY)
