"""Find the class patterns of a layer: one pass over the feature shards for all classes (Eq. 1 and 2).

A second pass turns each pattern so that its projection correlates positively with the CAM of its class, and
sets the boundary between object and background.
"""

from argparse import Namespace
from collections.abc import Sequence

from threadpoolctl import threadpool_limits

from tagseg import commandline
from tagseg.agreement import WEAK_CORRELATION, orient_patterns
from tagseg.cam_shards import cam_origin, read_cam
from tagseg.errors import TagsegError
from tagseg.index import Index, read_index
from tagseg.map_shards import MapShard
from tagseg.origins import common_origin
from tagseg.patterns import (
    ClassPattern,
    class_moments,
    leading_pattern,
    open_shards,
    write_patterns,
)
from tagseg.seals import check_seal
from tagseg.subsets import read_subset
from tagseg.threads import computing_threads, keep_to_cores


def main() -> None:
    arguments = parse_arguments()
    threads = computing_threads(arguments.threads)
    keep_to_cores(arguments.threads, threads)
    with threadpool_limits(threads):
        find_patterns(arguments)


def find_patterns(arguments: Namespace) -> None:
    """Find, turn and write the patterns of all classes, and say what was found."""
    check_seal(arguments.subsets)  # Snakemake does not see what is edited within a folder
    index = read_index(arguments.index)
    subsets = {tag: read_subset(arguments.subsets, tag) for tag in index.classes[1:]}
    cams = {name: maps for shard in arguments.cam for name, maps in read_cam(shard).items()}
    with open_shards(arguments.features) as shards:
        classifier = classifier_of(shards, arguments.cam)
        moments = class_moments(commandline.progress(shards, "moments of shards"), subsets)
        patterns = {tag: pattern_of(tag, moments) for tag in index.classes[1:]}
        patterns = orient_patterns(
            patterns, numbers_of(index), shards, subsets, cams, arguments.settings["boundary"]
        )
    write_patterns(arguments.patterns, patterns, arguments.node, classifier)
    for tag, pattern in patterns.items():
        tell(tag, pattern)


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_threads(parser)
    parser.add_argument("--node", required=True, metavar="NAME", help="layer of the features")
    parser.add_argument("--subsets", required=True, metavar="FOLDER")
    parser.add_argument("--features", required=True, nargs="+", metavar="FILE", help="all shards")
    parser.add_argument("--cam", required=True, nargs="+", metavar="FILE", help="all shards")
    parser.add_argument("--patterns", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


def classifier_of(shards: Sequence[MapShard], cams: Sequence[str]) -> str:
    """Return the digest of the classifier of all features and CAMs. Raises TagsegError unless it is one."""
    origins = {str(shard.path): shard.origin for shard in shards} | {path: cam_origin(path) for path in cams}
    return common_origin(origins, "classifier")


def numbers_of(index: Index) -> dict[str, int]:
    """Return each class's number; 0 is the background."""
    return {tag: number for number, tag in enumerate(index.classes) if number}


def pattern_of(tag: str, moments: dict) -> ClassPattern:
    """Return the pattern of a class. Raises TagsegError, with the class's name, where there is none."""
    try:
        return leading_pattern(moments[tag])
    except KeyError:
        raise TagsegError(f"class {tag}: no photograph in its subset; raise `subsets.cap`") from None
    except TagsegError as error:
        raise TagsegError(f"class {tag}: {error}") from None


def tell(tag: str, pattern: ClassPattern) -> None:
    """Say what was found, and warn where the CAM hardly decides the sign."""
    share, correlation = 100 * pattern.explained_variance[0], pattern.cam_correlation
    commandline.say(
        f"{tag}: explains {share:.1f} % of the variance, CAM correlation {correlation:.2f}; "
        f"object above {pattern.boundary / pattern.deviation:.2f} standard deviations, "
        f"background down from {pattern.floor / pattern.deviation:.2f}, "
        f"correlation of the masks with the CAM {pattern.mask_correlation:.2f}"
    )
    if correlation < WEAK_CORRELATION:
        commandline.say(
            f"WARNING {tag}: the sign is uncertain, since its CAM hardly agrees; look at its masks"
        )


if __name__ == "__main__":
    commandline.run(main)
