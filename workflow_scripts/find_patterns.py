"""Find the class patterns of a layer: one pass over the feature shards for all classes (Eq. 1 and 2).

A second pass orients each pattern by the CAM of its class, and sets the thresholds of object and background.
"""

import logging
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from threadpoolctl import threadpool_limits

from tagseg.patterns.class_patterns import ClassPattern, write_patterns
from tagseg.patterns.moments import Moments, class_moments, leading_pattern, open_shards
from tagseg.patterns.orientation import WEAK_CORRELATION, orient_patterns
from tagseg.patterns.settings import PatternSettings
from tagseg.patterns.subsets import read_subset
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.threads import computing_threads, keep_to_cores
from tagseg.storage.cam_shards import cam_provenance, read_cam
from tagseg.storage.index import read_index
from tagseg.storage.provenance import common_provenance

log = logging.getLogger(__name__)


def main() -> None:
    arguments = parse_arguments()
    threads = computing_threads(arguments.threads)
    keep_to_cores(arguments.threads, threads)
    with threadpool_limits(threads):
        find_patterns(arguments)


def parse_arguments() -> Namespace:
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser, PatternSettings)
    commandline.add_threads(parser)
    parser.add_argument("--node", required=True, metavar="NAME", help="layer of the features")
    parser.add_argument("--subsets", required=True, metavar="FOLDER")
    parser.add_argument("--features", required=True, nargs="+", metavar="FILE", help="all shards")
    parser.add_argument("--cam", required=True, nargs="+", metavar="FILE", help="all shards")
    parser.add_argument("--patterns", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


def find_patterns(arguments: Namespace) -> None:
    """Find, orient, write and report the patterns of all classes."""
    classes = read_index(arguments.index).classes
    class_indices = {tag: label for label, tag in enumerate(classes) if label}
    subsets = {tag: read_subset(arguments.subsets, tag) for tag in class_indices}
    cams = {name: maps for shard in arguments.cam for name, maps in read_cam(shard).items()}
    with open_shards(arguments.features) as shards:
        provenance: dict[str | Path, str] = {shard.path: shard.origin for shard in shards}
        provenance |= {path: cam_provenance(path) for path in arguments.cam}
        classifier = common_provenance(provenance, "classifier")
        moments = class_moments(commandline.progress(shards, "moments of shards"), subsets)
        patterns = {tag: pattern_of(tag, moments) for tag in class_indices}
        patterns = orient_patterns(
            patterns, class_indices, shards, subsets, cams, arguments.settings.threshold
        )
    write_patterns(arguments.patterns, patterns, arguments.node, classifier)
    for tag, pattern in patterns.items():
        report(tag, pattern)


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
        log.warning(
            "%s: weak correlation with the CAM, the sign of the pattern is uncertain. Check its masks.", tag
        )


if __name__ == "__main__":
    commandline.run(main)
