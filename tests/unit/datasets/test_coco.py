"""The index of COCO's layout, on data sets of a few images; at full size behind `slow`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from helpers import write_image
from mini_coco import annotation_entry, edit, image_entry, write_annotations, write_half, write_mini_coco
from tagseg.datasets.coco import coco
from tagseg.datasets.coco.coco import index_coco
from tagseg.datasets.coco.layout import annotation_file
from tagseg.datasets.coco.masks import coco_ground_truth
from tagseg.datasets.image_checks import Reading
from tagseg.datasets.problems import DatasetProblems
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import read_mask

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "coco_index.py"


@pytest.fixture
def root(tmp_path):
    """Three images of train, the last without instance, and one of val."""
    images = [image_entry(9), image_entry(25, 15, 9), image_entry(30)]
    annotations = [annotation_entry(1, 9, 44), annotation_entry(2, 9, 2), annotation_entry(3, 9, 44)]
    annotations += [annotation_entry(4, 25, 7, iscrowd=1), annotation_entry(5, 25, 2)]
    write_half(tmp_path / "coco", "train", images, annotations)
    write_half(tmp_path / "coco", "val", [image_entry(139)], [annotation_entry(1, 139, 7)])
    return tmp_path / "coco"


def slow_tags(root, crowd=True):
    """Return split and set of tags of each image, one image at a time."""
    found = {}
    for split in ("train", "val"):
        content = json.loads(annotation_file(root, split).read_text())
        names = {entry["id"]: entry["name"] for entry in content["categories"]}
        for image in content["images"]:
            own = [one for one in content["annotations"] if one["image_id"] == image["id"]]
            tags = {names[one["category_id"]] for one in own if crowd or not one["iscrowd"]}
            found[Path(image["file_name"]).stem] = (split, tags)
    return found


def test_small_set(root):
    index = index_coco(str(root))
    assert index.classes == ("background", "traffic light", "dog", "bottle")  # in the order of their ids
    assert [(int(row.id), row.split, row.width, row.height, row.tags) for row in index.images] == [
        (9, "train", 12, 8, ("traffic light", "bottle")), (25, "train", 15, 9, ("traffic light", "dog")),
        (30, "train", 12, 8, ()), (139, "val", 12, 8, ("dog",)),
    ]  # fmt: skip
    assert index.images[1].path == str(root / "train2017" / "000000000025.jpg")


@pytest.mark.parametrize("crowd", [True, False])
def test_tags_of_many_images(tmp_path, crowd):
    write_mini_coco(tmp_path, train=30, val=9)
    found = {row.id: (row.split, set(row.tags)) for row in index_coco(tmp_path, crowd=crowd).images}
    assert found == slow_tags(tmp_path, crowd) and any(len(tags) > 1 for _, tags in found.values())


@pytest.mark.parametrize("name", ["train2017", "annotations", "train2017/000000000009.jpg", "."])
def test_folders_and_images_may_be_links_to_another_disk(root, tmp_path, name):
    expected = index_coco(root)
    (root / name).resolve().rename(tmp_path / "another disk")
    (root / name if name != "." else root).symlink_to(tmp_path / "another disk")
    assert index_coco(root) == expected


def test_known_counts(root, monkeypatch):
    monkeypatch.setattr(coco, "PUBLISHED", {"train": 3, "val": 1})
    monkeypatch.setattr(coco, "PUBLISHED_CLASSES", 3)
    assert index_coco(root, counts_known=True) == index_coco(root)
    monkeypatch.undo()
    texts = fails(root, "3 problems", counts_known=True)
    remedy = ". Complete the copy, or set dataset.counts_known: false"
    pairs = [text.partition(remedy)[0].split(", but COCO 2017 has ") for text in texts]
    assert pairs == [["1 images in val", "5,000"], ["3 classes", "80"], ["3 images in train", "118,287"]]


def fails(root, message, **options):
    with pytest.raises(DatasetProblems, match=message) as caught:
        index_coco(root, **options)
    return [problem.text for problem in caught.value.problems]


def changed(root, key, position=0, **changes):
    """Change an entry of train's annotation file."""
    edit(root, "train", lambda content: content[key][position].update(changes))


@pytest.mark.parametrize("content", [
    b"", b'{"images": [', b"{}x", b'{"images": [' + b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b'{"\xff": 1}',
])  # fmt: skip
def test_files_that_are_not_json(root, content):
    annotation_file(root, "train").write_bytes(content)
    with pytest.raises(TagsegError, match=r"instances_train2017\.json: not JSON \(.*\). Unpack or export"):
        index_coco(root)


@pytest.mark.parametrize("content, messages", [
    ([], ["file: Input should be a valid dictionary"]),
    ({"images": [], "annotations": {}}, ["annotations: Input should be a valid list", "categories: Field req"]),
    ({"images": [None, 5], "annotations": [[]], "categories": []}, [
        "annotations[0]: Input should be a valid dictionary", "images[0]: Input", "images[1]: Input"]),
])  # fmt: skip
def test_json_of_another_form(root, content, messages):
    annotation_file(root, "train").write_text(json.dumps(content))
    for text, message in zip(fails(root, "instances_train2017.json: "), messages, strict=True):
        assert text.startswith(message)


@pytest.mark.parametrize("name", [
    "../000000000009.jpg", "/etc/x.jpg", "..\\b.jpg", "a\0.jpg", "..jpg", ".jpg", "",
    "a..b.jpg", "a\nb.jpg", "\ud800.jpg", "x" * 300 + ".jpg",
])  # fmt: skip
def test_file_names_that_leave_the_folder(root, name):
    changed(root, "images", file_name=name)
    (text,) = fails(root, r"images\[0\].file_name: ")
    assert "not a path inside the folder of images (found " in text or "valid string" in text


@pytest.mark.parametrize("key, position, changes, message", [
    ("images", 0, {"file_name": None}, "images[0].file_name: Input should be a valid string (found None)"),
    ("images", 0, {"file_name": "a.txt"}, "images[0].file_name: not the suffix of an image"),
    ("images", 0, {"width": 0}, "images[0].width: Input should be greater than or equal to 1 (found 0)"),
    ("images", 0, {"width": True}, "images[0].width: Input should be a valid integer (found True)"),
    ("images", 0, {"width": 10**30}, "images[0].width: Input should be less than or equal to 214285714"),
    ("images", 2, {"id": "9"}, "images[2].id: Input should be a valid integer (found '9')"),
    ("images", 0, {"file_name": "000000000025.png"}, "file_name without suffix '000000000025' occurs twice"),
    ("images", 1, {"id": 9}, "images: id 9 occurs twice. Remove one."),
    ("annotations", 1, {"image_id": 77}, "annotation 2: no image has the id 77. Add it or remove the annot"),
    ("annotations", 1, {"category_id": 3}, "annotation 2: no category has the id 3. Add it"),
    ("annotations", 1, {"iscrowd": 2}, "annotations[1].iscrowd: Input should be 0 or 1 (found 2)"),
    ("categories", 0, {"name": "Background"}, "'Background' is not allowed as a class name"),
    ("categories", 0, {"id": 44}, "categories: id 44 occurs twice. Remove one."),
    ("categories", 0, {"name": "cat"}, "its categories differ from train's. Export both with the same"),
])  # fmt: skip
def test_bad_entries(root, key, position, changes, message):
    changed(root, key, position, **changes)
    assert any(message in text for text in fails(root, "."))


def test_missing_files_and_image_in_both_splits(root, tmp_path):
    parts = r"annotations/instances_train2017\.json, .*instances_val2017\.json, train2017, val2017"
    with pytest.raises(TagsegError, match=f"{parts} missing. Unpack train2017.zip, val2017.zip and annotations"):
        index_coco(tmp_path)
    (root / "train2017" / "000000000009.jpg").unlink()
    (root / "train2017" / "000000000030.jpg").unlink()
    (root / "train2017" / "000000000030.jpg").mkdir()
    write_half(root, "val", [image_entry(139), image_entry(25)], [])
    fails(root, "train2017/000000000009.jpg: no such file. Restore it or remove it from the annotations")
    fails(root, "train2017/000000000030.jpg: no such file")
    fails(root, "val2017.json: images: 000000000025.jpg is in train too. Remove it from one")


def test_damaged_bytes_give_an_index_or_a_clear_error(root):
    path = annotation_file(root, "train")
    whole = path.read_bytes()
    rng, messages = np.random.default_rng(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        try:
            index_coco(root)
        except TagsegError as error:
            assert "train" in str(error)
            messages += 1
    assert messages > 80


@pytest.mark.slow
def test_coco_at_full_size(tmp_path):
    """860,001 annotations in 448 MB: 20 s and 1.2 GB on two cores."""
    subprocess.run([sys.executable, BENCHMARK, "--keep", tmp_path], check=True)
    command = [sys.executable, BENCHMARK, "--read", "ours", "--root", tmp_path]
    result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    assert result["seconds"] < 120 and result["peak_mb"] < 1500 and result["tags"] > 800_000


def moved_to_roboflow(root):
    """Move COCO's own layout to that of Roboflow's exports."""
    for split, name in (("train", "train"), ("val", "valid")):
        (root / f"{split}2017").rename(root / name)
        annotation_file(root, split).rename(root / name / "_annotations.coco.json")
    return root


def test_exports_and_named_files_give_the_same_index_and_masks(root, tmp_path):
    def content(index):
        return index.classes, [(row.id, row.split, row.tags) for row in index.images]

    plain = index_coco(root)
    masks = coco_ground_truth(root, plain, "val", tmp_path / "plain")
    moved_to_roboflow(root)
    exported = index_coco(root)
    assert content(exported) == content(plain)
    assert coco_ground_truth(root, exported, "val", tmp_path / "exported") == masks
    (root / "valid").rename(tmp_path / "elsewhere")
    named = {"val_json": str(tmp_path / "elsewhere/_annotations.coco.json"), "val_images": str(tmp_path / "elsewhere")}
    assert content(index_coco(root, **named)) == content(plain)
    with pytest.raises(
        TagsegError, match="or name your files in dataset.train_json, train_images, val_json and val_im"
    ):
        index_coco(root)


def test_images_in_subfolders_have_their_path_as_id(root):
    path = annotation_file(root, "train")
    content = json.loads(path.read_text())
    name = content["images"][0]["file_name"]
    content["images"][0]["file_name"] = f"a b/{name}"
    path.write_text(json.dumps(content))
    (root / "train2017" / "a b").mkdir()
    (root / "train2017" / name).rename(root / "train2017" / "a b" / name)
    index = index_coco(root)
    row = next(row for row in index.images if row.id.startswith("a b/"))
    assert row.path == f"{root}/train2017/a b/{name}"
    assert coco_ground_truth(root, index, "train", root / "masks")[row.id] == f"png/{row.id}.png"


@pytest.mark.parametrize(("file", "prefix", "folder"), [
    ("annotations/instances_default.json", "", "images/default"), ("result.json", "images\\", "images"),
    ("annotations.json", "", "."), ("export of today.json", "images/", "images"),
])  # fmt: skip
def test_one_annotation_file_is_split(tmp_path, file, prefix, folder):
    """CVAT's, Label Studio's and other exports have all images in one file; val is the same each time."""
    entries = [image_entry(number) for number in range(20)]
    path = write_annotations(tmp_path, "train", entries, [annotation_entry(n, n, (2, 44)[n % 2]) for n in range(20)])
    for entry in entries:
        write_image(tmp_path / folder / entry["file_name"], seed=entry["id"])
    edit(
        tmp_path,
        "train",
        lambda content: [one.update(file_name=f"{prefix}{one['file_name']}") for one in content["images"]],
    )
    (tmp_path / file).parent.mkdir(exist_ok=True)
    path.rename(tmp_path / file)
    named = {"train_json": file} if file.startswith("export") else {}
    index = index_coco(tmp_path, val_fraction=0.2, reading=Reading(), **named)
    assert index == index_coco(tmp_path, val_fraction=0.2, reading=Reading(), **named)
    assert [len(index.of_split(split)) for split in ("train", "val")] == [16, 4]
    assert {tag for row in index.of_split("val") for tag in row.tags} == {"traffic light", "bottle"}
    masks = [coco_ground_truth(tmp_path, index, split, tmp_path / split, **named) for split in ("train", "val")]
    assert sorted(name for one in masks for name in one) == [row.id for row in index.images]


def test_classes_txt_chooses_some_categories(root, tmp_path):
    (root / "classes.txt").write_text("dog\nTraffic  Light\n")
    reading = Reading()
    index = index_coco(root, reading=reading)
    assert (
        index.classes[1:] == ("dog", "Traffic  Light")
        and "categories that are not in classes.txt are ignored: bottle" in reading.notes
    )
    assert [row.tags for row in index.images] == [("Traffic  Light",), ("dog", "Traffic  Light"), (), ("dog",)]
    made = coco_ground_truth(root, index, "train", tmp_path / "made")
    assert {*np.unique(read_mask(tmp_path / "made" / made["000000000009"]))} == {0, 2}
    (root / "classes.txt").write_text("dog\ntrafic light\n")
    assert fails(root, "classes.txt: trafic light: no annotation has this category. Correct the name or remove it.")


def test_spellings_of_a_category_are_one_class(root):
    for split in ("train", "val"):
        edit(root, split, lambda content: content["categories"].append({"id": 45, "name": "Bottle "}))
    changed(root, "annotations", 2, category_id=45)
    before, reading = index_coco(root).classes, Reading()
    index = index_coco(root, reading=reading)
    assert index.classes == before == ("background", "traffic light", "dog", "bottle")
    assert reading.notes[:1] == ["category 'Bottle ' is read as 'bottle'"]


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 7, 8])
def test_annotations_that_ignore_an_exif_rotation_are_turned(tmp_path, orientation):
    """The annotations are in pixels of the image as stored; images are read upright."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    polygon = [[1, 1, 10, 1, 10, 3, 1, 3]]
    write_half(tmp_path, "train", [image_entry(9)], [annotation_entry(1, 9, 2, segmentation=polygon)])
    write_half(tmp_path, "val", [image_entry(10)], [])
    path = write_image(tmp_path / "train2017/000000000009.jpg", 12, 8, exif=exif, quality=95)
    plain = Image.fromarray(np.zeros((8, 12), np.uint8))
    plain.paste(1, (1, 1, 10, 3))
    plain.getexif()[ExifTags.Base.Orientation] = orientation if orientation > 4 else 1
    reading = Reading()
    index = index_coco(tmp_path, reading=reading)
    row = next(row for row in index.images if row.split == "train")
    assert row.read().shape[:2] == (row.height, row.width) == ((12, 8) if orientation > 4 else (8, 12))
    assert bool(reading.notes[1:]) == (orientation > 4)
    masks = coco_ground_truth(tmp_path, index, "train", tmp_path / "made")
    expected = np.array(ImageOps.exif_transpose(plain))
    np.testing.assert_array_equal(read_mask(tmp_path / "made" / masks[row.id]), expected)
    assert path.is_file()
