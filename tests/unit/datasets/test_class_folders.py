"""Images in one folder per class: classes, splits above them, links, and folders that are not classes."""

import errno
import os
from pathlib import Path

import pytest

from helpers import write_image, write_zero_mask
from tagseg.datasets.folder.reader import index_photos
from tagseg.datasets.problems import DatasetProblems
from tagseg.runtime.errors import TagsegError


def index(folder, **options):
    return index_photos(folder, random_seed=0, val_fraction=0.25, **options)


def problems(folder, **options):
    """Return the problems (path, line, text) of the folder."""
    with pytest.raises(DatasetProblems) as caught:
        index(folder, **options)
    return list(caught.value.problems)


def tags(result):
    return {row.id: row.tags for row in result.images}


def write_all(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        write_image(folder / name, seed=seed)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_all(tmp_path / "photos", "dog/1.jpg", "dog/far away/2.png", "犬 x/1.webp", "train/3.JPG")


def test_the_first_folder_is_the_class(folder):
    result = index(folder)
    assert result.classes == ("background", "dog", "train", "犬 x")
    assert tags(result) == {
        "dog/1": ("dog",), "dog/far away/2": ("dog",), "犬 x/1": ("犬 x",), "train/3": ("train",),
    }  # fmt: skip
    paths = {str(path) for path in folder.rglob("*.*") if path.is_file()}
    assert {row.path for row in result.images} == paths
    (folder / "classes.txt").write_text("犬 x\ntrain\ndog\n", encoding="utf-8")
    assert index(folder).classes == ("background", "犬 x", "train", "dog")


def test_hidden_files_masks_thumbnails_and_other_files_are_skipped(folder):
    expected = index(folder)
    write_all(folder, ".hidden/a.jpg", "dog/.cache/a.jpg", "dog/._1.jpg", ".a.jpg")
    write_all(folder, "dog/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/a.jpg", "__MACOSX/dog/1.jpg")
    write_zero_mask(folder / "SegmentationClass" / "cat" / "1.png")
    (folder / "dog" / "Thumbs.db").write_bytes(b"x")
    (folder / "README.md").write_text("x")
    (folder / "empty").mkdir()
    assert index(folder) == expected == index(folder, labels="folders")


def test_splits_above_the_classes(tmp_path):
    names = ["train/dog/x.jpg", "train/cat/y/x.jpg", "val/dog/z.jpg", "test/dog/x.jpg", "test/x.jpg"]
    result = index(write_all(tmp_path, *names))
    assert result.classes == ("background", "cat", "dog")
    found = {row.id: (row.split, *row.tags) for row in result.images}
    assert found == {
        "train/dog/x": ("train", "dog"), "train/cat/y/x": ("train", "cat"), "val/dog/z": ("val", "dog"),
        "test/dog/x": ("test", "dog"), "test/x": ("test",),
    }  # fmt: skip
    write_all(tmp_path, "train/y.jpg", "val/z.jpg")
    text = "not in a class folder. Move it into one below train, val or test, or remove it."
    assert problems(tmp_path) == [("train/y.jpg", 0, text), ("val/z.jpg", 0, text)]


def test_linked_folders_and_images_on_another_disk_are_read(tmp_path):
    disk = write_all(tmp_path / "disk", "cats/1.jpg", "cats/deep/2.jpg", "3.jpg", "dogs/1.jpg")
    folder = write_all(tmp_path / "photos", "dog/4.jpg")
    (folder / "cat").symlink_to(disk / "cats")
    (folder / "dog" / "more").symlink_to(disk / "dogs")
    (folder / "dog" / "3.jpg").symlink_to(disk / "3.jpg")
    (tmp_path / "link").symlink_to(folder)
    expected = dict.fromkeys(("dog/3", "dog/4", "dog/more/1"), ("dog",))
    expected |= dict.fromkeys(("cat/1", "cat/deep/2"), ("cat",))
    assert tags(index(folder)) == tags(index(tmp_path / "link")) == expected


@pytest.mark.parametrize("name", ["Labels.csv", "tags.JSONL", "labels.xlsx"])
def test_a_table_of_another_name_is_reported(folder, name):
    (folder / name).write_text("image,labels\ndog/1.jpg,cat\n")
    remedy = r"Name it in dataset\.labels, or set dataset\.labels to folders"
    with pytest.raises(TagsegError, match=rf"{name} is not named labels\.csv or .*{remedy}"):
        index(folder)
    (folder / "labels.tsv").write_text("image\tlabels\ndog/1.jpg\tcat\n")
    assert tags(index(folder)) == {"dog/1": ("cat",)}  # one that is so named precedes folders
    assert index(folder, labels="folders").classes == ("background", "dog", "train", "犬 x")


def test_all_problems_are_reported_with_their_files(folder):
    write_all(folder, "stray.jpg", "dog/cut.jpg", "a;b/1.jpg", "a;b/2.jpg")
    (folder / "dog" / "cut.jpg").write_bytes((folder / "dog" / "cut.jpg").read_bytes()[:-60])
    (folder / "dog" / "empty.png").write_bytes(b"")
    (folder / "dog" / "phone.GIF").write_bytes(b"x")
    (folder / "dog" / "again").symlink_to(folder)
    (folder.parent / "other").mkdir()
    (folder.parent / "other" / "back").symlink_to(folder / "train")
    (folder / "train" / "out").symlink_to(folder.parent / "other")
    expected = [
        ("a;b/1.jpg", "class 'a;b' h"),
        ("dog/again", "a link to a parent folder. Remove it."),
        ("dog/cut.jpg", "damaged image ("),
        ("dog/empty.png", "not a readable image ("),
        ("dog/phone.GIF", "unsupported image format. Convert it to one of ."),
        ("stray.jpg", "not in a class folder. Move it into one below the folder, or remove it."),
        ("train/out/back", "a link to a parent folder. Remove it."),
    ]
    for (path, line, text), (expected_path, start) in zip(problems(folder), expected, strict=True):
        assert (path, line) == (expected_path, 0) and text.startswith(start)


@pytest.mark.parametrize(("tops", "like"), [
    (("train", "val", "others"), "'train' and 'val'"),
    (("Train", "Test"), "'Test' and 'Train'"),
    (("training", "validation"), "'training' and 'validation'"),
])  # fmt: skip
def test_folders_that_look_like_splits_are_not_taken_for_classes(tmp_path, tops, like):
    write_all(tmp_path, *(f"{top}/dog/1.jpg" for top in tops))
    text = f"folders {like} look like splits. Name them train, val, test, and move other folders away."
    assert problems(tmp_path) == [("", 0, text)]


@pytest.mark.parametrize("labels", [None, "folders"])
@pytest.mark.parametrize("names", [(), (".hidden/a.jpg", "SegmentationClass/a.png", "a.jpg")])
def test_no_folder_with_images(tmp_path, names, labels):
    write_all(tmp_path, *names)
    message = "no image in a class folder. Put" if labels else "labels.csv: no such file. Write a table"
    with pytest.raises(TagsegError, match=f"{message}.*into one folder per class"):
        index(tmp_path, labels=labels)
    more = write_all(tmp_path / "more", "images/1.jpg", "images/2.jpg")
    assert index(more, labels="folders").classes == ("background", "images")  # one folder only on request
    with pytest.raises(TagsegError, match=r"\(for a single class, set dataset\.labels to folders"):
        index(more)


def test_a_folder_that_cannot_be_read(folder, monkeypatch):
    scan = os.scandir

    def refuse(path):
        if Path(path).name == "dog":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root, who may run the tests, may read every folder
    text = "cannot be read (Permission denied). Change its permissions or remove it."
    assert problems(folder) == [("dog", 0, text)]
