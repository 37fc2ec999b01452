"""Which images are shown, and the lines of their grid."""

from pathlib import Path

import numpy as np
import pytest

from helpers import image_rows
from tagseg.report import examples
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import write_mask
from tagseg.storage.index import ImageRecord, Index
from tagseg.storage.mask_shards import read_mask_shards, write_mask_shard

CLASSES = ("background", "cat", "dog")
CAT, DOG, BOTH = ("cat",), ("dog",), ("cat", "dog")


def rows_with(*tags):
    return [ImageRecord(f"p{n}", "", 1, 1, "train", one) for n, one in enumerate(tags)]


def test_examples_are_spread_over_the_classes_and_those_with_ground_truth_preferred_if_they_suffice():
    rows = rows_with(*[CAT] * 20, *[DOG] * 2, ("emu",), ("fox",), *[BOTH, ("emu", "fox")] * 3)
    assert examples.choose(rows, 6) == examples.choose(rows[::-1], 6)
    chosen = [row.tags for row in examples.choose(rows, 6)]
    assert sorted(chosen[:4]) == [CAT, DOG, ("emu",), ("fox",)]
    assert sorted(chosen[4:]) == [BOTH, ("emu", "fox")]
    rows = rows_with(*[CAT] * 4)
    truths = {row.id: Path("m.png") for row in rows[1:]}
    assert {row.id for row in examples.choose(rows, 3, truths)} == set(truths)
    assert len(examples.choose(rows, 4, truths)) == 4


def square_mask(label, corner):
    mask = np.zeros((30, 40), np.uint8)
    mask[corner : corner + 14, corner : corner + 20] = label
    return mask


@pytest.fixture
def val(tmp_path):
    """Three images of val: index, predictions and ground truth. The true square is at (8, 8)."""
    rows = image_rows(tmp_path / "images", 3, 40, 30, split="val", tags=CAT)
    truths = {row.id: tmp_path / "true" / f"{row.id}.png" for row in rows}
    for path in truths.values():
        write_mask(path, square_mask(1, 8))
    write_mask_shard(tmp_path / "masks", [(row.id, square_mask(1, 6 + n)) for n, row in enumerate(rows)])
    return Index(CLASSES, tuple(rows)), read_mask_shards([tmp_path / "masks"]), truths


def test_images_are_ranked_by_their_own_miou(val):
    index, masks, truths = val
    ranked = examples.rank(index.images, masks, index, truths)
    # The predicted squares are at (6, 6), (7, 7) and (8, 8): the last one is exact.
    assert [row.id for _, row in ranked] == ["2", "1", "0"]
    # 1: 13 * 19 of 280 pixels in common, 313 in the union; background 1200 - 313 and 1200 - 247.
    assert ranked[1][0] == pytest.approx((100 * 247 / 313 + 100 * (1200 - 313) / (1200 - 247)) / 2)
    places = {"2": "mIoU 100 %, rank 1", "1": "mIoU 86 %, rank 2", "0": "mIoU 75 %, rank 3"}
    assert examples.at_even_ranks(ranked, 6) == {name: f"{place} of 3" for name, place in places.items()}


@pytest.mark.parametrize("count", range(12))
def test_no_image_is_best_and_worst(count):
    ranked, names = [(100.0 - n, row) for n, row in enumerate(rows_with(*[CAT] * count))], range(count)
    best, worst = ([int(name[1:]) for name in part] for part in examples.best_and_worst(ranked, 4))
    assert best == list(names[: len(best)]) and worst == list(names[::-1][: len(worst)])
    assert not set(best) & set(worst)
    assert len(best) + len(worst) == min(count, 8) and 0 <= len(best) - len(worst) <= 1


def test_configured_classes_limit_the_choice():
    rows, index = rows_with(CAT, DOG, BOTH, ()), Index(CLASSES, ())
    assert [row.tags for row in examples.with_tags_of(rows, ["cat"], index)] == [CAT, BOTH]
    assert examples.with_tags_of(rows, None, index) == rows[:3]
    for name in ("emu", "background"):
        with pytest.raises(TagsegError, match=f"figures.classes: .* '{name}' .* Use one of cat, dog"):
            examples.with_tags_of([], ["cat", name], index)


def test_columns_without_masks_are_skipped(val):
    index, masks, truths = val
    lines = [examples.example(row, "x", index, {"1": truths["1"]}, masks) for row in index.images]
    assert [line.masks[1] is None for line in lines] == [True, False, True]
    assert lines[0].remarks == ("cat", "x")
    columns = ("image", "ours", "truth")
    assert examples.without_empty_columns(lines, columns) == (lines, columns)
    kept, some = examples.without_empty_columns(lines[:1], columns)
    assert some == columns[:2] and kept[0].masks == lines[0].masks[:1]
    assert len(examples.grid(lines[:1], columns, index).axes) == 2
