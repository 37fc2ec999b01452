"""Estimate the masks of one shard from features and class patterns: Algorithm 1 of the paper."""

from collections.abc import Iterator, Sequence

import numpy as np

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.index import Index, Photograph, read_index
from tagseg.map_shards import MapShard
from tagseg.mask_shards import write_mask_shard
from tagseg.origins import common_origin
from tagseg.patterns import ClassPattern, patterns_classifier, patterns_digest, read_patterns
from tagseg.proxy import pattern_seed


def main() -> None:
    arguments = parse_arguments()
    index = read_index(arguments.index)
    rows = index.shard("train", arguments.shard, arguments.shards)
    patterns, node = read_patterns(arguments.patterns)
    with features_of(node, arguments.features) as shard:
        if shard.ids != tuple(row.id for row in rows):
            raise TagsegError(f"{shard.path}: of other photographs; delete it and run again")
        origins = {arguments.patterns: patterns_classifier(arguments.patterns), shard.path: shard.origin}
        common_origin(origins, "classifier")
        masks = masks_of(rows, index, shard, patterns)
        write_mask_shard(arguments.masks, masks, patterns_digest(arguments.patterns))


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_shard(parser)
    parser.add_argument(
        "--features",
        required=True,
        nargs="+",
        metavar="FILE",
        help="the shard's, HDF5, of one layer or several",
    )
    parser.add_argument("--patterns", required=True, metavar="FOLDER")
    parser.add_argument("--masks", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


def features_of(node: str, paths: Sequence[str]) -> MapShard:
    """Return the one of the feature shards whose layer is `node`. Raises TagsegError where none is."""
    for path in paths:
        shard = MapShard(path)
        if shard.node == node:
            return shard
        shard.close()
    raise TagsegError(f"{', '.join(paths)}: not features of {node}, as the patterns are; delete, run again")


def masks_of(
    rows: Sequence[Photograph], index: Index, shard: MapShard, patterns: dict[str, ClassPattern]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the id and the labels uint8 (height, width) of every photograph of the shard."""
    for position, row in enumerate(commandline.progress(rows, "masks")):
        of_tags = {index.classes.index(tag): patterns[tag] for tag in row.tags}
        yield row.id, pattern_seed(of_tags, shard.maps(position).values(), row.height, row.width)


if __name__ == "__main__":
    commandline.run(main)
