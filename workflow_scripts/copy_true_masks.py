"""Make a shard of masks from the true ones: what the upper bound is trained on, and nothing else is."""

from tagseg import commandline
from tagseg.images import read_mask
from tagseg.index import read_index
from tagseg.mask_shards import write_mask_shard
from tagseg.true_masks import read_true_masks


def main() -> None:
    parser = commandline.parser(__doc__)
    commandline.add_shard(parser)
    parser.add_argument("--true-masks", required=True, metavar="FOLDER", help="of train")
    parser.add_argument("--masks", required=True, metavar="FOLDER", help="output")
    arguments = parser.parse_args()
    index, truths = read_index(arguments.index), read_true_masks(arguments.true_masks)
    rows = index.shard("train", arguments.shard, arguments.shards)
    names = [row.id for row in rows if row.id in truths]
    masks = ((name, read_mask(truths[name], len(index.classes))) for name in names)
    write_mask_shard(arguments.masks, masks)


if __name__ == "__main__":
    commandline.run(main)
