"""Collect the ground truth of a split, for scores and the upper bound only: a table of files, and converted PNGs.

Writes masks.csv and png/ into FOLDER; FOLDER-problems.csv instead where masks are wrong. Without `collected` in
the settings the table is empty.
"""

import argparse
import logging
from pathlib import Path

from tagseg.datasets.problems import problems_in
from tagseg.datasets.readers import SourceSettings, collect_ground_truth
from tagseg.runtime import commandline
from tagseg.storage.files import atomic_folder
from tagseg.storage.ground_truth import write_ground_truth
from tagseg.storage.index import SPLITS, read_index

log = logging.getLogger(__name__)


class CollectionSettings(SourceSettings):
    collected: bool


def main() -> None:
    arguments = parse_arguments()
    settings, folder, masks = arguments.settings, arguments.ground_truth, {}
    index = read_index(arguments.index)
    with problems_in(folder.with_name(f"{folder.name}-problems.csv")), atomic_folder(folder) as aside:
        if settings.collected:
            masks = collect_ground_truth(settings, index, arguments.split, aside, arguments.threads)
        write_ground_truth(aside, masks)
    count = len(index.of_split(arguments.split))
    log.info("%d of %d images of %s have a ground-truth mask", len(masks), count, arguments.split)


def parse_arguments() -> argparse.Namespace:
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser, CollectionSettings)
    commandline.add_threads(parser)
    parser.add_argument("--split", required=True, choices=SPLITS)
    parser.add_argument("--ground-truth", type=Path, required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
