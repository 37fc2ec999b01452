"""Refine the masks of one shard with a dense CRF: those of single-class images, as in the paper.

Images of several classes are more cluttered; their masks are copied.
"""

from argparse import Namespace

import numpy as np

from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.runtime.pools import in_processes
from tagseg.segmentation.crf import refine_labels
from tagseg.segmentation.settings import RefineStage
from tagseg.storage.index import ImageRecord, read_index
from tagseg.storage.mask_shards import MaskFile, mask_provenance, read_mask_shards, write_mask_shard


def main() -> None:
    arguments = parse_arguments()
    rows = read_index(arguments.index).shard("train", arguments.shard, arguments.shards)
    masks = read_mask_shards([arguments.masks])
    if set(masks) != {row.id for row in rows}:
        raise TagsegError(f"{arguments.masks}: masks of other images. Delete it and run again.")
    tasks = ((row, masks[row.id], arguments.settings) for row in rows)
    refined = in_processes(refine, tasks, arguments.threads)
    ids = (row.id for row in commandline.progress(rows, "CRF"))
    write_mask_shard(arguments.refined, zip(ids, refined, strict=True), mask_provenance(arguments.masks))


def parse_arguments() -> Namespace:
    parser = commandline.parser(__doc__)
    commandline.add_shard(parser)
    commandline.add_threads(parser)
    commandline.add_settings(parser, RefineStage)
    parser.add_argument("--masks", required=True, metavar="FOLDER")
    parser.add_argument("--refined", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


def refine(task: tuple[ImageRecord, MaskFile, RefineStage]) -> np.ndarray:
    """Return the labels uint8 (H, W) of one image, refined if it has a single tag."""
    row, file, stage = task
    mask = file.read()
    if stage.crf is None or len(row.tags) != 1:
        return mask
    return refine_labels(row.read(), mask, stage.crf, stage.longest_side, stage.reference_side)


if __name__ == "__main__":
    commandline.run(main)
