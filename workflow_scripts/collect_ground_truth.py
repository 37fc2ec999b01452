"""Collect the ground truth of a split, for scores and the upper bound only: a table of files, and converted PNGs.

Writes masks.csv and png/ into FOLDER; FOLDER-problems.csv instead where masks are wrong. Without `collected` in
the settings the table is empty.
"""

import logging
from pathlib import Path
from typing import Literal

from tagseg.datasets.problems import problems_in
from tagseg.datasets.readers import SourceSettings, collect_ground_truth
from tagseg.runtime import commandline
from tagseg.storage.files import atomic_folder
from tagseg.storage.ground_truth import write_ground_truth
from tagseg.storage.index import read_index

log = logging.getLogger(__name__)


class CollectionSettings(SourceSettings):
    collected: bool


@commandline.command
def main(
    index: Path,
    settings: CollectionSettings,
    split: Literal["train", "val", "test"],
    ground_truth: Path,
    threads: int = 1,
) -> None:
    images, masks = read_index(index), {}
    problems = ground_truth.with_name(f"{ground_truth.name}-problems.csv")
    with problems_in(problems), atomic_folder(ground_truth) as aside:
        if settings.collected:
            masks = collect_ground_truth(settings, images, split, aside, threads)
        else:
            write_ground_truth(aside, masks)
    count = len(images.of_split(split))
    log.info("%d of %d images of %s have a ground-truth mask", len(masks), count, split)


if __name__ == "__main__":
    commandline.run(main)
