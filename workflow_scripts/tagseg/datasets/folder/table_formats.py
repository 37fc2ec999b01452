"""The formats of a table of labels: CSV, tab-separated values, JSON lines."""

import ast
import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tagseg.datasets.paths import read_text
from tagseg.runtime.errors import TagsegError
from tagseg.storage.index import SEPARATOR

REQUIRED_COLUMNS = ("image", "labels")
COLUMNS = (*REQUIRED_COLUMNS, "split")
DELIMITERS = {".csv": (",", "commas"), ".tsv": ("\t", "tabs")}
JSON_LINES = (".jsonl", ".ndjson")
TABLE_REMEDY = f"write a table there with the columns image, labels (separated by {SEPARATOR}) and split"


@dataclass(frozen=True)
class Entry:
    """One line of a table, in any format; "" stands for an empty cell, `image` is None on a malformed line."""

    line: int
    image: str | None
    tags: frozenset[str] = frozenset()
    split: str = ""
    problems: tuple[str, ...] = ()


def read_entries(table: Path) -> list[Entry]:
    """Return the lines of a table in its order; the suffix decides on the format.

    Raises TagsegError if the table as a whole cannot be read: unknown suffix, missing, empty, not UTF-8, not CSV,
    unknown columns.
    """
    suffix = table.suffix.lower()
    if suffix not in (*DELIMITERS, *JSON_LINES):
        known = ", ".join((*DELIMITERS, *JSON_LINES))
        raise TagsegError(f"{table}: not a table of labels. Give it a name that ends in {known}.")
    text = read_text(table, TABLE_REMEDY)
    if suffix in JSON_LINES:
        entries = _read_json_lines(text)
    elif suffix == ".csv" and "," not in (head := text.partition("\n")[0]) and ";" in head:  # as Excel writes
        entries = _read_separated(table, text, ";", "semicolons")
    else:
        entries = _read_separated(table, text, *DELIMITERS[suffix])
    if not entries:
        raise TagsegError(f"{table}: no rows. Add one for each image.")
    return entries


def _read_separated(table: Path, text: str, delimiter: str, name: str) -> list[Entry]:
    # Without `strict`, one quote that is not closed would swallow all lines below it.
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        _check_columns(table, reader, delimiter, name)
        entries = [_separated_entry(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise TagsegError(f"{table}: after line {reader.line_num}: {error}. Correct the quotes.") from None
    return [entry for entry in entries if entry.image or entry.tags or entry.split or entry.problems]


def _check_columns(table: Path, reader: csv.DictReader, delimiter: str, name: str) -> None:
    """Raise TagsegError unless the columns are the known ones, in any order and case."""
    columns = [column.strip().lower() for column in reader.fieldnames or ()]
    reader.fieldnames = columns
    missing = [column for column in REQUIRED_COLUMNS if column not in columns]
    if missing:
        head = f"{delimiter.join(COLUMNS)!r} (split is optional), separated by {name}"
        remedy = f"Start with the line {head}; tables with one column per class are not supported."
        raise TagsegError(f"{table}: no column {missing[0]!r}. {remedy}")
    wrong = [column for column, count in Counter(columns).items() if column not in COLUMNS or count > 1]
    if wrong:
        raise TagsegError(f"{table}: column {wrong[0]!r} is unknown or occurs twice. Remove it.")


def _separated_entry(line: int, cells: Mapping[str | None, str | None]) -> Entry:
    image, labels, split = ((cells.get(column) or "").strip() for column in COLUMNS)
    surplus = f'more cells than columns. Write the labels into one cell with quotes: "dog{SEPARATOR}person".'
    return Entry(line, image, _tags(_labels(labels)), split, (surplus,) if None in cells else ())


def _labels(cell: str) -> list[str]:
    """Return the labels of a cell: separated, or a list as other programs write it."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return cell.split(SEPARATOR)
    try:
        return [str(label) for label in ast.literal_eval(cell)]
    except (ValueError, SyntaxError):  # not quoted: [dog, person]
        return cell[1:-1].split(",")


def _tags(labels: Iterable[str]) -> frozenset[str]:
    return frozenset(label.strip() for label in labels) - {""}


class _JsonRow(BaseModel):
    """One line of a .jsonl file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    image: str | None = None
    labels: list[str] | str | None = None
    split: str | None = None


def _read_json_lines(text: str) -> list[Entry]:
    """Return one entry per line; only a line feed ends a line, because JSON strings may hold other line ends."""
    lines = enumerate(text.split("\n"), start=1)
    return [_json_entry(line, content) for line, content in lines if content.strip()]


def _json_entry(line: int, text: str) -> Entry:
    try:
        row = _JsonRow.model_validate_json(text)
    except ValidationError as error:
        example = '{"image": "1.jpg", "labels": ["dog", "person"], "split": "train"}'
        problems = {f"{_key(one['loc'])}{one['msg']}. Write it like {example}." for one in error.errors()}
        return Entry(line, None, problems=tuple(sorted(problems)))
    labels = row.labels.split(SEPARATOR) if isinstance(row.labels, str) else row.labels or ()
    return Entry(line, (row.image or "").strip(), _tags(labels), (row.split or "").strip())


def _key(location: tuple[int | str, ...]) -> str:
    return f"{location[0]}: " if location else ""
