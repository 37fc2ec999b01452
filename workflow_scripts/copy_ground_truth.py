"""Copy a shard of the ground truth as masks: only the upper bound is trained on it."""

from tagseg.runtime import commandline
from tagseg.storage.ground_truth import read_ground_truth
from tagseg.storage.images import read_mask
from tagseg.storage.index import read_index
from tagseg.storage.mask_shards import write_mask_shard


def main() -> None:
    parser = commandline.parser(__doc__)
    commandline.add_shard(parser)
    parser.add_argument("--ground-truth", required=True, metavar="FOLDER", help="of train")
    parser.add_argument("--masks", required=True, metavar="FOLDER", help="output")
    arguments = parser.parse_args()
    index, ground_truth = read_index(arguments.index), read_ground_truth(arguments.ground_truth)
    rows = index.shard("train", arguments.shard, arguments.shards)
    names = [row.id for row in rows if row.id in ground_truth]
    masks = ((name, read_mask(ground_truth[name], len(index.classes))) for name in names)
    write_mask_shard(arguments.masks, masks)


if __name__ == "__main__":
    commandline.run(main)
