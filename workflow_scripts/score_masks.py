"""Score masks against the true ones of a split: one confusion matrix over the whole set.

Photographs without a true mask are left out; where none has one, the score says so with no photographs.
"""

from dataclasses import asdict
from pathlib import Path

from tagseg import commandline
from tagseg.code_digest import code_digest
from tagseg.errors import TagsegError
from tagseg.files import digest, write_json
from tagseg.images import read_mask
from tagseg.index import read_index
from tagseg.mask_shards import MANIFEST, read_mask_shards
from tagseg.metrics import Confusion, scores
from tagseg.true_masks import TABLE, read_true_masks


def main() -> None:
    arguments = parse_arguments()
    index = read_index(arguments.index)
    masks, truths = read_mask_shards(arguments.masks), read_true_masks(arguments.true_masks)
    rows = [row for row in index.of_split(arguments.split) if row.id in truths]
    confusion = Confusion(len(index.classes))
    for row in commandline.progress(rows, "scored"):
        truth = read_mask(truths[row.id], len(index.classes))
        try:
            confusion.add(truth, masks[row.id].read())
        except KeyError:
            raise TagsegError(f"{row.id}: no mask in {', '.join(arguments.masks)}; run again") from None
        except ValueError as error:
            raise TagsegError(f"{truths[row.id]}: {error}; mend the mask") from None
    result = scores(confusion, index.classes, len(rows))
    provenance = provenance_of(arguments)
    write_json(arguments.scores, {"split": arguments.split, **asdict(result), "provenance": provenance})
    commandline.say(f"mIoU {result.miou:.1f} on {len(rows)} photographs, coverage {result.coverage:.3f}")


def provenance_of(arguments) -> dict:
    """Return what was scored: SHA-256 of the index and the tables of masks, and the code's digest."""
    manifests = [Path(shard) / MANIFEST for shard in arguments.masks]
    return {
        "index": digest(Path(arguments.index) / "index.csv"),
        "true_masks": digest(Path(arguments.true_masks) / TABLE),
        "masks": {str(path): digest(path) for path in manifests},
        "code": code_digest(__file__),
    }


def parse_arguments():
    parser = commandline.parser(__doc__)
    parser.add_argument("--split", required=True, choices=("train", "val", "test"))
    parser.add_argument("--true-masks", required=True, metavar="FOLDER", help="of the split")
    parser.add_argument("--masks", required=True, nargs="+", metavar="FOLDER", help="all shards")
    parser.add_argument("--scores", required=True, metavar="FILE", help="output, JSON")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
