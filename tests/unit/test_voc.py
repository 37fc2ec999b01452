"""The adapter of PASCAL VOC's layout, on devkits of a few photographs."""

import pytest

from helpers import (
    write_annotation,
    write_image_set,
    write_photograph,
    write_small_devkit,
    write_small_sbd,
    write_voc_photograph,
)
from tagseg.datasets.problems import DatasetProblems
from tagseg.datasets.voc import VOC_CLASSES, index_voc
from tagseg.errors import TagsegError
from tagseg.index import Photograph


@pytest.fixture
def devkit(tmp_path):
    return write_small_devkit(tmp_path / "VOCdevkit" / "VOC2012")


@pytest.fixture
def sbd(devkit, tmp_path):
    return write_small_sbd(tmp_path / "sbd", devkit)


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


def test_parents_of_the_devkit_are_accepted(devkit):
    expected = index_voc(devkit)
    assert index_voc(devkit.parent) == expected
    assert index_voc(devkit.parent.parent) == expected
    assert index_voc(str(devkit)) == expected


def test_other_lists(devkit):
    write_voc_photograph(devkit, "new", "sofa")
    write_photograph(devkit / "JPEGImages" / "bare.jpg")
    write_image_set(devkit, "mine", "new", "2007_000032")
    write_image_set(devkit, "hidden", "bare")
    index = index_voc(devkit, train_list="mine", val_list=None, test_list="hidden")
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
    for name in rows_by_id(index_voc(devkit)):
        write_annotation(devkit, name, "zebra", "Straße")
    assert index_voc(devkit).classes == ("background", "Straße", "zebra")


def test_a_misspelt_class_makes_no_list_of_its_own(devkit):
    """With 21 sorted names, every later label of the masks would be another class's."""
    write_annotation(devkit, "2007_000042", "dog", "buss")
    with pytest.raises(DatasetProblems, match=r"class 'buss' is not in VOC's 20 classes.*classes\.txt"):
        index_voc(devkit)


def test_names_with_spaces_and_other_alphabets(devkit):
    name = "Schöne Aussicht 犬.final"
    write_voc_photograph(devkit, name, "dog")
    write_image_set(devkit, "train", name, "", "  2007_000032")
    row = rows_by_id(index_voc(devkit))[name]
    assert row.path.endswith(f"{name}.jpg")


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
    fails(devkit, r"mine\.txt: no such file; put the list there", train_list="mine")


def test_id_in_two_lists(devkit):
    write_image_set(devkit, "val", "2007_000033", "2007_000032")
    fails(devkit, r"val\.txt, line 2: '2007_000032' is already in train; .*remove one")


def test_id_twice_in_a_list(devkit):
    write_image_set(devkit, "val", "2007_000033", "2007_000033")
    fails(devkit, r"val\.txt, line 2: '2007_000033' is already in line 1; .*remove one")


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd", "..", "a\\b", "C:\\x", "a\0", "ä" * 101])
def test_id_that_is_a_path(devkit, name):
    write_image_set(devkit, "val", name)
    fails(devkit, r"val\.txt, line 1: .* is not an id; write")


def test_missing_photograph(devkit):
    (devkit / "JPEGImages" / "2007_000033.jpg").unlink()
    fails(devkit, r"2007_000033\.jpg: no such image; put it there or take the id out of val\.txt, line 1")


def test_damaged_photograph(devkit):
    (devkit / "JPEGImages" / "2007_000033.jpg").write_bytes(b"")
    fails(devkit, r"2007_000033\.jpg: not a readable image")


def test_missing_annotation(devkit):
    (devkit / "Annotations" / "2007_000033.xml").unlink()
    fails(devkit, r"2007_000033\.xml: no such file; put the annotation there or take .* val\.txt, line 1")


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


def test_class_that_is_no_name(devkit):
    for name in rows_by_id(index_voc(devkit)):
        write_annotation(devkit, name, "a/b")
    fails(devkit, r"Annotations: class 'a/b' holds a sign that file names cannot")


def test_all_problems_are_told_at_once(devkit):
    (devkit / "JPEGImages" / "2007_000032.jpg").write_bytes(b"")
    (devkit / "JPEGImages" / "2007_000042.jpg").unlink()
    (devkit / "Annotations" / "2007_000039.xml").write_text("<a>")
    (devkit / "Annotations" / "2007_000042.xml").unlink()
    (devkit / "classes.txt").write_text("aeroplane\ntvmonitor\nchair\n")
    write_image_set(devkit, "val", "2007_000033", "2007_000042", "../x", "2007_000032", "2007_000033")
    with pytest.raises(DatasetProblems) as caught:
        index_voc(devkit)
    found = {(problem.place.removeprefix(f"{devkit}/"), problem.line) for problem in caught.value.problems}
    val = "ImageSets/Segmentation/val.txt"
    assert found == {
        ("JPEGImages/2007_000032.jpg", 0), ("JPEGImages/2007_000042.jpg", 0),
        ("Annotations/2007_000039.xml", 0), ("Annotations/2007_000042.xml", 0),
        ("Annotations/2007_000032.xml", 0), ("Annotations/2008_000001.xml", 0),  # person, dog
        (val, 3), (val, 4), (val, 5),
    }  # fmt: skip
    assert str(caught.value).startswith(f"{devkit}: 9 problems\n")


# trainaug ----------------------------------------------------------------------------------------


def test_trainaug_is_train_and_sbd_less_val(devkit, sbd):
    index = index_voc(devkit, train_list="trainaug", sbd=sbd)
    assert [row.id for row in index.of_split("train")] == [
        "2007_000032", "2007_000039", "2008_000001", "2008_000002", "2008_000003", "2009_000001",
    ]  # fmt: skip
    assert [row.id for row in index.of_split("val")] == ["2007_000033", "2007_000042"]
    row = rows_by_id(index)["2008_000003"]
    assert row.tags == ("cat", "dog")
    assert row.path == str(devkit / "JPEGImages" / "2008_000003.jpg")
    easy = index_voc(devkit, train_list="trainaug", sbd=sbd, difficult=False)
    assert rows_by_id(easy)["2008_000003"].tags == ("dog",)


def test_val_is_left_out_of_trainaug_without_a_val_list_too(devkit, sbd):
    index = index_voc(devkit, train_list="trainaug", val_list=None, sbd=sbd)
    assert len(index.photographs) == 6


def test_a_trainaug_of_unknown_origin_is_not_used(devkit, sbd):
    expected = index_voc(devkit, train_list="trainaug", sbd=sbd)
    write_image_set(devkit, "trainaug", "2007_000032")
    assert index_voc(devkit, train_list="trainaug", sbd=sbd) == expected


def test_trainaug_without_sbd(devkit):
    fails(
        devkit, "trainaug: made from VOC's train and SBD, which is not given; set sbd", train_list="trainaug"
    )


def test_sbd_in_an_empty_folder(devkit, tmp_path):
    (tmp_path / "empty").mkdir()
    fails(devkit, "empty: no SBD; unpack", train_list="trainaug", sbd=tmp_path / "empty")


def test_photograph_of_sbd_that_the_devkit_lacks(devkit, sbd):
    (devkit / "JPEGImages" / "2008_000002.jpg").unlink()
    (devkit / "Annotations" / "2009_000001.xml").unlink()
    remedy = r"unpack VOCtrainval_11-May-2012\.tar again, which has all photographs of SBD's lists"
    options = {"train_list": "trainaug", "sbd": sbd}
    fails(devkit, rf"2008_000002\.jpg: no such image; put it there or {remedy}", **options)
    fails(devkit, rf"2009_000001\.xml: no such file; put the annotation there or {remedy}", **options)
    (devkit / "JPEGImages" / "2007_000032.jpg").unlink()  # in both: VOC's list is the one to mend
    fails(devkit, r"2007_000032\.jpg: no such image; put it there or take the id out of train", **options)


def test_bad_id_in_sbd(devkit, sbd):
    (sbd / "val.txt").write_text("2008_000003\n../x\n")
    fails(devkit, r"val\.txt, line 2: '\.\./x' is not an id", train_list="trainaug", sbd=sbd)


# Known counts ------------------------------------------------------------------------------------


def test_counts_are_of_the_lists_in_use(devkit, sbd):
    write_image_set(devkit, "mine", "2007_000032")
    assert len(index_voc(devkit, train_list="mine", val_list=None, counts_known=True).photographs) == 1
    with pytest.raises(DatasetProblems) as caught:
        index_voc(devkit, train_list="mine", counts_known=True)
    lists = devkit / "ImageSets" / "Segmentation"
    assert caught.value.problems == ((
        str(lists / "val.txt"), 0,
        "2 photographs, where the published set has 1,449; unpack the data set again, or set "
        "dataset.counts_known: false",
    ),)  # fmt: skip


@pytest.mark.parametrize("difficult", [True, False])
def test_counts_of_trainaug(devkit, sbd, difficult):
    with pytest.raises(DatasetProblems) as caught:
        index_voc(devkit, train_list="trainaug", sbd=sbd, difficult=difficult, counts_known=True)
    found = [problem.text.split("; unpack")[0] for problem in caught.value.problems]
    of_lists = [
        "3 photographs, where the published set has 1,464",
        "2 photographs, where the published set has 1,449",
        "6 photographs, where the published set has 10,582",
    ]
    of_tags = [
        "1.500 tags a photograph, where the published set has 1.555",
        "3 photographs of a single class, where the published set has 6,249",
    ]
    assert sorted(found) == sorted([*of_lists, *of_tags] if difficult else of_lists)


def test_tags_are_not_counted_where_some_are_missing(devkit, sbd):
    (devkit / "Annotations" / "2009_000001.xml").unlink()
    with pytest.raises(DatasetProblems) as caught:
        index_voc(devkit, train_list="trainaug", sbd=sbd, counts_known=True)
    assert len(caught.value.problems) == 4 and "tags a photograph" not in str(caught.value)


def test_class_that_the_published_set_has_not(devkit):
    write_annotation(devkit, "2007_000042", "persom")
    fails(devkit, r"2007_000042\.xml: class 'persom' is not in VOC's 20 classes; mend", counts_known=True)


# The test set ------------------------------------------------------------------------------------


@pytest.fixture
def devkit_of_test(tmp_path):
    folder = tmp_path / "test" / "VOCdevkit" / "VOC2012"
    write_photograph(folder / "JPEGImages" / "2008_000006.jpg", 20, 10)
    write_annotation(folder, "2008_000006", "person")
    write_image_set(folder, "test", "2008_000006")
    return folder


def test_devkit_of_the_test_set(devkit, devkit_of_test):
    index = index_voc(devkit, test_list="test", test_root=devkit_of_test.parents[1])
    path = str(devkit_of_test / "JPEGImages" / "2008_000006.jpg")
    assert index.of_split("test") == (Photograph("2008_000006", path, 20, 10, "test", ()),)
    assert len(index.photographs) == 6


def test_test_photograph_of_the_devkit_may_have_tags(devkit):
    write_voc_photograph(devkit, "new", "sofa")
    write_image_set(devkit, "mine", "new")
    assert index_voc(devkit, test_list="mine").of_split("test")[0].tags == ("sofa",)


def test_photograph_that_the_test_devkit_lacks(devkit, devkit_of_test):
    write_image_set(devkit_of_test, "test", "2008_000006", "2007_000032")
    fails(
        devkit,
        r"test\.txt, line 2: '2007_000032' is already in train",
        test_list="test",
        test_root=devkit_of_test,
    )
    write_image_set(devkit_of_test, "test", "2008_000006", "2008_000009")
    message = r"test/.*/2008_000009\.jpg: no such image; .* take the id out of test\.txt, line 2"
    fails(devkit, message, test_list="test", test_root=devkit_of_test)


def test_test_devkit_without_a_list(devkit, devkit_of_test):
    fails(devkit, "test_root: set, but no test_list; set test_list: test", test_root=devkit_of_test)


def test_no_test_devkit(devkit, tmp_path):
    fails(devkit, "nowhere: no VOC devkit", test_list="test", test_root=tmp_path / "nowhere")


def test_no_list_in_the_test_devkit(devkit, devkit_of_test):
    fails(devkit, r"other\.txt: no such file", test_list="other", test_root=devkit_of_test)
