"""Photographs dealt to train and val: fair, seeded, the same for every order and kind of table."""

import random
from pathlib import PurePosixPath

import pytest

from helpers import write_labels, write_photograph
from tagseg.datasets.labels_table import Row
from tagseg.datasets.photos import index_photos
from tagseg.datasets.splits import choose_splits


def index(folder, random_seed=0, val_share=0.25):
    return index_photos(folder, random_seed=random_seed, val_share=val_share)


@pytest.fixture
def many(tmp_path):
    """Sixty photographs: forty cats, sixteen dogs, four with both."""
    folder = tmp_path / "many"
    lines = []
    for k in range(60):
        write_photograph(folder / f"{k:02}.png", width=2, height=2)
        lines.append(f"{k:02}.png,{'cat' if k < 40 else 'dog' if k < 56 else 'cat;dog'}")
    write_labels(folder, *lines, head="image,labels")
    return folder


def splits(folder, **options):
    return {row.id: row.split for row in index(folder, **options).photographs}


def test_seeded_split_is_fair_and_depends_on_the_seed(many):
    first = splits(many, random_seed=1)
    val = [name for name, split in first.items() if split == "val"]
    assert set(first.values()) == {"train", "val"} and len(val) == 15
    assert sum(int(name) < 40 for name in val) == 10
    assert splits(many, random_seed=1) == first != splits(many, random_seed=2)
    assert set(splits(many, val_share=0).values()) == {"train"}


def test_seeded_split_does_not_depend_on_the_order_of_the_rows(many):
    expected = splits(many)
    head, *lines = (many / "labels.csv").read_text().splitlines()
    random.Random(0).shuffle(lines)
    write_labels(many, *lines, head=head)
    assert splits(many) == expected


@pytest.mark.parametrize("seed", range(8))
def test_every_class_stays_in_train(many, seed):
    lines = ["00.png,a;b;c", "01.png,b;c", "02.png,c", "03.png,c;d", "04.png,a;d", "05.png,e"]
    write_labels(many, *lines, head="image,labels")
    result = index(many, random_seed=seed, val_share=0.9)
    assert {tag for row in result.of_split("train") for tag in row.tags} == set("abcde")


def test_a_class_that_is_never_the_rarest_stays_in_train():
    """Both photographs of c count for other classes, and go to val together with one seed in four."""
    rows = [
        Row(PurePosixPath(f"{k}.jpg"), frozenset(tags), "") for k, tags in enumerate(["ac", "a", "bc", "b"])
    ]
    for seed in range(30):
        splits = choose_splits(rows, seed, 0.5)
        assert "train" in (splits[0], splits[2]) and splits.count("val") in (1, 2)


def test_given_splits_are_kept(many):
    write_labels(many, *(f"{k:02}.png,cat,{'val' if k % 2 else ''}" for k in range(20)))
    result = splits(many, val_share=0)
    assert all(result[f"{k:02}"] == ("val" if k % 2 else "train") for k in range(20))


def draw_rows(draw):
    """Return rows with one to three of five classes, some with a split already."""
    return [
        Row(
            PurePosixPath(f"{k}.jpg"),
            frozenset(draw.sample("abcde", draw.randint(1, 3))),
            draw.choice(["", "", "", "train", "val", "test"]),
        )
        for k in range(draw.choice([8, 12, 60]))
    ]


@pytest.mark.parametrize("seed", range(60))
def test_random_rows(seed):
    """What has to hold of any rows: the algorithm leaves freedom in which photographs go to val."""
    draw = random.Random(seed)
    rows, share = draw_rows(draw), draw.random() * 0.9
    dealt = dict(zip(rows, choose_splits(rows, seed, share), strict=True))
    assert all(
        split == (row.split or split) and split in ("train", "val", "test") for row, split in dealt.items()
    )
    free = [row for row in rows if not row.split]
    assert all(dealt[row] != "test" for row in free)
    for tag in {tag for row in free for tag in row.tags}:
        assert any(tag in row.tags and split == "train" for row, split in dealt.items())
    # Each of at most five groups is rounded by at most a half, and each class takes back at most one.
    wanted, got = share * len(free), sum(dealt[row] == "val" for row in free)
    assert wanted - 5 * 1.5 - 5 <= got <= wanted + 5 * 0.5
    shuffled = draw.sample(rows, len(rows))
    assert dict(zip(shuffled, choose_splits(shuffled, seed, share), strict=True)) == dealt
