"""Copy a shard of the ground truth as masks: only the upper bound is trained on it."""

from pathlib import Path

from tagseg.runtime import commandline
from tagseg.storage.ground_truth import read_ground_truth
from tagseg.storage.images import read_mask
from tagseg.storage.index import read_index
from tagseg.storage.mask_shards import write_mask_shard


@commandline.command
def main(index: Path, ground_truth: Path, shard: int, shards: int, masks: Path) -> None:
    known, truths = read_index(index), read_ground_truth(ground_truth)
    names = [row.id for row in known.shard("train", shard, shards) if row.id in truths]
    write_mask_shard(masks, ((name, read_mask(truths[name], len(known.classes))) for name in names))


if __name__ == "__main__":
    commandline.run(main)
