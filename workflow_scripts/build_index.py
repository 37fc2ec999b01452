"""Read and index a data set: one row per image, with its size, split and tags.

    build_index.py --settings '{"kind": "photos", "root": "photos", ...}' --listing DIGEST --index FOLDER

Writes index.csv, classes.csv, source.txt (the DIGEST of names, sizes and times of the files) and skipped.csv
(unreadable images, up to `max_unreadable_fraction`) into FOLDER; problems.csv instead where something is wrong.
With `copy_images` the images too, for machines without a shared disk.
"""

import logging
import shutil
from pathlib import Path

from tagseg.datasets.image_checks import Reading, write_skipped
from tagseg.datasets.problems import problems_in, raise_any
from tagseg.datasets.readers import SourceSettings, train_problems
from tagseg.runtime import commandline
from tagseg.storage.index import COPIED, SPLITS, Index, copy_images, write_index

log = logging.getLogger(__name__)

MAX_LOGGED = 20
"""How many skipped images the log lists; the table has all of them."""


@commandline.command
def main(settings: SourceSettings, listing: str, index: Path, threads: int = 1) -> None:
    with problems_in(index / "problems.csv"):
        reading = Reading(settings.max_unreadable_fraction, threads, index.parent.parent, settings.max_pixels)
        whole = settings.read_index(reading)
        for note in reading.notes:
            log.warning("%s", note)
        log_skipped(reading)
        kept = settings.for_training(whole)
        raise_any(settings.root, train_problems(kept))
    if untagged := len(whole.images) - len(kept.images):
        log.warning("skipped %d train images without a tag (dataset.negatives: true learns them)", untagged)
    write_skipped(index / "skipped.csv", reading.skipped)
    if settings.copy_images:
        kept = copy_images(index, kept)
    else:
        shutil.rmtree(index / COPIED, ignore_errors=True)  # of an earlier run without a shared disk
    write_index(index, kept, listing)
    log.info(summary(kept))


def log_skipped(reading: Reading) -> None:
    """Log how many images are unreadable, and the first of them."""
    skipped = sorted(reading.skipped)
    if skipped:
        log.warning("skipped %d of %d images: unreadable. See skipped.csv.", len(skipped), reading.count)
    for one in skipped[:MAX_LOGGED]:
        log.warning("skipped %s", one.problem)


def summary(index: Index) -> str:
    """Return the counts of an index in one line; those of tags are of train."""
    counts = ", ".join(f"{len(index.of_split(split))} {split}" for split in SPLITS)
    tags = [len(row.tags) for row in index.of_split("train")]
    means = f"{sum(tags) / len(tags):.3f} tags per image, {tags.count(1)} of a single class"
    return f"{counts} images, {len(index.classes) - 1} classes; train: {means}"


if __name__ == "__main__":
    commandline.run(main)
