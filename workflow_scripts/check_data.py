"""Check a data set: read every image and ground-truth mask, and report counts and problems.

    check_data.py --settings '{"images": {...}, "ground_truth": {...}, "splits": ["val"]}'
        --report report.md --page report.html --problems problems.csv

It succeeds where there are problems too: they are its result.
"""

import logging
import tempfile
from collections import Counter
from pathlib import Path

from tagseg.datasets.problems import Problem, write_problems
from tagseg.datasets.readers import CheckResult, CheckSettings, SourceSettings, check_data_set
from tagseg.evaluation.tables import Table, markdown
from tagseg.report.contact_sheets import contact_sheets
from tagseg.report.templates import render
from tagseg.runtime import commandline
from tagseg.storage.files import atomic_file
from tagseg.storage.index import SPLITS, ImageRecord, Index

log = logging.getLogger(__name__)

MAX_LISTED = 200
"""How many problems the report lists; the table beside it has all of them."""


@commandline.command
def main(report: Path, page: Path, problems: Path, settings: CheckSettings, threads: int = 1) -> None:
    folder = report.parent
    folder.mkdir(parents=True, exist_ok=True)
    # Converted masks may be many: they go to the disk of the results, not to /tmp.
    with tempfile.TemporaryDirectory(prefix=".masks.", dir=folder) as masks:
        results = folder.parent.parent  # RESULTS/RUN/data_report
        result = check_data_set(settings, Path(masks), threads, results)
    write_problems(problems, result.problems)
    with atomic_file(report) as aside:
        text = content(result, settings.images, problems.name)
        aside.write_bytes(text.encode("utf-8", "backslashreplace"))
    with atomic_file(page) as aside:
        aside.write_bytes(page_of(result, settings.images, problems.name).encode("utf-8", "backslashreplace"))
    log.info("%s See %s", verdict(result), page)


def verdict(result: CheckResult) -> str:
    """Return whether a training can start."""
    return (
        f"{counted(len(result.problems)).capitalize()}: not ready to train." if result.problems else "Ready to train."
    )


def page_of(result: CheckResult, settings: SourceSettings, problems: str) -> str:
    """Return the report as one HTML page, with a contact sheet of each class."""
    index, shown = result.index, result.problems[:MAX_LISTED]
    return render(
        "data.html.j2",
        root=settings.root,
        verdict=verdict(result),
        problems=[" ".join(str(problem).splitlines()) for problem in shown],
        more=len(result.problems) - len(shown),
        table=problems,
        notes=result.notes,
        tables=[splits(index, result.masked), classes(index)] if index else [],
        sheets=contact_sheets(index) if index else {},
    )


def counted(count: int) -> str:
    return "1 problem" if count == 1 else f"{count or 'no'} problems"


def content(result: CheckResult, settings: SourceSettings, problems: str) -> str:
    """Return the report as Markdown: the problems, then counts and sizes if there is an index."""
    parts = [f"# Data set `{settings.root}`\n", f"{verdict(result)}\n", listed(result.problems, problems)]
    if result.notes:
        parts.append("Read with these assumptions:\n\n" + "".join(f"    {note}\n" for note in result.notes))
    if result.unreadable:
        parts.append(unreadable(result, settings.max_unreadable_fraction or 0))
    if result.index is None:
        parts.append("The images cannot be counted yet. Fix these problems first.\n")
    else:  # the page has one heading: those of the tables are one level below
        tables = (splits(result.index, result.masked), classes(result.index))
        parts += [f"#{markdown(table)}" for table in tables]
    return "\n".join(parts)


def listed(problems: tuple[Problem, ...], table: str) -> str:
    """Return the first problems as an indented block: no character of a file name is Markdown there."""
    lines = [f"    {' '.join(str(problem).splitlines())}\n" for problem in problems[:MAX_LISTED]]
    more = len(problems) - len(lines)
    rest = f"\nand {more} more, which are in {table}.\n" if more > 0 else ""
    return f"{counted(len(problems)).capitalize()}.\n" + ("\n" if lines else "") + "".join(lines) + rest


def unreadable(result: CheckResult, fraction: float) -> str:
    """Return how many images are unreadable, and whether a run skips them."""
    skipped = result.unreadable / result.read <= fraction
    rest = "a run skips them" if skipped else "the index stage fails"
    count = f"{result.unreadable:,} of {result.read:,} images cannot be read"
    return f"{count}; with `dataset.max_unreadable_fraction: {fraction:g}`, {rest}.\n"


def splits(index: Index, masked: frozenset[str]) -> Table:
    """Return a row per split: counts of images, tags and ground truth, and the range of sizes."""
    return Table(
        "Images",
        ("split", "images", "without a tag", "tags per image", "ground truth", "width", "height"),
        tuple((name, *split_row(index.of_split(name), masked)) for name in SPLITS),
        decimals={"tags per image": 3},
        notes=("Images of train without a tag are skipped; sizes are in pixels, after EXIF rotation.",),
    )


def split_row(rows: tuple[ImageRecord, ...], masked: frozenset[str]) -> tuple[str | int | float | None, ...]:
    mean = sum(len(row.tags) for row in rows) / len(rows) if rows else None
    sizes = ([row.width for row in rows], [row.height for row in rows])
    ranges = (f"{min(sides)} to {max(sides)}" if sides else None for sides in sizes)
    counts = (len(rows), sum(not row.tags for row in rows))
    return (*counts, mean, sum(row.id in masked for row in rows), *ranges)


def classes(index: Index) -> Table:
    """Return a row per class: the count of images of each split with its tag."""
    counts = Counter((tag, row.split) for row in index.images for tag in row.tags)
    rows: list[tuple[str | int, ...]] = [
        (name, *(counts[name, split] for split in SPLITS)) for name in index.classes[1:]
    ]
    return Table("Images with each tag", ("class", *SPLITS), tuple(rows))


if __name__ == "__main__":
    commandline.run(main)
