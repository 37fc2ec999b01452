"""Compare the masks of several seeds before and after the CRF: a table and a bar chart.

A seed is a node of the classifier whose features give the class patterns, or `cam`. The score files are in
the order of the seeds. Without ground truth the cells are empty.
"""

from collections.abc import Sequence
from pathlib import Path

from tagseg.evaluation.scores import ScoreFile, known, missing_masks, read_scores
from tagseg.evaluation.tables import Cell, Table, write_tables
from tagseg.report.plots import seed_comparison, write_figure
from tagseg.runtime import commandline

BEFORE = "mIoU before CRF"
AFTER = "mIoU after CRF (void as background)"
SKIPPED = "mIoU after CRF (void skipped)"
NOTE = (
    "Before the CRF, void counts as background too. Coverage is the fraction of the scored pixels with a "
    "label other than void; the columns of classes are after the CRF, void as background."
)


@commandline.command
def main(
    seeds: list[str],
    seed_scores: list[Path],
    proxy_scores: list[Path],
    markdown: Path,
    csv: Path,
    json: Path,
    plot: Path,
) -> None:
    before, after = list(map(read_scores, seed_scores)), list(map(read_scores, proxy_scores))
    write_tables(comparison(seeds, before, after), markdown=markdown, csv=csv, json=json)
    mious = [[file.scores.miou if file.known else None for file in files] for files in (before, after)]
    bars = list(zip(seeds, *mious, strict=True))
    write_figure(plot, seed_comparison(bars))


def comparison(seeds: Sequence[str], before: Sequence[ScoreFile], after: Sequence[ScoreFile]) -> Table:
    """Return the table, one row per seed."""
    classes = tuple(after[0].scores.iou)
    return Table(
        f"Masks by seed, {after[0].split}: IoU in percent, {after[0].scores.images} images",
        ("seed", BEFORE, AFTER, SKIPPED, "coverage", *classes),
        tuple(row_of(*files) for files in zip(seeds, before, after, strict=True)),
        decimals={"coverage": 3},
        best=frozenset((BEFORE, AFTER, SKIPPED, *classes)),
        notes=(NOTE, *missing_masks([*before, *after])),
    )


def row_of(seed: str, before: ScoreFile, after: ScoreFile) -> tuple[Cell, ...]:
    """Return the row of a seed."""
    scores = after.scores
    cells = (scores.miou, scores.miou_void_skipped, scores.coverage, *scores.iou.values())
    return (seed, *known(before, before.scores.miou), *known(after, *cells))


if __name__ == "__main__":
    commandline.run(main)
