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
    write_image_set,
    write_labels,
    write_photograph,
    write_small_devkit,
    write_voc_photograph,
    write_zero_mask,
)
from mini_coco import write_mini_coco
from tagseg import images
from tagseg.datasets import coco
from tagseg.datasets.photos import index_unlabelled
from tagseg.datasets.problems import DatasetProblems, Problem, problems_in
from tagseg.datasets.readers import check_train, train_problems, without_untagged
from tagseg.errors import TagsegError
from tagseg.index import INDEX_FILES, Index, Photograph, read_index

LISTS = {"train_list": "train", "val_list": "val", "test_list": None, "difficult": True}


def run_script(monkeypatch, content, folder, threads=1):
    arguments = ["--settings", json.dumps(content), "--listing", "c0ffee", "--index", str(folder)]
    arguments += ["--threads", str(threads)]
    monkeypatch.setattr(sys, "argv", ["build_index.py", *arguments])
    build_index.main()


def write_script_folder(folder, *lines):
    for line in lines:
        write_photograph(folder / line.split(",")[0])
    write_labels(folder, *lines)
    return {"kind": "photos", "root": str(folder), "random_seed": 0, "val_share": 0.0, "labels": None}


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_script_writes_the_index_and_says_its_numbers(tmp_path, monkeypatch, capsys):
    lines = ["a.jpg,cat,train", "b.jpg,cat;dog,train", "c.jpg,dog,val"]
    content = write_script_folder(tmp_path / "photos", *lines)
    write_zero_mask(tmp_path / "photos" / "SegmentationClass" / "c.png")
    run_script(monkeypatch, content, tmp_path / "index")
    assert [row.id for row in read_index(tmp_path / "index").photographs] == ["a", "b", "c"]
    assert capsys.readouterr().err.splitlines()[-1] == (
        "2 train, 1 val, 0 test photographs, 2 classes; train: 1.500 tags a photograph, 1 of a single class"
    )
    assert {path.name for path in (tmp_path / "index").iterdir()} == {*INDEX_FILES, "left_out.csv"}
    assert (tmp_path / "index" / "source.txt").read_text() == "c0ffee\n"


def test_pictures_of_our_own_results_below_the_photographs_are_no_class(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("cat/1.jpg", "dog/2.jpg", "results/photos/report/figure.png", "results/demo/devkit/3.jpg"):
        write_photograph(tmp_path / name)
    content = {"kind": "photos", "root": ".", "random_seed": 0, "val_share": 0.0, "labels": None}
    run_script(monkeypatch, content, "results/photos/index")
    index = read_index("results/photos/index")
    assert index.classes == ("background", "cat", "dog") and len(index.photographs) == 2
    run_script(monkeypatch, content, "elsewhere/photos/index")  # then it is a folder as any other
    assert read_index("elsewhere/photos/index").classes == ("background", "cat", "dog", "results")


def test_a_folder_whose_path_is_not_utf8_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    content = write_script_folder(tmp_path / "photos", "a.jpg,cat,train")
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xfc")
    try:
        os.rename(content["root"], odd)
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    with pytest.raises(TagsegError, match=r"\\udcfc: a path that is not UTF-8; rename the folder"):
        run_script(monkeypatch, content | {"root": odd}, tmp_path / "index")
    with pytest.raises(TagsegError, match="a path that is not UTF-8"):
        index_unlabelled(odd, ("background", "cat"))
    assert not (tmp_path / "index").exists()


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


def test_script_needs_train_photographs_of_every_class(tmp_path, monkeypatch):
    content = write_script_folder(tmp_path / "none", "a.jpg,cat,val")
    with pytest.raises(DatasetProblems, match="no photograph in train"):
        run_script(monkeypatch, content, tmp_path / "index")
    content = write_script_folder(tmp_path / "one", "a.jpg,cat,train", "b.jpg,dog;emu,val")
    with pytest.raises(DatasetProblems, match=f"{tmp_path / 'one'}: 2 problems") as raised:
        run_script(monkeypatch, content, tmp_path / "index")
    assert [problem.text.split(";")[0] for problem in raised.value.problems] == [
        "no train photograph of dog", "no train photograph of emu",
    ]  # fmt: skip
    assert {path.name for path in (tmp_path / "index").iterdir()} == {"problems.csv"}


def test_all_problems_are_in_a_table_until_they_are_mended(tmp_path, monkeypatch):
    lines = [f"{number}.jpg,cat,train" for number in range(60)]
    content = write_script_folder(tmp_path / "photos", *lines)
    for number in range(60):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(b"no photograph")
    with pytest.raises(DatasetProblems, match="and 10 more problems\n  all of them: .*problems.csv$"):
        run_script(monkeypatch, content, tmp_path / "index")
    table = rows_of(tmp_path / "index" / "problems.csv")
    assert table[0] == ["place", "line", "problem"] and len(table) == 61
    assert sorted(int(row[1]) for row in table[1:]) == list(range(2, 62))
    assert not (tmp_path / "index" / "index.csv").exists()
    for number in range(60):
        write_photograph(tmp_path / "photos" / f"{number}.jpg")
    run_script(monkeypatch, content, tmp_path / "index")
    assert {path.name for path in (tmp_path / "index").iterdir()} == {*INDEX_FILES, "left_out.csv"}


def test_problems_are_written_as_they_are_and_lines_only_where_there_are_some(tmp_path):
    problems = [Problem("b\udcff.jpg", 0, "bad"), Problem('a, "b"', 3, "two\nlines"), Problem("", 0, "set")]
    with pytest.raises(DatasetProblems), problems_in(tmp_path / "new" / "problems.csv"):
        raise DatasetProblems("here", problems)
    assert rows_of(tmp_path / "new" / "problems.csv")[1:] == [
        ["", "", "set"], ['a, "b"', "3", "two\nlines"], ["b\\udcff.jpg", "", "bad"],
    ]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), [
    ({"kind": "voc2007"}, "kind: 'voc2007' is none of demo, voc, coco, photos"),
    ({"root": ""}, "root: missing"),
    ({"shards": 3}, "shards: no setting of the kind photos; known are random_seed, val_share, labels"),
    ({"unreadable_share": 1.0}, r"unreadable_share: 1\.0 is not within 0"),
    ({"random_seed": None}, "random_seed: missing; the kind photos needs it"),
])  # fmt: skip
def test_script_names_a_wrong_setting(tmp_path, monkeypatch, change, message):
    content = write_script_folder(tmp_path, "a.jpg,cat,train") | change
    content = {name: value for name, value in content.items() if value is not None or name == "labels"}
    with pytest.raises(TagsegError, match=message):
        run_script(monkeypatch, content, tmp_path / "index")


def index_of(*rows):
    """Return an index of cats and dogs, given (split, tags) of each photograph."""
    photographs = [Photograph(str(n), f"{n}.jpg", 12, 8, split, tags) for n, (split, tags) in enumerate(rows)]
    return Index(("background", "cat", "dog"), tuple(photographs))


def test_a_train_photograph_without_a_tag_is_left_out():
    kept = without_untagged(index_of(("train", ("cat",)), ("train", ()), ("val", ())))
    assert [row.id for row in kept.photographs] == ["0", "2"]


def test_photographs_left_out_are_counted(tmp_path, monkeypatch, capsys):
    for name, tags in {"a": ["cat"], "b": [], "c": []}.items():
        write_voc_photograph(tmp_path / "devkit", name, *tags)
    write_image_set(tmp_path / "devkit", "train", "a", "b")
    write_image_set(tmp_path / "devkit", "val", "c")
    (tmp_path / "devkit" / "classes.txt").write_text("cat\n")
    content = {"kind": "demo", "root": str(tmp_path / "devkit"), **LISTS}
    run_script(monkeypatch, content, tmp_path / "index")
    assert "left out 1 train photographs without a tag\n" in capsys.readouterr().err
    assert [row.id for row in read_index(tmp_path / "index").photographs] == ["a", "c"]


# Photographs that cannot be read ------------------------------------------------------------------


def write_voc_set(root):
    for number in range(10):
        write_voc_photograph(root, f"{number}", "dog")
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
    """Settings of a data set of ten photographs, and the path of one of train, which is cut off."""
    content, path = SETS[request.param](tmp_path / request.param)
    path.write_bytes(path.read_bytes()[:-60])
    return content, path


@pytest.mark.parametrize("threads", [1, 2])
def test_unreadable_photographs_are_left_out_up_to_the_share(tmp_path, monkeypatch, capsys, damaged, threads):
    content, path = damaged
    run_script(monkeypatch, content | {"unreadable_share": 0.1}, tmp_path / "index", threads)
    ids = [row.id for row in read_index(tmp_path / "index").photographs]
    assert path.stem not in ids and len(ids) == (8 if content["kind"] == "coco" else 9)  # one has no tag
    head, row = rows_of(tmp_path / "index" / "left_out.csv")
    assert head == ["id", "path", "reason"] and row[:2] == [path.stem, str(path)]
    assert row[2].startswith("damaged image (image file is truncated")
    said = capsys.readouterr().err
    assert "left out 1 of 10 photographs, which cannot be read (all of them: left_out.csv):\n  " in said
    assert path.name in said.partition("left_out.csv):\n")[2].splitlines()[0]


@pytest.mark.parametrize("share", [0.0, 0.09])
def test_above_the_share_every_unreadable_photograph_is_told(tmp_path, monkeypatch, damaged, share):
    content, path = damaged
    with pytest.raises(DatasetProblems, match="cannot be read, where") as caught:
        run_script(monkeypatch, content | {"unreadable_share": share}, tmp_path / "index")
    first, second = caught.value.problems
    assert f"1 of 10 photographs cannot be read, where dataset.unreadable_share is {share:g}" in first.text
    assert path.name in str(second) and "damaged image" in second.text
    assert {path.name for path in (tmp_path / "index").iterdir()} == {"problems.csv"}


def test_no_share_excuses_a_missing_photograph(tmp_path, monkeypatch, damaged):
    content, path = damaged
    path.unlink()
    with pytest.raises(DatasetProblems, match="no such"):
        run_script(monkeypatch, content | {"unreadable_share": 0.9}, tmp_path / "index")


def test_no_share_excuses_the_machine(tmp_path, monkeypatch, damaged):
    """A network that fails for an hour must not thin out the data set."""
    content, path = damaged

    def lost(*_, **__):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(images.Image, "open", lost)
    with pytest.raises(DatasetProblems, match=rf"{path.name}: cannot be read \(Input/output error\); see to"):
        run_script(monkeypatch, content | {"unreadable_share": 0.9}, tmp_path / "index")


def test_a_class_may_not_lose_its_last_photograph(tmp_path, monkeypatch, capsys):
    content = write_script_folder(tmp_path / "photos", "a.jpg,cat,train", "b.jpg,dog,train")
    (tmp_path / "photos" / "b.jpg").write_bytes(b"")
    with pytest.raises(DatasetProblems, match="no train photograph of dog"):
        run_script(monkeypatch, content | {"unreadable_share": 0.5}, tmp_path / "index")
    assert "b.jpg: not a readable image" in capsys.readouterr().err


def test_published_counts_are_of_the_listed_photographs(tmp_path, monkeypatch):
    content, path = write_coco_set(tmp_path / "coco")
    path.write_bytes(b"")
    monkeypatch.setattr(coco, "PUBLISHED", {"train": 8, "val": 2})
    monkeypatch.setattr(coco, "PUBLISHED_CLASSES", 3)
    run_script(monkeypatch, content | {"counts_known": True, "unreadable_share": 0.5}, tmp_path / "index")
    assert len(read_index(tmp_path / "index").of_split("train")) == 6


def test_the_other_photographs_keep_their_splits(tmp_path, monkeypatch):
    content = write_script_folder(tmp_path / "photos", *(f"{number}.jpg,dog," for number in range(20)))
    content |= {"val_share": 0.3, "unreadable_share": 0.5}
    run_script(monkeypatch, content, tmp_path / "whole")
    (tmp_path / "photos" / "7.jpg").write_bytes(b"")
    run_script(monkeypatch, content, tmp_path / "less")
    whole, less = (read_index(tmp_path / name).photographs for name in ("whole", "less"))
    assert less == tuple(row for row in whole if row.id != "7")


def test_the_log_names_the_first_of_many(tmp_path, monkeypatch, capsys):
    content = write_script_folder(tmp_path / "photos", *(f"{number}.jpg,dog,train" for number in range(40)))
    for number in range(30):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(b"")
    run_script(monkeypatch, content | {"unreadable_share": 0.75}, tmp_path / "index")
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("  ")]
    assert len(told) == 20 and len(rows_of(tmp_path / "index" / "left_out.csv")) == 31


def test_only_train_teaches_a_class():
    both = index_of(("train", ("cat",)), ("val", ("dog",)))
    assert [problem.text.split(";")[0] for problem in train_problems(both)] == ["no train photograph of dog"]
    with pytest.raises(DatasetProblems, match="^here: 1 problem\n  no train photograph of dog"):
        check_train(both, "here")
    check_train(index_of(("train", ("cat",)), ("train", ("dog",))), "here")
