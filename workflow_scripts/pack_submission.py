"""Pack the predictions of a split into an archive for PASCAL VOC's test server."""

import argparse
import logging

from tagseg.datasets.voc.devkit import VOC_CLASSES
from tagseg.datasets.voc.submission import COMPETITIONS, pack_submission
from tagseg.runtime import commandline
from tagseg.storage.index import BACKGROUND, read_index
from tagseg.storage.mask_shards import read_mask_shards

log = logging.getLogger(__name__)


def main() -> None:
    arguments = parse_arguments()
    index = read_index(arguments.index)
    if index.classes != (BACKGROUND, *VOC_CLASSES):
        log.warning("The classes are not VOC's 20. The test server will refuse this archive.")
    masks = read_mask_shards(arguments.masks)
    count = pack_submission(arguments.archive, index, arguments.split, arguments.competition, masks)
    log.info("%s: %d predictions", arguments.archive, count)


def parse_arguments() -> argparse.Namespace:
    parser = commandline.parser(__doc__)
    parser.add_argument("--split", required=True, choices=("val", "test"))
    parser.add_argument("--competition", required=True, choices=COMPETITIONS)
    parser.add_argument("--masks", required=True, nargs="+", metavar="FOLDER", help="all shards of the split")
    parser.add_argument("--archive", required=True, metavar="FILE", help="output, .tgz")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
