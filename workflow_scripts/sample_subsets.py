"""Sample the subset of each class: at most `cap` of the train images with its tag.

sample_subsets.py --index FOLDER --settings '{"cap": 800, "random_seed": 0}' --subsets FOLDER
"""

import logging

from tagseg.patterns.settings import SubsetStage
from tagseg.patterns.subsets import sample_subset, write_subsets
from tagseg.runtime import commandline
from tagseg.storage.index import read_index

log = logging.getLogger(__name__)


def main() -> None:
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser, SubsetStage)
    parser.add_argument("--subsets", required=True, metavar="FOLDER", help="output: one list per class")
    arguments = parser.parse_args()
    index, settings = read_index(arguments.index), arguments.settings
    train = index.of_split("train")
    cap, seed = settings.cap, settings.random_seed
    subsets = {tag: sample_subset(train, tag, cap, seed) for tag in index.classes[1:]}
    write_subsets(arguments.subsets, subsets)
    log.info("images per class: %s", ", ".join(f"{tag} {len(ids)}" for tag, ids in subsets.items()))


if __name__ == "__main__":
    commandline.run(main)
