"""Index a data set: one row a photograph, with its size, split and tags.

    build_index.py --settings '{"kind": "photos", "root": "photos", ...}' --listing DIGEST --index FOLDER

The settings are those of `tagseg.datasets.readers`. Every photograph is read. Writes index.csv, classes.csv
and source.txt (the DIGEST of names, sizes and times of the files) into FOLDER, and left_out.csv: the
photographs that cannot be read, if they are no more than the setting `unreadable_share` allows. Where
something is wrong with the data set, writes all of it to problems.csv there instead, and fails.
"""

import argparse
from pathlib import Path

from tagseg.commandline import add_threads, run, say, settings
from tagseg.datasets.problems import problems_in
from tagseg.datasets.readers import check_train, new_reading, read_photographs, without_untagged
from tagseg.datasets.reading import Reading, write_left_out
from tagseg.index import SPLITS, Index, write_index

PROBLEMS = "problems.csv"
LEFT_OUT = "left_out.csv"

MAX_TOLD = 20
"""So many photographs that are left out stand in the log; the table has all of them."""


def main() -> None:
    arguments = parse_arguments()
    with problems_in(arguments.index / PROBLEMS):
        results = arguments.index.parent.parent  # RESULTS/RUN/index
        reading = new_reading(arguments.settings, arguments.threads, results)
        found = read_photographs(arguments.settings, reading)
        tell_left_out(reading)
        index = without_untagged(found)
        check_train(index, arguments.settings["root"])
    if len(index.photographs) < len(found.photographs):
        left_out = len(found.photographs) - len(index.photographs)
        say(f"left out {left_out} train photographs without a tag")
    write_left_out(arguments.index / LEFT_OUT, reading.left_out)
    write_index(arguments.index, index, arguments.listing)
    say(summary(index))


def tell_left_out(reading: Reading) -> None:
    """Say how many photographs are left out since they cannot be read, and name the first of them."""
    if not reading.left_out:
        return
    told = [f"  {one.problem}" for one in sorted(reading.left_out)[:MAX_TOLD]]
    head = f"left out {len(reading.left_out):,} of {reading.count:,} photographs, which cannot be read"
    say("\n".join([f"{head} (all of them: {LEFT_OUT}):", *told]))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--settings", type=settings, required=True, metavar="JSON")
    parser.add_argument("--listing", required=True, metavar="DIGEST", help="of the data set's files")
    add_threads(parser)
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
