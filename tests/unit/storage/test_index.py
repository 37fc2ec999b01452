"""The index: its files, its splits and shards, and the names that classes may have."""

import pytest

from tagseg.runtime.errors import TagsegError
from tagseg.storage.index import ImageRecord, Index, check_class_names, read_index, write_index

CLASSES = ("background", "dog", 'naïve art, "quoted"', "Straße")


def image(name, split="train", tags=("dog",)):
    return ImageRecord(name, f"photos/{name}.jpg", 12, 8, split, tags)


@pytest.fixture
def index():
    rows = (
        image("a, b", tags=CLASSES[1:]),
        image("a/ü", tags=("Straße",)),
        image("c", "val"),
        image("d", "test", ()),
    )
    return Index(CLASSES, rows)


def test_round_trip_in_any_order_of_the_images(tmp_path, index):
    with pytest.raises(TagsegError, match=r"classes\.csv: no such file. Run the stage"):
        read_index(tmp_path)
    write_index(tmp_path / "a", index)
    write_index(tmp_path / "b", Index(index.classes, index.images[::-1]))
    assert (tmp_path / "a/index.csv").read_bytes() == (tmp_path / "b/index.csv").read_bytes()
    assert read_index(tmp_path / "a") == read_index(tmp_path / "b") == index


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 40])
def test_shards_partition_the_split(shards):
    rows = [image(f"{k:03}", "train" if k % 3 else "val") for k in range(31)]
    index = Index(CLASSES, tuple(rows))
    parts = [index.shard("train", number, shards) for number in range(shards)]
    together = [row.id for part in parts for row in part]
    assert sorted(together) == [row.id for row in index.of_split("train")]
    assert len(set(together)) == len(together) == 20
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("number", [-1, 2])
def test_a_shard_that_does_not_exist_is_refused(index, number):
    message = rf"^shard {number} of train: not one of 2 shards. Delete .*, or increase `shards`"
    with pytest.raises(TagsegError, match=message):
        index.shard("train", number, 2)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("id,path", "name,path", r"index\.csv: .*no column 'id'"),
    (",12,8,", ",twelve,8,", r"index\.csv: malformed row .*twelve"),
    ("id,path", "id,ü", r"index\.csv: not a table of tagseg"),
    (",12,8,val,dog", "", r"index\.csv: not a table of tagseg .malformed row 'c'"),
])  # fmt: skip
def test_malformed_index(tmp_path, index, old, new, message):
    write_index(tmp_path, index)
    path = tmp_path / "index.csv"
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode("latin-1")))
    with pytest.raises(TagsegError, match=message):
        read_index(tmp_path)


@pytest.mark.parametrize("name", [
    "", " dog", "dog ", "background", "Background", ".hidden", "..", "a/b", "a\\b", "a;b", "a\nb", "a\0b",
    "x" * 300, "patterns.json",
])  # fmt: skip
def test_bad_class_names(name):
    with pytest.raises(TagsegError, match=r"^here: .*Rename it"):
        check_class_names(["cat", name], "here")


def test_doubled_too_few_or_too_many_classes():
    many = [f"class {k}" for k in range(255)]
    check_class_names(["dog", "Straße", "naïve art", "b-2_(x)", "犬"], "here")
    check_class_names(many[1:], "here")
    twice = ["cat", "dog", "cat"]
    for names, message in ((twice, "class 'cat' is listed twice"), ([], "0 classes"), (many, "255 classes")):
        with pytest.raises(TagsegError, match=f"here: {message}"):
            check_class_names(names, "here")
