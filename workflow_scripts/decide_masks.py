"""Make masks of one shard's logits: averaged over the scales, softmax, then the dense CRF.

With "restrict_to_tags" only the photograph's own tags and the background are possible: such predictions
on train are the labels of the next round.
"""

import torch

from tagseg import commandline
from tagseg.crf import CrfSettings
from tagseg.errors import TagsegError
from tagseg.files import digest
from tagseg.index import Index, Photograph, read_index
from tagseg.inference import decide_shard
from tagseg.map_shards import MapShard
from tagseg.mask_shards import write_mask_shard


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)  # the CRF takes the cores, a process each
    index, settings = read_index(arguments.index), arguments.settings
    rows = index.shard(arguments.split, arguments.shard, arguments.shards)
    crf = CrfSettings(**settings["crf"]) if settings["crf"] else None
    allowed = [allowed_labels(row, index, settings["restrict_to_tags"]) for row in rows]
    with MapShard(arguments.logits) as shard:
        if shard.origin != digest(arguments.checkpoint):
            raise TagsegError(f"{shard.path}: not of {arguments.checkpoint}; delete it and run again")
        if shard.ids != tuple(row.id for row in rows):
            raise TagsegError(f"{shard.path}: of other photographs; delete it and run again")
        masks = decide_shard(shard, rows, allowed, crf, settings["longest_side"], arguments.threads)
        pairs = zip(commandline.progress([row.id for row in rows], "decided"), masks, strict=True)
        write_mask_shard(arguments.masks, pairs, shard.origin)


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_shard(parser)
    commandline.add_threads(parser)
    parser.add_argument("--split", required=True, choices=("train", "val", "test"))
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="of the segmenter of the logits")
    parser.add_argument("--logits", required=True, metavar="FILE", help="HDF5, of the shard")
    parser.add_argument("--masks", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


def allowed_labels(row: Photograph, index: Index, restrict_to_tags: bool) -> tuple[int, ...]:
    """Return the class numbers that a photograph's pixels may take."""
    if restrict_to_tags and row.tags:
        return (0, *index.numbers(row))
    return tuple(range(len(index.classes)))


if __name__ == "__main__":
    commandline.run(main)
