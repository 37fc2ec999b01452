"""Proxy ground truth: Algorithm 1 of the paper, and the CAM seeds it is compared with."""

from collections.abc import Iterable, Mapping

import numpy as np

from tagseg.cam_shards import share_of_maximum
from tagseg.images import VOID, resize_map
from tagseg.patterns import ClassPattern

BACKGROUND_LABEL = 0


def algorithm_1(projections: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return the labels uint8 (H, W) that Algorithm 1 gives.

    `projections` maps the class number of each tag to its q_c (Eq. 3), float (H, W). A pixel is
    background where no q_c is positive (case 1), the class where exactly one is (case 2), and void, the
    paper's "uncertain", where several are (case 3). Raises ValueError without any projection.
    """
    if not projections:
        raise ValueError("Algorithm 1 needs the projection of one class at least")
    numbers = np.array(list(projections), np.uint8)
    positive = np.stack([q > 0 for q in projections.values()])
    labels = np.where(positive.any(axis=0), numbers[positive.argmax(axis=0)], BACKGROUND_LABEL)
    labels[positive.sum(axis=0) > 1] = VOID
    return labels.astype(np.uint8)


def project_views(pattern: ClassPattern, maps: Iterable[np.ndarray], height: int, width: int) -> np.ndarray:
    """Return q_c at the photograph's size, float32 (height, width), averaged over views.

    `maps` are a photograph's features (d, h, w), one a view. Each projection is enlarged bilinearly
    before anything is thresholded: what is thresholded first has the blocks of the feature map.
    """
    enlarged = [resize_map(pattern.project(one), height, width) for one in maps]
    return np.mean(enlarged, axis=0, dtype=np.float32)


def pattern_seed(
    patterns: Mapping[int, ClassPattern], maps: Iterable[np.ndarray], height: int, width: int
) -> np.ndarray:
    """Return Algorithm 1's labels uint8 (height, width) of one photograph.

    `patterns` maps the class number of each of its tags to the pattern; `maps` are its features. What is
    background above the patterns' boundaries, but not above their floors, is uncertain: void.
    """
    maps = list(maps)
    q = {number: project_views(pattern, maps, height, width) for number, pattern in patterns.items()}
    labels = algorithm_1({number: q[number] - np.float32(one.boundary) for number, one in patterns.items()})
    generous = algorithm_1({number: q[number] - np.float32(one.floor) for number, one in patterns.items()})
    labels[(labels == BACKGROUND_LABEL) & (generous != BACKGROUND_LABEL)] = VOID
    return labels


def cam_seed(
    cams: Mapping[int, np.ndarray], height: int, width: int, background_threshold: float
) -> np.ndarray:
    """Return the labels uint8 (height, width) of class activation maps, the field's usual seed.

    `cams` maps the class number of each tag to its activation (h, w). Negative activation is dropped
    and each map divided by its maximum; a pixel takes the class of the largest map, or the background
    where none exceeds `background_threshold`, a share of the maximum (Zhou et al. 2016 take 0.2).
    """
    numbers = np.array(list(cams), np.uint8)
    scores = np.stack([share_of_maximum(resize_map(cam, height, width)) for cam in cams.values()])
    labels = numbers[scores.argmax(axis=0)]
    return np.where(scores.max(axis=0) > background_threshold, labels, BACKGROUND_LABEL).astype(np.uint8)
