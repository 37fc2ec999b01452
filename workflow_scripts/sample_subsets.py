"""Sample the subset of each class: at most `cap` of the train images with its tag.

sample_subsets.py --index FOLDER --settings '{"cap": 800, "random_seed": 0}' --subsets FOLDER
"""

import logging
from pathlib import Path

from tagseg.patterns.settings import SubsetStage
from tagseg.patterns.subsets import sample_subset, write_subsets
from tagseg.runtime import commandline
from tagseg.storage.index import read_index

log = logging.getLogger(__name__)


@commandline.command
def main(index: Path, settings: SubsetStage, subsets: Path) -> None:
    known = read_index(index)
    train, cap, seed = known.of_split("train"), settings.cap, settings.random_seed
    by_class = {tag: sample_subset(train, tag, cap, seed) for tag in known.classes[1:]}
    write_subsets(subsets, by_class)
    log.info("images per class: %s", ", ".join(f"{tag} {len(ids)}" for tag, ids in by_class.items()))


if __name__ == "__main__":
    commandline.run(main)
