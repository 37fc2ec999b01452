"""The adapter of PASCAL VOC's layout, on devkits of a few photographs."""

import pytest

from helpers import (
    write_annotation,
    write_image_set,
    write_photograph,
    write_small_devkit,
    write_voc_photograph,
    write_zero_mask,
)
from tagseg.datasets.voc import VOC_CLASSES, index_voc
from tagseg.errors import TagsegError


@pytest.fixture
def devkit(tmp_path):
    return write_small_devkit(tmp_path / "VOCdevkit" / "VOC2012")


def rows_by_id(index):
    return {row.id: row for row in index.photographs}


def test_small_devkit(devkit):
    index = index_voc(devkit)
    rows = rows_by_id(index)
    assert index.classes == ("background", *VOC_CLASSES) and len(index.classes) == 21
    assert list(rows) == sorted(rows) and len(rows) == 5
    assert [row.id for row in index.of_split("val")] == ["2007_000033", "2007_000042"]
    first = rows["2007_000032"]
    assert first.path == str(devkit / "JPEGImages" / "2007_000032.jpg")
    assert first.mask == str(devkit / "SegmentationClass" / "2007_000032.png")
    assert (first.width, first.height) == (12, 8)
    assert (rows["2007_000039"].width, rows["2007_000039"].height) == (9, 15)


def test_tags_are_each_class_once_in_the_order_of_the_list(devkit):
    rows = rows_by_id(index_voc(devkit))
    assert rows["2007_000032"].tags == ("aeroplane", "person")  # the part "head" is none
    assert rows["2007_000039"].tags == ("chair", "tvmonitor")


def test_difficult_objects_can_be_left_out(devkit):
    rows = rows_by_id(index_voc(devkit, difficult=False))
    assert rows["2007_000039"].tags == ("tvmonitor",)
    assert rows["2007_000042"].tags == ()


def test_photograph_without_mask(devkit):
    row = rows_by_id(index_voc(devkit))["2008_000001"]
    assert row.mask is None and row.tags == ("dog",)


def test_parents_of_the_devkit_are_accepted(devkit):
    expected = index_voc(devkit)
    assert index_voc(devkit.parent) == expected
    assert index_voc(devkit.parent.parent) == expected
    assert index_voc(str(devkit)) == expected


def test_other_lists(devkit):
    write_voc_photograph(devkit, "new", "sofa")
    write_photograph(devkit / "JPEGImages" / "bare.jpg")
    write_image_set(devkit, "trainaug", "new", "2007_000032")
    write_image_set(devkit, "hidden", "bare")
    index = index_voc(devkit, train_list="trainaug", val_list=None, test_list="hidden")
    assert {row.id: row.split for row in index.photographs} == {
        "2007_000032": "train", "new": "train", "bare": "test",
    }  # fmt: skip
    assert rows_by_id(index)["bare"].tags == ()


def test_class_list_of_the_devkit(devkit):
    names = ["zebra", "tvmonitor", "train", "person", "dog", "chair", "aeroplane"]
    (devkit / "classes.txt").write_text("\n".join(["background", *names, ""]))
    index = index_voc(devkit)
    assert index.classes == ("background", *names)
    assert rows_by_id(index)["2007_000032"].tags == ("person", "aeroplane")
    (devkit / "classes.txt").write_text("\ufeff" + "\r\n".join(names), encoding="utf-8")
    assert index_voc(devkit).classes == ("background", *names)


def test_names_that_are_not_vocs_are_sorted(devkit):
    write_annotation(devkit, "2007_000042", "zebra", "Straße")
    names = ("Straße", "aeroplane", "chair", "dog", "person", "tvmonitor", "zebra")
    assert index_voc(devkit).classes == ("background", *names)


def test_names_with_spaces_and_other_alphabets(devkit):
    name = "Schöne Aussicht 犬.final"
    write_voc_photograph(devkit, name, "dog")
    write_image_set(devkit, "train", name, "", "  2007_000032")
    row = rows_by_id(index_voc(devkit))[name]
    assert row.path.endswith(f"{name}.jpg") and row.mask.endswith(f"{name}.png")


def test_photographs_of_another_suffix(devkit):
    write_photograph(devkit / "JPEGImages" / "2007_000032.png")
    (devkit / "JPEGImages" / "2007_000032.jpg").unlink()
    assert rows_by_id(index_voc(devkit))["2007_000032"].path.endswith(".png")


# Problems ---------------------------------------------------------------------------------------


def fails(devkit, message, **options):
    with pytest.raises(TagsegError, match=message):
        index_voc(devkit, **options)


def test_no_devkit(tmp_path):
    fails(tmp_path, "no VOC devkit; unpack VOCtrainval.* holds JPEGImages, Annotations")


def test_missing_list(devkit):
    fails(devkit, r"trainaug\.txt: no such file; put the list there", train_list="trainaug")


def test_id_in_two_lists(devkit):
    write_image_set(devkit, "val", "2007_000033", "2007_000032")
    fails(devkit, r"val\.txt: '2007_000032' is already in train")


def test_id_twice_in_a_list(devkit):
    write_image_set(devkit, "val", "2007_000033", "2007_000033")
    fails(devkit, r"val\.txt: '2007_000033' is already in val")


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd", "..", "a\\b", "C:\\x"])
def test_id_that_is_a_path(devkit, name):
    write_image_set(devkit, "val", name)
    fails(devkit, r"val\.txt: .* is not an id; write")


def test_missing_photograph(devkit):
    (devkit / "JPEGImages" / "2007_000033.jpg").unlink()
    fails(devkit, r"2007_000033\.jpg: no such image")


def test_damaged_photograph(devkit):
    (devkit / "JPEGImages" / "2007_000033.jpg").write_bytes(b"")
    fails(devkit, r"2007_000033\.jpg: not a readable image")


def test_missing_annotation(devkit):
    (devkit / "Annotations" / "2007_000033.xml").unlink()
    fails(devkit, r"2007_000033\.xml: no such file; put the annotation there")


@pytest.mark.parametrize(("content", "message"), [
    (b"<annotation><object>", "not valid XML"),
    (b"", "not valid XML"),
    (b"<annotation><object/></annotation>", "an object without a name"),
    (b"<annotation><object><name> </name></object></annotation>", "an object without a name"),
    (b"<annotation>\xfc</annotation>", "not UTF-8"),
    (b"<annotation>" + b" " * 1_000_000 + b"</annotation>", "more than 1,000,000 bytes"),
])  # fmt: skip
def test_bad_annotation(devkit, content, message):
    (devkit / "Annotations" / "2007_000033.xml").write_bytes(content)
    fails(devkit, rf"2007_000033\.xml: .*{message}")


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a><object><name>&c;</name></object></a>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp037"])
def test_entities_are_refused_in_any_encoding(devkit, encoding):
    head = f'<?xml version="1.0" encoding="{encoding}"?>\n'
    content = BOMB.encode(encoding)
    if encoding != "utf-16":  # its head has to be in UTF-16 too
        content = head.encode() + content
    (devkit / "Annotations" / "2007_000033.xml").write_bytes(content)
    fails(devkit, r"2007_000033\.xml: (declares a DOCTYPE or ENTITY|not UTF-8|not valid XML)")


def test_class_outside_the_list(devkit):
    (devkit / "classes.txt").write_text("aeroplane\nperson\ntvmonitor\nchair\ndog\n")
    fails(devkit, r"2007_000042\.xml: class 'train' is not in classes\.txt")


@pytest.mark.parametrize("names", ["dog\ndog\n", "dog\nbackground\n", "a/b\n", "background\n", ""])
def test_bad_class_list(devkit, names):
    (devkit / "classes.txt").write_text(names)
    fails(devkit, r"classes\.txt: ")


def test_mask_of_another_size(devkit):
    write_zero_mask(devkit / "SegmentationClass" / "2007_000033.png", width=8, height=12)
    fails(devkit, r"2007_000033\.png: 8x12 pixels, where the photograph has 12x8")


def test_mask_that_is_no_png(devkit):
    (devkit / "SegmentationClass" / "2007_000033.png").write_bytes(b"GIF89a")
    fails(devkit, r"2007_000033\.png: not a PNG")
