"""Refine the masks of one shard with a dense CRF: all, or those of single-class images, as in the paper."""

from pathlib import Path

import numpy as np

from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.pools import in_processes
from tagseg.segmentation.crf import refine_labels
from tagseg.segmentation.settings import RefineStage
from tagseg.storage.index import ImageRecord, read_index
from tagseg.storage.mask_shards import MaskFile, mask_provenance, read_mask_shards, write_mask_shard


@commandline.command
def main(
    index: Path, settings: RefineStage, shard: int, shards: int, masks: Path, refined: Path, threads: int = 1
) -> None:
    rows = read_index(index).shard("train", shard, shards)
    seeds = read_mask_shards([masks])
    if set(seeds) != {row.id for row in rows}:
        raise TagsegError(f"{masks}: its image ids differ from the index. Delete it and run again.")
    results = in_processes(refine, ((row, seeds[row.id], settings) for row in rows), threads)
    ids = (row.id for row in commandline.progress(rows, "CRF"))
    write_mask_shard(refined, zip(ids, results, strict=True), mask_provenance(masks))


def refine(task: tuple[ImageRecord, MaskFile, RefineStage]) -> np.ndarray:
    """Return the labels uint8 (H, W) of one image, refined if `stage.images` includes it."""
    row, file, stage = task
    mask = file.read()
    if stage.crf is None or (stage.images == "single_class" and len(row.tags) != 1):
        return mask
    return refine_labels(row.read(), mask, stage.crf, stage.longest_side, stage.reference_side)


if __name__ == "__main__":
    commandline.run(main)
