"""Own images with a table of labels: ids, tags, class list, all problems together; images without a table; masks."""

import os
from pathlib import Path

import pytest
from PIL import Image

from helpers import write_image, write_labels, write_zero_mask
from tagseg.datasets.folder.adapter import FolderAdapter
from tagseg.datasets.folder.reader import index_photos, index_unlabelled, photos_ground_truth
from tagseg.datasets.problems import DatasetProblems
from tagseg.runtime.errors import TagsegError
from tagseg.storage.index import SPLITS, Index

CLASSES = ("background", "dog")
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "photos15"


def index(folder, random_seed=0, val_fraction=0.25, **options):
    return index_photos(folder, random_seed=random_seed, val_fraction=val_fraction, **options)


def failure(folder):
    with pytest.raises(TagsegError) as caught:
        index(folder)
    return caught.value


def ground_truth(folder, split=None, result=None):
    """Return the masks of one split or of all, as paths below SegmentationClass."""
    result = result or index(folder)
    found = {}
    for one in [split] if split else SPLITS:
        found |= photos_ground_truth(folder / "SegmentationClass", result, one)
    return {name: str(Path(path).relative_to(folder / "SegmentationClass")) for name, path in found.items()}


@pytest.fixture
def folder(tmp_path):
    """Images with spaces, other alphabets, one stem in two folders and with two suffixes."""
    folder = tmp_path / "my photos"
    for k, name in enumerate(["a/one.jpg", "b/one.jpg", "two.jpg", "two.png", "Große 犬 1.webp"]):
        write_image(folder / name, seed=k)
    write_labels(
        folder, "a/one.jpg,dog,train", "b/one.jpg,cat;dog,val", "two.jpg, cat ; cat;,train",
        "two.png,Straße,", "./Große 犬 1.webp,,test",
    )  # fmt: skip
    return folder


def test_ids_paths_tags_and_sizes(folder):
    result = index(folder)
    rows = {row.id: row for row in result.images}
    assert result.classes == ("background", "Straße", "cat", "dog")
    assert list(rows) == sorted(rows) == ["Große 犬 1", "a/one", "b/one", "two.jpg", "two.png"]
    assert rows["a/one"].path == str(folder / "a" / "one.jpg")
    assert rows["b/one"].tags == ("cat", "dog") and rows["two.jpg"].tags == ("cat",)
    assert {(row.width, row.height) for row in rows.values()} == {(12, 8)}
    assert rows["Große 犬 1"].split == "test" and rows["b/one"].split == "val"
    assert rows["Große 犬 1"].path == str(folder / "Große 犬 1.webp") and rows["Große 犬 1"].tags == ()
    (folder / "classes.txt").write_text("background\nzebra\ndog\ncat\nStraße\n", encoding="utf-8")
    result = index(folder)  # the list fixes the order
    assert result.classes == ("background", "zebra", "dog", "cat", "Straße")
    assert {row.id: row.tags for row in result.images}["b/one"] == ("dog", "cat")


@pytest.mark.parametrize("where", ["folder", "elsewhere"])
def test_the_table_may_be_anywhere_its_images_are_in_the_folder(folder, tmp_path, where):
    write_image(folder / "x, y.jpg")
    table = write_labels((folder if where == "folder" else tmp_path) / "tables 1", '"x, y.jpg",dog,train')
    named = "tables 1/labels.csv" if where == "folder" else str(table)
    assert [row.id for row in index(folder, labels=named).images] == ["x, y"]


def test_linked_images_and_folders_are_read_from_another_disk(folder, tmp_path):
    disk = tmp_path / "disk"
    for name in ("x.jpg", "photos/y.JFIF"):
        write_image(disk / f"{name}.jpg").rename(disk / name)
    (folder / "x.jpg").symlink_to(disk / "x.jpg")
    (folder / "linked").symlink_to(disk / "photos")
    write_labels(folder, "x.jpg,dog,train", "linked/y.JFIF,dog,train")
    (tmp_path / "link").symlink_to(folder)
    assert [row.id for row in index(tmp_path / "link").images] == ["linked/y", "x"]


@pytest.mark.parametrize(("line", "message"), [
    ("gone.jpg,dog,train", "gone.jpg: no such image"),
    ("text.jpg,dog,train", "text.jpg: not a readable image"),
    ("cut.jpg,dog,train", "cut.jpg: damaged image"),
    ("./a/one.jpg,dog,val", "a/one.jpg: split val, but train in line 2. Write the same split"),
    ("C:/x.jpg,dog,train", "C:/x.jpg: an absolute path. Write it relative"),
    ("/etc/passwd,dog,train", "/etc/passwd: an absolute path. Write it relative"),
    ("a/../../x.jpg,dog,train", "a/../../x.jpg: the path points outside the folder (`..`). Move the file"),
    ("plain,dog,train", "plain: unknown suffix. Use one of ."),
    (".bad.jpg,dog,train", ".bad.jpg: a hidden file, or in a hidden folder. Rename it"),
    (".,dog,train", ".: no path. Name the image's file"),
    ("loop.jpg,dog,train", "loop.jpg: cannot be read (Too many levels of symbolic links)"),
    ("pipe.jpg,dog,train", "pipe.jpg: not a readable image (not a file)"),
    ("a,dog,train", "a: not a readable image (not a file)"),
    ("x" * 300 + ".jpg,dog,train", "a name longer than 251 bytes, too long for its mask. Shorten it"),
    ("SegmentationClass/good.png,dog,train", "the folder of the masks. Remove the row"),
    ("good.jpg,dog;a/b,train", "good.jpg: class 'a/b' h"),
])  # fmt: skip
def test_bad_row(folder, line, message):
    write_bad_files(folder)
    with open(folder / "labels.csv", "a", encoding="utf-8") as stream:
        stream.write(line + "\n")
    ((path, number, text),) = failure(folder).problems
    assert (path, number) == ("labels.csv", 7)
    assert message in text and str(folder) not in text.split(" (")[0]
    assert str(failure(folder)) == f"{folder}: 1 problem\n  labels.csv, line 7: {text}"


def write_bad_files(folder):
    for name in ("good.jpg", "cut.jpg", ".bad.jpg", "new.jpg"):
        write_image(folder / name)
    (folder / "new.jpg").rename(folder / "plain")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:-60])
    (folder / "text.jpg").write_text("not an image")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    os.mkfifo(folder / "pipe.jpg")
    write_zero_mask(folder / "SegmentationClass" / "good.png")


def test_problems_of_the_class_list_and_of_all_rows_are_reported_together(folder):
    (folder / "classes.txt").write_text("dog\ndog\n", encoding="utf-8")
    write_labels(folder, "gone.jpg,cat,trian", "a/one.jpg,,train,x", "../x.jpg,,val")
    found = failure(folder).problems
    expected = [("classes.txt", 0), *(("labels.csv", line) for line in (2, 2, 3, 4))]
    assert [(path, line) for path, line, _ in found] == expected
    assert "class 'dog' is listed twice" in found[0].text


@pytest.mark.parametrize(("labels", "message"), [
    ("gone.csv", r"gone\.csv: no such file\. Write a table"),
    ("labels.xlsx", r"labels\.xlsx: not a table of labels. Give it a name that ends in \.csv, \.tsv, "),
    ("a", "a: not a table of labels"),
    (None, "holds labels.csv and labels.jsonl. Name one of them"),
])  # fmt: skip
def test_bad_name_of_a_table(folder, labels, message):
    (folder / "labels.jsonl").write_text("{}")
    with pytest.raises(TagsegError, match=message):
        index(folder, labels=labels)
    with pytest.raises(TagsegError, match="gone: no such folder. Name the folder"):
        index(folder / "gone")


def test_new_images_are_listed_without_those_of_our_results(folder, monkeypatch):
    write_image(folder / "c" / "d" / "LOUD.JPG", format="JPEG")
    for name in (".hidden.jpg", ".cache/x.jpg", "@eaDir/x.jpg", "results/photos/overlays/a.jpg"):
        write_image(folder / name)
    write_zero_mask(folder / "SegmentationClass" / "two.png")
    (folder / "inside").symlink_to(folder / "a")
    monkeypatch.chdir(folder)
    result, messages = index_unlabelled(Path(), CLASSES, Path("results"))
    assert [row.id for row in result.images] == [
        "Große 犬 1", "a/one", "b/one", "c/d/LOUD", "inside/one", "two.jpg", "two.png",
    ]  # fmt: skip
    assert {(row.split, row.tags, row.width) for row in result.images} == {("test", (), 12)}
    assert result.classes == CLASSES and messages == []


def test_unreadable_new_images_are_skipped_with_a_message(folder):
    good = index_unlabelled(folder, CLASSES)[0].images
    write_bad_files(folder)
    (folder / "phone.GIF").write_bytes(b"")
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/\xfc.jpg")).write_bytes(b"")
        not_utf8 = {"\\udcfc.jpg"}
    except OSError:  # this file system takes names in UTF-8 only
        not_utf8 = set()
    result, messages = index_unlabelled(folder, CLASSES)
    assert {row.id for row in result.images} == {row.id for row in good} | {"good"}
    expected = {"cut.jpg", "text.jpg", "loop.jpg", "pipe.jpg", "phone.GIF"} | not_utf8
    assert {message.split(": ")[0] for message in messages} == expected
    assert any("unsupported image format. Convert it to one of ." in message for message in messages)
    (folder / "none").mkdir()
    with pytest.raises(TagsegError, match=r"no readable image. Put images there \(\."):
        index_unlabelled(folder / "none", CLASSES)
    (folder / "none" / "a.jpg").write_bytes(b"")
    with pytest.raises(TagsegError, match=r"no readable image. .*a\.jpg: not a read"):
        index_unlabelled(folder / "none", CLASSES)


def test_masks_by_id_and_by_unique_stem(folder):
    assert ground_truth(folder) == {}
    for name in ("a/one.png", "one.png", "two.png", "two.jpg.png", "Große 犬 1.png"):
        write_zero_mask(folder / "SegmentationClass" / name)
    assert ground_truth(folder) == {  # two images have the stem "one", and two "two"
        "a/one": "a/one.png", "two.jpg": "two.jpg.png", "Große 犬 1": "Große 犬 1.png",
    }  # fmt: skip
    assert ground_truth(folder, "test") == {"Große 犬 1": "Große 犬 1.png"}
    (folder / "SegmentationClass" / "a" / "one.png").unlink()
    assert ground_truth(folder, "val") == {}  # a stem is unique in the whole index
    result = index(folder)
    alone = Index(result.classes, tuple(row for row in result.images if row.id != "a/one"))
    assert ground_truth(folder, "val", alone) == {"b/one": "one.png"}


def test_ids_and_masks_stay_unique_where_a_name_looks_like_another_id(tmp_path):
    names = "a.jpg", "a.png", "a.jpg.png", "a.b.jpg", "b/a.jpg.png"
    for name in names:
        write_image(tmp_path / name)
    found = [row.id for row in index_unlabelled(tmp_path, CLASSES)[0].images]
    assert found == ["a.b", "a.jpg", "a.jpg.png", "a.png", "b/a.jpg"]
    (tmp_path / "a.jpg.png").unlink()
    write_labels(tmp_path, *(f"{name},dog,train" for name in ("a.jpg", "a.png", "b/a.jpg.png")))
    write_zero_mask(tmp_path / "SegmentationClass" / "a.jpg.png")
    assert ground_truth(tmp_path) == {"a.jpg": "a.jpg.png"}


def test_mask_fits_the_image_after_exif_rotation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    write_image(tmp_path / "a.jpg", width=12, height=8, exif=exif)
    write_zero_mask(tmp_path / "SegmentationClass" / "a.png", width=8, height=12)
    write_labels(tmp_path, "a.jpg,dog,train")
    (row,) = index(tmp_path).images
    assert (row.width, row.height) == (8, 12) and ground_truth(tmp_path) == {"a": "a.png"}


def test_all_bad_masks_are_told(folder, tmp_path):
    masks = folder / "SegmentationClass"
    write_zero_mask(masks / "a" / "one.png", width=5, height=5)
    (masks / "two.jpg.png").write_bytes(b"no PNG")
    (masks / "two.png.png").symlink_to(write_zero_mask(tmp_path / "elsewhere.png"))
    (masks / "Große 犬 1.png").mkdir()
    with pytest.raises(DatasetProblems) as caught:
        ground_truth(folder, "train")
    a, b = caught.value.problems
    assert a == ("SegmentationClass/a/one.png", 0, a.text) and "5x5 pixels, but the image" in a.text
    assert b == ("SegmentationClass/two.jpg.png", 0, b.text) and "not a readable PNG" in b.text
    with pytest.raises(DatasetProblems, match="1 problem\n.*Große 犬 1.png: not a file"):
        ground_truth(folder, "test")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not on this machine")
def test_real_images():
    result = index(REAL)
    assert len(result.images) == 447 and len(result.classes) == 16
    assert (len(result.of_split("train")), len(result.of_split("val"))) == (337, 110)
    assert sum(len(photos_ground_truth(REAL / "SegmentationClass", result, split)) for split in SPLITS) == 447
    assert result.classes[1:] == tuple((REAL / "classes.txt").read_text().split()[1:])


def test_masks_and_class_list_elsewhere(folder, tmp_path):
    """A folder that may only be read, with the user's own files beside it."""
    write_zero_mask(tmp_path / "mine/masks/a/one.png")
    (tmp_path / "mine/names.txt").write_text("dog\ncat\n")
    result = index(folder, class_list=str(tmp_path / "mine/names.txt"))
    assert result.classes == ("background", "dog", "cat")
    found = FolderAdapter.read_ground_truth(folder, result, "train", tmp_path, masks=str(tmp_path / "mine/masks"))
    assert found == photos_ground_truth(tmp_path / "mine/masks", result, "train") != {}
    with pytest.raises(TagsegError, match=r"gone.txt: no such file. Correct dataset.class_list."):
        index(folder, class_list=str(tmp_path / "gone.txt"))
