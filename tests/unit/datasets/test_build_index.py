"""The script that indexes a data set: its choice of a reader, and how it tells what is wrong."""

import errno
import json
import os
import sys

import pytest

import build_index
from helpers import read_csv, write_image, write_image_set, write_labels, write_voc_image
from mini_coco import write_mini_coco
from tagseg.datasets.folder.reader import index_unlabelled
from tagseg.datasets.problems import DatasetProblems
from tagseg.runtime.errors import TagsegError
from tagseg.storage import images
from tagseg.storage.index import INDEX_FILES, read_index


def names_in(folder):
    return {path.name for path in folder.iterdir()}


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


def test_script_writes_the_index_and_logs_its_counts(tmp_path, monkeypatch, caplog):
    lines = ["a.jpg,cat,train", "b.jpg,cat;dog,train", "c.jpg,dog,val"]
    content = write_script_folder(tmp_path / "photos", *lines)
    run_script(monkeypatch, content, tmp_path / "index")
    assert [row.id for row in read_index(tmp_path / "index").images] == ["a", "b", "c"]
    counts = "2 train, 1 val, 0 test images, 2 classes; train: 1.500 tags per image, 1 of a single class"
    assert caplog.messages[-1] == counts
    assert names_in(tmp_path / "index") == {*INDEX_FILES, "skipped.csv"}
    assert (tmp_path / "index" / "source.txt").read_text() == "c0ffee\n"


def test_copies_across_splits_and_spellings_are_logged(tmp_path, monkeypatch, caplog):
    content = write_script_folder(tmp_path / "photos", "a.jpg,cat,train", "b.jpg,Cat,val", "c.jpg,cat,val")
    write_image(tmp_path / "photos" / "c.jpg", seed=1)
    run_script(monkeypatch, content, tmp_path / "index")
    folder = tmp_path / "photos"
    assert f"{folder}/b.jpg (val) is a copy of {folder}/a.jpg (train)" in caplog.messages
    assert "class 'Cat' is read as 'cat' (1 image)" in caplog.messages and "c.jpg (val) is" not in caplog.text


@pytest.mark.parametrize("negatives", [False, True])
def test_images_of_none_of_the_classes_are_skipped_or_learnt(tmp_path, monkeypatch, caplog, negatives):
    content = write_script_folder(tmp_path / "photos", "a.jpg,cat,train", "b.jpg,,train", "c.jpg,,val")
    run_script(monkeypatch, content | {"negatives": negatives}, tmp_path / "index")
    assert [row.id for row in read_index(tmp_path / "index").images] == ["a", *["b"] * negatives, "c"]
    assert ("skipped 1 train images without a tag" in caplog.text) != negatives


def test_script_needs_train_images_of_every_class(tmp_path, monkeypatch):
    content = write_script_folder(tmp_path / "none", "a.jpg,cat,val")
    with pytest.raises(DatasetProblems, match="no image in train"):
        run_script(monkeypatch, content, tmp_path / "index")
    content = write_script_folder(tmp_path / "one", "a.jpg,cat,train", "b.jpg,dog;emu,val")
    with pytest.raises(DatasetProblems, match=f"{tmp_path / 'one'}: 2 problems") as raised:
        run_script(monkeypatch, content, tmp_path / "index")
    texts = [problem.text.split(".")[0] for problem in raised.value.problems]
    assert texts == ["no train image of dog", "no train image of emu"]
    assert names_in(tmp_path / "index") == {"problems.csv"}
    with pytest.raises(TagsegError, match=r"\\udcfc: the path is not UTF-8. Rename the folder"):
        index_unlabelled(os.fsdecode(os.fsencode(tmp_path) + b"/\xfc"), ("background", "cat"))


def test_all_problems_are_in_a_table_until_they_are_fixed(tmp_path, monkeypatch):
    names = [f"{number}.jpg" for number in range(60)]
    content = write_script_folder(tmp_path / "photos", *(f"{name},cat,train" for name in names))
    for name in names:
        (tmp_path / "photos" / name).write_bytes(b"no image")
    with pytest.raises(DatasetProblems, match="and 10 more problems\n  all of them: .*problems.csv$"):
        run_script(monkeypatch, content, tmp_path / "index")
    table = read_csv(tmp_path / "index" / "problems.csv")
    assert list(table[0]) == ["path", "line", "problem"] and names_in(tmp_path / "index") == {"problems.csv"}
    assert sorted(int(row["line"]) for row in table) == list(range(2, 62))
    for name in names:
        write_image(tmp_path / "photos" / name)
    run_script(monkeypatch, content, tmp_path / "index")
    assert names_in(tmp_path / "index") == {*INDEX_FILES, "skipped.csv"}


@pytest.fixture(params=["voc", "coco", "photos"])
def damaged(request, tmp_path):
    """Settings of a data set of ten images, and the path of one of train, which is cut off."""
    root = tmp_path / request.param
    content = {"kind": request.param, "root": str(root), "counts_known": False}
    if request.param == "voc":
        for number in "0123456789":
            write_voc_image(root, number, *["dog"] * (number != "5"))
        write_image_set(root, "train", *"12345678")
        write_image_set(root, "val", *"90")
        (root / "classes.txt").write_text("dog\n")
        content |= {"train_list": "train", "val_list": "val", "test_list": None, "difficult": True}
        content, path = content | {"test_root": None, "sbd": None}, root / "JPEGImages/3.jpg"
    elif request.param == "coco":
        write_mini_coco(root, train=8, val=2)
        content, path = content | {"crowd": True}, root / "train2017/000000000004.jpg"
    else:
        content = write_script_folder(root, *(f"{number}.jpg,dog,train" for number in range(10)))
        path = root / "3.jpg"
    path.write_bytes(path.read_bytes()[:-60])
    return content, path


@pytest.mark.parametrize("threads", [1, 2])
def test_unreadable_images_are_skipped_up_to_the_fraction(tmp_path, monkeypatch, caplog, damaged, threads):
    content, path = damaged
    run_script(monkeypatch, content | {"max_unreadable_fraction": 0.1}, tmp_path / "index", threads)
    ids = [row.id for row in read_index(tmp_path / "index").images]
    without_a_tag = content["kind"] != "photos"
    assert path.stem not in ids and len(ids) == 9 - without_a_tag
    assert ("skipped 1 train images without a tag" in caplog.text) == without_a_tag
    (row,) = read_csv(tmp_path / "index" / "skipped.csv")
    assert list(row) == ["id", "path", "reason"] and (row["id"], row["path"]) == (path.stem, str(path))
    assert row["reason"].startswith("damaged image (image file is truncated")
    assert "skipped 1 of 10 images: unreadable. See skipped.csv." in caplog.messages
    assert any(path.name in message for message in caplog.messages)


def test_no_fraction_excuses_a_missing_image_or_the_machine(tmp_path, monkeypatch, damaged):
    """A network that fails for an hour must not thin out the data set."""
    content, path = damaged
    path.rename(tmp_path / "away")
    with pytest.raises(DatasetProblems, match="no such"):
        run_script(monkeypatch, content | {"max_unreadable_fraction": 0.9}, tmp_path / "index")
    (tmp_path / "away").rename(path)

    def lost(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(images.Image, "open", lost)
    with pytest.raises(DatasetProblems, match=rf"{path.name}: cannot be read \(Input/output error\)\. Check"):
        run_script(monkeypatch, content | {"max_unreadable_fraction": 0.9}, tmp_path / "index")


def test_the_other_images_keep_their_splits(tmp_path, monkeypatch):
    content = write_script_folder(tmp_path / "photos", *(f"{number}.jpg,dog," for number in range(20)))
    content |= {"val_fraction": 0.3, "max_unreadable_fraction": 0.5}
    run_script(monkeypatch, content, tmp_path / "whole")
    (tmp_path / "photos" / "7.jpg").write_bytes(b"")
    run_script(monkeypatch, content, tmp_path / "less")
    whole, less = (read_index(tmp_path / name).images for name in ("whole", "less"))
    assert less == tuple(row for row in whole if row.id != "7")
