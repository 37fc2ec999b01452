"""The script that indexes a data set: its choice of a reader, and how it tells what is wrong."""

import csv
import errno
import json
import os
import sys

import pytest

import build_index
from helpers import (
    write_annotation,
    write_image,
    write_image_set,
    write_labels,
    write_small_devkit,
    write_voc_image,
    write_zero_mask,
)
from mini_coco import write_mini_coco
from tagseg.datasets.folder.reader import index_unlabelled
from tagseg.datasets.problems import DatasetProblems
from tagseg.runtime.errors import TagsegError
from tagseg.storage import images
from tagseg.storage.index import INDEX_FILES, read_index

LISTS = {"train_list": "train", "val_list": "val", "test_list": None, "difficult": True}


def run_script(monkeypatch, content, folder, threads=1):
    arguments = ["--settings", json.dumps(content), "--listing", "c0ffee", "--index", str(folder)]
    arguments += ["--threads", str(threads)]
    monkeypatch.setattr(sys, "argv", ["build_index.py", *arguments])
    build_index.main()


def write_script_folder(folder, *lines):
    for line in lines:
        write_image(folder / line.split(",")[0])
    write_labels(folder, *lines)
    return {"kind": "photos", "root": str(folder), "random_seed": 0, "val_fraction": 0.0, "labels": None}


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_script_writes_the_index_and_logs_its_counts(tmp_path, monkeypatch, caplog):
    lines = ["a.jpg,cat,train", "b.jpg,cat;dog,train", "c.jpg,dog,val"]
    content = write_script_folder(tmp_path / "photos", *lines)
    write_zero_mask(tmp_path / "photos" / "SegmentationClass" / "c.png")
    run_script(monkeypatch, content, tmp_path / "index")
    assert [row.id for row in read_index(tmp_path / "index").images] == ["a", "b", "c"]
    assert caplog.messages[-1] == (
        "2 train, 1 val, 0 test images, 2 classes; train: 1.500 tags per image, 1 of a single class"
    )
    assert {path.name for path in (tmp_path / "index").iterdir()} == {*INDEX_FILES, "skipped.csv"}
    assert (tmp_path / "index" / "source.txt").read_text() == "c0ffee\n"


def test_a_folder_whose_path_is_not_utf8(tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xfc")
    try:
        os.mkdir(odd)
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    with pytest.raises(TagsegError, match=r"\\udcfc: the path is not UTF-8. Rename the folder"):
        index_unlabelled(odd, ("background", "cat"))


@pytest.mark.parametrize("kind", ["voc", "demo"])
def test_script_reads_a_devkit(tmp_path, monkeypatch, kind):
    devkit = write_small_devkit(tmp_path / "devkit")
    names = ["person", "aeroplane", "tvmonitor", "dog", "train"]
    (devkit / "classes.txt").write_text("\n".join(names))
    write_image_set(devkit, "small", "2007_000032", "2007_000039", "2008_000001", "2007_000042")
    content = {"kind": kind, "root": str(devkit), **LISTS, "train_list": "small"}
    content |= {"test_root": None, "sbd": None, "counts_known": False} if kind == "voc" else {}
    write_image_set(devkit, "val", "2007_000033")
    with pytest.raises(TagsegError, match=r"2007_000039\.xml: class 'chair'"):
        run_script(monkeypatch, content, tmp_path / "index")
    write_annotation(devkit, "2007_000039", "tvmonitor")
    run_script(monkeypatch, content, tmp_path / "index")
    assert read_index(tmp_path / "index").classes[1:] == tuple(names)


def test_script_needs_train_images_of_every_class(tmp_path, monkeypatch):
    content = write_script_folder(tmp_path / "none", "a.jpg,cat,val")
    with pytest.raises(DatasetProblems, match="no image in train"):
        run_script(monkeypatch, content, tmp_path / "index")
    content = write_script_folder(tmp_path / "one", "a.jpg,cat,train", "b.jpg,dog;emu,val")
    with pytest.raises(DatasetProblems, match=f"{tmp_path / 'one'}: 2 problems") as raised:
        run_script(monkeypatch, content, tmp_path / "index")
    assert [problem.text.split(".")[0] for problem in raised.value.problems] == [
        "no train image of dog", "no train image of emu",
    ]  # fmt: skip
    assert {path.name for path in (tmp_path / "index").iterdir()} == {"problems.csv"}


def test_all_problems_are_in_a_table_until_they_are_fixed(tmp_path, monkeypatch):
    lines = [f"{number}.jpg,cat,train" for number in range(60)]
    content = write_script_folder(tmp_path / "photos", *lines)
    for number in range(60):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(b"no image")
    with pytest.raises(DatasetProblems, match="and 10 more problems\n  all of them: .*problems.csv$"):
        run_script(monkeypatch, content, tmp_path / "index")
    table = rows_of(tmp_path / "index" / "problems.csv")
    assert table[0] == ["path", "line", "problem"] and len(table) == 61
    assert sorted(int(row[1]) for row in table[1:]) == list(range(2, 62))
    assert not (tmp_path / "index" / "index.csv").exists()
    for number in range(60):
        write_image(tmp_path / "photos" / f"{number}.jpg")
    run_script(monkeypatch, content, tmp_path / "index")
    assert {path.name for path in (tmp_path / "index").iterdir()} == {*INDEX_FILES, "skipped.csv"}


def test_images_skipped_are_counted(tmp_path, monkeypatch, caplog):
    for name, tags in {"a": ["cat"], "b": [], "c": []}.items():
        write_voc_image(tmp_path / "devkit", name, *tags)
    write_image_set(tmp_path / "devkit", "train", "a", "b")
    write_image_set(tmp_path / "devkit", "val", "c")
    (tmp_path / "devkit" / "classes.txt").write_text("cat\n")
    content = {"kind": "demo", "root": str(tmp_path / "devkit"), **LISTS}
    run_script(monkeypatch, content, tmp_path / "index")
    assert "skipped 1 train images without a tag" in caplog.text
    assert [row.id for row in read_index(tmp_path / "index").images] == ["a", "c"]


# Images that cannot be read ------------------------------------------------------------------


def write_voc_set(root):
    for number in range(10):
        write_voc_image(root, f"{number}", "dog")
    write_image_set(root, "train", *"12345678")
    write_image_set(root, "val", *"90")
    (root / "classes.txt").write_text("dog\n")
    options = {"test_root": None, "sbd": None, "counts_known": False}
    return {"kind": "voc", "root": str(root), **LISTS, **options}, root / "JPEGImages/3.jpg"


def write_coco_set(root):
    write_mini_coco(root, train=8, val=2)
    content = {"kind": "coco", "root": str(root), "crowd": True, "counts_known": False}
    return content, root / "train2017/000000000004.jpg"


def write_photos_set(root):
    content = write_script_folder(root, *(f"{number}.jpg,dog,train" for number in range(10)))
    return content, root / "3.jpg"


SETS = {"voc": write_voc_set, "coco": write_coco_set, "photos": write_photos_set}


@pytest.fixture(params=SETS)
def damaged(request, tmp_path):
    """Settings of a data set of ten images, and the path of one of train, which is cut off."""
    content, path = SETS[request.param](tmp_path / request.param)
    path.write_bytes(path.read_bytes()[:-60])
    return content, path


@pytest.mark.parametrize("threads", [1, 2])
def test_unreadable_images_are_skipped_up_to_the_fraction(tmp_path, monkeypatch, caplog, damaged, threads):
    content, path = damaged
    run_script(monkeypatch, content | {"max_unreadable_fraction": 0.1}, tmp_path / "index", threads)
    ids = [row.id for row in read_index(tmp_path / "index").images]
    assert path.stem not in ids and len(ids) == (8 if content["kind"] == "coco" else 9)  # one has no tag
    head, row = rows_of(tmp_path / "index" / "skipped.csv")
    assert head == ["id", "path", "reason"] and row[:2] == [path.stem, str(path)]
    assert row[2].startswith("damaged image (image file is truncated")
    assert "skipped 1 of 10 images: unreadable. See skipped.csv." in caplog.messages
    assert any(path.name in message for message in caplog.messages)


def test_no_fraction_excuses_the_machine(tmp_path, monkeypatch, damaged):
    """A network that fails for an hour must not thin out the data set."""
    content, path = damaged

    def lost(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(images.Image, "open", lost)
    with pytest.raises(DatasetProblems, match=rf"{path.name}: cannot be read \(Input/output error\)\. Check"):
        run_script(monkeypatch, content | {"max_unreadable_fraction": 0.9}, tmp_path / "index")


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level("INFO")


def test_no_fraction_excuses_a_missing_image(tmp_path, monkeypatch, damaged):
    content, path = damaged
    path.unlink()
    with pytest.raises(DatasetProblems, match="no such"):
        run_script(monkeypatch, content | {"max_unreadable_fraction": 0.9}, tmp_path / "index")


def test_the_other_images_keep_their_splits(tmp_path, monkeypatch):
    content = write_script_folder(tmp_path / "photos", *(f"{number}.jpg,dog," for number in range(20)))
    content |= {"val_fraction": 0.3, "max_unreadable_fraction": 0.5}
    run_script(monkeypatch, content, tmp_path / "whole")
    (tmp_path / "photos" / "7.jpg").write_bytes(b"")
    run_script(monkeypatch, content, tmp_path / "less")
    whole, less = (read_index(tmp_path / name).images for name in ("whole", "less"))
    assert less == tuple(row for row in whole if row.id != "7")
