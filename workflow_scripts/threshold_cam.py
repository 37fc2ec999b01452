"""Make masks of one shard from class activation maps, the field's usual seed, to compare with."""

from tagseg import commandline
from tagseg.cam_shards import cam_origin, read_cam
from tagseg.errors import TagsegError
from tagseg.index import read_index
from tagseg.mask_shards import write_mask_shard
from tagseg.proxy import cam_seed


def main() -> None:
    arguments = parse_arguments()
    index = read_index(arguments.index)
    rows = index.shard("train", arguments.shard, arguments.shards)
    cams = read_cam(arguments.cam)
    missing = [row.id for row in rows if row.id not in cams]
    if missing:
        raise TagsegError(f"{arguments.cam}: no CAM of {missing[0]}; delete it and run again")
    threshold = arguments.settings["background_threshold"]
    masks = (
        (row.id, cam_seed(cams[row.id], row.height, row.width, threshold))
        for row in commandline.progress(rows, "masks")
    )
    write_mask_shard(arguments.masks, masks, cam_origin(arguments.cam))


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_shard(parser)
    parser.add_argument("--cam", required=True, metavar="FILE", help="the shard's, HDF5")
    parser.add_argument("--masks", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
