"""Check a data set: read every image and ground-truth mask, and report counts and problems.

    check_data.py --settings '{"images": {...}, "ground_truth": {...}, "splits": ["val"]}'
        --report report.html --problems problems.csv

It succeeds where there are problems too: they are its result.
"""

import logging
import tempfile
from collections import Counter
from pathlib import Path

from tagseg.datasets.problems import write_problems
from tagseg.datasets.readers import CheckResult, CheckSettings, SourceSettings, check_data_set
from tagseg.evaluation.tables import Table
from tagseg.report.contact_sheets import contact_sheets
from tagseg.report.templates import render
from tagseg.runtime import commandline
from tagseg.storage.files import atomic_file
from tagseg.storage.index import SPLITS, ImageRecord, Index

log = logging.getLogger(__name__)

MAX_LISTED = 200
"""How many problems the report lists; the table beside it has all of them."""


@commandline.command
def main(report: Path, problems: Path, settings: CheckSettings, threads: int = 1) -> None:
    folder = report.parent
    folder.mkdir(parents=True, exist_ok=True)
    # Converted masks may be many: they go to the disk of the results, not to /tmp.
    with tempfile.TemporaryDirectory(prefix=".masks.", dir=folder) as masks:
        results = folder.parent.parent  # RESULTS/RUN/data_report
        result = check_data_set(settings, Path(masks), threads, results)
    write_problems(problems, result.problems)
    with atomic_file(report) as aside:
        aside.write_bytes(page_of(result, settings.images, problems.name).encode("utf-8", "backslashreplace"))
    log.info("%s See %s", verdict(result), report)


def verdict(result: CheckResult) -> str:
    """Return whether a training can start."""
    count = len(result.problems)
    problems = "1 problem" if count == 1 else f"{count:,} problems"
    return f"{problems}: not ready to train." if count else "Ready to train."


def page_of(result: CheckResult, settings: SourceSettings, problems: str) -> str:
    """Return the report as one HTML page, with a contact sheet of each class."""
    index, shown = result.index, result.problems[:MAX_LISTED]
    skipped = [unreadable(result, settings.max_unreadable_fraction or 0)] if result.unreadable else []
    return render(
        "data.html.j2",
        root=settings.root,
        verdict=verdict(result),
        problems=[" ".join(str(problem).splitlines()) for problem in shown],
        more=len(result.problems) - len(shown),
        table=problems,
        notes=[*skipped, *result.notes],
        tables=[splits(index, result.masked), classes(index)] if index else [],
        sheets=contact_sheets(index) if index else {},
    )


def unreadable(result: CheckResult, fraction: float) -> str:
    """Return how many images are unreadable, and whether a run skips them."""
    skipped = result.unreadable / result.read <= fraction
    rest = "a run skips them" if skipped else "the index stage fails"
    count = f"{result.unreadable:,} of {result.read:,} images cannot be read"
    return f"{count}; with dataset.max_unreadable_fraction {fraction:g}, {rest}"


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
