"""Photographs in one folder a class: classes, splits on top, and what would be taken wrongly."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from helpers import write_photograph, write_zero_mask
from tagseg.datasets.photos import index_photos, photos_true_masks
from tagseg.datasets.problems import DatasetProblems, Problem
from tagseg.errors import TagsegError


def index(folder, val_share=0.25, **options):
    return index_photos(folder, random_seed=0, val_share=val_share, **options)


def problems(folder, **options):
    with pytest.raises(DatasetProblems) as caught:
        index(folder, **options)
    return list(caught.value.problems)


def write_all(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        write_photograph(folder / name, seed=seed)
    return folder


def tags(result):
    return {row.id: row.tags for row in result.photographs}


def splits(result):
    return {row.id: row.split for row in result.photographs}


@pytest.fixture
def folder(tmp_path):
    return write_all(tmp_path / "photos", "dog/1.jpg", "dog/far away/2.png", "犬 x/1.webp", "train/3.JPG")


# What looks like folders of classes and is none ------------------------------------------------------


@pytest.mark.parametrize("name", ["Labels.csv", "annotations.csv", "tags.JSONL", "labels.xlsx"])
def test_a_table_of_another_name_is_not_passed_over(folder, name):
    (folder / name).write_text("image,labels\ndog/1.jpg,cat\n")
    message = rf"{name} is no labels\.csv or .*name it in dataset\.labels, or say `labels: folders`"
    with pytest.raises(TagsegError, match=message):
        index(folder)
    assert index(folder, labels="folders").classes == ("background", "dog", "train", "犬 x")


def test_one_folder_of_images_is_no_class_by_itself(tmp_path):
    folder = write_all(tmp_path / "photos", "images/1.jpg", "images/2.jpg")
    with pytest.raises(
        TagsegError, match=r"labels\.csv: no such file; .*\(one class alone: say `labels: folders`"
    ):
        index(folder)
    assert index(folder, labels="folders").classes == ("background", "images")


# Good folders -----------------------------------------------------------------------------------


def test_the_first_folder_is_the_class(folder):
    result = index(folder)
    assert result.classes == ("background", "dog", "train", "犬 x")
    assert tags(result) == {
        "dog/1": ("dog",), "dog/far away/2": ("dog",), "犬 x/1": ("犬 x",), "train/3": ("train",),
    }  # fmt: skip
    assert {row.path for row in result.photographs} == {
        str(path) for path in folder.rglob("*.*") if path.is_file()
    }


def test_what_is_no_photograph_is_left_out(folder):
    expected = index(folder)
    write_all(folder, ".hidden/a.jpg", "dog/.cache/a.jpg", "dog/._1.jpg", ".a.jpg")
    write_zero_mask(folder / "SegmentationClass" / "cat" / "1.png")
    (folder / "dog" / "Thumbs.db").write_bytes(b"x")
    (folder / "README.md").write_text("x")
    (folder / "empty").mkdir()
    assert index(folder) == expected == index(folder, labels="folders")


def test_a_table_goes_before_folders_unless_they_are_named(folder):
    expected = index(folder)
    (folder / "labels.tsv").write_text("image\tlabels\ndog/1.jpg\tcat\n")
    assert tags(index(folder)) == {"dog/1": ("cat",)}
    assert index(folder, labels="folders") == expected


def test_splits_on_top(tmp_path):
    write_all(
        tmp_path, "train/dog/x.jpg", "train/cat/y/x.jpg", "val/dog/z.jpg", "test/dog/x.jpg", "test/x.jpg"
    )
    result = index(tmp_path)
    assert result.classes == ("background", "cat", "dog")
    assert splits(result) == {
        "train/dog/x": "train", "train/cat/y/x": "train", "val/dog/z": "val", "test/dog/x": "test",
        "test/x": "test",
    }  # fmt: skip
    assert tags(result)["train/cat/y/x"] == ("cat",) and tags(result)["test/x"] == ()


def test_a_file_in_two_folders_is_two_photographs(folder):
    shutil.copy(folder / "dog" / "1.jpg", folder / "train" / "1.jpg")
    (folder / "train" / "2.png").symlink_to(folder / "dog" / "far away" / "2.png")
    found = tags(index(folder))
    assert found["dog/1"] == ("dog",) and found["train/1"] == ("train",)
    assert found["dog/far away/2"] == ("dog",) and found["train/2"] == ("train",)


def test_class_list_fixes_the_order(folder):
    (folder / "classes.txt").write_text("犬 x\ntrain\ndog\n", encoding="utf-8")
    assert index(folder).classes == ("background", "犬 x", "train", "dog")


def test_true_masks(folder):
    write_zero_mask(folder / "SegmentationClass" / "dog" / "1.png")
    write_zero_mask(folder / "SegmentationClass" / "3.png")
    write_zero_mask(folder / "SegmentationClass" / "1.png")  # two photographs have this name
    masks = photos_true_masks(folder, index(folder, val_share=0), "train", folder / "unused")
    assert masks == {
        "dog/1": str(folder / "SegmentationClass" / "dog" / "1.png"),
        "train/3": str(folder / "SegmentationClass" / "3.png"),
    }


# Problems ---------------------------------------------------------------------------------------


def test_all_problems_are_told_with_their_files(folder, tmp_path):
    write_all(folder, "stray.jpg", "dog/cut.jpg", "a;b/1.jpg", "a;b/2.jpg")
    (folder / "dog" / "cut.jpg").write_bytes((folder / "dog" / "cut.jpg").read_bytes()[:-60])
    (folder / "dog" / "empty.png").write_bytes(b"")
    (folder / "dog" / "phone.HEIC").write_bytes(b"x")
    (folder / "dog" / "out.jpg").symlink_to(write_photograph(tmp_path / "out.jpg"))
    (folder / "cat").symlink_to(folder / "dog")
    (folder / "cow").symlink_to(tmp_path)
    found = problems(folder)
    expected = [
        ("a;b/1.jpg", "class 'a;b' holds a sign that file names cannot; rename it"),
        ("cat", "a link to a folder, which is not followed; put the images themselves there"),
        ("cow", f"a link to {tmp_path}, outside the folder; copy the file into it"),
        ("dog/cut.jpg", "damaged image ("),
        ("dog/empty.png", "not a readable image ("),
        ("dog/out.jpg", f"a link to {tmp_path / 'out.jpg'}, outside the folder; copy the file into it"),
        ("dog/phone.HEIC", "a kind of image that is not read; convert it (to one of .bmp, .jfif, "),
        ("stray.jpg", "in no folder of a class; move it into one below the folder, or remove it"),
    ]
    assert [problem.place for problem in found] == [place for place, _ in expected]
    assert all(problem.text.startswith(text) for problem, (_, text) in zip(found, expected, strict=True))
    assert all(problem.line == 0 for problem in found)


def test_class_outside_the_list(folder):
    (folder / "classes.txt").write_text("dog\n犬 x\n", encoding="utf-8")
    text = "class 'train' is not in the class list; add it to classes.txt or mend the row"
    assert problems(folder) == [Problem("train/3.JPG", 0, text)]


def test_no_class_below_a_split(tmp_path):
    write_all(tmp_path, "train/dog/x.jpg", "train/y.jpg", "val/z.jpg")
    text = "in no folder of a class; move it into one below train, val or test, or remove it"
    assert problems(tmp_path) == [Problem("train/y.jpg", 0, text), Problem("val/z.jpg", 0, text)]


@pytest.mark.parametrize(("tops", "like"), [
    (("train", "val", "others"), "'train' and 'val'"),
    (("train", "valid", "test"), "'test' and 'train' and 'valid'"),
    (("Train", "Test"), "'Test' and 'Train'"),
    (("training", "validation"), "'training' and 'validation'"),
])  # fmt: skip
def test_folders_that_look_like_splits_are_not_taken_for_classes(tmp_path, tops, like):
    write_all(tmp_path, *(f"{top}/dog/1.jpg" for top in tops))
    text = f"folders {like} look like splits; name them train, val, test and move other folders away"
    assert problems(tmp_path) == [Problem("", 0, text)]


def test_a_background_folder_is_no_class(tmp_path):
    write_all(tmp_path, "dog/1.jpg", "Background/1.jpg", "Background/2.jpg")
    text = "'Background' cannot be the name of a class; rename it"
    assert problems(tmp_path) == [Problem("Background/1.jpg", 0, text)]


@pytest.mark.parametrize("labels", [None, "folders"])
@pytest.mark.parametrize("names", [(), ("a.jpg",), (".hidden/a.jpg", "SegmentationClass/a.png")])
def test_no_folder_with_images(tmp_path, names, labels):
    write_all(tmp_path, *names)
    message = "no image in a folder of a class; put" if labels else "labels.csv: no such file; write a table"
    with pytest.raises(TagsegError, match=message) as caught:
        index(tmp_path, labels=labels)
    assert "into one folder a class" in str(caught.value)


def test_names_that_are_not_utf8_are_told(folder):
    good = (folder / "dog" / "1.jpg").read_bytes()
    try:
        place = Path(os.fsdecode(os.fsencode(folder) + b"/\xfc"))
        place.mkdir()
        (place / "1.jpg").write_bytes(good)
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    first, second = problems(folder)
    assert {first.place, second.place} == {"\\udcfc/1.jpg"}
    assert "a file name that is not UTF-8; rename it" in (first.text, second.text)


def test_a_folder_that_cannot_be_read(folder, monkeypatch):
    scan = os.scandir

    def refuse(place):
        if Path(place).name == "dog":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), place)
        return scan(place)

    monkeypatch.setattr(os, "scandir", refuse)  # root, who may run the tests, may read every folder
    text = "cannot be read (Permission denied); change its rights or remove it"
    assert problems(folder) == [Problem("dog", 0, text)]
