"""Score masks against the ground truth of a split: one confusion matrix over the whole set.

Images without ground truth are skipped; if none has any, the score file has 0 images.
"""

import argparse
import logging
from dataclasses import asdict
from pathlib import Path

from tagseg.evaluation.metrics import Confusion, scores
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import digest, write_json
from tagseg.storage.ground_truth import TABLE, read_ground_truth
from tagseg.storage.images import read_mask
from tagseg.storage.index import read_index
from tagseg.storage.mask_shards import MANIFEST, read_mask_shards
from tagseg.workflow.code_digest import code_digest

log = logging.getLogger(__name__)


def main() -> None:
    arguments = parse_arguments()
    index = read_index(arguments.index)
    masks, truths = read_mask_shards(arguments.masks), read_ground_truth(arguments.ground_truth)
    rows = [row for row in index.of_split(arguments.split) if row.id in truths]
    confusion = Confusion(len(index.classes))
    for row in commandline.progress(rows, "scored"):
        truth = read_mask(truths[row.id], len(index.classes))
        try:
            confusion.add(truth, masks[row.id].read())
        except KeyError:
            raise TagsegError(f"{', '.join(arguments.masks)}: no mask of {row.id}. Run again.") from None
        except ValueError as error:
            raise TagsegError(f"{truths[row.id]}: {error}. Fix the mask.") from None
    result = scores(confusion, index.classes, len(rows))
    provenance = provenance_of(arguments)
    write_json(arguments.scores, {"split": arguments.split, **asdict(result), "provenance": provenance})
    log.info("mIoU %.1f on %d images, coverage %.3f", result.miou, len(rows), result.coverage)


def provenance_of(arguments: argparse.Namespace) -> dict:
    """Return the SHA-256 of the index and of the tables of masks, and the digest of the code."""
    manifests = [Path(shard) / MANIFEST for shard in arguments.masks]
    return {
        "index": digest(Path(arguments.index) / "index.csv"),
        "ground_truth": digest(Path(arguments.ground_truth) / TABLE),
        "masks": {str(path): digest(path) for path in manifests},
        "code": code_digest(__file__),
    }


def parse_arguments() -> argparse.Namespace:
    parser = commandline.parser(__doc__)
    parser.add_argument("--split", required=True, choices=("train", "val", "test"))
    parser.add_argument("--ground-truth", required=True, metavar="FOLDER", help="of the split")
    parser.add_argument("--masks", required=True, nargs="+", metavar="FOLDER", help="all shards")
    parser.add_argument("--scores", required=True, metavar="FILE", help="output, JSON")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
