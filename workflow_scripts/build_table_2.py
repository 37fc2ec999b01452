"""Build the paper's Table 2: methods on PASCAL VOC 2012, and ours among those that learn from class labels.

The paper's rows keep their order. Ours follow the last method trained on 10k images that is no better on
val; those without a score are at the end of the group.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from tagseg.evaluation.comparison import TableSettings, other_sizes, unscored
from tagseg.evaluation.paper import CLASS_LABELS, TRAINAUG_IMAGES, VOC_IMAGES, Method, table_2, voc_classes
from tagseg.evaluation.scores import ScoreFile, read_scores_if_run
from tagseg.evaluation.tables import Table, write_tables
from tagseg.runtime import commandline
from tagseg.storage.index import read_index

TRAINAUG = "10k"
OF_THE_PAPER = (
    "Rows other than tagseg's are from Luo & Yang (AAAI 2020), Table 2; with VGG16 unless noted. 10k: "
    "trainaug, 10,582 images; sal: with a saliency detector. In bold the best with class labels. "
    "`docs/paper.md` lists the inconsistencies of the paper's numbers."
)
NO_TEST = "Only the server of VOC has the ground truth of test; `snakemake submission` makes the archive for it."
OTHER_CLASSES = "tagseg's cells are empty: the table is of PASCAL VOC 2012, and this run has other classes."


@commandline.command
def main(index: Path, settings: TableSettings, markdown: Path, csv: Path, json: Path, latex: Path) -> None:
    known, rows = read_index(index), settings.rows
    val: list[ScoreFile | None] = [None] * len(rows)
    test: list[ScoreFile | None] = [None] * len(rows)
    notes: tuple[str, ...] = (OTHER_CLASSES,)
    if set(known.classes) == set(voc_classes()):
        val = [read_scores_if_run(row.val) for row in rows]
        test = [read_scores_if_run(row.test) for row in rows]
        secret = (NO_TEST,) if any(miou_of(file) is None for file in test) else ()
        notes = (*other_sizes([*val, *test], VOC_IMAGES), *unscored(val), *secret)
    count = len(known.of_split("train"))
    train_set = TRAINAUG if count == TRAINAUG_IMAGES else f"{count:,}"
    ours = [
        Method(CLASS_LABELS, row.name, "this run", train_set, miou_of(files[0]), miou_of(files[1]))
        for row, *files in zip(rows, val, test, strict=True)
    ]
    write_tables(comparison(ours, notes), markdown=markdown, csv=csv, json=json, latex=latex)


def miou_of(file: ScoreFile | None) -> float | None:
    """Return the mIoU in percent; None if nothing was run or scored."""
    return file.scores.miou if file is not None and file.known else None


def comparison(ours: Sequence[Method], notes: Sequence[str] = ()) -> Table:
    """Return the table of the paper's methods and ours."""
    methods = merged(ours, table_2())
    return Table(
        "Methods on PASCAL VOC 2012 (the paper's Table 2): mIoU in percent",
        ("supervision", "method", "reference", "train set", "val", "test"),
        tuple((one.supervision, one.method, one.reference, one.train_set, one.val, one.test) for one in methods),
        best=frozenset({"val", "test"}),
        best_among=frozenset(n for n, one in enumerate(methods) if one.supervision == CLASS_LABELS),
        notes=(OF_THE_PAPER, *notes),
        grouped=True,
    )


def merged(ours: Sequence[Method], theirs: Sequence[Method]) -> list[Method]:
    """Return the paper's rows in their order with ours between them, from low to high."""
    ranked = sorted(ours, key=lambda row: math.inf if row.val is None else row.val)
    positions = [position(row.val, theirs) for row in ranked]
    rows: list[Method] = []
    for number in range(len(theirs) + 1):
        rows += [row for where, row in zip(positions, ranked, strict=True) if where == number]
        rows += theirs[number : number + 1]
    return rows


def position(val: float | None, theirs: Sequence[Method]) -> int:
    """Return the number of the paper's row that follows a score on val; the end of the group for None."""
    group = [number for number, row in enumerate(theirs) if row.supervision == CLASS_LABELS]
    if val is None:
        return group[-1] + 1
    rivals = [number for number in group if theirs[number].train_set == TRAINAUG]
    not_better = [number for number in rivals if (theirs[number].val or 0.0) <= val]
    return not_better[-1] + 1 if not_better else rivals[0]


if __name__ == "__main__":
    commandline.run(main)
