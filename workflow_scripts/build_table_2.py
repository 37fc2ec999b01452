"""Build the paper's Table 2: methods on PASCAL VOC 2012, and ours among those that have class labels alone.

The paper's rows keep their order and groups. Each of ours stands after the last of the methods trained on
10k photographs that is not better on val; those without a score stand at the end of the group. `--settings`
is a JSON object {"rows": [{"name": TEXT, "val": FILE or null, "test": FILE or null}, ...]}.
"""

import math
from collections.abc import Mapping, Sequence

from tagseg import commandline
from tagseg.index import Index, read_index
from tagseg.paper import (
    TRAINAUG_PHOTOGRAPHS,
    VOC_PHOTOGRAPHS,
    WITH_LABELS_ALONE,
    Method,
    table_2,
    voc_classes,
)
from tagseg.paper.scripts import other_sizes, parse_arguments, run_scores, unscored, write_table
from tagseg.tables import ScoreFile, Table

TRAINAUG = "10k"
THIS_RUN = "this run"

OF_THE_PAPER = (
    "Rows other than tagseg's are from Luo & Yang (AAAI 2020), Table 2; with VGG16 unless they say so. "
    "10k: trainaug, 10,582 photographs; sal: a saliency detector besides. In bold the best with class "
    "labels. `docs/paper.md` says what is odd in the paper's numbers."
)
TEST_IS_SECRET = (
    "The masks of VOC's test are with its server alone; `snakemake submission` packs tagseg's for it."
)
OTHER_CLASSES = "tagseg's cells are empty: the table is of PASCAL VOC 2012, and this run has other classes."


def main() -> None:
    arguments = parse_arguments(__doc__)
    index, rows = read_index(arguments.index), arguments.settings["rows"]
    if set(index.classes) == set(voc_classes()):
        files = [read_scores_of(row, index) for row in rows]
        notes = notes_on(files)
    else:
        files, notes = [(None, None)] * len(rows), (OTHER_CLASSES,)
    ours = [method_of(row["name"], index, *pair) for row, pair in zip(rows, files, strict=True)]
    write_table(arguments, comparison(ours, notes))


def read_scores_of(row: Mapping, index: Index) -> tuple[ScoreFile | None, ScoreFile | None]:
    """Return the scores of a row on val and on test. Raises TagsegError where a file is not of them."""
    return run_scores(row["val"], "val", index.classes), run_scores(row["test"], "test", index.classes)


def notes_on(files: Sequence[tuple[ScoreFile | None, ScoreFile | None]]) -> tuple[str, ...]:
    """Return the notes on what our rows leave empty, or cannot be compared in."""
    val, test = [pair[0] for pair in files], [pair[1] for pair in files]
    secret = (TEST_IS_SECRET,) if any(file is None or not file.known for file in test) else ()
    return (*other_sizes([*val, *test], VOC_PHOTOGRAPHS), *unscored(val), *secret)


def method_of(name: str, index: Index, val: ScoreFile | None, test: ScoreFile | None) -> Method:
    """Return our row as one of the paper's table."""
    count = len(index.of_split("train"))
    train_set = TRAINAUG if count == TRAINAUG_PHOTOGRAPHS else f"{count:,}"
    return Method(WITH_LABELS_ALONE, name, THIS_RUN, train_set, miou_of(val), miou_of(test))


def miou_of(file: ScoreFile | None) -> float | None:
    """Return the mIoU in percent; None where nothing was run or scored."""
    return file.scores.miou if file is not None and file.known else None


def comparison(ours: Sequence[Method], notes: Sequence[str] = ()) -> Table:
    """Return the table of the paper's methods and ours."""
    methods = placed(ours, table_2())
    return Table(
        "Methods on PASCAL VOC 2012 (the paper's Table 2): mIoU in percent",
        ("supervision", "method", "reference", "train set", "val", "test"),
        tuple(
            (row.supervision, row.name, row.reference, row.train_set, row.val, row.test) for row in methods
        ),
        best=frozenset({"val", "test"}),
        best_among=frozenset(n for n, row in enumerate(methods) if row.supervision == WITH_LABELS_ALONE),
        notes=(OF_THE_PAPER, *notes),
        grouped=True,
    )


def placed(ours: Sequence[Method], theirs: Sequence[Method]) -> list[Method]:
    """Return the paper's rows in their order, and ours between them, from low to high where several meet."""
    ranked = sorted(ours, key=lambda row: math.inf if row.val is None else row.val)
    places = [(place(row.val, theirs), row) for row in ranked]
    rows = []
    for number, row in enumerate(theirs):
        rows += [mine for where, mine in places if where == number]
        rows.append(row)
    return rows + [mine for where, mine in places if where == len(theirs)]


def place(val: float | None, theirs: Sequence[Method]) -> int:
    """Return the number of the paper's row before which a score on val stands, None at the group's end."""
    group = [number for number, row in enumerate(theirs) if row.supervision == WITH_LABELS_ALONE]
    if val is None:
        return group[-1] + 1
    rivals = [number for number in group if theirs[number].train_set == TRAINAUG]
    not_better = [number for number in rivals if (theirs[number].val or 0.0) <= val]
    return not_better[-1] + 1 if not_better else rivals[0]


if __name__ == "__main__":
    commandline.run(main)
