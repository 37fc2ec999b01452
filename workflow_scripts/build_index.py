"""Index a data set: one row a photograph, with its size, split and tags.

    build_index.py --settings '{"kind": "photos", "root": "photos", ...}' --listing DIGEST --index FOLDER

The settings are those of `tagseg.datasets.readers`. Writes index.csv, classes.csv and source.txt (the
DIGEST of names, sizes and times of the files) into FOLDER. Where something is wrong with the data set,
writes all of it to problems.csv there instead, and fails.
"""

import argparse
from pathlib import Path

from tagseg.commandline import run, say, settings
from tagseg.datasets.problems import problems_in
from tagseg.datasets.readers import check_train, read_photographs, without_untagged
from tagseg.index import SPLITS, Index, write_index

PROBLEMS = "problems.csv"


def main() -> None:
    arguments = parse_arguments()
    with problems_in(arguments.index / PROBLEMS):
        found = read_photographs(arguments.settings)
        index = without_untagged(found)
        check_train(index, arguments.settings["root"])
    if len(index.photographs) < len(found.photographs):
        left_out = len(found.photographs) - len(index.photographs)
        say(f"left out {left_out} train photographs without a tag")
    write_index(arguments.index, index, arguments.listing)
    say(summary(index))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--settings", type=settings, required=True, metavar="JSON")
    parser.add_argument("--listing", required=True, metavar="DIGEST", help="of the data set's files")
    parser.add_argument("--index", type=Path, required=True, metavar="FOLDER")
    return parser.parse_args()


def summary(index: Index) -> str:
    """Return the numbers of an index in one line; those of tags are of train."""
    counts = ", ".join(f"{len(index.of_split(split))} {split}" for split in SPLITS)
    train = index.of_split("train")
    mean = sum(len(row.tags) for row in train) / len(train)
    single = sum(len(row.tags) == 1 for row in train)
    return (
        f"{counts} photographs, {len(index.classes) - 1} classes; train: {mean:.3f} tags a "
        f"photograph, {single} of a single class"
    )


if __name__ == "__main__":
    run(main)
