"""Small tables of scores: Markdown for people, CSV for programs, LaTeX for papers."""

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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


MANY_COLUMNS = 12
"""With more, the header of a LaTeX table is turned, so that the columns are as narrow as their numbers."""


@dataclass(frozen=True)
class Table:
    """A title, a header and rows of as many cells; None and nan are empty cells.

    Floats are written with as many decimals as `decimals` names for their column, or else with 1;
    integers and text as they are. `best` names the columns whose largest number is set in bold, of all
    rows or of those in `best_among`, by number; `notes` are lines below the table, in which `so` marks
    code; CSV has neither. Rows of one first cell in a run are a group where `grouped`: LaTeX rules it off
    and says the cell once. Raises ValueError where a row is too long or short.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    decimals: Mapping[str, int] = field(default_factory=dict)
    best: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    best_among: frozenset[int] | None = None
    grouped: bool = False

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
    """Return a table as Markdown: heading, pipe table (text to the left, numbers to the right), notes."""
    text = [[_escape(cell) for cell in row] for row in table.text()]
    for row, column in _best_cells(table):
        text[row][column] = f"**{text[row][column]}**"
    rule = [":--" if is_text else "--:" for is_text in _text_columns(table)]
    lines = [f"| {' | '.join(row)} |" for row in ([_escape(name) for name in table.header], rule, *text)]
    notes = "".join(f"\n{note}\n" for note in table.notes)
    return f"# {_escape(table.title)}\n\n" + "\n".join(lines) + "\n" + notes


def _escape(text: str) -> str:
    """Keep the signs of a name from being read as marks."""
    for sign in "\\|*_`<[":
        text = text.replace(sign, f"\\{sign}")
    return text


def _text_columns(table: Table) -> list[bool]:
    """Return for each column whether it is of text: the first one is, and any that holds some."""
    columns = [[row[column] for row in table.rows] for column in range(len(table.header))]
    return [not n or any(isinstance(cell, str) for cell in column) for n, column in enumerate(columns)]


def _best_cells(table: Table) -> Iterable[tuple[int, int]]:
    """Yield (row, column) of the largest number of each column in `best`; what is written alike ties.

    A column with a single number has no best one; nor has one of text, whose name a class may share.
    """
    text = table.text()
    rows = [row for row in range(len(text)) if table.best_among is None or row in table.best_among]
    texts = _text_columns(table)
    for column in (n for n, name in enumerate(table.header) if name in table.best and not texts[n]):
        numbers = {row: float(text[row][column]) for row in rows if text[row][column]}
        if len(numbers) > 1:
            yield from ((row, column) for row in numbers if numbers[row] == max(numbers.values()))


def latex(table: Table, halves: int = 1) -> str:
    """Return a table as a float of LaTeX, with the rules of booktabs, no wider than the line.

    With `halves` 2 the second half of the rows stands beside the first, for long tables. Signs that TeX
    reads as its own are escaped; letters beyond Latin's want LuaLaTeX or XeLaTeX.
    """
    length = math.ceil(len(table.rows) / halves)
    parts = [range(len(table.rows))[half * length :][:length] for half in range(halves)]
    lines = (
        "% wants \\usepackage{booktabs} and \\usepackage{adjustbox}",
        "\\begin{table}[htbp]",
        "\\centering",
        f"\\caption{{{_tex(table.title)}}}",
        "\\begin{adjustbox}{max width=\\linewidth}",
        "\\quad\n".join("\n".join(_tabular(table, rows)) for rows in parts),
        "\\end{adjustbox}",
        *(f"\\par\\smallskip{{\\footnotesize\\raggedright {_tex_note(note)}\\par}}" for note in table.notes),
        "\\end{table}",
    )
    return "\n".join(lines) + "\n"


def _tabular(table: Table, rows: range) -> Iterator[str]:
    """Yield the lines of a tabular of some of the rows, under the header."""
    kinds = "".join("l" if is_text else "r" for is_text in _text_columns(table))
    cells, starts = _tex_cells(table), _group_starts(table)
    yield from (f"\\begin{{tabular}}[t]{{{kinds}}}", "\\toprule")
    yield from (_tex_line(_tex_header(table)), "\\midrule")
    for row in rows:
        new = row in starts and row != rows[0]
        said = not table.grouped or row in starts or row == rows[0]
        yield from (f"\\cmidrule(lr){{1-{len(kinds)}}}",) if new else ()
        yield _tex_line(cells[row] if said else ["", *cells[row][1:]])
    yield from ("\\bottomrule", "\\end{tabular}")


def _tex_header(table: Table) -> list[str]:
    """Return the names of the columns; where there are many, those above numbers stand upright."""
    upright = [len(table.header) > MANY_COLUMNS and not is_text for is_text in _text_columns(table)]
    names = zip(map(_tex, table.header), upright, strict=True)
    return [f"\\rotatebox{{90}}{{{name}}}" if turned else name for name, turned in names]


def _group_starts(table: Table) -> set[int]:
    """Return the numbers of the rows whose first cell is another than that of the row above."""
    firsts = [row[0] for row in table.rows] if table.grouped else []
    return {row for row, first in enumerate(firsts) if not row or first != firsts[row - 1]}


def _tex_cells(table: Table) -> list[list[str]]:
    """Return the cells of the rows, escaped, the best in bold."""
    cells = [[_tex(cell) for cell in row] for row in table.text()]
    for row, column in _best_cells(table):
        cells[row][column] = f"\\textbf{{{cells[row][column]}}}"
    return cells


def _tex_line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + " \\\\"


# A bracket or an asterisk that opens a line would be read as an option of the line break before it.
_TEX_SIGNS = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        **{sign: f"{{{sign}}}" for sign in "[*"},
        "\\": "\\textbackslash{}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "<": "\\textless{}",
        ">": "\\textgreater{}",
        "|": "\\textbar{}",
        "`": "\\textasciigrave{}",
        '"': "\\char34{}",
    }
)


def _tex(text: str) -> str:
    """Return text as TeX prints it sign by sign; line breaks and the like become spaces."""
    return re.sub(r"\s+", " ", text).translate(_TEX_SIGNS)


def _tex_note(note: str) -> str:
    """Return a note in which `so` marks code."""
    parts = re.split(r"`([^`]*)`", note)
    return "".join(f"\\texttt{{{_tex(part)}}}" if n % 2 else _tex(part) for n, part in enumerate(parts))


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


def write_latex(path: str | Path, table: Table, halves: int = 1) -> None:
    """Write a table as LaTeX in UTF-8, atomically; see `latex`."""
    _write(path, latex(table, halves))


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
