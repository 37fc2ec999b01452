"""The numbers of the paper's tables, in `table1.csv` to `table3.csv` beside this file.

W. Luo, M. Yang, "Learning Saliency-Free Model with Generic Features for Weakly-Supervised Semantic
Segmentation", AAAI 2020. IoU in percent, as printed; an empty cell is empty in the paper. Classes have the
names of their data sets. `docs/paper.md` lists the inconsistencies of these numbers.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VOC_IMAGES = {"val": 1449, "test": 1456}  # behind Tables 1 and 2
COCO_VAL_IMAGES = 5000  # behind Table 3
TRAINAUG_IMAGES = 10_582  # "10k" in Table 2
CLASS_LABELS = "class labels"  # the group of Table 2 with the paper's method
MEAN = "mean IoU"  # category of the last row of Table 3


@dataclass(frozen=True)
class Method:
    """A row of Table 2; mIoU in percent, None if the paper has none."""

    supervision: str
    method: str
    reference: str
    train_set: str
    val: float | None
    test: float | None


@dataclass(frozen=True)
class CocoRow:
    """A row of Table 3: IoU in percent by method, None if the paper has none."""

    category: str
    name: str
    iou: Mapping[str, float | None]


def table_1() -> dict[str, dict[str, float]]:
    """Return the rows of Table 1: by name, IoU by class and `mIoU`."""
    return {row.pop("features"): {name: float(text) for name, text in row.items()} for row in _read("table1")}


def table_2() -> list[Method]:
    """Return the rows of Table 2."""
    return [Method(**row | {split: _percent(row[split]) for split in ("val", "test")}) for row in _read("table2")]


def table_3() -> list[CocoRow]:
    """Return the rows of Table 3: the 81 classes, background first, and the means."""
    return [
        CocoRow(row.pop("category"), row.pop("class"), {name: _percent(text) for name, text in row.items()})
        for row in _read("table3")
    ]


def voc_classes() -> tuple[str, ...]:
    """Return the 21 classes of Table 1, background first."""
    return tuple(next(iter(table_1().values())))[:-1]


def coco_classes() -> tuple[str, ...]:
    """Return the 81 classes of Table 3, background first."""
    return tuple(row.name for row in table_3()[:-1])


def _read(name: str) -> list[dict[str, Any]]:
    with open(Path(__file__).with_name(f"{name}.csv"), newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _percent(text: str) -> float | None:
    return float(text) if text else None
