"""The index: its files, its splits and shards, and the names that classes may have; the table of ground truth."""

from dataclasses import replace
from pathlib import Path

import pytest

from helpers import write_zero_mask
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_folder
from tagseg.storage.ground_truth import read_ground_truth, write_ground_truth
from tagseg.storage.index import ImageRecord, Index, check_class_names, copy_images, read_index, write_index

CLASSES = ("background", "dog", 'naïve art, "quoted"', "Straße")


def image(name, split="train", tags=("dog",)):
    return ImageRecord(name, f"photos/{name}.jpg", 12, 8, split, tags)


@pytest.fixture
def index():
    train = image("a, b", tags=CLASSES[1:]), image("a/ü", tags=("Straße",))
    return Index(CLASSES, (*train, image("c", "val"), image("d", "test", ())))


def test_round_trip_in_any_order_of_the_images(tmp_path, index):
    with pytest.raises(TagsegError, match=r"classes\.csv: no such file. Run the stage"):
        read_index(tmp_path)
    write_index(tmp_path / "a", index)
    write_index(tmp_path / "b", Index(index.classes, index.images[::-1]))
    assert (tmp_path / "a/index.csv").read_bytes() == (tmp_path / "b/index.csv").read_bytes()
    assert read_index(tmp_path / "a") == read_index(tmp_path / "b") == index


def test_an_index_with_copies_of_its_images_can_be_moved(tmp_path, index):
    rows = tuple(replace(row, path=str(tmp_path / f"user/{row.id}.JPG")) for row in index.images)
    for row in rows:
        path = Path(row.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row.id.encode())
    write_index(tmp_path / "index", copy_images(tmp_path / "index", Index(index.classes, rows)))
    (tmp_path / "user").rename(tmp_path / "gone")
    (tmp_path / "index").rename(tmp_path / "moved")
    read = read_index(tmp_path / "moved")
    assert [replace(row, path="") for row in read.images] == [replace(row, path="") for row in rows]
    assert all(Path(row.path).read_bytes() == row.id.encode() for row in read.images)


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 40])
def test_shards_partition_the_split(shards):
    rows = [image(f"{k:03}", "train" if k % 3 else "val") for k in range(31)]
    index = Index(CLASSES, tuple(rows))
    parts = [index.shard("train", number, shards) for number in range(shards)]
    together = [row.id for part in parts for row in part]
    assert sorted(together) == [row.id for row in index.of_split("train")]
    assert len(set(together)) == len(together) == 20
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for number in (-1, shards):
        message = rf"^shard {number} of train: not one of {shards} shards. Delete .*, or increase `shards`"
        with pytest.raises(TagsegError, match=message):
            index.shard("train", number, shards)


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


def test_table_of_ground_truth(tmp_path, monkeypatch):
    masks = {"ü/b, c": "data/SegmentationClass/b.png", "a": "/elsewhere/a.png", "x": "png/x.png"}
    with atomic_folder(tmp_path / "train") as aside:
        write_zero_mask(aside / "png" / "x.png")
        write_ground_truth(aside, masks)
    read = read_ground_truth(tmp_path / "train")
    assert list(read) == ["a", "x", "ü/b, c"]
    assert {name: str(path) for name, path in read.items()} == masks | {"x": f"{tmp_path}/train/png/x.png"}
    monkeypatch.chdir(tmp_path)  # a data set in a folder named png is not taken for masks that were made
    write_zero_mask(tmp_path / "png" / "SegmentationClass" / "a.png")
    write_ground_truth(tmp_path / "val", {"a": "png/SegmentationClass/a.png"})
    assert read_ground_truth(tmp_path / "val")["a"].is_file()


@pytest.mark.parametrize(("text", "message"), [
    ("name,path\na,a.png\n", "no column 'id'"),
    ("id,path\na\n", "malformed row 'a'"),
    ("id,path\na,png/a.png\n", "png/a.png: missing. Delete the folder"),
])  # fmt: skip
def test_a_malformed_table_of_ground_truth(tmp_path, text, message):
    (tmp_path / "train" / "png").mkdir(parents=True)
    (tmp_path / "train" / "masks.csv").write_text(text)
    with pytest.raises(TagsegError, match=message):
        read_ground_truth(tmp_path / "train")
    with pytest.raises(TagsegError, match=r"masks\.csv: no such file. Run the stage `collect_ground_truth`"):
        read_ground_truth(tmp_path)
