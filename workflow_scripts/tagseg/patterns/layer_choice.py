"""Choice of a layer from tags and images alone, for users without any mask.

A good layer has two properties. Its masks correlate with the CAM of the classifier; this alone would always
choose the last block, from which the CAM is made. And its masks end where colours change: a mask that is too
coarse, or covers only the most discriminative part, cuts through surfaces of one colour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tagseg.storage.images import VOID, resize_mask, shrink_image

RELEVANT = 0.5
"""Fraction of the highest mask correlation that a layer needs to be chosen."""

BINS = 8  # per colour channel
SIDE = 256  # pixels: longer side at which colours are counted


@dataclass(frozen=True)
class Candidate:
    """A layer, the correlation of its masks with the CAM (mean over classes) and their colour coefficient."""

    layer: str
    mask_correlation: float
    colour_coefficient: float


def colour_coefficient(image: np.ndarray, mask: np.ndarray) -> float:
    """Return how well colour predicts the mask, in [0, 1]: I(mask; colour) / H(mask).

    This is Theil's uncertainty coefficient of object against background, over the pixels of RGB uint8
    (H, W, 3) that are not void in the mask uint8 (H, W), with 8 bins per channel. 0 for a mask without
    object or without background.
    """
    small = shrink_image(image, SIDE)
    labels = resize_mask(mask, *small.shape[:2])
    decided = labels != VOID
    colours = (small[decided] // (256 // BINS)).astype(np.int64) @ (BINS * BINS, BINS, 1)
    labels = labels[decided]
    joint = np.stack([np.bincount(colours[side], minlength=BINS**3) for side in (labels == 0, labels > 0)])
    if not joint.sum(axis=1).all():
        return 0.0
    of_mask, of_colour = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
    return float(np.clip((of_mask + of_colour - _entropy(joint)) / of_mask, 0, 1))


def _entropy(counts: np.ndarray) -> float:
    """Return the entropy in nats of a table of counts."""
    fractions = counts[counts > 0] / counts.sum()
    return float(-(fractions * np.log(fractions)).sum())


def mean_mask_correlation(correlations: Mapping[str, float]) -> float:
    """Return the mean over classes; a class without a CAM (nan) counts as 0."""
    return float(np.mean(np.nan_to_num(list(correlations.values()))))


def needed_correlation(candidates: Sequence[Candidate]) -> float:
    """Return the lowest mask correlation of a relevant layer: RELEVANT times the highest positive one."""
    highest = max(one.mask_correlation for one in candidates)
    return min(RELEVANT * highest, highest)


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """Return the relevant candidate of the highest colour coefficient, the first of equals."""
    needed = needed_correlation(candidates)
    relevant = (one for one in candidates if one.mask_correlation >= needed)
    return max(relevant, key=lambda one: one.colour_coefficient)
