"""Proxy ground truth: Algorithm 1 of the paper, and the CAM seeds for comparison."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tagseg.patterns.class_patterns import ClassPattern, project
from tagseg.patterns.settings import SeedStage
from tagseg.storage.cam_shards import fraction_of_maximum
from tagseg.storage.images import VOID, resize_map

BACKGROUND_LABEL = 0
PAPER_SEED = SeedStage(conflicts="void", least_correlation=0.0)


def algorithm_1(projections: Mapping[int, np.ndarray], shares: Mapping[int, np.ndarray] | None = None) -> np.ndarray:
    """Return the labels uint8 (H, W) of Algorithm 1.

    `projections` maps the class index of each tag to its q_c (Eq. 3), float (H, W). A pixel is background if
    no q_c is positive (case 1), and the class if exactly one is (case 2). If several are (case 3), it is void, the
    paper's "uncertain"; with `shares`, the CAM (H, W) of each tag as a fraction of its maximum, it is the class among
    them with the largest share.
    """
    labels = np.array(list(projections), np.uint8)
    positive = np.stack([q > 0 for q in projections.values()])
    scores = np.stack([shares[label] for label in projections]) if shares else np.zeros(positive.shape)
    mask = np.where(positive.any(axis=0), labels[np.where(positive, scores, -1).argmax(axis=0)], BACKGROUND_LABEL)
    if shares is None:
        mask[positive.sum(axis=0) > 1] = VOID
    return mask.astype(np.uint8)


def project_views(
    patterns: Sequence[ClassPattern], maps: Iterable[np.ndarray], height: int, width: int
) -> list[np.ndarray]:
    """Return q_c of each pattern at the size of the image, float32 (height, width), averaged over views.

    `maps` are the features (d, h, w) of the views of one image. Projections are resized before they are
    thresholded; the other way round, masks show the blocks of the feature map.
    """
    views = [project(patterns, view) for view in maps] if patterns else []
    resized = ([resize_map(view[number], height, width) for view in views] for number in range(len(patterns)))
    return [np.stack(one).mean(axis=0, dtype=np.float32) for one in resized]


def pattern_seed(
    patterns: Mapping[int, ClassPattern],
    maps: Iterable[np.ndarray],
    height: int,
    width: int,
    settings: SeedStage = PAPER_SEED,
    cams: Mapping[int, np.ndarray] | None = None,
) -> np.ndarray:
    """Return the labels uint8 (height, width) that Algorithm 1 gives one image.

    `patterns` maps the class index of each tag to its pattern; `maps` are the features of the views, `cams` the CAM
    (h, w) of each tag, if `settings` use it. Pixels between the background threshold and the object threshold of a
    class are void. A class with a weak pattern has its CAM as a fraction of the maximum in place of q_c.
    """
    if not patterns:  # the image shows none of the classes
        return np.full((height, width), BACKGROUND_LABEL, np.uint8)
    shares = {}
    if cams is not None:
        shares = {label: fraction_of_maximum(resize_map(cams[label], height, width)) for label in patterns}
    strong = {label: one for label, one in patterns.items() if not one.mask_correlation < settings.least_correlation}
    threshold = np.float32(settings.background_threshold)
    weak = {label: shares[label] - threshold for label in patterns if label not in strong}
    projections = project_views(list(strong.values()), maps, height, width)
    above, lenient = dict(weak), dict(weak)
    for (label, pattern), q in zip(strong.items(), projections, strict=True):
        above[label] = q - np.float32(pattern.object_threshold)
        lenient[label] = q - np.float32(pattern.background_threshold)
    mask = algorithm_1(above, shares if settings.conflicts == "cam" else None)
    mask[(mask == BACKGROUND_LABEL) & (algorithm_1(lenient) != BACKGROUND_LABEL)] = VOID
    return mask


def cam_seed(cams: Mapping[int, np.ndarray], height: int, width: int, background_threshold: float) -> np.ndarray:
    """Return the labels uint8 (height, width) of class activation maps, the usual seed.

    `cams` maps the class index of each tag to its activation (h, w). Each map is clipped at 0 and divided by
    its maximum; a pixel takes the class of the largest map, or the background if none exceeds
    `background_threshold` (0.2 in Zhou et al. 2016).
    """
    if not cams:  # the image shows none of the classes
        return np.full((height, width), BACKGROUND_LABEL, np.uint8)
    labels = np.array(list(cams), np.uint8)
    scores = np.stack([fraction_of_maximum(resize_map(cam, height, width)) for cam in cams.values()])
    mask = labels[scores.argmax(axis=0)]
    return np.where(scores.max(axis=0) > background_threshold, mask, BACKGROUND_LABEL).astype(np.uint8)
