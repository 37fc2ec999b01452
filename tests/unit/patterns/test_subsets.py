"""Class subsets: capped, sampled by seed, stable under reordering and additions."""

import random

import pytest

from tagseg.patterns.subsets import read_subset, sample_subset, write_subsets
from tagseg.runtime.errors import TagsegError
from tagseg.storage.index import ImageRecord


def image(name, *tags):
    return ImageRecord(name, f"{name}.jpg", 10, 10, "train", tags)


DOGS = [image(f"dog {position:03}", "dog") for position in range(60)]
OTHERS = [image(f"other {position}", "cat") for position in range(20)]
BOTH = [image(f"both {position}", "cat", "dog") for position in range(5)]
ALL = DOGS + OTHERS + BOTH


def test_all_images_with_the_tag_below_the_cap():
    assert sample_subset(ALL, "dog", 65, 0) == tuple(sorted(row.id for row in DOGS + BOTH))
    assert sample_subset(ALL, "cat", 800, 0) == tuple(sorted(row.id for row in OTHERS + BOTH))
    assert sample_subset(ALL, "sofa", 800, 0) == ()


def test_no_more_than_the_cap():
    subset = sample_subset(ALL, "dog", 20, 0)
    assert len(set(subset)) == 20
    assert set(subset) <= {row.id for row in DOGS + BOTH}
    assert subset == tuple(sorted(subset))


def test_order_of_the_images_does_not_matter():
    shuffled = list(ALL)
    random.Random(3).shuffle(shuffled)
    assert sample_subset(iter(shuffled), "dog", 20, 7) == sample_subset(ALL, "dog", 20, 7)


def test_seed_and_tag_change_the_sample():
    two_tags = [image(f"{position}", "dog", "cat") for position in range(100)]
    samples = {sample_subset(two_tags, tag, 20, seed) for tag in ("dog", "cat") for seed in range(5)}
    assert len(samples) == 10


def test_a_new_image_changes_at_most_one_other_member():
    before = set(sample_subset(ALL, "dog", 20, 0))
    entered = 0
    for position in range(40):
        new = image(f"new {position}", "dog")
        after = set(sample_subset([new, *ALL], "dog", 20, 0))
        entered += new.id in after
        assert len(before - after) == (new.id in after)
        assert after - before <= {new.id}
    assert 0 < entered < 40


def test_round_trip_with_spaces_and_other_signs(tmp_path):
    subsets = {"wine glass": ("deep/a b", "Größe", "x\u2028y", "z\x85"), "dog": ()}
    write_subsets(tmp_path / "subsets", subsets)
    assert read_subset(tmp_path / "subsets", "wine glass") == subsets["wine glass"]
    assert read_subset(tmp_path / "subsets", "dog") == ()


def test_missing_list_is_an_error(tmp_path):
    write_subsets(tmp_path / "subsets", {"dog": ("a",)})
    with pytest.raises(TagsegError, match=r"wine glass\.txt: no such file"):
        read_subset(tmp_path / "subsets", "wine glass")
