"""Dense CRF (Krähenbühl & Koltun 2011) as the last refinement of masks, with pydensecrf."""

import numpy as np
from pydensecrf.densecrf import DenseCRF2D

from tagseg.segmentation.settings import CrfSettings, ProxyCrfSettings
from tagseg.storage.images import VOID, largest_map, resize_mask, shrink_image


def refine_probabilities(
    image: np.ndarray, probabilities: np.ndarray, settings: CrfSettings, reference_side: int | None = None
) -> np.ndarray:
    """Return the mean-field marginals float32 (L, H, W) after `settings.iterations` steps.

    `image` is raw RGB uint8 (H, W, 3); `probabilities` float (L, H, W) give the unary -log p. The standard
    deviations in pixels hold for a longer side of `reference_side` and scale with it; None: for any size.
    Raises ValueError if the sizes differ or the image is not uint8.
    """
    labels, height, width = probabilities.shape
    if image.shape != (height, width, 3) or image.dtype != np.uint8:
        raise ValueError(f"image {image.dtype} {image.shape} for {height}x{width} unaries")
    scale = max(height, width) / reference_side if reference_side else 1.0
    unary = -np.log(np.clip(probabilities, 1e-5, 1.0)).reshape(labels, -1)
    crf = DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(np.ascontiguousarray(unary, dtype=np.float32))
    crf.addPairwiseGaussian(sxy=scale * settings.gaussian_sxy, compat=settings.gaussian_compat)
    crf.addPairwiseBilateral(
        sxy=scale * settings.bilateral_sxy,
        srgb=settings.bilateral_srgb,
        rgbim=np.require(image, np.uint8, ["C", "W"]),
        compat=settings.bilateral_compat,
    )
    return np.array(crf.inference(settings.iterations), np.float32).reshape(probabilities.shape)


def refine_labels(
    image: np.ndarray,
    mask: np.ndarray,
    settings: ProxyCrfSettings,
    longest_side: int | None = None,
    reference_side: int | None = None,
) -> np.ndarray:
    """Return `mask` uint8 (H, W) refined. A label is right with probability `settings.confidence`.

    The other labels of the mask share the rest; void pixels are uniform. A mask with fewer than two labels is
    returned unchanged. An image whose longer side exceeds `longest_side` pixels is refined at that size, and
    the marginals are enlarged.
    """
    labels = np.unique(mask[mask != VOID])
    if len(labels) < 2:
        return mask
    small = image if longest_side is None else shrink_image(image, longest_side)
    unary = _hard_unary(resize_mask(mask, *small.shape[:2]), labels, settings.confidence)
    marginals = refine_probabilities(small, unary, settings, reference_side)
    return labels[largest_map(marginals, *mask.shape)]


def _hard_unary(mask: np.ndarray, labels: np.ndarray, confidence: float) -> np.ndarray:
    others = (1 - confidence) / (len(labels) - 1)
    probabilities = np.where(mask == labels[:, None, None], confidence, others)
    probabilities[:, mask == VOID] = 1 / len(labels)
    return probabilities
