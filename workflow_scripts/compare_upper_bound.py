"""Compare the final network, trained on tags alone, with the same one trained on ground truth."""

from pathlib import Path

import numpy as np

from tagseg.evaluation.scores import ScoreFile, missing_masks, read_scores
from tagseg.evaluation.tables import Cell, Table, write_tables
from tagseg.runtime import commandline

NOTE = (
    "Full supervision learns from the images of train with ground truth, in as many steps as ours. If these "
    "are a part (VOC's 1,464 of trainaug's 10,582, unless `dataset.sbd_masks` is true), a network trained on "
    "masks of all images would be better."
)


@commandline.command
def main(ours: Path, truth: Path, markdown: Path, csv: Path, json: Path) -> None:
    table = comparison(read_scores(ours), read_scores(truth))
    write_tables(table, markdown=markdown, csv=csv, json=json)


def comparison(ours: ScoreFile, truth: ScoreFile) -> Table:
    """Return one row per class, then the mean of the classes that both networks have an IoU of."""
    columns = [dict(file.scores.iou) if file.known else {} for file in (ours, truth)]
    rows = [row_of(name, *(one.get(name) for one in columns)) for name in ours.scores.iou]
    both = [row for row in rows if row[1] is not None and row[2] is not None]
    means = (float(np.mean([row[column] for row in both])) if both else None for column in (1, 2))
    return Table(
        f"Against full supervision, {ours.split}: IoU in percent ({ours.scores.images} images)",
        ("class", "tags alone", "ground truth", "ratio"),
        (*rows, row_of("mean", *means)),
        decimals={"ratio": 3},
        notes=(NOTE, *note_of_single(rows, both), *missing_masks([ours, truth])),
    )


def note_of_single(rows: list[tuple[Cell, ...]], both: list[tuple[Cell, ...]]) -> list[str]:
    """Return a note on classes without ground truth that one network predicts: its IoU is 0, the other's none."""
    single = [str(row[0]) for row in rows if row not in both and (row[1] is not None or row[2] is not None)]
    return [f"The mean is without {', '.join(single)}, for lack of ground truth."] if both and single else []


def row_of(name: str, ours: float | None, truth: float | None) -> tuple[Cell, ...]:
    """Return a row; the ratio is empty if the class does not occur or full supervision misses it."""
    return (name, ours, truth, ours / truth if ours is not None and truth else None)


if __name__ == "__main__":
    commandline.run(main)
