"""The choice of photographs to show, and how they become lines of a grid."""

from pathlib import Path

import numpy as np
import pytest

from helpers import photograph_rows
from tagseg import examples
from tagseg.errors import TagsegError
from tagseg.images import write_mask
from tagseg.index import Index, Photograph
from tagseg.mask_shards import read_mask_shards, write_mask_shard

CLASSES = ("background", "cat", "dog")


def rows_with(*tags):
    return [Photograph(f"p{n}", "", 1, 1, "train", one) for n, one in enumerate(tags)]


def test_examples_are_spread_over_the_classes():
    rows = rows_with(
        *[("cat",)] * 20, *[("dog",)] * 2, ("emu",), ("fox",), *[("cat", "dog"), ("emu", "fox")] * 3
    )
    chosen = [row.tags for row in examples.choose(rows, 6)]
    assert sorted(chosen[:4]) == [("cat",), ("dog",), ("emu",), ("fox",)]
    assert sorted(chosen[4:]) == [("cat", "dog"), ("emu", "fox")]


def test_examples_depend_on_the_photographs_alone():
    rows = rows_with(*[("cat",), ("dog",), ("cat", "dog")] * 9)
    chosen = examples.choose(rows, 6)
    assert chosen == examples.choose(rows[::-1], 6)
    assert len({row.id for row in chosen}) == 6


def test_few_or_uniform_photographs_are_examples_too():
    assert examples.choose([], 6) == []
    assert len(examples.choose(rows_with(("cat",)), 6)) == 1
    assert len(examples.choose(rows_with(*[("cat", "dog")] * 9), 6)) == 6
    assert len(examples.choose(rows_with(*[()] * 9), 6)) == 6


def test_photographs_with_masks_are_preferred_where_they_suffice():
    rows = rows_with(*[("cat",)] * 4)
    truths = {row.id: Path("m.png") for row in rows[1:]}
    assert examples.with_masks_first(rows, truths, 3) == rows[1:]
    assert examples.with_masks_first(rows, truths, 4) == rows


def square_mask(label, corner):
    mask = np.zeros((30, 40), np.uint8)
    mask[corner : corner + 14, corner : corner + 20] = label
    return mask


@pytest.fixture
def val(tmp_path):
    """Three photographs of val: index, predictions and true masks. The true square lies at (8, 8)."""
    rows = photograph_rows(tmp_path / "photographs", 3, 40, 30, split="val", tags=("cat",))
    truths = {row.id: tmp_path / "true" / f"{row.id}.png" for row in rows}
    for path in truths.values():
        write_mask(path, square_mask(1, 8))
    masks = [(row.id, square_mask(1, 6 + number)) for number, row in enumerate(rows)]
    write_mask_shard(tmp_path / "masks", masks)
    return Index(CLASSES, tuple(rows)), read_mask_shards([tmp_path / "masks"]), truths


def test_photographs_are_ranked_from_best_to_worst(val):
    index, masks, truths = val
    ranked = examples.rank(index.photographs, masks, index, truths)
    # The predicted squares lie at (6, 6), (7, 7) and (8, 8): the last one is exact.
    assert [row.id for _, row in ranked] == ["2", "1", "0"]
    # 1: 13 * 19 of 280 pixels in common, 313 in the union; background 1200 - 313 and 1200 - 247.
    assert ranked[1][0] == pytest.approx((100 * 247 / 313 + 100 * (1200 - 313) / (1200 - 247)) / 2)
    assert examples.at_even_ranks(ranked, 6) == {
        "2": ("mIoU 100 %, rank 1 of 3",),
        "1": ("mIoU 86 %, rank 2 of 3",),
        "0": ("mIoU 75 %, rank 3 of 3",),
    }


def test_a_true_mask_of_another_size_is_told(val):
    index, masks, truths = val
    write_mask(truths["1"], np.zeros((3, 4), np.uint8))
    with pytest.raises(TagsegError, match="1.png: .*mend the mask"):
        examples.rank(index.photographs, masks, index, truths)


def ranked_rows(count):
    return [(100.0 - n, row) for n, row in enumerate(rows_with(*[("cat",)] * count))]


def test_of_many_ranked_the_best_the_worst_and_some_between_are_shown():
    assert list(examples.at_even_ranks(ranked_rows(101), 6)) == [f"p{n}" for n in (0, 20, 40, 60, 80, 100)]


@pytest.mark.parametrize("count", range(12))
def test_best_and_worst_are_the_ends_and_never_the_same(count):
    best, worst = (list(part) for part in examples.best_and_worst(ranked_rows(count), 4))
    names = [f"p{n}" for n in range(count)]
    assert best == names[: len(best)]
    assert worst == names[::-1][: len(worst)]
    assert not set(best) & set(worst)
    assert len(best) + len(worst) == min(count, 8)
    assert 0 <= len(best) - len(worst) <= 1


def test_the_worst_bear_their_rank():
    _, worst = examples.best_and_worst(ranked_rows(9), 2)
    assert worst == {"p8": ("mIoU 92 %, rank 9 of 9",), "p7": ("mIoU 93 %, rank 8 of 9",)}


def test_a_third_of_the_examples_are_of_several_classes():
    rows = rows_with(*[("cat",)] * 9, *[("cat", "dog")] * 9)
    counts = [sum(len(row.tags) > 1 for row in examples.choose(rows, count)) for count in (1, 2, 3, 6, 9)]
    assert counts == [0, 0, 1, 2, 3]


INDEX = Index(CLASSES, ())


def test_the_named_classes_bound_the_choice():
    rows = rows_with(("cat",), ("dog",), ("cat", "dog"), ())
    assert [row.tags for row in examples.with_tags_of(rows, ["cat"], INDEX)] == [("cat",), ("cat", "dog")]
    assert examples.with_tags_of(rows, None, INDEX) == rows[:3]


@pytest.mark.parametrize("name", ["emu", "background"])
def test_a_class_that_nobody_has_is_told(name):
    with pytest.raises(TagsegError, match=f"figures.classes: .* '{name}'; name one of cat, dog"):
        examples.with_tags_of([], ["cat", name], INDEX)


def test_columns_without_any_mask_are_left_out(val):
    index, masks, truths = val
    some = {"1": truths["1"]}
    lines = [examples.example(row, ("x",), index, some, masks) for row in index.photographs]
    assert [line.masks[1] is None for line in lines] == [True, False, True]
    assert lines[0].remarks == ("cat", "x")
    kept, columns = examples.without_empty_columns(lines, ("photo", "ours", "truth"))
    assert columns == ("photo", "ours", "truth") and kept == lines
    kept, columns = examples.without_empty_columns(lines[:1], ("photo", "ours", "truth"))
    assert columns == ("photo", "ours") and kept[0].masks == lines[0].masks[:1]
    assert len(examples.grid(lines[:1], ("photo", "ours", "truth"), index).axes) == 2
