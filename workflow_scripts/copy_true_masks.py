"""Make a shard of masks from the true ones: what the upper bound is trained on, and nothing else is."""

from tagseg import commandline
from tagseg.images import read_mask
from tagseg.index import read_index
from tagseg.mask_shards import write_mask_shard


def main() -> None:
    parser = commandline.parser(__doc__)
    commandline.add_shard(parser)
    parser.add_argument("--masks", required=True, metavar="FOLDER", help="output")
    arguments = parser.parse_args()
    index = read_index(arguments.index)
    rows = [row for row in index.shard("train", arguments.shard, arguments.shards) if row.mask]
    masks = ((row.id, read_mask(row.mask, len(index.classes))) for row in rows)
    write_mask_shard(arguments.masks, masks)


if __name__ == "__main__":
    commandline.run(main)
