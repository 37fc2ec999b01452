"""The index: its files, its splits and shards, and the names that classes may have."""

import csv
import json
import sys

import pytest

import build_index
from helpers import (
    write_annotation,
    write_image_set,
    write_labels,
    write_photograph,
    write_small_devkit,
    write_zero_mask,
)
from tagseg.errors import TagsegError
from tagseg.images import voc_palette
from tagseg.index import Index, Photograph, check_class_names, read_index, write_index

CLASSES = ("background", "dog", 'naïve art, "quoted"', "Straße")


def photograph(name, split="train", tags=("dog",), mask=None):
    return Photograph(name, f"photos/{name}.jpg", 12, 8, split, tags, mask)


@pytest.fixture
def index():
    rows = (
        photograph("a, b", tags=CLASSES[1:], mask="masks/a, b.png"),
        photograph("a/ü", tags=("Straße",)),
        photograph("c", "val"),
        photograph("d", "test", tags=()),
    )
    return Index(CLASSES, rows)


def test_round_trip(tmp_path, index):
    write_index(tmp_path / "new" / "index", index)
    assert read_index(tmp_path / "new" / "index") == index


def test_files_do_not_depend_on_the_order_of_the_photographs(tmp_path, index):
    write_index(tmp_path / "a", index)
    write_index(tmp_path / "b", Index(index.classes, index.photographs[::-1]))
    assert (tmp_path / "a/index.csv").read_bytes() == (tmp_path / "b/index.csv").read_bytes()
    assert read_index(tmp_path / "b") == index


def test_class_file_has_numbers_and_voc_colours(tmp_path, index):
    write_index(tmp_path, index)
    with open(tmp_path / "classes.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))[1:]
    colours = voc_palette().tolist()
    assert [row[:2] for row in rows] == [[str(k), name] for k, name in enumerate(CLASSES)]
    assert [[int(cell) for cell in row[2:]] for row in rows] == colours[: len(CLASSES)]


def test_split_and_numbers(index):
    assert [row.id for row in index.of_split("train")] == ["a, b", "a/ü"]
    assert index.of_split("nothing") == ()
    assert index.numbers(index.photographs[0]) == (1, 2, 3)
    assert index.numbers(index.photographs[3]) == ()


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 40])
def test_shards_partition_the_split(shards):
    rows = [photograph(f"{k:03}", "train" if k % 3 else "val") for k in range(31)]
    index = Index(CLASSES, tuple(rows))
    parts = [index.shard("train", number, shards) for number in range(shards)]
    together = [row.id for part in parts for row in part]
    assert sorted(together) == [row.id for row in index.of_split("train")]
    assert len(set(together)) == len(together) == 20
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_missing_index(tmp_path):
    with pytest.raises(TagsegError, match=r"classes\.csv: no such file; run the stage"):
        read_index(tmp_path)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("id,path", "name,path", r"index\.csv: no column 'id'"),
    (",12,8,", ",twelve,8,", r"index\.csv: malformed row .*twelve"),
    (",12,8,val,dog,", "", r"index\.csv: malformed row .*c has cells too"),
])  # fmt: skip
def test_malformed_index(tmp_path, index, old, new, message):
    write_index(tmp_path, index)
    path = tmp_path / "index.csv"
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    with pytest.raises(TagsegError, match=message):
        read_index(tmp_path)


def test_index_in_another_encoding(tmp_path, index):
    write_index(tmp_path, index)
    (tmp_path / "index.csv").write_bytes("ü".encode("latin-1"))
    with pytest.raises(TagsegError, match=r"index\.csv: not a table in UTF-8"):
        read_index(tmp_path)


def test_good_class_names():
    check_class_names(["dog", "Straße", "naïve art", "b-2_(x)", "犬"], "here")
    check_class_names([f"class {k}" for k in range(254)], "here")


@pytest.mark.parametrize("name", [
    "", " dog", "dog ", "background", "Background", ".hidden", "..", "a/b", "a\\b", "a;b", "a\nb",
    "a\0b",
])  # fmt: skip
def test_bad_class_names(name):
    with pytest.raises(TagsegError, match=r"^here: .*rename it"):
        check_class_names(["cat", name], "here")


def test_doubled_too_few_or_too_many_classes():
    with pytest.raises(TagsegError, match="here: class 'cat' is listed twice"):
        check_class_names(["cat", "dog", "cat"], "here")
    with pytest.raises(TagsegError, match="here: 0 classes"):
        check_class_names([], "here")
    with pytest.raises(TagsegError, match="here: 255 classes"):
        check_class_names([f"class {k}" for k in range(255)], "here")


# The script -------------------------------------------------------------------------------------


def run_script(monkeypatch, content, folder):
    arguments = ["--settings", json.dumps(content), "--index", str(folder)]
    monkeypatch.setattr(sys, "argv", ["build_index.py", *arguments])
    build_index.main()


def write_script_folder(folder, *lines):
    for line in lines:
        write_photograph(folder / line.split(",")[0])
    write_labels(folder, *lines)
    return {"kind": "photos", "root": str(folder), "random_seed": 0, "val_share": 0.0}


def test_script_writes_the_index_and_says_its_numbers(tmp_path, monkeypatch, capsys):
    lines = ["a.jpg,cat,train", "b.jpg,cat;dog,train", "c.jpg,dog,val"]
    content = write_script_folder(tmp_path / "photos", *lines)
    write_zero_mask(tmp_path / "photos" / "SegmentationClass" / "c.png")
    run_script(monkeypatch, content, tmp_path / "index")
    assert [row.id for row in read_index(tmp_path / "index").photographs] == ["a", "b", "c"]
    assert capsys.readouterr().err == (
        "2 train, 1 val, 0 test photographs, 2 classes; train: 1.500 tags a photograph, 1 of a "
        "single class; 1 with masks\n"
    )


@pytest.mark.parametrize("kind", ["voc", "demo"])
def test_script_reads_a_devkit(tmp_path, monkeypatch, kind):
    devkit = write_small_devkit(tmp_path / "devkit")
    names = ["person", "aeroplane", "tvmonitor", "dog", "train"]
    (devkit / "classes.txt").write_text("\n".join(names))
    write_image_set(devkit, "small", "2007_000032", "2007_000039", "2008_000001", "2007_000042")
    content = {"kind": kind, "root": str(devkit), "train_list": "small", "val_list": "val",
               "test_list": None, "difficult": True}  # fmt: skip
    write_image_set(devkit, "val", "2007_000033")
    with pytest.raises(TagsegError, match=r"2007_000039\.xml: class 'chair'"):
        run_script(monkeypatch, content, tmp_path / "index")
    write_annotation(devkit, "2007_000039", "tvmonitor")
    run_script(monkeypatch, content, tmp_path / "index")
    assert read_index(tmp_path / "index").classes[1:] == tuple(names)


def test_script_needs_train_photographs_of_every_class(tmp_path, monkeypatch):
    content = write_script_folder(tmp_path / "none", "a.jpg,cat,val")
    with pytest.raises(TagsegError, match="no photograph in train"):
        run_script(monkeypatch, content, tmp_path / "index")
    content = write_script_folder(tmp_path / "one", "a.jpg,cat,train", "b.jpg,dog,val")
    with pytest.raises(TagsegError, match="no train photograph of dog; add some"):
        run_script(monkeypatch, content, tmp_path / "index")
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize(("change", "message"), [
    ({"kind": "coco"}, "kind: 'coco' is none of demo, voc, photos"),
    ({"root": ""}, "root: missing"),
    ({"shards": 3}, "shards: no setting of the kind photos"),
    ({"random_seed": None}, "random_seed: missing"),
])  # fmt: skip
def test_script_names_a_wrong_setting(tmp_path, monkeypatch, change, message):
    content = write_script_folder(tmp_path, "a.jpg,cat,train") | change
    content = {name: value for name, value in content.items() if value is not None}
    with pytest.raises(TagsegError, match=message):
        run_script(monkeypatch, content, tmp_path / "index")


def test_a_train_photograph_without_a_tag_is_left_out_and_counted(capsys):
    rows = (photograph("a"), photograph("b", tags=()), photograph("c", "val", tags=()))
    kept = build_index.without_untagged(Index(("background", "dog"), rows))
    assert [row.id for row in kept.photographs] == ["a", "c"]
    assert "left out 1 train" in capsys.readouterr().err
