"""Pack the predictions of a split into an archive for PASCAL VOC's test server."""

from tagseg import commandline
from tagseg.datasets.voc import VOC_CLASSES
from tagseg.index import BACKGROUND, read_index
from tagseg.mask_shards import read_mask_shards
from tagseg.submission import COMPETITIONS, pack_submission


def main() -> None:
    arguments = parse_arguments()
    index = read_index(arguments.index)
    if index.classes != (BACKGROUND, *VOC_CLASSES):
        commandline.say("warning: the classes are not VOC's 20; the archive is good for a rehearsal alone")
    masks = read_mask_shards(arguments.masks)
    count = pack_submission(arguments.archive, index, arguments.split, arguments.competition, masks)
    commandline.say(f"{arguments.archive}: {count} predictions")


def parse_arguments():
    parser = commandline.parser(__doc__)
    parser.add_argument("--split", required=True, choices=("val", "test"))
    parser.add_argument("--competition", required=True, choices=COMPETITIONS)
    parser.add_argument("--masks", required=True, nargs="+", metavar="FOLDER", help="all shards of the split")
    parser.add_argument("--archive", required=True, metavar="FILE", help="output, .tgz")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
