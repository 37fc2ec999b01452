"""Score masks against the ground truth of a split: one confusion matrix over the whole set.

Images without ground truth are skipped; if none has any, the score file has 0 images.
"""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from tagseg.evaluation import metrics
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import digest, write_json
from tagseg.storage.ground_truth import TABLE, read_ground_truth
from tagseg.storage.images import read_mask
from tagseg.storage.index import read_index
from tagseg.storage.mask_shards import MANIFEST, read_mask_shards
from tagseg.workflow.code_digest import code_digest

log = logging.getLogger(__name__)


@commandline.command
def main(
    index: Path, split: Literal["train", "val", "test"], ground_truth: Path, masks: list[Path], scores: Path
) -> None:
    classes = read_index(index).classes
    ours, truths = read_mask_shards(masks), read_ground_truth(ground_truth)
    rows = [row for row in read_index(index).of_split(split) if row.id in truths]
    confusion = metrics.Confusion(len(classes))
    for row in commandline.progress(rows, "scored"):
        truth = read_mask(truths[row.id], len(classes))
        try:
            confusion.add(truth, ours[row.id].read())
        except KeyError:
            raise TagsegError(
                f"{', '.join(map(str, masks))}: no mask of {row.id}. Delete these folders and run again."
            ) from None
        except ValueError as error:
            raise TagsegError(f"{truths[row.id]}: {error}. Fix the mask.") from None
    result = metrics.scores(confusion, classes, len(rows))
    manifests = [shard / MANIFEST for shard in masks]
    provenance = {
        "index": digest(index / "index.csv"),
        "ground_truth": digest(ground_truth / TABLE),
        "masks": {str(path): digest(path) for path in manifests},
        "code": code_digest(__file__),
    }
    write_json(scores, {"split": split, **asdict(result), "provenance": provenance})
    log.info("mIoU %.1f on %d images, coverage %.3f", result.miou, len(rows), result.coverage)


if __name__ == "__main__":
    commandline.run(main)
