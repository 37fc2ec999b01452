"""Build the paper's Table 3: the IoU per class on COCO's val, tagseg beside the paper."""

from pathlib import Path

from tagseg.evaluation.comparison import PAPER, TAGSEG, TableSettings, other_sizes, unscored
from tagseg.evaluation.metrics import Scores
from tagseg.evaluation.paper import COCO_VAL_IMAGES, coco_classes, table_3
from tagseg.evaluation.scores import read_scores_if_run
from tagseg.evaluation.tables import Table, write_tables
from tagseg.runtime import commandline
from tagseg.storage.index import read_index

OF_THE_PAPER = (
    "SEC, DSRG and Luo & Yang are Table 3 of Luo & Yang (AAAI 2020), which has no number of DSRG for person. "
    "`docs/paper.md` lists the inconsistencies of the paper's numbers."
)
OTHER_CLASSES = "tagseg's column is empty: the table is of COCO, and this run has other classes."


@commandline.command
def main(index: Path, settings: TableSettings, markdown: Path, csv: Path, json: Path, latex: Path) -> None:
    classes = read_index(index).classes
    scores: Scores | None = None
    notes: tuple[str, ...] = (OTHER_CLASSES,)
    if set(classes) == set(coco_classes()):
        file = read_scores_if_run(settings.rows[0].scores)
        scores = file.scores if file is not None and file.known else None
        notes = (*other_sizes([file], {"val": COCO_VAL_IMAGES}), *unscored([file]))
    write_tables(by_class(scores, notes), markdown=markdown, csv=csv, json=json, latex=latex)


def by_class(scores: Scores | None, notes: tuple[str, ...] = ()) -> Table:
    """Return one row per class and the mean; our column is empty without `scores`."""
    rows = table_3()
    ours = {**scores.iou, "": scores.miou} if scores else {}
    missed = {PAPER: [row.name for row in rows if row.iou[PAPER] == 0]}
    missed[TAGSEG] = [row.name for row in rows if ours.get(row.name) == 0]
    zeros = (
        f"Classes of IoU 0 count in the mean; {who} has {len(names)}: {', '.join(names)}."
        for who, names in missed.items()
        if names
    )
    return Table(
        "Classes of COCO's val (the paper's Table 3): IoU in percent",
        ("category", "class", *rows[0].iou, TAGSEG),
        tuple((row.category, row.name, *row.iou.values(), ours.get(row.name)) for row in rows),
        notes=(OF_THE_PAPER, *zeros, *notes),
        grouped=True,
    )


if __name__ == "__main__":
    commandline.run(main)
