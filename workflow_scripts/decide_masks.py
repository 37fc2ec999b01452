"""Turn the logits of one shard into masks: mean over the scales, softmax, dense CRF.

With `restrict_to_tags`, only the tags of the image and the background are possible: such predictions on train
are the labels of the next round.
"""

from pathlib import Path
from typing import Literal

from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.segmentation.decision import decide_shard
from tagseg.segmentation.settings import DecideStage
from tagseg.storage.feature_shards import MapShard
from tagseg.storage.files import digest
from tagseg.storage.index import ImageRecord, Index, read_index
from tagseg.storage.mask_shards import write_mask_shard


@commandline.command
def main(
    index: Path,
    settings: DecideStage,
    split: Literal["train", "val", "test"],
    shard: int,
    shards: int,
    checkpoint: Path,
    logits: Path,
    masks: Path,
    threads: int = 1,
) -> None:
    known = read_index(index)
    rows = known.shard(split, shard, shards)
    allowed = [allowed_labels(row, known, settings.restrict_to_tags) for row in rows]
    with MapShard(logits) as maps:
        if maps.origin != digest(checkpoint):
            raise TagsegError(f"{logits}: not computed with {checkpoint}. Delete it and run again.")
        if maps.ids != tuple(row.id for row in rows):
            raise TagsegError(f"{logits}: its image ids differ from the index. Delete it and run again.")
        decided = decide_shard(maps, rows, allowed, settings, threads)
        write_mask_shard(masks, zip(commandline.progress(maps.ids, "decided"), decided, strict=True), maps.origin)


def allowed_labels(row: ImageRecord, index: Index, restrict_to_tags: bool) -> tuple[int, ...]:
    """Return the possible class indices of the pixels of an image."""
    if restrict_to_tags:
        return (0, *index.class_indices(row))
    return tuple(range(len(index.classes)))


if __name__ == "__main__":
    commandline.run(main)
