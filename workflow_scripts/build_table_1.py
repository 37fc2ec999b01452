"""Build the paper's Table 1: what features of different blocks lead to, and what retraining adds.

A row is a network, trained on proxy masks of one block (or of CAM, or retrained), scored on val. Where the
index's classes are VOC's, the paper's row stands above ours, number beside number. `--settings` is a JSON
object {"rows": [{"name": TEXT, "paper": TEXT or null, "scores": FILE or null}, ...]}; "paper" names the row
of the paper's table that ours is compared with, and may name one that the paper does not have.
"""

from collections.abc import Mapping, Sequence

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.index import read_index
from tagseg.paper import VOC_PHOTOGRAPHS, Features, table_1, voc_classes
from tagseg.paper.scripts import (
    PAPER,
    TAGSEG,
    cells_of,
    other_sizes,
    parse_arguments,
    run_scores,
    unscored,
    write_table,
)
from tagseg.tables import Cell, ScoreFile, Table

MEAN = "mIoU"

OF_THE_PAPER = (
    "The rows of Luo & Yang are their Table 1 (AAAI 2020; ResNet-101, VOC 2012 val), those of tagseg this "
    "run's; in bold the best of tagseg's. `docs/paper.md` says what is odd in the paper's."
)
OTHER_CLASSES = (
    "The paper's rows are left out: its Table 1 is of PASCAL VOC 2012, and this run has other classes."
)


def main() -> None:
    arguments = parse_arguments(__doc__)
    classes = read_index(arguments.index).classes
    rows = arguments.settings["rows"]
    files = [run_scores(row["scores"], "val", classes) for row in rows]
    write_table(arguments, ablation(rows, files, classes))


def ablation(rows: Sequence[Mapping], files: Sequence[ScoreFile | None], classes: Sequence[str]) -> Table:
    """Return the table: for each of `rows` the paper's row, where it is to be compared with, and ours.

    Raises TagsegError where the scores are of different photographs.
    """
    check_same_photographs(files)
    comparable = set(classes) == set(voc_classes())
    lines = [line for pair in zip(rows, files, strict=True) for line in lines_of(*pair, classes, comparable)]
    sizes = other_sizes(files, VOC_PHOTOGRAPHS)
    return Table(
        "Segmentation of val by the features behind the proxy masks (the paper's Table 1): IoU in percent",
        ("features", "by", *classes, MEAN),
        tuple(lines),
        best=frozenset((*classes, MEAN)),
        best_among=frozenset(number for number, line in enumerate(lines) if line[1] == TAGSEG),
        notes=(*((OF_THE_PAPER, *sizes) if comparable else (OTHER_CLASSES,)), *unscored(files)),
        grouped=True,
    )


def lines_of(
    row: Mapping, file: ScoreFile | None, classes: Sequence[str], comparable: bool
) -> list[tuple[Cell, ...]]:
    """Return the paper's line of a row, if there is one to compare with, and ours."""
    theirs = papers_row(row["paper"]) if comparable else None
    ours = (row["name"], TAGSEG, *cells_of(file, classes))
    if theirs is None:
        return [ours]
    return [(row["name"], PAPER, *(theirs.iou[name] for name in classes), theirs.miou), ours]


def papers_row(name: str | None) -> Features | None:
    """Return a row of the paper's table by its name in whatever case, None where the paper has none."""
    rows = {row.name.casefold(): row for row in table_1()}
    return rows.get(name.casefold()) if name else None


def check_same_photographs(files: Sequence[ScoreFile | None]) -> None:
    """Raise TagsegError where rows were scored over different numbers of photographs."""
    counts = sorted({file.scores.photographs for file in files if file is not None and file.known})
    if len(counts) > 1:
        raise TagsegError(
            f"the score files are over {counts[0]} and {counts[-1]} photographs; score the masks again"
        )


if __name__ == "__main__":
    commandline.run(main)
