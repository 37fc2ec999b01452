"""The table `labels.csv`: reading and checking its rows, and dealing them to train and val."""

import csv
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from tagseg.datasets.common import read_text
from tagseg.errors import TagsegError
from tagseg.index import SEPARATOR, SPLITS

REQUIRED_COLUMNS = ("image", "labels")
COLUMNS = (*REQUIRED_COLUMNS, "split")

Problem = tuple[int, str]
"""Line number in the table, 0 for the table as a whole, and what to do about it."""


@dataclass(frozen=True)
class Row:
    """One line: the image's path relative to the folder, its tags, its split or "" for any."""

    line: int
    image: PurePosixPath
    tags: frozenset[str]
    split: str


def read_rows(table: Path) -> tuple[list[Row], list[Problem]]:
    """Return the good rows of a table and the problems of the others.

    Raises TagsegError where the table is missing, empty, no CSV in UTF-8, or has other columns.
    """
    remedy = "write a table there with the columns image, labels (separated by ;) and split"
    reader = csv.DictReader(io.StringIO(read_text(table, remedy), newline=""))
    try:
        _check_columns(table, reader)
        cells = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise TagsegError(f"{table}: below line {reader.line_num}: not CSV ({error}); mend it") from None
    if not cells:
        raise TagsegError(f"{table}: no row below the head; add one for each photograph")
    return _good_rows(cells)


def _check_columns(table: Path, reader: csv.DictReader) -> None:
    """Raise TagsegError unless the columns are those known, in any order; strip their names."""
    names = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    missing = [name for name in REQUIRED_COLUMNS if name not in names]
    if missing:
        raise TagsegError(
            f"{table}: no column {missing[0]!r}; the first line has to be image,labels,split (split "
            "is optional), separated by commas"
        )
    wrong = [name for name in names if name not in COLUMNS or names.count(name) > 1]
    if wrong:
        raise TagsegError(f"{table}: column {wrong[0]!r} is unknown or doubled; remove it")


def _good_rows(cells: Sequence[tuple[int, dict]]) -> tuple[list[Row], list[Problem]]:
    """Return the rows with a usable path, each image once, and all problems of all rows."""
    rows: dict[PurePosixPath, Row] = {}
    problems = []
    for line, row_cells in cells:
        row, wrong = _parse_row(line, row_cells)
        if row and row.image in rows:
            wrong.append(f"already in line {rows[row.image].line}; remove one of the two")
        elif row:
            rows[row.image] = row
        image = (row_cells["image"] or "").strip()
        problems += [(line, f"{image}: {text}" if image else text) for text in wrong]
    return list(rows.values()), problems


def _parse_row(line: int, cells: Mapping[str | None, str | None]) -> tuple[Row | None, list[str]]:
    """Return a line's row, None without a usable path, and what is wrong, with the remedy."""
    image = (cells.get("image") or "").strip()
    tags = frozenset(tag.strip() for tag in (cells.get("labels") or "").split(SEPARATOR)) - {""}
    split = (cells.get("split") or "").strip()
    wrong = [_wrong_path(image)] if _wrong_path(image) else []
    row = None if wrong else Row(line, PurePosixPath(image), tags, split)
    if None in cells:
        wrong.append(f"more cells than columns; separate labels by {SEPARATOR}, not by commas")
    if split and split not in SPLITS:
        wrong.append(f"split {split!r} is none of {', '.join(SPLITS)}; mend it or leave it empty")
    if not tags and split != "test":  # nothing learns from the tags of test photographs
        wrong.append("no tag; name what is on the photograph or remove the row")
    return row, wrong


def _wrong_path(image: str) -> str:
    """Return what is wrong with an image's path, or "" for nothing."""
    if not image or PurePosixPath(image) == PurePosixPath("."):
        return "no path; name the image's file"
    if "\0" in image:
        return "the path holds a null sign; remove it"
    if PurePosixPath(image).is_absolute() or PureWindowsPath(image).drive:
        return "an absolute path; write it relative to the folder of the photographs"
    if ".." in PurePosixPath(image).parts:
        return "the path leaves the folder by ..; move the image into the folder"
    return "" if "\\" not in image else "the path holds \\; write / between folders"


def check_tags(rows: Sequence[Row], names: Sequence[str], remedy: str) -> list[Problem]:
    """Return a problem for each tag that is not among the class names."""
    known = set(names)
    return [
        (row.line, f"{row.image}: class {tag!r} is not in the class list; {remedy}")
        for row in rows
        for tag in sorted(row.tags - known)
    ]


def choose_splits(rows: Sequence[Row], random_seed: int, val_share: float) -> list[str]:
    """Return the split of each row: its own, else train or val, fairly for each class.

    A photograph counts for the rarest of its classes. Of those that count for a class, the share
    `val_share` with the smallest hash of (seed, path) goes to val, so that the order of the rows is
    of no account. What a class needs to be present in train is taken back from val.
    """
    splits = {row.image: row.split for row in rows}
    for group in _by_rarest_tag([row for row in rows if not row.split]).values():
        group.sort(key=lambda row: _hash(random_seed, row.image))
        to_val = min(round(val_share * len(group)), len(group) - 1)
        for rank, row in enumerate(group):
            splits[row.image] = "val" if rank < to_val else "train"
    _fill_train(rows, splits, random_seed)
    return [splits[row.image] for row in rows]


def _by_rarest_tag(rows: Sequence[Row]) -> dict[str, list[Row]]:
    counts = Counter(tag for row in rows for tag in row.tags)
    groups = defaultdict(list)
    for row in rows:
        groups[min(row.tags, key=lambda tag: (counts[tag], tag), default="")].append(row)
    return groups


def _hash(random_seed: int, image: PurePosixPath) -> str:
    text = f"{random_seed}\n{image}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()


def _fill_train(rows: Sequence[Row], splits: dict[PurePosixPath, str], random_seed: int) -> None:
    """Move one photograph, of those dealt to val, to train for each class that train lacks."""
    dealt = sorted((row for row in rows if not row.split), key=lambda row: str(row.image))
    for tag in sorted({tag for row in dealt for tag in row.tags}):
        if any(tag in row.tags and splits[row.image] == "train" for row in rows):
            continue
        carriers = [row.image for row in dealt if tag in row.tags]
        splits[max(carriers, key=lambda image: _hash(random_seed, image))] = "train"
