"""The formats of a table of labels: CSV with any usual delimiter, one column per class, JSON lines."""

import ast
import codecs
import csv
import difflib
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tagseg.datasets.paths import read_bytes
from tagseg.runtime.errors import TagsegError
from tagseg.storage.index import SEPARATOR

NAMES = {
    "image": ("image", "images", "filename", "file_name", "file", "path"),
    "labels": ("labels", "label", "tags", "tag", "classes", "class"),
    "split": ("split", "set", "subset"),
}
"""The columns, and the names that other programs give them."""

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
JSON_LINES = (".jsonl", ".ndjson")
SEPARATED = (".csv", ".tsv", ".txt")
TABLE_REMEDY = f"write a table there with the columns image, labels (separated by {SEPARATOR}) and split"
_FLAGS = {"": False, "0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


@dataclass(frozen=True)
class Entry:
    """One line of a table, in any format; "" stands for an empty cell, `image` is None on a malformed line."""

    line: int
    image: str | None
    tags: frozenset[str] = frozenset()
    split: str = ""
    problems: tuple[str, ...] = ()


def read_entries(table: Path, notes: list[str]) -> list[Entry]:
    """Return the lines of a table in its order; the suffix decides on the format.

    `notes` collects what was assumed. Raises TagsegError if the table as a whole cannot be read: unknown suffix,
    missing, empty, not text, not CSV, no column of images or labels.
    """
    suffix = table.suffix.lower()
    if suffix not in (*SEPARATED, *JSON_LINES):
        known = ", ".join((*SEPARATED, *JSON_LINES))
        raise TagsegError(f"{table}: not a table of labels. Give it a name that ends in {known}.")
    text = _decoded(table, notes)
    entries = _read_json_lines(text) if suffix in JSON_LINES else _read_separated(table, text, notes)
    if not entries:
        raise TagsegError(f"{table}: no rows. Add one for each image.")
    return entries


def _decoded(table: Path, notes: list[str]) -> str:
    """Return the text of a table: by its byte order mark, else UTF-8, else Windows' cp1252."""
    content = read_bytes(table, TABLE_REMEDY)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        if encoding == "cp1252":
            notes.append(f"{table.name}: not UTF-8, read as cp1252 (Windows)")
        return text
    raise TagsegError(f"{table}: not a text in UTF-8, UTF-16 or cp1252. Save it again in UTF-8.")


def _read_separated(table: Path, text: str, notes: list[str]) -> list[Entry]:
    delimiter = _delimiter(text)
    # Without `strict`, one quote that is not closed would swallow all lines below it.
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        heads = [head.strip() for head in reader.fieldnames or ()]
        reader.fieldnames = [str(number) for number in range(len(heads))]
        lines = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise TagsegError(f"{table}: after line {reader.line_num}: {error}. Correct the quotes.") from None
    filled = [(line, cells) for line, cells in lines if any((cell or "").strip() for cell in _texts(cells))]
    columns = _columns(table, heads, delimiter)
    if "labels" in columns:
        flags: dict[str, str] = {}
        ignored = [head for number, head in enumerate(heads) if number not in columns.values() and head]
    else:
        flags, ignored = _class_columns(table, heads, columns, [cells for _, cells in filled], delimiter)
    if ignored:
        notes.append(f"{table.name}: ignored columns: {', '.join(ignored)}")
    return [_separated_entry(line, cells, columns, flags) for line, cells in filled]


def _texts(cells: Mapping[str | None, str | list[str] | None]) -> Iterable[str]:
    """Yield the cells of a row, surplus ones too."""
    for cell in cells.values():
        yield from cell if isinstance(cell, list) else [cell or ""]


def _delimiter(text: str) -> str:
    """Return the delimiter of the first line that is not empty; a comma if it has none."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    counts = Counter({sign: head.count(sign) for sign in DELIMITERS})
    return max(DELIMITERS, key=lambda sign: counts[sign])


def _columns(table: Path, heads: Sequence[str], delimiter: str) -> dict[str, int]:
    """Return the position of each known column. Raises TagsegError if it is missing, doubtful or doubled."""
    columns: dict[str, int] = {}
    lower = [head.lower() for head in heads]
    for column, names in NAMES.items():
        found = [number for number, head in enumerate(lower) if head in names]
        exact = [number for number in found if lower[number] == column]
        if len(exact or found) > 1:
            raise TagsegError(f"{table}: columns {' and '.join(heads[n] for n in found)} are both {column}. Keep one.")
        if found:
            columns[column] = (exact or found)[0]
    if "image" not in columns:
        raise TagsegError(f"{table}: no column 'image'. Start with the line {_header(delimiter)}.")
    for number, head in enumerate(lower):
        near = difflib.get_close_matches(head, NAMES, 1, 0.8)
        if number not in columns.values() and near and near[0] not in columns:
            raise TagsegError(f"{table}: column {heads[number]!r} is unknown. Write {near[0]!r}, or another name.")
    return columns


def _header(delimiter: str) -> str:
    return f"{delimiter.join(NAMES)!r} (split is optional), separated by {DELIMITERS[delimiter]}"


def _class_columns(
    table: Path, heads: Sequence[str], columns: Mapping[str, int], rows: Sequence[Mapping], delimiter: str
) -> tuple[dict[str, str], list[str]]:
    """Return the classes that have a column of 0 and 1, by position, and the other columns.

    Raises TagsegError if there is none.
    """
    others = [number for number in range(len(heads)) if number not in columns.values()]
    values = {number: {(row.get(str(number)) or "").strip().lower() for row in rows} for number in others}
    flags = {
        str(n): heads[n] for n in others if heads[n] and values[n] <= _FLAGS.keys() and any(map(_FLAGS.get, values[n]))
    }
    if not flags:
        remedy = f"Start with the line {_header(delimiter)}, or with one column of 0 and 1 per class."
        raise TagsegError(f"{table}: no column 'labels'. {remedy}")
    return flags, [heads[number] for number in others if str(number) not in flags and heads[number]]


def _separated_entry(
    line: int, cells: Mapping[str | None, str | None], columns: Mapping[str, int], flags: Mapping[str, str]
) -> Entry:
    image, labels, split = ((cells.get(str(columns.get(name))) or "").strip() for name in NAMES)
    marked = [name for number, name in flags.items() if _FLAGS[(cells.get(number) or "").strip().lower()]]
    surplus = f'more cells than columns. Write the labels into one cell with quotes: "dog{SEPARATOR}person".'
    return Entry(line, image, _tags([*_labels(labels), *marked]), split, (surplus,) if None in cells else ())


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
