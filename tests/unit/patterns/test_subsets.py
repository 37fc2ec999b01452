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


def test_all_images_with_the_tag_up_to_the_cap_in_any_order_of_the_images():
    dogs = tuple(sorted(row.id for row in DOGS + BOTH))
    assert sample_subset(ALL, "dog", 65, 0) == dogs and sample_subset(ALL, "sofa", 800, 0) == ()
    subset = sample_subset(ALL, "dog", 20, 0)
    assert len(set(subset)) == 20 and set(subset) <= set(dogs) and subset == tuple(sorted(subset))
    assert sample_subset(iter(random.Random(3).sample(ALL, len(ALL))), "dog", 20, 0) == subset


def test_seed_and_tag_change_the_sample():
    two_tags = [image(f"{position}", "dog", "cat") for position in range(100)]
    samples = {sample_subset(two_tags, tag, 20, seed) for tag in ("dog", "cat") for seed in range(5)}
    assert len(samples) == 10


def test_a_new_image_changes_at_most_one_other_member():
    before, entered = set(sample_subset(ALL, "dog", 20, 0)), 0
    for position in range(40):
        new = image(f"new {position}", "dog")
        after = set(sample_subset([new, *ALL], "dog", 20, 0))
        entered += new.id in after
        assert len(before - after) == (new.id in after) and after - before <= {new.id}
    assert 0 < entered < 40


def test_round_trip_with_spaces_and_other_signs(tmp_path):
    subsets = {"wine glass": ("deep/a b", "Größe", "x\u2028y", "z\x85"), "dog": ()}
    write_subsets(tmp_path, subsets)
    assert {tag: read_subset(tmp_path, tag) for tag in subsets} == subsets
    with pytest.raises(TagsegError, match=r"cat\.txt: no such file"):
        read_subset(tmp_path, "cat")
