"""A choice among layers from tags and photographs alone: for people who have no mask to look at.

Two things tell a good layer. Its patterns have to do with the class: the masks correlate with the
classifier's CAM. That alone would always choose the last block, of which the CAM is made. And its masks end
where objects end, as far as the photograph's own colours show: a mask that is too coarse, or covers but the
most telling part, cuts through surfaces of one colour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tagseg.images import VOID, resize_mask, shrink_photograph

RELEVANT = 0.5
"""Share of the highest mask correlation that a layer needs to be chosen at all."""

BINS = 8  # of each colour channel
SIDE = 256  # pixels: longer side at which colours are counted


@dataclass(frozen=True)
class Candidate:
    """A layer, its masks' correlation with the CAM (mean over classes) and their colour coefficient."""

    layer: str
    mask_correlation: float
    colour_coefficient: float


def colour_coefficient(photograph: np.ndarray, mask: np.ndarray) -> float:
    """Return how much of the mask a pixel's colour tells, in [0, 1]: I(mask; colour) / H(mask).

    This is Theil's uncertainty coefficient of object against background, over the pixels of RGB uint8
    (H, W, 3) that the mask, uint8 (H, W), does not leave void; 8 bins a channel. A mask without object or
    without background says nothing: 0.
    """
    small = shrink_photograph(photograph, SIDE)
    labels = resize_mask(mask, *small.shape[:2])
    decided = labels != VOID
    colours = (small[decided] // (256 // BINS)).astype(np.int64) @ (BINS * BINS, BINS, 1)
    joint = np.stack([np.bincount(colours[side], minlength=BINS**3) for side in _sides(labels[decided])])
    if not joint.sum(axis=1).all():
        return 0.0
    together = _entropy(joint)
    of_mask, of_colour = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
    return float(np.clip((of_mask + of_colour - together) / of_mask, 0, 1))


def _sides(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return labels == 0, labels > 0


def _entropy(counts: np.ndarray) -> float:
    """Return the entropy, in nats, of a table of counts."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def mean_mask_correlation(correlations: Mapping[str, float]) -> float:
    """Return the mean over classes; a class without a CAM (nan) counts as 0."""
    return float(np.mean(np.nan_to_num(list(correlations.values()))))


def needed_correlation(candidates: Sequence[Candidate]) -> float:
    """Return the mask correlation from which on a layer is relevant: RELEVANT times the highest.

    Where none is positive, it is the highest itself.
    """
    highest = max(one.mask_correlation for one in candidates)
    return min(RELEVANT * highest, highest)


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """Return the candidate of the highest colour coefficient among the relevant ones; the first of equals.

    Raises ValueError without any candidate.
    """
    if not candidates:
        raise ValueError("no layer to choose from")
    needed = needed_correlation(candidates)
    return max((one for one in candidates if one.mask_correlation >= needed), key=_coefficient)


def _coefficient(candidate: Candidate) -> float:
    return candidate.colour_coefficient
