"""Build the paper's Table 1: the network on val by the features behind its proxy masks, and after retraining.

If the classes are VOC's, the paper's row precedes ours.
"""

from collections.abc import Sequence
from pathlib import Path

from tagseg.evaluation.comparison import PAPER, TAGSEG, TableRow, TableSettings, other_sizes, unscored
from tagseg.evaluation.paper import VOC_IMAGES, table_1, voc_classes
from tagseg.evaluation.scores import ScoreFile, known, read_scores_if_run
from tagseg.evaluation.tables import Cell, Table, write_tables
from tagseg.runtime import commandline
from tagseg.storage.index import read_index

OF_THE_PAPER = (
    "The rows of Luo & Yang are their Table 1 (AAAI 2020; ResNet-101, VOC 2012 val); in bold the best of "
    "tagseg's rows. `docs/paper.md` lists the inconsistencies of the paper's numbers."
)
OTHER_CLASSES = "Without the paper's rows: its Table 1 is of PASCAL VOC 2012, and this run has other classes."


@commandline.command
def main(index: Path, settings: TableSettings, markdown: Path, csv: Path, json: Path, latex: Path) -> None:
    classes, rows = read_index(index).classes, settings.rows
    files = [read_scores_if_run(row.scores) for row in rows]
    write_tables(ablation(rows, files, classes), markdown=markdown, csv=csv, json=json, latex=latex)


def ablation(rows: Sequence[TableRow], files: Sequence[ScoreFile | None], classes: Sequence[str]) -> Table:
    """Return the table: per row of ours the paper's, if the classes are VOC's, and ours."""
    comparable = set(classes) == set(voc_classes())
    lines: list[tuple[Cell, ...]] = []
    for row, file in zip(rows, files, strict=True):
        theirs = papers_row(row.paper) if comparable else None
        if theirs:
            lines.append((row.name, PAPER, *(theirs[name] for name in (*classes, "mIoU"))))
        lines.append((row.name, TAGSEG, *cells_of(file, classes)))
    notes = (OF_THE_PAPER, *other_sizes(files, VOC_IMAGES)) if comparable else (OTHER_CLASSES,)
    return Table(
        "Segmentation of val by the features behind the proxy masks (the paper's Table 1): IoU in percent",
        ("features", "by", *classes, "mIoU"),
        tuple(lines),
        best=frozenset((*classes, "mIoU")),
        best_among=frozenset(number for number, line in enumerate(lines) if line[1] == TAGSEG),
        notes=(*notes, *unscored(files)),
        grouped=True,
    )


def cells_of(file: ScoreFile | None, classes: Sequence[str]) -> tuple[Cell, ...]:
    """Return the IoU per class and the mean; empty cells if nothing was run or scored."""
    if file is None:
        return (None,) * (len(classes) + 1)
    return known(file, *(file.scores.iou[name] for name in classes), file.scores.miou)


def papers_row(name: str | None) -> dict[str, float] | None:
    """Return a row of the paper by its name, ignoring case; None if the paper has none."""
    rows = {key.casefold(): row for key, row in table_1().items()}
    return rows.get(name.casefold()) if name else None


if __name__ == "__main__":
    commandline.run(main)
