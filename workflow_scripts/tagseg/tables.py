"""Small tables of scores, written as Markdown for people and as CSV for programs."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tagseg.errors import TagsegError
from tagseg.files import atomic_file, read_json
from tagseg.metrics import Scores

Cell = str | int | float | None

NOTHING_TO_SCORE = (
    "There is nothing to score against: no photograph of {split} has a true mask. To add masks, put PNGs "
    "of the class numbers (background 0, void 255) at `SegmentationClass/<stem>.png` in the data set's "
    "folder and run again, which starts from the index. Nothing is learnt from them."
)
"""The line that stands below a table whose scores are empty for want of masks."""


@dataclass(frozen=True)
class Table:
    """A title, a header and rows of as many cells; None and nan are empty cells.

    Floats are written with as many decimals as `decimals` names for their column, or else with 1;
    integers and text as they are. `best` names the columns whose largest number is set in bold in
    Markdown; `notes` are lines below the table there. Raises ValueError where a row is too long or short.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    decimals: Mapping[str, int] = field(default_factory=dict)
    best: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"{row} has {len(row)} cells, the header {len(self.header)}")

    def text(self) -> list[list[str]]:
        """Return the cells of the rows as they are written, without marks of Markdown."""
        places = [self.decimals.get(name, 1) for name in self.header]
        return [[_text(*pair) for pair in zip(row, places, strict=True)] for row in self.rows]


def _text(cell: Cell, places: int) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    # Adding 0.0 turns the -0.0 that rounding can give into 0.0.
    return f"{round(cell, places) + 0.0:.{places}f}" if isinstance(cell, float) else str(cell)


def markdown(table: Table) -> str:
    """Return a table as Markdown: heading, pipe table (first column left, the others right), notes."""
    text = [[_escape(cell) for cell in row] for row in table.text()]
    for row, column in _best_cells(table):
        text[row][column] = f"**{text[row][column]}**"
    rule = [":--", *["--:"] * (len(table.header) - 1)]
    lines = [f"| {' | '.join(row)} |" for row in ([_escape(name) for name in table.header], rule, *text)]
    notes = "".join(f"\n{note}\n" for note in table.notes)
    return f"# {_escape(table.title)}\n\n" + "\n".join(lines) + "\n" + notes


def _escape(text: str) -> str:
    """Keep the signs of a name from being read as marks."""
    for sign in "\\|*_`<[":
        text = text.replace(sign, f"\\{sign}")
    return text


def _best_cells(table: Table) -> Iterable[tuple[int, int]]:
    """Yield (row, column) of the largest number of each column in `best`; what is written alike ties.

    A column with a single number has no best one.
    """
    columns = list(zip(*table.text(), strict=True))
    for column, name in enumerate(table.header if table.rows else ()):
        numbers = [float(text or "-inf") for text in columns[column]] if name in table.best else []
        if sum(np.isfinite(numbers)) > 1:
            yield from ((row, column) for row in np.flatnonzero(np.equal(numbers, max(numbers))))


def csv_text(table: Table) -> str:
    """Return header and rows as CSV, numbers as in Markdown; neither title nor notes."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([table.header, *table.text()])
    return stream.getvalue()


def write_markdown(path: str | Path, table: Table) -> None:
    """Write a table as Markdown, atomically."""
    _write(path, markdown(table))


def write_csv(path: str | Path, table: Table) -> None:
    """Write a table as CSV in UTF-8, atomically."""
    _write(path, csv_text(table))


def _write(path: str | Path, text: str) -> None:
    with atomic_file(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="")


@dataclass(frozen=True)
class ScoreFile:
    """The scores of a split's masks, as `score_masks` wrote them; of 0 photographs where none has masks."""

    split: str
    scores: Scores

    @property
    def known(self) -> bool:
        """Whether there was anything to score against."""
        return self.scores.photographs > 0


def read_scores(path: str | Path) -> ScoreFile:
    """Read a score file. Raises TagsegError where it is missing or malformed."""
    content = read_json(path)
    try:
        split = content.pop("split")
        content.pop("provenance", None)
        return ScoreFile(split, Scores(**content))
    except (KeyError, TypeError, AttributeError):
        raise TagsegError(f"{path}: not a score file; delete it and run again") from None


def known(file: ScoreFile, *cells: Cell) -> tuple[Cell, ...]:
    """Return the cells, or as many empty ones where there was nothing to score against."""
    return cells if file.known else (None,) * len(cells)


def missing_masks(files: Sequence[ScoreFile]) -> tuple[str, ...]:
    """Return a note for each split of which no photograph has a true mask."""
    splits = dict.fromkeys(file.split for file in files if not file.known)
    return tuple(NOTHING_TO_SCORE.format(split=split) for split in splits)
