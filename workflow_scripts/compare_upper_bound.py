"""Set the final network, trained on tags alone, beside the same one trained on true masks."""

import argparse

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.tables import Cell, ScoreFile, Table, known, missing_masks, read_scores, write_csv, write_markdown

OURS, TRUTH, RATIO = "tags alone", "true masks", "ratio"

LEARNT_FROM = (
    "Full supervision learns from the photographs of train that have a true mask, in as many steps as ours. "
    "Where those are but a part (VOC's 1,464 of trainaug's 10,582, unless `dataset.sbd_masks` is true), a "
    "network that learns from masks of all would be better."
)


def main() -> None:
    arguments = parse_arguments()
    table = comparison(read_scores(arguments.ours), read_scores(arguments.truth))
    write_markdown(arguments.markdown, table)
    write_csv(arguments.csv, table)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", required=True, metavar="FILE", help="scores of the final network, JSON")
    parser.add_argument("--truth", required=True, metavar="FILE", help="of the one trained on true masks")
    for name in ("--markdown", "--csv"):
        parser.add_argument(name, required=True, metavar="FILE", help="output")
    return parser.parse_args()


def comparison(ours: ScoreFile, truth: ScoreFile) -> Table:
    """Return a row a class, then the mean. Raises TagsegError where the files are of different classes."""
    if tuple(ours.scores.iou) != tuple(truth.scores.iou) or ours.split != truth.split:
        raise TagsegError("the score files are of different classes or splits; score the masks again")
    rows = [
        row_of(name, *known(ours, ours.scores.iou[name]), *known(truth, truth.scores.iou[name]))
        for name in ours.scores.iou
    ]
    mean = row_of("mean", *known(ours, ours.scores.miou), *known(truth, truth.scores.miou))
    return Table(
        f"Against full supervision, {ours.split}: IoU in percent ({ours.scores.photographs} photographs)",
        ("class", OURS, TRUTH, RATIO),
        (*rows, mean),
        decimals={RATIO: 3},
        notes=(LEARNT_FROM, *missing_masks([ours, truth])),
    )


def row_of(name: str, ours: float | None, truth: float | None) -> tuple[Cell, ...]:
    """Return a row; the ratio is empty where the class does not occur or full supervision misses it."""
    return (name, ours, truth, ours / truth if ours is not None and truth else None)


if __name__ == "__main__":
    commandline.run(main)
