"""Refine the masks of one shard with a dense CRF: those of single-class photographs, as in the paper.

Photographs of several classes are more cluttered; their masks are passed on as they are.
"""

import numpy as np

from tagseg import commandline
from tagseg.crf import CrfSettings, refine_labels
from tagseg.errors import TagsegError
from tagseg.index import Photograph, read_index
from tagseg.mask_shards import MaskFile, mask_origin, read_mask_shards, write_mask_shard
from tagseg.pools import in_processes


def main() -> None:
    arguments = parse_arguments()
    index, settings = read_index(arguments.index), arguments.settings
    crf = CrfSettings(**settings["crf"]) if settings["crf"] else None
    rows = index.shard("train", arguments.shard, arguments.shards)
    masks = read_mask_shards([arguments.masks])
    if set(masks) != {row.id for row in rows}:
        raise TagsegError(f"{arguments.masks}: of other photographs; delete it and run again")
    tasks = ((row, masks[row.id], crf, settings["longest_side"]) for row in rows)
    refined = in_processes(refine, tasks, arguments.threads)
    ids = (row.id for row in commandline.progress(rows, "CRF"))
    write_mask_shard(arguments.refined, zip(ids, refined, strict=True), mask_origin(arguments.masks))


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_shard(parser)
    commandline.add_threads(parser)
    parser.add_argument("--masks", required=True, metavar="FOLDER")
    parser.add_argument("--refined", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


def refine(task: tuple[Photograph, MaskFile, CrfSettings | None, int]) -> np.ndarray:
    """Return one photograph's labels uint8 (H, W), refined if it carries a single class."""
    row, file, crf, longest_side = task
    mask = file.read()
    if crf is None or len(row.tags) != 1:
        return mask
    return refine_labels(row.read(), mask, crf, longest_side)


if __name__ == "__main__":
    commandline.run(main)
