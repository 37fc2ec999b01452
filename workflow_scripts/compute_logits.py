"""Forward one shard of a split through a trained segmenter at several scales, and write its logits.

The work for a GPU ends here: `decide_masks` turns logits into masks, and can repeat it with another CRF.
"""

from pathlib import Path
from typing import Literal

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


@commandline.command
def main(
    index: Path,
    settings: LogitsStage,
    split: Literal["train", "val", "test"],
    shard: int,
    shards: int,
    checkpoint: Path,
    logits: Path,
    threads: int = 1,
) -> None:
    known = read_index(index)
    prepare(threads, settings.deterministic)
    rows = known.shard(split, shard, shards)
    model = load_segmenter(checkpoint, known.classes)
    read = batches(rows, BATCH, threads)
    ids = [row.id for row in rows]
    with device() as where, write_maps(logits, ids, NODE, digest(checkpoint)) as writer:
        model.to(where)
        for start, images in commandline.progress(read, "predicted", -(-len(rows) // BATCH)):
            small = [shrink_image(image, settings.longest_side) for image in images]
            for view, scores in view_scores(model, small, settings.inference, where):
                writer.write(view, start, scores.cpu().numpy())


if __name__ == "__main__":
    commandline.run(main)
