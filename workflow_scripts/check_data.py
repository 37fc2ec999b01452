"""Check a data set: read every photograph and true mask, and report what there is and what is wrong.

    check_data.py --settings '{"photographs": {...}, "true_masks": {...}, "splits": ["val"]}'
        --report report.md --problems problems.csv

The settings are those of `tagseg.datasets.readers`. It ends well also where there are problems: they are what
was asked for.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tagseg import commandline
from tagseg.datasets.checks import Findings, check_data_set
from tagseg.datasets.problems import Problem, write_problems
from tagseg.datasets.readers import SHARE
from tagseg.files import atomic_file
from tagseg.index import SPLITS, Index, Photograph
from tagseg.tables import Table, markdown

MAX_LISTED = 200
"""So many problems stand in the report; the table beside it has all of them."""


def main() -> None:
    arguments = parse_arguments()
    folder = arguments.report.parent
    folder.mkdir(parents=True, exist_ok=True)
    # Masks that are made from no PNGs may be many: they go to the disk of the results, not to /tmp.
    with tempfile.TemporaryDirectory(prefix=".masks.", dir=folder) as aside:
        results = folder.parent.parent  # RESULTS/RUN/data_report
        found = check_data_set(arguments.settings, Path(aside), arguments.threads, results)
    write_problems(arguments.problems, found.problems)
    with atomic_file(arguments.report) as aside:
        text = report(found, arguments.settings["photographs"], arguments.problems.name)
        aside.write_bytes(text.encode("utf-8", "backslashreplace"))
    commandline.say(f"{told(len(found.problems))}; see {arguments.report}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commandline.add_settings(parser)
    commandline.add_threads(parser)
    for name in ("--report", "--problems"):
        parser.add_argument(name, type=Path, required=True, metavar="FILE", help="output")
    return parser.parse_args()


def told(count: int) -> str:
    return "1 problem" if count == 1 else f"{count or 'no'} problems"


def report(found: Findings, settings: Mapping, problems: str) -> str:
    """Return the report as Markdown: the problems, then counts and sizes if there is an index."""
    parts = [f"# Data set `{settings['root']}`\n", problems_listed(found.problems, problems)]
    if found.unreadable:
        parts.append(unreadable(found, settings.get(SHARE) or 0))
    if found.index is None:
        parts.append("The photographs cannot be indexed before these are mended: nothing is counted here.\n")
    else:
        # One heading is the page's; those of the tables go below it.
        parts += [f"#{markdown(table)}" for table in (splits(found, found.index), classes(found.index))]
    return "\n".join(parts)


def problems_listed(problems: tuple[Problem, ...], table: str) -> str:
    """Return the first problems as an indented block, in which no sign of a file name is a mark."""
    lines = [f"    {' '.join(str(problem).splitlines())}\n" for problem in problems[:MAX_LISTED]]
    more = len(problems) - len(lines)
    rest = f"\nand {more} more, which are in {table}.\n" if more > 0 else ""
    return f"{told(len(problems)).capitalize()}.\n" + ("\n" if lines else "") + "".join(lines) + rest


def unreadable(found: Findings, share: float) -> str:
    """Return how many photographs cannot be read, and what a run makes of them, given the share allowed."""
    allowed = found.unreadable / found.read <= share
    rest = "a run leaves them out" if allowed else "a run ends at the index"
    count = f"{found.unreadable:,} of {found.read:,} photographs cannot be read"
    return f"{count}; with `dataset.unreadable_share: {share:g}`, {rest}.\n"


def splits(found: Findings, index: Index) -> Table:
    """Return a row a split: how many photographs, tags and true masks, and the range of sizes."""
    return Table(
        "Photographs",
        ("split", "photographs", "without a tag", "tags a photograph", "true masks", "width", "height"),
        tuple((name, *split_row(index.of_split(name), found.masked)) for name in SPLITS),
        decimals={"tags a photograph": 3},
        notes=("Photographs of train without a tag are left out; sizes are in pixels, after EXIF rotation.",),
    )


def split_row(rows: tuple[Photograph, ...], masked: frozenset[str]) -> tuple:
    counts = (len(rows), sum(not row.tags for row in rows))
    mean = sum(len(row.tags) for row in rows) / len(rows) if rows else None
    sizes = ([row.width for row in rows], [row.height for row in rows])
    ranges = (f"{min(sides)} to {max(sides)}" if sides else None for sides in sizes)
    return (*counts, mean, sum(row.id in masked for row in rows), *ranges)


def classes(index: Index) -> Table:
    """Return a row a class: how many photographs of each split carry its tag."""
    counts = Counter((tag, row.split) for row in index.photographs for tag in row.tags)
    rows = ((name, *(counts[name, split] for split in SPLITS)) for name in index.classes[1:])
    return Table("Photographs with each tag", ("class", *SPLITS), tuple(rows))


if __name__ == "__main__":
    commandline.run(main)
