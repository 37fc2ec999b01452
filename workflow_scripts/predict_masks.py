"""Predict the masks of one shard of a split with a trained segmenter, at several scales, then the CRF.

With "restrict_to_tags" only the photograph's own tags and the background are possible: such predictions
on train are the labels of the next round.
"""

from collections.abc import Iterator

from tagseg import commandline
from tagseg.crf import CrfSettings
from tagseg.devices import device, set_threads
from tagseg.index import Index, Photograph, read_index
from tagseg.inference import InferenceSettings, Prediction, load_segmenter, predict
from tagseg.mask_shards import write_mask_shard


def main() -> None:
    arguments = parse_arguments()
    set_threads(arguments.threads)
    index, settings = read_index(arguments.index), arguments.settings
    rows = index.shard(arguments.split, arguments.shard, arguments.shards)
    model = load_segmenter(arguments.checkpoint, index.classes)
    crf = CrfSettings(**settings["crf"]) if settings["crf"] else None
    allowed = [allowed_labels(row, index, settings["restrict_to_tags"]) for row in rows]
    with device() as where:
        predictions = predict(
            model.to(where),
            rows,
            allowed,
            InferenceSettings(**settings["inference"]),
            crf,
            settings["longest_side"],
            where,
            arguments.threads,
        )
        write_mask_shard(arguments.masks, masks_of(rows, predictions))


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_shard(parser)
    commandline.add_threads(parser)
    parser.add_argument("--split", required=True, choices=("train", "val", "test"))
    parser.add_argument("--checkpoint", required=True, metavar="FILE", help="of the segmenter")
    parser.add_argument("--masks", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


def allowed_labels(row: Photograph, index: Index, restrict_to_tags: bool) -> tuple[int, ...]:
    """Return the class numbers that a photograph's pixels may take."""
    if restrict_to_tags and row.tags:
        return (0, *index.numbers(row))
    return tuple(range(len(index.classes)))


def masks_of(rows: tuple[Photograph, ...], predictions: Iterator[Prediction]):
    """Yield (id, labels uint8 (H, W)) of every photograph."""
    progress = commandline.progress(rows, "predicted")
    for row, prediction in zip(progress, predictions, strict=True):
        yield row.id, prediction.mask


if __name__ == "__main__":
    commandline.run(main)
