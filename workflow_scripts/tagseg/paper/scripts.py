"""What the scripts of the paper's three tables share: the command line, the run's scores, the notes."""

import argparse
from collections.abc import Iterable, Sequence

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.tables import (
    Cell,
    ScoreFile,
    Table,
    known,
    missing_masks,
    read_scores,
    write_csv,
    write_latex,
    write_markdown,
)

NOT_RUN = (
    "Rows of tagseg without numbers were not run; `snakemake tables` with `tables.missing: run` trains what "
    "they need."
)
PAPER = "Luo & Yang"
TAGSEG = "tagseg"


def parse_arguments(description: str | None) -> argparse.Namespace:
    """Parse `--index FOLDER --settings JSON --markdown FILE --csv FILE --latex FILE`."""
    parser = commandline.parser(description)
    commandline.add_settings(parser)
    for name in ("--markdown", "--csv", "--latex"):
        parser.add_argument(name, required=True, metavar="FILE", help="output")
    return parser.parse_args()


def write_table(arguments: argparse.Namespace, table: Table, halves: int = 1) -> None:
    """Write a table in its three forms; in LaTeX with so many rows side by side."""
    write_markdown(arguments.markdown, table)
    write_csv(arguments.csv, table)
    write_latex(arguments.latex, table, halves)
    commandline.say(f"wrote {arguments.markdown}, {arguments.csv} and {arguments.latex}")


def run_scores(path: str | None, split: str, classes: Sequence[str]) -> ScoreFile | None:
    """Return a score file of the run, None where there is none (`path` null).

    Raises TagsegError where it is missing or malformed, or of another split or other classes.
    """
    if path is None:
        return None
    file = read_scores(path)
    if file.split != split or tuple(file.scores.iou) != tuple(classes):
        raise TagsegError(
            f"{path}: scores of {file.split}, {len(file.scores.iou)} classes, where those of {split} in the "
            f"index's {len(classes)} are wanted; score the masks again"
        )
    return file


def cells_of(file: ScoreFile | None, classes: Sequence[str]) -> tuple[Cell, ...]:
    """Return the IoU of each class and the mean, in percent; empty where nothing was run or scored."""
    if file is None:
        return (None,) * (len(classes) + 1)
    return known(file, *(file.scores.iou[name] for name in classes), file.scores.miou)


def unscored(files: Sequence[ScoreFile | None]) -> tuple[str, ...]:
    """Return the notes that say why cells of the run are empty."""
    there = [file for file in files if file is not None]
    return (*((NOT_RUN,) if len(there) < len(files) else ()), *missing_masks(there))


def other_sizes(files: Iterable[ScoreFile | None], photographs: dict[str, int]) -> tuple[str, ...]:
    """Return a note for each split that was scored over another number of photographs than the paper's."""
    scored = {(file.split, file.scores.photographs) for file in files if file is not None and file.known}
    return tuple(
        f"Not comparable: tagseg's numbers of {split} are over {count:,} photographs, the paper's over "
        f"{photographs[split]:,}."
        for split, count in sorted(scored)
        if count != photographs[split]
    )
