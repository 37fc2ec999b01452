"""Dense CRF (Krähenbühl & Koltun 2011) as the last refinement of masks, through pydensecrf."""

from dataclasses import dataclass

import numpy as np
from pydensecrf.densecrf import DenseCRF2D

from tagseg.images import VOID, largest_map, resize_mask, shrink_photograph


@dataclass(frozen=True)
class CrfSettings:
    """Parameters of the two pairwise terms: standard deviations in pixels and in grey values.

    Those in pixels are for a photograph whose longer side has `reference_side` pixels, and grow and shrink
    with it; None: they hold for any. `confidence` is the probability that a hard label is right (proxy masks
    only).
    """

    iterations: int
    gaussian_sxy: float
    gaussian_compat: float
    bilateral_sxy: float
    bilateral_srgb: float
    bilateral_compat: float
    confidence: float = 0.7
    reference_side: int | None = None

    def scale(self, height: int, width: int) -> float:
        """Return the factor on the standard deviations in pixels for a photograph of that size."""
        return max(height, width) / self.reference_side if self.reference_side else 1.0


def refine_probabilities(
    photograph: np.ndarray, probabilities: np.ndarray, settings: CrfSettings
) -> np.ndarray:
    """Return mean-field marginals float32 (L, H, W) after `settings.iterations` steps.

    `photograph` is raw RGB uint8 (H, W, 3); `probabilities` float (L, H, W) give the unary -log p.
    Raises ValueError where the sizes differ or the photograph is not uint8.
    """
    labels, height, width = probabilities.shape
    if photograph.shape != (height, width, 3) or photograph.dtype != np.uint8:
        raise ValueError(f"photograph {photograph.dtype} {photograph.shape} for {height}x{width} unaries")
    scale = settings.scale(height, width)
    unary = -np.log(np.clip(probabilities, 1e-5, 1.0)).reshape(labels, -1)
    crf = DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(np.ascontiguousarray(unary, dtype=np.float32))
    crf.addPairwiseGaussian(sxy=scale * settings.gaussian_sxy, compat=settings.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=scale * settings.bilateral_sxy,
        srgb=settings.bilateral_srgb,
        rgbim=np.require(photograph, np.uint8, ["C", "W"]),
        compat=settings.bilateral_compat,
    )
    return np.array(crf.inference(settings.iterations), np.float32).reshape(probabilities.shape)


def refine_labels(
    photograph: np.ndarray, mask: np.ndarray, settings: CrfSettings, longest_side: int | None = None
) -> np.ndarray:
    """Return `mask` uint8 (H, W) refined: each label is believed with probability `confidence`.

    The rest of the probability is shared by the other labels of the mask; void pixels have no opinion.
    A mask of fewer than two labels has nothing to weigh and comes back as it is. A photograph whose
    longer side exceeds `longest_side` pixels is refined at that size, and the marginals are enlarged.
    None: no limit.
    """
    labels = np.unique(mask[mask != VOID])
    if len(labels) < 2:
        return mask
    small = photograph if longest_side is None else shrink_photograph(photograph, longest_side)
    unary = _hard_unary(resize_mask(mask, *small.shape[:2]), labels, settings.confidence)
    marginals = refine_probabilities(small, unary, settings)
    return labels[largest_map(marginals, *mask.shape)]


def _hard_unary(mask: np.ndarray, labels: np.ndarray, confidence: float) -> np.ndarray:
    others = (1 - confidence) / (len(labels) - 1)
    probabilities = np.where(mask == labels[:, None, None], confidence, others)
    probabilities[:, mask == VOID] = 1 / len(labels)
    return probabilities
