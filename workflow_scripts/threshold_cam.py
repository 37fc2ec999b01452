"""Make the masks of one shard from class activation maps, the usual seed, for comparison."""

from argparse import Namespace

from tagseg.patterns.algorithm_1 import cam_seed
from tagseg.patterns.settings import CamSettings
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.storage.cam_shards import cam_provenance, read_cam
from tagseg.storage.index import read_index
from tagseg.storage.mask_shards import write_mask_shard


def main() -> None:
    arguments = parse_arguments()
    rows = read_index(arguments.index).shard("train", arguments.shard, arguments.shards)
    cams = read_cam(arguments.cam)
    if missing := {row.id for row in rows} - set(cams):
        raise TagsegError(f"{arguments.cam}: no CAM of {min(missing)}. Delete it and run again.")
    threshold = arguments.settings.background_threshold
    masks = (
        (row.id, cam_seed(cams[row.id], row.height, row.width, threshold))
        for row in commandline.progress(rows, "masks")
    )
    write_mask_shard(arguments.masks, masks, cam_provenance(arguments.cam))


def parse_arguments() -> Namespace:
    parser = commandline.parser(__doc__)
    commandline.add_shard(parser)
    commandline.add_settings(parser, CamSettings)
    parser.add_argument("--cam", required=True, metavar="FILE", help="the shard, HDF5")
    parser.add_argument("--masks", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
