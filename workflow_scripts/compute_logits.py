"""Forward one shard of a split through a trained segmenter at several scales, and write its logits.

The work for a GPU ends here: `decide_masks` turns logits into masks, and can repeat it with another CRF.
"""

from argparse import Namespace

from tagseg.models.inputs import batches
from tagseg.runtime import commandline
from tagseg.runtime.devices import device, prepare
from tagseg.segmentation.prediction import BATCH, load_segmenter, view_scores
from tagseg.segmentation.settings import LogitsStage
from tagseg.storage.feature_shards import write_maps
from tagseg.storage.files import digest
from tagseg.storage.images import shrink_image
from tagseg.storage.index import read_index

NODE = "head"  # node of the segmenter that gives the logits


def main() -> None:
    arguments = parse_arguments()
    index, settings = read_index(arguments.index), arguments.settings
    prepare(arguments.threads, settings.deterministic)
    rows = index.shard(arguments.split, arguments.shard, arguments.shards)
    model = load_segmenter(arguments.checkpoint, index.classes)
    read = batches(rows, BATCH, arguments.threads)
    shard = (arguments.logits, [row.id for row in rows], NODE, digest(arguments.checkpoint))
    with device() as where, write_maps(*shard) as writer:
        model.to(where)
        for start, images in commandline.progress(read, "predicted", -(-len(rows) // BATCH)):
            small = [shrink_image(image, settings.longest_side) for image in images]
            for view, scores in view_scores(model, small, settings.inference, where):
                writer.write(view, start, scores.cpu().numpy())


def parse_arguments() -> Namespace:
    parser = commandline.parser(__doc__)
    commandline.add_shard(parser)
    commandline.add_threads(parser)
    commandline.add_settings(parser, LogitsStage)
    parser.add_argument("--split", required=True, choices=("train", "val", "test"))
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="of the segmenter")
    parser.add_argument("--logits", required=True, metavar="FILE", help="output, HDF5")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
