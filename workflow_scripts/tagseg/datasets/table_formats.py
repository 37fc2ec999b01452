"""The files in which a table of labels may be written: CSV, tab-separated values, JSON lines."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tagseg.datasets.places import read_text
from tagseg.errors import TagsegError
from tagseg.index import SEPARATOR

REQUIRED_COLUMNS = ("image", "labels")
COLUMNS = (*REQUIRED_COLUMNS, "split")

_EXAMPLE = '["dog", "person"]'
TABLE_REMEDY = f"write a table there with the columns image, labels (separated by {SEPARATOR}) and split"


@dataclass(frozen=True)
class Entry:
    """One line of a table, whatever its format, and what is `wrong` with how it is written.

    Texts are without blanks around them and "" where nothing is given; None stands for what is told in
    `wrong` already, so that nobody needs to complain of it again.
    """

    line: int
    image: str | None
    tags: frozenset[str] | None
    split: str | None
    wrong: tuple[str, ...] = ()


def read_entries(table: Path) -> list[Entry]:
    """Return the lines of a table, in its order; the suffix says how it is written.

    Raises TagsegError where the table as a whole cannot be read: another suffix, missing, empty, not
    UTF-8, no CSV, or other columns.
    """
    reader = _READERS.get(table.suffix.lower())
    if reader is None:
        raise TagsegError(f"{table}: no table of labels; its name has to end in {', '.join(_READERS)}")
    entries = reader(table, read_text(table, TABLE_REMEDY))
    if not entries:
        raise TagsegError(f"{table}: no row in it; add one for each photograph")
    return entries


# Comma- and tab-separated values -----------------------------------------------------------------


def _read_csv(table: Path, text: str) -> list[Entry]:
    return _read_separated(table, text, ",", "commas")


def _read_tsv(table: Path, text: str) -> list[Entry]:
    return _read_separated(table, text, "\t", "tabs")


def _read_separated(table: Path, text: str, delimiter: str, spoken: str) -> list[Entry]:
    # Without `strict`, one quote that is not closed would swallow all lines below it.
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        _check_columns(table, reader, delimiter, spoken)
        return [_separated_entry(reader.line_num, cells, spoken) for cells in reader]
    except csv.Error as error:
        kind = table.suffix[1:].upper()
        raise TagsegError(
            f"{table}: below line {reader.line_num}: not {kind} ({error}); mend the quotes"
        ) from None


def _check_columns(table: Path, reader: csv.DictReader, delimiter: str, spoken: str) -> None:
    """Raise TagsegError unless the columns are those known, in any order; strip their names."""
    names = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    missing = [name for name in REQUIRED_COLUMNS if name not in names]
    if missing:
        head = delimiter.join(COLUMNS)
        raise TagsegError(
            f"{table}: no column {missing[0]!r}; the first line has to be {head!r} (split is optional), "
            f"separated by {spoken}"
        )
    wrong = [name for name, count in Counter(names).items() if name not in COLUMNS or count > 1]
    if wrong:
        raise TagsegError(f"{table}: column {wrong[0]!r} is unknown or doubled; remove it")


def _separated_entry(line: int, cells: Mapping[str | None, str | None], spoken: str) -> Entry:
    image, labels, split = ((cells.get(name) or "").strip() for name in COLUMNS)
    more = f"more cells than columns; separate labels by {SEPARATOR}, not by {spoken}"
    return Entry(line, image, _tags(labels.split(SEPARATOR)), split, (more,) if None in cells else ())


def _tags(labels: Sequence[str]) -> frozenset[str]:
    return frozenset(label.strip() for label in labels) - {""}


# JSON lines --------------------------------------------------------------------------------------


def _read_json_lines(table: Path, text: str) -> list[Entry]:
    """Return an entry a line; only a line feed ends one, since JSON's texts may hold other line ends."""
    lines = enumerate(text.split("\n"), start=1)
    return [_json_entry(line, content) for line, content in lines if content.strip()]


def _json_entry(line: int, text: str) -> Entry:
    try:
        content = _load_object(text)
    except ValueError as error:
        return Entry(line, None, None, None, (f"{error}; write one JSON object a line",))
    wrong = [
        f"key {key!r} is unknown; known are {', '.join(COLUMNS)}" for key in content if key not in COLUMNS
    ]
    image = _text(content, "image", wrong)
    split = _text(content, "split", wrong)
    return Entry(line, image, _json_tags(content, wrong), split, tuple(wrong))


def _load_object(text: str) -> dict:
    """Return the object that a line holds. Raises ValueError, its text for the user, where it holds none."""
    try:
        # A number is wrong everywhere; as floats, those of a million digits do no harm.
        content = json.loads(
            text, object_pairs_hook=_without_doubles, parse_constant=_refuse_constant, parse_int=float
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg} at column {error.colno})") from None
    except RecursionError:
        raise ValueError("not JSON that can be read (nested too deeply)") from None
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    return content


def _without_doubles(pairs: Sequence[tuple[str, object]]) -> dict:
    content = dict(pairs)
    if len(content) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        doubled = next(key for key, count in counts.items() if count > 1)
        raise ValueError(f"key {doubled!r} comes twice")
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"not JSON ({name})")


def _text(content: Mapping, key: str, wrong: list[str]) -> str | None:
    """Return a value without blanks around it; what is not a string is told in `wrong`."""
    value = content.get(key)
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    wrong.append(f"{key!r} has to be a string in quotes; mend it")
    return None


def _json_tags(content: Mapping, wrong: list[str]) -> frozenset[str] | None:
    value = content.get("labels")
    if value is None:
        return frozenset()
    labels = value.split(SEPARATOR) if isinstance(value, str) else value
    if isinstance(labels, list) and all(isinstance(label, str) for label in labels):
        return _tags(labels)
    wrong.append(f"'labels' has to be a list of strings, like {_EXAMPLE}; mend it")
    return None


_READERS: dict[str, Callable[[Path, str], list[Entry]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}
