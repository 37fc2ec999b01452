"""Tables: Markdown for people, CSV and JSON for programs, LaTeX for papers."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_file

Cell = str | int | float | None

MANY_COLUMNS = 12
"""With more columns, LaTeX rotates the header, so that the columns are as narrow as their numbers."""


@dataclass(frozen=True)
class Table:
    """A title, a header and rows; None and nan are empty cells.

    Floats have as many digits as `decimals` gives for their column, 1 by default. The largest number of each
    column in `best` is bold: of all rows, or of the rows `best_among`. `notes` stand below the table, with
    code in `backticks`. If `grouped`, rows with the same first cell are a group, which LaTeX rules off.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    decimals: Mapping[str, int] = field(default_factory=dict)
    best: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    best_among: frozenset[int] | None = None
    grouped: bool = False

    def text(self) -> list[list[str]]:
        """Return the formatted cells of the rows."""
        digits = [self.decimals.get(name, 1) for name in self.header]
        return [[_text(*pair) for pair in zip(row, digits, strict=True)] for row in self.rows]

    def text_columns(self) -> list[bool]:
        """Return for each column whether it is text: the first one is, and each that holds a string."""
        columns = [[row[column] for row in self.rows] for column in range(len(self.header))]
        return [not n or any(isinstance(cell, str) for cell in column) for n, column in enumerate(columns)]

    def best_cells(self) -> Iterator[tuple[int, int]]:
        """Yield (row, column) of the largest number of each column in `best`, ties included.

        A column of text or with a single number has no best cell.
        """
        text, is_text = self.text(), self.text_columns()
        rows = range(len(text)) if self.best_among is None else self.best_among
        for column, name in enumerate(self.header):
            if name in self.best and not is_text[column]:
                numbers = {row: float(text[row][column]) for row in rows if text[row][column]}
                if len(numbers) > 1:
                    largest = max(numbers.values())
                    yield from ((row, column) for row in sorted(numbers) if numbers[row] == largest)


def _text(cell: Cell, digits: int) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    # Adding 0.0 turns the -0.0 of rounding into 0.0.
    return f"{round(cell, digits) + 0.0:.{digits}f}" if isinstance(cell, float) else str(cell)


def markdown(table: Table) -> str:
    """Return a table as Markdown: heading, pipe table, notes."""
    text = [[_escape(cell) for cell in row] for row in table.text()]
    for row, column in table.best_cells():
        text[row][column] = f"**{text[row][column]}**"
    rule = [":--" if is_text else "--:" for is_text in table.text_columns()]
    lines = [f"| {' | '.join(row)} |" for row in ([_escape(name) for name in table.header], rule, *text)]
    notes = "".join(f"\n{note}\n" for note in table.notes)
    return f"# {_escape(table.title)}\n\n" + "\n".join(lines) + "\n" + notes


def _escape(text: str) -> str:
    return re.sub(r"([\\|*_`<\[])", r"\\\1", text)


def csv_text(table: Table) -> str:
    """Return header and formatted rows as CSV."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([table.header, *table.text()])
    return stream.getvalue()


def latex(table: Table) -> str:
    """Return a table as a LaTeX float (packages booktabs and adjustbox), no larger than the page.

    All of TeX's special characters are escaped; letters beyond Latin need LuaLaTeX or XeLaTeX.
    """
    is_text, cells = table.text_columns(), [[_tex(cell) for cell in row] for row in table.text()]
    for row, column in table.best_cells():
        cells[row][column] = f"\\textbf{{{cells[row][column]}}}"
    header = [_tex(name) for name in table.header]
    if len(header) > MANY_COLUMNS:
        header = [name if text else f"\\rotatebox{{90}}{{{name}}}" for name, text in zip(header, is_text, strict=True)]
    lines = [
        "% needs \\usepackage{booktabs} and \\usepackage{adjustbox}\n\\begin{table}[htbp]\n\\centering",
        f"\\caption{{{_tex(table.title)}}}",
        "\\begin{adjustbox}{max width=\\linewidth, max totalheight=0.85\\textheight}",
        f"\\begin{{tabular}}{{{''.join('l' if text else 'r' for text in is_text)}}}",
        f"\\toprule\n{' & '.join(header)} \\\\\n\\midrule",
    ]
    for number, words in enumerate(cells):
        same_group = bool(number) and table.rows[number][0] == table.rows[number - 1][0]
        if table.grouped and number and not same_group:
            lines.append("\\midrule")
        lines.append(" & ".join(["", *words[1:]] if table.grouped and same_group else words) + " \\\\")
    lines.append("\\bottomrule\n\\end{tabular}\n\\end{adjustbox}")
    lines += [f"\\par\\smallskip{{\\footnotesize\\raggedright {_tex_note(note)}\\par}}" for note in table.notes]
    return "\n".join([*lines, "\\end{table}"]) + "\n"


def _tex_note(text: str) -> str:
    """Return a note with its `code` in a typewriter font."""
    parts = enumerate(text.split("`"))
    return "".join(f"\\texttt{{{_tex(part)}}}" if number % 2 else _tex(part) for number, part in parts)


# At the start of a line, TeX would read a bracket or an asterisk as an option of the line break before it.
_TEX = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {sign: f"{{{sign}}}" for sign in "[*"}
_TEX |= {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", '"': "\\char34{}"}
_TEX |= {"<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", "`": "\\textasciigrave{}"}


def _tex(text: str) -> str:
    """Return text as TeX prints it character by character; line breaks become spaces."""
    return re.sub(r"\s+", " ", text).translate({ord(sign): tex for sign, tex in _TEX.items()})


def json_text(table: Table) -> str:
    """Return a table as JSON, with its sets in ascending order: equal tables give equal bytes."""
    content = json.loads(TypeAdapter(Table).dump_json(table))
    content |= {key: sorted(content[key]) for key in ("best", "best_among") if content[key]}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


FORMATS: Mapping[str, Callable[[Table], str]] = {
    "markdown": markdown,
    "csv": csv_text,
    "json": json_text,
    "latex": latex,
}


def write_tables(table: Table, **paths: str | Path) -> None:
    """Write a table in some of the FORMATS, each atomically and in UTF-8."""
    for name, path in paths.items():
        with atomic_file(path) as aside:
            aside.write_text(FORMATS[name](table), encoding="utf-8", newline="")


def read_table(path: str | Path) -> Table:
    """Read a table that `write_tables` wrote as JSON. Raises TagsegError if it is missing or malformed."""
    try:
        return TypeAdapter(Table).validate_json(Path(path).read_bytes())
    except (OSError, ValidationError):
        raise TagsegError(f"{path}: missing, or not a table of tagseg. Delete it and run again.") from None
