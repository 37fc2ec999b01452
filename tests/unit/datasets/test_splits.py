"""The random split into train and val: per class, seeded, independent of the order."""

import random
from pathlib import PurePosixPath

import pytest

from tagseg.datasets.folder.labels_table import Row
from tagseg.datasets.folder.splits import choose_splits


def rows_of(*tags: str) -> list[Row]:
    """Return rows without a split; each letter is a class."""
    return [Row(PurePosixPath(f"{k:02}.jpg"), frozenset(letters), "") for k, letters in enumerate(tags)]


def test_the_split_is_even_over_the_classes_and_depends_on_the_seed():
    rows = rows_of(*["c"] * 40, *["d"] * 16, *["cd"] * 4)
    first = choose_splits(rows, 1, 0.25)
    assert first.count("val") == 15 and first[:40].count("val") == 10 and set(first) == {"train", "val"}
    assert choose_splits(rows, 1, 0.25) == first != choose_splits(rows, 2, 0.25)
    assert set(choose_splits(rows, 1, 0)) == {"train"}


def random_rows(rng):
    """Return rows with one to three of five classes, some with a split already."""
    return [
        Row(
            PurePosixPath(f"{k}.jpg"),
            frozenset(rng.sample("abcde", rng.randint(1, 3))),
            rng.choice(["", "", "", "train", "val", "test"]),
        )
        for k in range(rng.choice([8, 12, 60]))
    ]


@pytest.mark.parametrize("seed", range(60))
def test_random_rows_keep_their_splits_every_class_in_train_and_the_fraction(seed):
    rng = random.Random(seed)
    rows, fraction = random_rows(rng), rng.random() * 0.9
    splits = dict(zip(rows, choose_splits(rows, seed, fraction), strict=True))
    assert all(split == row.split for row, split in splits.items() if row.split)
    free = [row for row in rows if not row.split]
    assert all(splits[row] in ("train", "val") for row in free)
    for tag in {tag for row in free for tag in row.tags}:
        assert any(tag in row.tags and split == "train" for row, split in splits.items())
    # Each of at most five groups is rounded by at most a half, and each class takes back at most one.
    expected, found = fraction * len(free), sum(splits[row] == "val" for row in free)
    assert expected - 5 * 1.5 - 5 <= found <= expected + 5 * 0.5
    shuffled = rng.sample(rows, len(rows))
    assert dict(zip(shuffled, choose_splits(shuffled, seed, fraction), strict=True)) == splits
