"""The index of COCO's layout, on data sets of a few photographs; at the true size behind `slow`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mini_coco import annotation_entry, edit, image_entry, write_annotations, write_half, write_mini_coco
from tagseg.datasets import coco, coco_annotations
from tagseg.datasets.coco import index_coco
from tagseg.datasets.coco_annotations import annotation_file, entries
from tagseg.datasets.problems import DatasetProblems
from tagseg.errors import TagsegError

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "coco_index.py"


@pytest.fixture
def root(tmp_path):
    """Three photographs of train, the last without instance, and one of val."""
    images = [image_entry(9), image_entry(25, 15, 9), image_entry(30)]
    annotations = [
        annotation_entry(1, 9, 44),
        annotation_entry(2, 9, 2),
        annotation_entry(3, 9, 44),
        annotation_entry(4, 25, 7, iscrowd=1),
        annotation_entry(5, 25, 2),
    ]
    write_half(tmp_path, "train", images, annotations)
    write_half(tmp_path, "val", [image_entry(139)], [annotation_entry(1, 139, 7)])
    return tmp_path


def rows_by_id(index):
    return {row.id: row for row in index.photographs}


def slow_tags(root, crowd=True):
    """Return split and set of tags of each photograph, by loading the whole files."""
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
    index = index_coco(root)
    rows = rows_by_id(index)
    assert index.classes == ("background", "traffic light", "dog", "bottle")
    assert list(rows) == sorted(rows) == ["000000000009", "000000000025", "000000000030", "000000000139"]
    assert [row.id for row in index.of_split("val")] == ["000000000139"]
    assert rows["000000000025"].path == str(root / "train2017" / "000000000025.jpg")
    assert (rows["000000000025"].width, rows["000000000025"].height) == (15, 9)


def test_tags_are_each_class_once_in_the_order_of_the_list(root):
    rows = rows_by_id(index_coco(str(root)))
    assert rows["000000000009"].tags == ("traffic light", "bottle")
    assert rows["000000000025"].tags == ("traffic light", "dog")
    assert rows["000000000030"].tags == ()


def test_crowd_regions_can_be_left_out(root):
    assert rows_by_id(index_coco(root, crowd=False))["000000000025"].tags == ("traffic light",)


def test_a_missing_crowd_flag_is_none(root):
    edit(root, "val", lambda content: content["annotations"][0].pop("iscrowd"))
    assert rows_by_id(index_coco(root, crowd=False))["000000000139"].tags == ("dog",)


@pytest.mark.parametrize("crowd", [True, False])
def test_tags_of_many_photographs(tmp_path, crowd):
    write_mini_coco(tmp_path, train=30, val=9)
    index = index_coco(tmp_path, crowd=crowd)
    found = {row.id: (row.split, set(row.tags)) for row in index.photographs}
    assert found == slow_tags(tmp_path, crowd) and any(len(tags) > 1 for _, tags in found.values())


@pytest.mark.parametrize("indent", [None, 2])
def test_order_of_the_lists_and_blanks_do_not_matter(root, indent):
    expected = index_coco(root)
    path = annotation_file(root, "train")
    content = json.loads(path.read_text())
    turned = {"type": "instances", "more": [[1], {"a": [2]}], **dict(reversed(content.items())), "end": 7}
    path.write_text(json.dumps(turned, indent=indent) + " \n", encoding="utf-8-sig")
    assert index_coco(root) == expected


def test_links_within_the_data_set(root):
    expected = index_coco(root)
    (root / "train2017" / "000000000009.jpg").rename(root / "elsewhere.jpg")
    (root / "train2017" / "000000000009.jpg").symlink_to(root / "elsewhere.jpg")
    assert index_coco(root) == expected
    linked = root.parent / f"{root.name} linked"
    linked.symlink_to(root)
    assert [row.id for row in index_coco(linked).photographs] == [row.id for row in expected.photographs]


def test_known_counts(root, monkeypatch):
    monkeypatch.setattr(coco, "PUBLISHED", {"train": 3, "val": 1})
    monkeypatch.setattr(coco, "PUBLISHED_CLASSES", 3)
    assert index_coco(root, counts_known=True) == index_coco(root)
    monkeypatch.undo()
    with pytest.raises(DatasetProblems) as caught:
        index_coco(root, counts_known=True)
    remedy = "complete the copy, or set dataset.counts_known: false for another data set"
    assert [problem.text for problem in caught.value.problems] == [
        f"1 photographs in val, where COCO 2017 has 5,000; {remedy}",
        f"3 classes, where COCO 2017 has 80; {remedy}",
        f"3 photographs in train, where COCO 2017 has 118,287; {remedy}",
    ]


# Reading entry by entry --------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 100_000])
def test_entries_are_those_of_the_whole_file(root, monkeypatch, chunk):
    monkeypatch.setattr(coco_annotations, "_CHUNK", chunk)
    path = annotation_file(root, "train")
    content = json.loads(path.read_text())
    content["annotations"] += [1234567, -12.5e-3, 'ein "Straße" \\', None, [], {}]
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    found = list(entries(path))
    for key in coco_annotations.LISTS:
        assert [entry for name, entry in found if name == key] == content[key]


def test_every_cut_is_noticed(root):
    whole = annotation_file(root, "val").read_text()
    path = root / "cut.json"
    for length in range(len(whole)):
        path.write_text(whole[:length])
        with pytest.raises(TagsegError, match=r"cut\.json: not COCO's annotations \(.*, at character"):
            list(entries(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"'\{' expected, the end of the file found"),
        ("[]", r"'\{' expected, '\[' found"),
        ('{"images": [], "annotations": []}', "no list `categories`"),
        ('{"images": [], "images": []}', "a second list `images`"),
        ('{"images": {}}', r"'\[' expected, '\{' found"),
        ('{"images": [1 2]}', "',' expected, '2' found"),
        ('{"images": [1,]}', "a comma before ']'"),
        ('{"images": [],}', "a comma before '}'"),
        ('{3: []}', "a key that is no text"),
        ('{"images": [], "annotations": [], "categories": []} x', "something after the end"),
        ('{"images": [' + "[" * 100_000, "an absurdly long number or deep nesting"),
        ('{"info": ' + '{"a":' * 100_000, "an absurdly long number or deep nesting"),
        ('{"images": [' + "9" * 5000 + "]}", "an absurdly long number or deep nesting"),
    ],
)  # fmt: skip
def test_malformed_files(root, text, message):
    annotation_file(root, "train").write_text(text)
    with pytest.raises(TagsegError, match=rf"instances_train2017\.json: not COCO's annotations \({message}"):
        index_coco(root)


def test_long_entries(root, monkeypatch):
    monkeypatch.setattr(coco_annotations, "MAX_ENTRY", 5000)
    monkeypatch.setattr(coco_annotations, "_CHUNK", 100)
    path = annotation_file(root, "val")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({"more": ["x" * 3000] * 20, **content}))
    assert index_coco(root).of_split("val")
    path.write_text(json.dumps({"more": "x" * 20_000, **content}))
    with pytest.raises(TagsegError, match="malformed, or an entry of more than 5,000 characters"):
        index_coco(root)


def test_other_encodings(root):
    path = annotation_file(root, "train")
    path.write_bytes(path.read_bytes().replace(b"traffic light", "Straße".encode("latin-1")))
    with pytest.raises(TagsegError, match=r"instances_train2017\.json: not UTF-8; unpack annot"):
        index_coco(root)


def test_damaged_bytes_give_an_index_or_a_clear_error(root):
    path = annotation_file(root, "train")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    messages = 0
    for _ in range(400):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        try:
            index_coco(root)
        except TagsegError as error:
            assert "train2017" in str(error) or "categories are not those of train" in str(error)
            messages += 1
    assert messages > 100


# Problems ---------------------------------------------------------------------------------------


def fails(root, message, **options):
    with pytest.raises(DatasetProblems, match=message) as caught:
        index_coco(root, **options)
    return [problem.text for problem in caught.value.problems]


def changed(root, key, place=0, **changes):
    """Change an entry of train's annotation file."""
    edit(root, "train", lambda content: content[key][place].update(changes))


def test_missing_parts(tmp_path):
    parts = r"annotations/instances_train2017\.json, .*instances_val2017\.json, train2017, val2017"
    with pytest.raises(TagsegError, match=f"no {parts}; unpack train2017.zip, val2017.zip and annotations"):
        index_coco(tmp_path)


def test_linked_folder(root):
    (root / "val2017").rename(root.parent / "away")
    (root / "val2017").symlink_to(root.parent / "away")
    with pytest.raises(TagsegError, match=r"val2017: a link to .*away, outside the data set"):
        index_coco(root)
    (root.parent / "away").rename(root / "inside")
    (root / "val2017").unlink()
    (root / "val2017").symlink_to("inside")
    assert index_coco(root).of_split("val")


@pytest.mark.parametrize(
    "name",
    [
        "../000000000009.jpg", "/etc/x.jpg", "a/b.jpg", "..\\b.jpg", "a\\b.jpg", "a\0.jpg", "..jpg", ".jpg",
        "a..b.jpg", "a\nb.jpg", "\ud800.jpg", "x" * 300 + ".jpg",
    ],
)  # fmt: skip
def test_unsafe_file_names(root, name):
    changed(root, "images", file_name=name)
    texts = fails(root, r"images: id 9: `file_name` is .*; make it a plain name without a folder")
    assert len(texts) == 1, texts  # what refers to the image is no second problem


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file_name": None}, "`file_name` is None; make it the name of the image's file"),
        ({"file_name": ""}, "`file_name` is ''; make it the name of the image's file"),
        ({"file_name": 12}, "`file_name` is 12; make it"),
        ({"file_name": "a.txt"}, r"`file_name` is 'a.txt'; photographs end in \.jpg"),
        ({"width": 0}, "`width` is 0; make it the number of pixels"),
        ({"height": -4}, "`height` is -4; make it"),
        ({"height": 8.0}, "`height` is 8.0; make it"),
        ({"width": True}, "`width` is True; make it"),
        ({"width": None}, "`width` is None; make it"),
        ({"width": "12"}, "`width` is '12'; make it"),
        ({"width": 10**30}, "`width` is 10{9,}.*; make it"),
        ({"width": 20_000, "height": 5001}, "20000x5001 exceeds 100,000,000 pixels; scale it down"),
        ({"file_name": "000000000025.jpg"}, "a second image '000000000025.jpg'; remove one"),
        ({"file_name": "000000000025.png"}, "a second image '000000000025.jpg'; remove one"),
    ],
)
def test_bad_images(root, changes, message):
    changed(root, "images", **changes)
    fails(root, rf"instances_train2017\.json: images: id \d+: .*{message}")


@pytest.mark.parametrize("number", [None, "9", 9.0, False, 2**63])
def test_bad_image_ids(root, number):
    changed(root, "images", 2, id=number)
    fails(root, r"images: id .*: `id` is .*; make it a whole number")


def test_doubled_image_id(root):
    changed(root, "images", 1, id=9)
    texts = fails(root, "images: id 9: a second image of this id; remove one")
    assert "annotation 4: no image has the id 25; add it or remove both" in texts


@pytest.mark.parametrize("entry", [None, 5, "x", [1, 2], [[[[[[[[1]]]]]]]]])
@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_entries_that_are_no_objects(root, key, entry):
    edit(root, "train", lambda content: content[key].append(entry))
    fails(root, f"train2017.json: {key}: .*: not an object; mend it")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 77}, "annotation 2: no image has the id 77; add it or remove both"),
        ({"image_id": "9"}, "annotations: id 2: `image_id` is '9'; make it a whole number"),
        ({"category_id": 3}, "annotation 2: no category has the id 3; add it to the list"),
        ({"category_id": [3]}, r"annotations: id 2: `category_id` is \[3\]; make it a whole number"),
        ({"iscrowd": 2}, "annotations: id 2: `iscrowd` is 2; make it 0 or 1"),
        ({"iscrowd": "yes"}, "annotations: id 2: `iscrowd` is 'yes'; make it 0 or 1"),
    ],
)
def test_bad_annotations(root, changes, message):
    changed(root, "annotations", 1, **changes)
    assert len(fails(root, f"train2017.json: {message}")) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "categories: id 7: `name` is None; make it a text"),
        ({"name": "Background"}, "'Background' cannot be the name of a class"),
        ({"name": "cat/dog"}, "class 'cat/dog' holds a sign that file names cannot"),
        ({"name": "bottle"}, "class 'bottle' is listed twice"),
        ({"id": 44}, "categories: id 44: a second category of this id; remove one"),
        ({"name": "cat"}, "its categories are not those of train; take both files from one archive"),
    ],
)
def test_bad_categories(root, changes, message):
    changed(root, "categories", **changes)
    fails(root, message)


def test_too_many_categories(root):
    many = [{"id": number, "name": f"class {number}"} for number in range(255)]
    edit(root, "train", lambda content: content.update(categories=many))
    fails(root, "255 categories, where 254 are possible")
    edit(root, "train", lambda content: content.update(categories=[]))
    fails(root, "0 classes, where 1 to 254 are possible")


def test_missing_files(root):
    (root / "train2017" / "000000000009.jpg").unlink()
    (root / "train2017" / "000000000030.jpg").unlink()
    (root / "train2017" / "000000000030.jpg").mkdir()
    (root / "val2017" / "000000000139.jpg").unlink()
    (root / "val2017" / "000000000139.jpg").symlink_to("nowhere.jpg")
    fails(root, "train2017/000000000009.jpg: no such file; restore it or take it out of the annotations")
    fails(root, "train2017/000000000030.jpg: no such file")
    fails(root, "val2017/000000000139.jpg: no such file")


def test_links_out_of_the_data_set(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "x.jpg"
    (root / "val2017" / "000000000139.jpg").rename(outside)
    (root / "val2017" / "000000000139.jpg").symlink_to(outside)
    fails(root, r"val2017/000000000139\.jpg: a link to .*x\.jpg, outside the data set; copy the file")


def test_photograph_of_both_splits(root):
    write_half(root, "val", [image_entry(139), image_entry(25)], [])
    fails(root, "val2017.json: images: id 25: 000000000025.jpg is in train too; remove it from one")


def test_all_problems_are_told_at_once(root):
    (root / "train2017" / "000000000030.jpg").unlink()
    changed(root, "images", 1, width=-1)
    changed(root, "annotations", 0, image_id=5)
    changed(root, "annotations", 1, category_id=5)
    write_annotations(root, "val", [image_entry(139), image_entry(140, file_name="a/b.jpg")], [{}])
    assert len(fails(root, "6 problems")) == 6


def test_a_file_of_rubbish_does_not_fill_the_memory(root, monkeypatch):
    monkeypatch.setattr(coco_annotations, "MAX_FINDINGS", 20)
    edit(root, "train", lambda content: content["annotations"].extend([0] * 50))
    texts = fails(root, "21 problems")
    assert texts.count("annotations: 0: not an object; mend it") == 20
    assert "30 more problems of entries" in texts


# At the true size -------------------------------------------------------------------------------


@pytest.mark.slow
def test_coco_of_the_true_size(tmp_path):
    """860,001 annotations in 448 MB: a minute and 0.5 GB on two cores of which others have a share."""
    subprocess.run([sys.executable, BENCHMARK, "--keep", tmp_path], check=True)
    command = [sys.executable, BENCHMARK, "--read", "ours", "--root", tmp_path]
    result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    assert result["seconds"] < 120 and result["peak_mb"] < 500 and result["tags"] > 800_000
