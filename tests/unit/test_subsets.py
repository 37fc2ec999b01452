"""Class subsets: capped, drawn by seed, stable under reordering and additions."""

import random

import pytest

from tagseg.errors import TagsegError
from tagseg.index import Photograph
from tagseg.subsets import draw_subset, read_subset, write_subsets


def photograph(name, *tags):
    return Photograph(name, f"{name}.jpg", 10, 10, "train", tags)


DOGS = [photograph(f"dog {number:03}", "dog") for number in range(60)]
OTHERS = [photograph(f"other {number}", "cat") for number in range(20)]
BOTH = [photograph(f"both {number}", "cat", "dog") for number in range(5)]
ALL = DOGS + OTHERS + BOTH


def test_all_who_carry_the_tag_are_in_when_they_are_few():
    assert draw_subset(ALL, "dog", 65, 0) == tuple(sorted(row.id for row in DOGS + BOTH))
    assert draw_subset(ALL, "cat", 800, 0) == tuple(sorted(row.id for row in OTHERS + BOTH))
    assert draw_subset(ALL, "sofa", 800, 0) == ()


def test_no_more_than_the_cap():
    subset = draw_subset(ALL, "dog", 20, 0)
    assert len(set(subset)) == 20
    assert set(subset) <= {row.id for row in DOGS + BOTH}
    assert subset == tuple(sorted(subset))


def test_order_of_the_photographs_does_not_matter():
    shuffled = list(ALL)
    random.Random(3).shuffle(shuffled)
    assert draw_subset(iter(shuffled), "dog", 20, 7) == draw_subset(ALL, "dog", 20, 7)


def test_seed_and_tag_change_the_draw():
    two_tags = [photograph(f"{number}", "dog", "cat") for number in range(100)]
    draws = {draw_subset(two_tags, tag, 20, seed) for tag in ("dog", "cat") for seed in range(5)}
    assert len(draws) == 10


def test_each_photograph_is_drawn_about_equally_often():
    # 400 draws of 20 out of 65: 123 times each on average, standard deviation 9.2; within 5 of them.
    times = dict.fromkeys([row.id for row in DOGS + BOTH], 0)
    for seed in range(400):
        for name in draw_subset(ALL, "dog", 20, seed):
            times[name] += 1
    assert all(abs(count - 400 * 20 / 65) < 46 for count in times.values())


def test_a_new_photograph_changes_at_most_one_other_member():
    before = set(draw_subset(ALL, "dog", 20, 0))
    entered = 0
    for number in range(40):
        new = photograph(f"new {number}", "dog")
        after = set(draw_subset([new, *ALL], "dog", 20, 0))
        entered += new.id in after
        assert len(before - after) == (new.id in after)
        assert after - before <= {new.id}
    assert 0 < entered < 40


def test_round_trip_with_spaces_and_other_signs(tmp_path):
    subsets = {"wine glass": ("deep/a b", "Größe", "x\u2028y", "z\x85"), "dog": ()}
    write_subsets(tmp_path / "subsets", subsets)
    assert read_subset(tmp_path / "subsets", "wine glass") == subsets["wine glass"]
    assert read_subset(tmp_path / "subsets", "dog") == ()


def test_one_list_a_class_and_no_stale_one(tmp_path):
    write_subsets(tmp_path / "subsets", {"dog": ("a",), "cat": ("b",)})
    write_subsets(tmp_path / "subsets", {"dog": ("a", "c")})
    assert [path.name for path in (tmp_path / "subsets").iterdir()] == ["dog.txt"]
    assert (tmp_path / "subsets" / "dog.txt").read_text() == "a\nc\n"


def test_vanished_list_is_named(tmp_path):
    write_subsets(tmp_path / "subsets", {"dog": ("a",)})
    with pytest.raises(TagsegError, match=r"wine glass\.txt: gone since it was made"):
        read_subset(tmp_path / "subsets", "wine glass")
