"""Turn the logits of one shard into masks: mean over the scales, softmax, dense CRF.

With `restrict_to_tags`, only the tags of the image and the background are possible: such predictions on train
are the labels of the next round.
"""

from argparse import Namespace

import torch

from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.segmentation.prediction import decide_shard
from tagseg.segmentation.settings import DecideStage
from tagseg.storage.feature_shards import MapShard
from tagseg.storage.files import digest
from tagseg.storage.index import ImageRecord, Index, read_index
from tagseg.storage.mask_shards import write_mask_shard


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)  # the CRF uses one process per core
    index, settings = read_index(arguments.index), arguments.settings
    rows = index.shard(arguments.split, arguments.shard, arguments.shards)
    allowed = [allowed_labels(row, index, settings.restrict_to_tags) for row in rows]
    with MapShard(arguments.logits) as shard:
        if shard.origin != digest(arguments.checkpoint):
            raise TagsegError(f"{shard.path}: not from {arguments.checkpoint}. Delete it and run again.")
        if shard.ids != tuple(row.id for row in rows):
            raise TagsegError(f"{shard.path}: logits of other images. Delete it and run again.")
        masks = decide_shard(shard, rows, allowed, settings, arguments.threads)
        pairs = zip(commandline.progress([row.id for row in rows], "decided"), masks, strict=True)
        write_mask_shard(arguments.masks, pairs, shard.origin)


def parse_arguments() -> Namespace:
    parser = commandline.parser(__doc__)
    commandline.add_shard(parser)
    commandline.add_threads(parser)
    commandline.add_settings(parser, DecideStage)
    parser.add_argument("--split", required=True, choices=("train", "val", "test"))
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="of the segmenter of the logits")
    parser.add_argument("--logits", required=True, metavar="FILE", help="the shard, HDF5")
    parser.add_argument("--masks", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


def allowed_labels(row: ImageRecord, index: Index, restrict_to_tags: bool) -> tuple[int, ...]:
    """Return the possible class indices of the pixels of an image."""
    if restrict_to_tags and row.tags:
        return (0, *index.class_indices(row))
    return tuple(range(len(index.classes)))


if __name__ == "__main__":
    commandline.run(main)
