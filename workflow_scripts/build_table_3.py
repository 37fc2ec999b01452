"""Build the paper's Table 3: the classes of COCO's val by supercategory, and tagseg beside the paper.

`--settings` is a JSON object {"scores": FILE or null}.
"""

from tagseg import commandline
from tagseg.index import read_index
from tagseg.metrics import Scores
from tagseg.paper import COCO_VAL_PHOTOGRAPHS, MEAN, CocoTable, coco_classes, table_3
from tagseg.paper.scripts import (
    PAPER,
    TAGSEG,
    other_sizes,
    parse_arguments,
    run_scores,
    unscored,
    write_table,
)
from tagseg.tables import Table

OF_THE_PAPER = (
    "SEC, DSRG and Luo & Yang are Table 3 of Luo & Yang (AAAI 2020), which has no number of DSRG for person. "
    "`docs/paper.md` says what is odd in the paper's numbers."
)
OTHER_CLASSES = "tagseg's column is empty: the table is of COCO, and this run has other classes."


def main() -> None:
    arguments = parse_arguments(__doc__)
    classes = read_index(arguments.index).classes
    if set(classes) == set(coco_classes()):
        file = run_scores(arguments.settings["scores"], "val", classes)
        scores = file.scores if file is not None and file.known else None
        notes = (*other_sizes([file], {"val": COCO_VAL_PHOTOGRAPHS}), *unscored([file]))
    else:
        scores, notes = None, (OTHER_CLASSES,)
    write_table(arguments, by_class(scores, notes), halves=2)


def by_class(scores: Scores | None, notes: tuple[str, ...] = ()) -> Table:
    """Return a row a class and the mean; our column is empty without `scores`."""
    paper = table_3()
    ours = scores.iou if scores else {}
    rows = [(row.category, row.name, *row.iou.values(), ours.get(row.name)) for row in paper.classes]
    mean = (MEAN, "", *paper.means.values(), scores.miou if scores else None)
    return Table(
        "Classes of COCO's val (the paper's Table 3): IoU in percent",
        ("category", "class", *paper.means, TAGSEG),
        (*rows, mean),
        notes=(OF_THE_PAPER, *classes_missed(paper, scores), *notes),
        grouped=True,
    )


def classes_missed(paper: CocoTable, scores: Scores | None) -> tuple[str, ...]:
    """Return notes that name the classes of IoU 0, which the means include: the paper's, then ours."""
    missed = {PAPER: [row.name for row in paper.classes if row.iou[PAPER] == 0]}
    if scores:
        missed[TAGSEG] = [row.name for row in paper.classes if scores.iou[row.name] == 0]
    return tuple(
        f"Classes of IoU 0 count in the mean; {who} has {len(names)}: {', '.join(names)}."
        for who, names in missed.items()
        if names
    )


if __name__ == "__main__":
    commandline.run(main)
