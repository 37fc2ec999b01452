"""Estimate the masks of one shard from features and class patterns: Algorithm 1 of the paper."""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tagseg.patterns.algorithm_1 import pattern_seed
from tagseg.patterns.class_patterns import ClassPattern, patterns_classifier, patterns_digest, read_patterns
from tagseg.patterns.moments import open_shards
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.storage.feature_shards import MapShard
from tagseg.storage.index import ImageRecord, Index, read_index
from tagseg.storage.mask_shards import write_mask_shard
from tagseg.storage.provenance import common_provenance


def main() -> None:
    arguments = parse_arguments()
    index, folder = read_index(arguments.index), arguments.patterns
    rows = index.shard("train", arguments.shard, arguments.shards)
    patterns, node = read_patterns(folder)
    with open_shards(arguments.features, node) as (shard,):
        if shard.ids != tuple(row.id for row in rows):
            raise TagsegError(f"{shard.path}: features of other images. Delete it and run again.")
        common_provenance({folder: patterns_classifier(folder), shard.path: shard.origin}, "classifier")
        write_mask_shard(arguments.masks, masks_of(rows, index, shard, patterns), patterns_digest(folder))


def parse_arguments() -> Namespace:
    parser = commandline.parser(__doc__)
    commandline.add_shard(parser)
    parser.add_argument("--features", required=True, nargs="+", metavar="FILE", help="one per layer")
    parser.add_argument("--patterns", required=True, metavar="FOLDER")
    parser.add_argument("--masks", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


def masks_of(
    rows: Sequence[ImageRecord], index: Index, shard: MapShard, patterns: Mapping[str, ClassPattern]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the id and the labels uint8 (height, width) of each image of the shard."""
    for position, row in enumerate(commandline.progress(rows, "masks")):
        of_tags = {index.classes.index(tag): patterns[tag] for tag in row.tags}
        yield row.id, pattern_seed(of_tags, shard.maps(position).values(), row.height, row.width)


if __name__ == "__main__":
    commandline.run(main)
