"""The correlation of masks {q > threshold} with a map, as NumPy has it."""

import numpy as np

ONE_BIN = 0.01
"""How far the best of the bins may stay behind the best of all thresholds.

A bin is 1/256 standard deviation wide and holds at most 0.16 % of normal numbers. To move a mask's pixels
of that fraction moves its correlation by less than this, save for masks of a few per mille of the pixels.
"""


def of_mask(q, threshold, values):
    mask = q.ravel() > threshold
    return np.corrcoef(mask, values.ravel())[0, 1] if mask.any() and not mask.all() else 0.0


def best_of_all(q, values):
    """Return the highest correlation that any threshold gives: all distinct values of q are tried."""
    return max(of_mask(q, threshold, values) for threshold in np.unique(q))
