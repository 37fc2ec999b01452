"""Find the class patterns of a layer: one pass over the feature shards for all classes (Eq. 1 and 2).

A second pass orients each pattern by the CAM of its class, and sets the thresholds of object and background.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from tagseg.patterns.class_patterns import ClassPattern, write_patterns
from tagseg.patterns.moments import Moments, class_moments, leading_pattern
from tagseg.patterns.orientation import WEAK_CORRELATION, orient_patterns
from tagseg.patterns.settings import PatternSettings
from tagseg.patterns.subsets import read_subset
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.threads import computing_threads, keep_to_cores
from tagseg.storage.cam_shards import cam_provenance, read_cam
from tagseg.storage.feature_shards import open_shards
from tagseg.storage.index import read_index
from tagseg.storage.provenance import common_provenance

log = logging.getLogger(__name__)


@commandline.command
def main(
    index: Path,
    settings: PatternSettings,
    node: str,
    subsets: Path,
    features: list[Path],
    cam: list[Path],
    patterns: Path,
    threads: int = 1,
) -> None:
    computing = computing_threads(threads)
    keep_to_cores(threads, computing)
    classes = read_index(index).classes
    by_class = {tag: read_subset(subsets, tag) for tag in classes[1:]}
    with threadpool_limits(computing):
        found, classifier = find_patterns(classes, by_class, features, cam, settings.threshold)
    write_patterns(patterns, found, node, classifier)
    for tag, pattern in found.items():
        report(tag, pattern)


def find_patterns(
    classes: Sequence[str],
    subsets: Mapping[str, Sequence[str]],
    features: Sequence[Path],
    cam: Sequence[Path],
    threshold: str,
) -> tuple[dict[str, ClassPattern], str]:
    """Return the oriented pattern of each class, and the digest of the classifier of features and CAM."""
    class_indices = {tag: label for label, tag in enumerate(classes) if label}
    cams = {name: maps for shard in cam for name, maps in read_cam(shard).items()}
    with open_shards(features) as shards:
        provenance: dict[str | Path, str] = {shard.path: shard.origin for shard in shards}
        provenance |= {path: cam_provenance(path) for path in cam}
        classifier = common_provenance(provenance, "classifier")
        moments = class_moments(commandline.progress(shards, "moments of shards"), subsets)
        patterns = {tag: pattern_of(tag, moments) for tag in class_indices}
        return orient_patterns(patterns, class_indices, shards, subsets, cams, threshold), classifier


def pattern_of(tag: str, moments: Mapping[str, Moments]) -> ClassPattern:
    """Return the pattern of a class. Raises TagsegError, with the name of the class, if it has none."""
    if tag not in moments:
        raise TagsegError(f"class {tag}: no image in its subset. Add images with this tag to train.")
    try:
        return leading_pattern(moments[tag])
    except TagsegError as error:
        raise TagsegError(f"class {tag}: {error}") from None


def report(tag: str, pattern: ClassPattern) -> None:
    """Log the numbers of a pattern, and warn if the CAM correlates too little to decide its sign."""
    log.info(
        "%s: explains %.1f %% of the variance, CAM correlation %.2f; object above %.2f standard deviations, "
        "background below %.2f, correlation of the masks with the CAM %.2f",
        tag,
        100 * pattern.explained_variance[0],
        pattern.cam_correlation,
        pattern.object_threshold / pattern.deviation,
        pattern.background_threshold / pattern.deviation,
        pattern.mask_correlation,
    )
    if pattern.cam_correlation < WEAK_CORRELATION:
        log.warning("%s: weak correlation with the CAM, the sign of the pattern is uncertain. Check its masks.", tag)


if __name__ == "__main__":
    commandline.run(main)
