"""The numbers of the paper's tables, as data: what our own stand beside.

W. Luo, M. Yang, "Learning Saliency-Free Model with Generic Features for Weakly-Supervised Semantic
Segmentation", AAAI 2020: its Tables 1 to 3, in `table1.csv` to `table3.csv` beside this file. IoU in percent,
as printed; what the paper leaves empty is empty. Classes have the names of their data sets (VOC's aeroplane
for the paper's plane, COCO's hair drier for its hair dryer), and what it calls "Ours" is Luo & Yang.
`docs/paper.md` says what is odd in these numbers.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tagseg.errors import TagsegError

VOC_PHOTOGRAPHS = {"val": 1449, "test": 1456}
"""Photographs behind the numbers of Tables 1 and 2 by split: those of VOC 2012's segmentation task."""

COCO_VAL_PHOTOGRAPHS = 5000
"""Photographs behind the numbers of Table 3."""

TRAINAUG_PHOTOGRAPHS = 10_582
"""What Table 2 calls 10k."""

WITH_LABELS_ALONE = "class labels"
"""The group of Table 2 that the paper's method belongs to."""

MEAN = "mean IoU"
"""The last row of Table 3, in the column of the categories."""

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Features:
    """A row of Table 1: VOC 2012 val with proxy masks of one block; IoU in percent by class."""

    name: str
    iou: Mapping[str, float]
    miou: float


@dataclass(frozen=True)
class Method:
    """A row of Table 2: a method, what it learns from, and its mIoU in percent; None is not given."""

    supervision: str
    name: str
    reference: str
    train_set: str
    val: float | None
    test: float | None


@dataclass(frozen=True)
class CocoClass:
    """A row of Table 3: a class of COCO, and its IoU in percent by method; None is not given."""

    category: str
    name: str
    iou: Mapping[str, float | None]


@dataclass(frozen=True)
class CocoTable:
    """Table 3: the classes in COCO's order, background first, and the means that are printed below."""

    classes: tuple[CocoClass, ...]
    means: Mapping[str, float]


def table_1(path: str | Path = FOLDER / "table1.csv") -> tuple[Features, ...]:
    """Return the rows of Table 1. Raises TagsegError where the file is missing or malformed."""
    rows = _read(path, ("features", "background", "mIoU"))
    return tuple(_features(path, row) for row in rows)


def _features(path: str | Path, row: Mapping[str, str]) -> Features:
    iou = {name: _known(path, text) for name, text in row.items() if name not in ("features", "mIoU")}
    return Features(row["features"], iou, _known(path, row["mIoU"]))


def table_2(path: str | Path = FOLDER / "table2.csv") -> tuple[Method, ...]:
    """Return the rows of Table 2. Raises TagsegError where the file is missing or malformed."""
    texts = ("supervision", "method", "reference", "train_set")
    rows = _read(path, (*texts, "val", "test"))
    numbers = [[_percent(path, row[split]) for split in ("val", "test")] for row in rows]
    return tuple(Method(*(row[key] for key in texts), *pair) for row, pair in zip(rows, numbers, strict=True))


def table_3(path: str | Path = FOLDER / "table3.csv") -> CocoTable:
    """Return Table 3. Raises TagsegError where the file is missing or malformed."""
    *rows, last = _read(path, ("category", "class", "SEC", "DSRG", "Luo & Yang"))
    methods = [name for name in last if name not in ("category", "class")]
    if last["category"] != MEAN:
        raise _malformed(path, f"the last row is of {last['category']!r}, not of {MEAN!r}")
    classes = (
        CocoClass(row["category"], row["class"], {name: _percent(path, row[name]) for name in methods})
        for row in rows
    )
    return CocoTable(tuple(classes), {name: _known(path, last[name]) for name in methods})


def voc_classes() -> tuple[str, ...]:
    """Return the 21 classes of Tables 1 and 2, background first."""
    return tuple(table_1()[0].iou)


def coco_classes() -> tuple[str, ...]:
    """Return the 81 classes of Table 3, background first."""
    return tuple(row.name for row in table_3().classes)


def _read(path: str | Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a table, at least one, each with as many cells as the header."""
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, ValueError, csv.Error) as error:
        raise _malformed(path, str(error)) from None
    if not rows or not set(columns) <= rows[0].keys():
        raise _malformed(path, f"no rows, or not the columns {', '.join(columns)}")
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise _malformed(path, f"row {number} has cells too many or too few")
    return rows


def _known(path: str | Path, text: str) -> float:
    """Return a percentage that has to be there."""
    number = _percent(path, text)
    if number is None:
        raise _malformed(path, "an empty cell where the paper has a number")
    return number


def _percent(path: str | Path, text: str) -> float | None:
    """Return a number from 0 to 100, None for an empty cell."""
    try:
        number = float(text) if text else None
    except ValueError:
        number = -1.0
    if number is not None and not 0 <= number <= 100:
        raise _malformed(path, f"{text!r} is no percentage")
    return number


def _malformed(path: str | Path, what: str) -> TagsegError:
    return TagsegError(f"{path}: {what}; restore the file from the repository")
