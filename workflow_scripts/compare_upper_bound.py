"""Compare the final network, trained on tags alone, with the same one trained on ground truth."""

import argparse

from tagseg.evaluation.scores import ScoreFile, missing_masks, read_scores
from tagseg.evaluation.tables import Cell, Table, add_outputs, outputs_of, write_tables
from tagseg.runtime import commandline

NOTE = (
    "Full supervision learns from the images of train with ground truth, in as many steps as ours. If these "
    "are a part (VOC's 1,464 of trainaug's 10,582, unless `dataset.sbd_masks` is true), a network trained on "
    "masks of all images would be better."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours", required=True, metavar="FILE", help="scores of the final network, JSON")
    parser.add_argument("--truth", required=True, metavar="FILE", help="of the one trained on ground truth")
    add_outputs(parser, "markdown", "csv", "json")
    arguments = parser.parse_args()
    table = comparison(read_scores(arguments.ours), read_scores(arguments.truth))
    write_tables(table, **outputs_of(arguments))


def comparison(ours: ScoreFile, truth: ScoreFile) -> Table:
    """Return one row per class, then the mean."""
    columns = [{**file.scores.iou, "mean": file.scores.miou} if file.known else {} for file in (ours, truth)]
    return Table(
        f"Against full supervision, {ours.split}: IoU in percent ({ours.scores.images} images)",
        ("class", "tags alone", "ground truth", "ratio"),
        tuple(row_of(name, *(one.get(name) for one in columns)) for name in (*ours.scores.iou, "mean")),
        decimals={"ratio": 3},
        notes=(NOTE, *missing_masks([ours, truth])),
    )


def row_of(name: str, ours: float | None, truth: float | None) -> tuple[Cell, ...]:
    """Return a row; the ratio is empty if the class does not occur or full supervision misses it."""
    return (name, ours, truth, ours / truth if ours is not None and truth else None)


if __name__ == "__main__":
    commandline.run(main)
