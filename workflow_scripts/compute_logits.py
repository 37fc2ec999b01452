"""Forward one shard of a split through a trained segmenter at several scales; write its logits.

What takes a GPU ends here: `decide_masks` makes masks of the logits, and can do it again with other
parameters of the CRF.
"""

from tagseg import commandline
from tagseg.devices import device, prepare
from tagseg.files import digest
from tagseg.images import shrink_photograph
from tagseg.index import read_index
from tagseg.inference import BATCH, InferenceSettings, load_segmenter, view_scores
from tagseg.map_shards import write_maps
from tagseg.photographs import batches

NODE = "head"
"""Node of the segmenter whose maps are written: its scores before the softmax."""


def main() -> None:
    arguments = parse_arguments()
    index, settings = read_index(arguments.index), arguments.settings
    prepare(arguments.threads, settings["deterministic"])
    rows = index.shard(arguments.split, arguments.shard, arguments.shards)
    model, inference = (
        load_segmenter(arguments.checkpoint, index.classes),
        InferenceSettings(**settings["inference"]),
    )
    read = batches(rows, BATCH, arguments.threads)
    shard = (arguments.logits, [row.id for row in rows], NODE, digest(arguments.checkpoint))
    with device() as where, write_maps(*shard) as writer:
        model.to(where)
        for start, images in commandline.progress(read, "predicted", -(-len(rows) // BATCH)):
            small = [shrink_photograph(image, settings["longest_side"]) for image in images]
            for view, scores in view_scores(model, small, inference, where):
                writer.write(view, start, scores.cpu().numpy())


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_shard(parser)
    commandline.add_threads(parser)
    parser.add_argument("--split", required=True, choices=("train", "val", "test"))
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="of the segmenter")
    parser.add_argument("--logits", required=True, metavar="FILE", help="output, HDF5")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
