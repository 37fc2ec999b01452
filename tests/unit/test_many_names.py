"""A column of captions taken for labels: as many names as rows, and not the square of the time."""

import json
import time
from pathlib import PurePosixPath

import pytest

from tagseg.datasets.common import in_class_order, places_of
from tagseg.datasets.labels_table import Row
from tagseg.datasets.splits import choose_splits
from tagseg.datasets.table_formats import read_entries
from tagseg.errors import TagsegError
from tagseg.index import check_class_names

NAMES = [f"caption {number}" for number in range(40_000)]
SECONDS = 5.0
"""Ten times what it takes; the square of the number of names would take minutes."""


def refuse_names(folder):
    with pytest.raises(TagsegError, match="40000 classes, where 1 to 254 are possible"):
        check_class_names(NAMES, "labels")


def deal(folder):
    rows = [Row(PurePosixPath(f"{name}.jpg"), frozenset({name}), "") for name in NAMES]
    assert set(choose_splits(rows, 0, 0.5)) == {"train"}


def order(folder):
    places = places_of(NAMES)
    assert [in_class_order({name}, places) for name in NAMES] == [(name,) for name in NAMES]


def double_a_key(folder):
    keys = ", ".join(f"{json.dumps(name)}: 0" for name in [*NAMES, NAMES[-1]])
    (folder / "labels.jsonl").write_text(f"{{{keys}}}\n")
    (entry,) = read_entries(folder / "labels.jsonl")
    assert entry.wrong == ("key 'caption 39999' comes twice; write one JSON object a line",)


@pytest.mark.parametrize("work", [refuse_names, deal, order, double_a_key], ids=lambda work: work.__name__)
def test_many_names_take_no_square_of_the_time(tmp_path, work):
    start = time.process_time()
    work(tmp_path)
    assert time.process_time() - start < SECONDS
