"""Collect the true masks of a split, for scoring alone: a table of files, and PNGs where there were none.

The settings are those of `tagseg.datasets.readers` and `collected`: whether the split's masks are wanted;
where they are not, the table is empty. Writes masks.csv and png/ into FOLDER. Where something is wrong
with the masks, writes all of it to FOLDER-problems.csv instead, and fails.
"""

from pathlib import Path

from tagseg import commandline
from tagseg.datasets.problems import problems_in
from tagseg.datasets.readers import collect_true_masks
from tagseg.files import atomic_folder
from tagseg.index import SPLITS, read_index
from tagseg.true_masks import write_true_masks


def main() -> None:
    arguments = parse_arguments()
    settings, folder, masks = dict(arguments.settings), arguments.true_masks, {}
    index = read_index(arguments.index)
    with problems_in(folder.with_name(f"{folder.name}-problems.csv")), atomic_folder(folder) as aside:
        if settings.pop("collected"):
            masks = collect_true_masks(settings, index, arguments.split, aside, arguments.threads)
        write_true_masks(aside, masks)
    count = len(index.of_split(arguments.split))
    commandline.say(f"{len(masks)} of {count} photographs of {arguments.split} have a true mask")


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    commandline.add_threads(parser)
    parser.add_argument("--split", required=True, choices=SPLITS)
    parser.add_argument("--true-masks", type=Path, required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
