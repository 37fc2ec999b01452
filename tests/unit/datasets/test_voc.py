"""Index and ground truth of PASCAL VOC's layout and of SBD, on devkits of a few images."""

import numpy as np
import pytest

from helpers import write_annotation, write_image_set, write_small_devkit, write_small_sbd, write_voc_image
from mini_voc import mat
from tagseg.datasets.image_checks import Reading
from tagseg.datasets.voc.devkit import VOC_CLASSES, index_voc
from tagseg.datasets.voc.masks import voc_ground_truth
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import encode_mask, read_mask, write_mask
from tagseg.storage.index import ImageRecord, Index


@pytest.fixture
def devkit(tmp_path):
    return write_small_devkit(tmp_path / "VOCdevkit" / "VOC2012")


@pytest.fixture
def sbd(devkit, tmp_path):
    return write_small_sbd(tmp_path / "sbd", devkit)


def rows_by_id(index):
    return {row.id: row for row in index.images}


def fails(devkit, message, **options):
    with pytest.raises(TagsegError, match=message) as caught:
        index_voc(devkit, **options)
    return getattr(caught.value, "problems", ())


def test_small_devkit(devkit):
    index = index_voc(devkit)
    rows = rows_by_id(index)
    assert index.classes == ("background", "aeroplane", "chair", "dog", "person", "tvmonitor")  # those of train
    assert list(rows) == sorted(rows) and len(rows) == 5
    assert [row.id for row in index.of_split("val")] == ["2007_000033", "2007_000042"]
    path, tags = (str(devkit / "JPEGImages/2007_000032.jpg"), ("aeroplane", "person"))  # each class once, in order
    assert rows["2007_000032"] == ImageRecord("2007_000032", path, 12, 8, "train", tags)
    assert rows["2007_000039"].tags == ("chair", "tvmonitor")
    easy = rows_by_id(index_voc(devkit, difficult=False))
    assert easy["2007_000039"].tags == ("tvmonitor",) and easy["2007_000042"].tags == ()


def test_other_lists_suffixes_and_alphabets(devkit):
    name = "Schöne Aussicht 犬.final"
    write_voc_image(devkit, name, "sofa")
    write_voc_image(devkit, "bare", "dog")
    (devkit / "Annotations" / "bare.xml").unlink()
    (devkit / "JPEGImages" / "bare.jpg").rename(devkit / "JPEGImages" / "bare.png")
    write_image_set(devkit, "mine", name, "", "  2007_000032")
    write_image_set(devkit, "hidden", "bare")
    index = index_voc(devkit, train_list="mine", val_list=None, test_list="hidden")
    splits = {row.id: row.split for row in index.images}
    assert splits == {"2007_000032": "train", name: "train", "bare": "test"}
    bare = rows_by_id(index)["bare"]
    assert bare.tags == () and bare.path.endswith("bare.png")


def test_class_list_of_the_devkit(devkit):
    names = ["zebra", "tvmonitor", "train", "person", "dog", "chair", "aeroplane"]
    (devkit / "classes.txt").write_text("\n".join(["background", *names, ""]))
    index = index_voc(devkit)
    assert index.classes == ("background", *names)
    rows = rows_by_id(index)
    assert rows["2007_000032"].tags == ("person", "aeroplane")
    (devkit / "classes.txt").write_text("\ufeff" + "\r\n".join(names), encoding="utf-8")
    assert index_voc(devkit).classes == ("background", *names)
    (devkit / "classes.txt").unlink()
    for name in rows:
        write_annotation(devkit, name, "zebra", "Straße")
    assert index_voc(devkit).classes == ("background", "Straße", "zebra")  # sorted


@pytest.mark.parametrize("name", ["JPEGImages", "Annotations", "ImageSets", "SegmentationClass", "."])
def test_folders_may_be_links_to_another_disk(devkit, tmp_path, name):
    expected = [(row.id, row.tags) for row in index_voc(devkit).images]
    away = tmp_path / "another disk"
    (devkit / name).resolve().rename(away)
    (devkit / name if name != "." else devkit).symlink_to(away)
    assert [(row.id, row.tags) for row in index_voc(devkit).images] == expected


@pytest.mark.parametrize("ids, message", [
    (("2007_000033", "2007_000032"), "line 2: '2007_000032' is already in train. Remove one"),
    (("2007_000033", "2007_000033"), "line 2: '2007_000033' is already in line 1. Remove one"),
    *(((name,), "line 1: .* is not an id. Write") for name in (
        "../x", "a/b", "/etc/passwd", "..", "a\\b", "C:\\x", "a\0", "ä" * 101)),
])  # fmt: skip
def test_bad_ids_in_a_list(devkit, ids, message):
    write_image_set(devkit, "val", *ids)
    fails(devkit, rf"val\.txt, {message}")


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a><object><name>&c;</name></object></a>'


@pytest.mark.parametrize(("content", "message"), [
    (b"<annotation><object>", "not valid XML"),
    (b"", "not valid XML"),
    (b"<annotation><object/></annotation>", "an object has no name"),
    (b"<annotation><object><name> </name></object></annotation>", "an object has no name"),
    (b"<annotation>\xfc</annotation>", "not UTF-8"),
    (b"<annotation>" + b" " * 1_000_000 + b"</annotation>", "more than 1,000,000 bytes"),
    *((f'<?xml version="1.0" encoding="{encoding}"?>'.encode() + BOMB.encode(encoding),
       "(declares a DOCTYPE or ENTITY|not UTF-8|not valid XML)")
      for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp037")),
])  # fmt: skip
def test_bad_annotations(devkit, content, message):
    (devkit / "Annotations" / "2007_000033.xml").write_bytes(content)
    fails(devkit, rf"2007_000033\.xml: {message}")


def test_bad_classes(devkit):
    write_annotation(devkit, "2007_000042", "dog", "buss")  # 21 sorted names would shift the masks' labels
    fails(devkit, r"2007_000042\.xml: class 'buss' is not one of VOC's classes.*classes\.txt")
    fails(devkit, "'buss' is not one of VOC's classes", counts_known=True)
    (devkit / "classes.txt").write_text("aeroplane\nperson\ntvmonitor\nchair\ndog\nbus\n")
    fails(devkit, r"2007_000042\.xml: class 'buss' is not in classes\.txt. Correct it to 'bus'")
    for names in ("dog\ndog\n", "dog\nbackground\n", "a/b\n", "background\n", ""):
        (devkit / "classes.txt").write_text(names)
        fails(devkit, r"classes\.txt: ")


def test_all_problems_are_reported_together(devkit):
    (devkit / "JPEGImages" / "2007_000032.jpg").write_bytes(b"")
    (devkit / "JPEGImages" / "2007_000042.jpg").unlink()
    (devkit / "Annotations" / "2007_000039.xml").write_text("<a>")
    (devkit / "Annotations" / "2007_000042.xml").unlink()
    (devkit / "classes.txt").write_text("aeroplane\ntvmonitor\nchair\n")
    write_image_set(devkit, "val", "2007_000033", "2007_000042", "../x", "2007_000032", "2007_000033")
    found = fails(devkit, f"{devkit}: 7 problems\n")
    val = "ImageSets/Segmentation/val.txt"
    assert {(problem.path.removeprefix(f"{devkit}/"), problem.line) for problem in found} == {
        ("JPEGImages/2007_000032.jpg", 0), ("JPEGImages/2007_000042.jpg", 0),
        ("Annotations/2007_000039.xml", 0), ("Annotations/2007_000042.xml", 0),
        (val, 3), (val, 4), (val, 5),
    }  # fmt: skip


def test_trainaug_is_train_and_sbd_minus_val(devkit, sbd):
    write_image_set(devkit, "trainaug", "2007_000032")  # of unknown origin: not used
    index = index_voc(devkit, train_list="trainaug", sbd=sbd)
    assert [row.id for row in index.of_split("train")] == [
        "2007_000032", "2007_000039", "2008_000001", "2008_000002", "2008_000003", "2009_000001",
    ]  # fmt: skip
    assert [row.id for row in index.of_split("val")] == ["2007_000033", "2007_000042"]
    assert rows_by_id(index)["2008_000003"].tags == ("cat", "dog")
    easy = index_voc(devkit, train_list="trainaug", sbd=sbd, difficult=False)
    assert rows_by_id(easy)["2008_000003"].tags == ("dog",)
    assert len(index_voc(devkit, train_list="trainaug", val_list=None, sbd=sbd).images) == 6


def test_lists_of_two_columns_own_trainaug_and_masks_of_sbd_as_pngs(devkit, tmp_path):
    plain = index_voc(devkit)
    for split in ("train", "val"):
        ids = [row.id for row in plain.of_split(split)]
        write_image_set(devkit, split, *(f"/JPEGImages/{one}.jpg /SegmentationClassAug/{one}.png" for one in ids))
    assert index_voc(devkit) == plain
    write_image_set(devkit, "train_aug", "JPEGImages/2007_000032.jpg", "2007_000039")
    assert [row.id for row in index_voc(devkit, train_list="trainaug").of_split("train")] == [
        "2007_000032",
        "2007_000039",
    ]
    before = voc_ground_truth(devkit, plain, "train", tmp_path)
    (devkit / "SegmentationClass").rename(devkit / "SegmentationClassAug")
    after = voc_ground_truth(devkit, plain, "train", tmp_path)
    assert {name: path.replace("Aug", "") for name, path in after.items()} == before and len(before) == 2
    (devkit / "ImageSets" / "Segmentation").rename(devkit / "ImageSets" / "Main")
    assert index_voc(devkit) == plain


def test_spellings_of_voc_classes_are_one_class(devkit):
    write_annotation(devkit, "2007_000033", "Aeroplane", "TVmonitor")
    assert rows_by_id(index_voc(devkit))["2007_000033"].tags == ("aeroplane", "tvmonitor")


def test_missing_devkits_lists_and_problems_of_trainaug(devkit, sbd, tmp_path):
    fails(tmp_path / "no", "not a VOC devkit. Unpack VOCtrainval.* with JPEGImages, Annotations")
    fails(devkit, r"mine\.txt: no such file. Put the list there", train_list="mine")
    fails(devkit, r"'\.\./mine': not the name of a list. Name a file in", train_list="../mine")
    fails(devkit, "dataset.sbd: not set, but the list trainaug requires it. Set it", train_list="trainaug")
    options = {"train_list": "trainaug", "sbd": sbd}
    fails(devkit, "empty: not a folder of SBD. Unpack", **options | {"sbd": tmp_path / "empty"})
    (devkit / "JPEGImages" / "2008_000002.jpg").unlink()
    remedy = r"Put it there or unpack VOCtrainval_11-May-2012\.tar again, which has all images of SBD's lists"
    fails(devkit, rf"2008_000002\.jpg: no such image. {remedy}", **options)
    (sbd / "val.txt").write_text("2008_000003\n../x\n")
    fails(devkit, r"val\.txt, line 2: '\.\./x' is not an id", **options)


@pytest.mark.parametrize("difficult", [True, False])
def test_counts_of_trainaug(devkit, sbd, difficult):
    options = {"train_list": "trainaug", "sbd": sbd, "difficult": difficult, "counts_known": True}
    found = [problem.text.split(", but the published set has ") for problem in fails(devkit, ".", **options)]
    of_lists = [("2 images", "1,449"), ("3 images", "1,464"), ("6 images", "10,582")]
    of_tags = [("1.500 tags per image", "1.555"), ("3 single-class images", "6,249")]
    counts = sorted((ours, published.partition(". Unpack")[0]) for ours, published in found)
    assert counts == sorted([*of_lists, *of_tags] if difficult else of_lists)
    (devkit / "Annotations" / "2009_000001.xml").unlink()  # then the tags cannot be counted
    assert not any("tags per image" in problem.text for problem in fails(devkit, ".", **options))


def test_devkit_of_the_test_set(devkit, tmp_path):
    other = tmp_path / "test" / "VOCdevkit" / "VOC2012"
    write_voc_image(other, "2008_000006", "person", width=20, height=10)
    write_image_set(other, "test", "2008_000006")
    options = {"test_list": "test", "test_root": other.parents[1]}
    index = index_voc(devkit, **options)
    path = str(other / "JPEGImages" / "2008_000006.jpg")
    assert index.of_split("test") == (ImageRecord("2008_000006", path, 20, 10, "test", ()),)
    write_image_set(other, "test", "2008_000006", "2007_000032")
    fails(devkit, r"test\.txt, line 2: '2007_000032' is already in train", **options)
    write_image_set(other, "test", "2008_000009")
    fails(devkit, r"2008_000009\.jpg: no such image. .* remove the id from test\.txt, line 1", **options)
    fails(devkit, "test_root: set without dataset.test_list. Set test_list: test", test_root=other)
    fails(devkit, "nowhere: not a VOC devkit", test_list="test", test_root=tmp_path / "nowhere")


def write_mat(sbd, name: str, labels: np.ndarray):
    (sbd / "cls" / f"{name}.mat").write_bytes(mat(labels))


def labels_of(*values: int) -> np.ndarray:
    """Return a mask of 12x8 pixels whose first row begins with the values."""
    mask = np.zeros((8, 12), np.uint8)
    mask[0, : len(values)] = values
    return mask


def test_masks_of_the_devkit(devkit, tmp_path):
    (devkit / "classes.txt").write_text("\n".join(VOC_CLASSES))
    index, masks = index_voc(devkit), devkit / "SegmentationClass"
    expected = {name: str(masks / f"{name}.png") for name in ("2007_000032", "2007_000039")}
    assert voc_ground_truth(devkit.parent, index, "train", tmp_path / "made") == expected
    assert set(voc_ground_truth(devkit, index, "val", tmp_path)) == {"2007_000033", "2007_000042"}
    assert voc_ground_truth(devkit, index, "test", tmp_path) == {}
    assert not (tmp_path / "made").exists()


def test_a_part_of_voc_has_the_classes_of_its_train_images(devkit, tmp_path):
    """Masks have VOC's labels: those of the classes are renumbered, those of others become void."""
    write_mask(devkit / "SegmentationClass" / "2007_000032.png", labels_of(1, 15, 9, 20, 12, 17))
    reading = Reading()
    index = index_voc(devkit, reading=reading)
    assert index.classes[1:] == ("aeroplane", "chair", "dog", "person", "tvmonitor")
    assert any(
        "classes of VOC without a train image are left out" in note and "sheep" in note for note in reading.notes
    )
    made = voc_ground_truth(devkit, index, "train", tmp_path)
    assert made == {name: f"png/{name}.png" for name in ("2007_000032", "2007_000039")}
    assert read_mask(tmp_path / made["2007_000032"])[0, :6].tolist() == [1, 4, 2, 5, 3, 255]


def test_masks_of_sbd_fill_the_gaps(devkit, sbd, tmp_path):
    (devkit / "classes.txt").write_text("\n".join(VOC_CLASSES))
    index = index_voc(devkit, train_list="trainaug", sbd=sbd)
    for name in ("2007_000032", "2008_000001", "2009_000001"):
        write_mat(sbd, name, labels_of(20, 1, 0, 12))
    made = tmp_path / "made"
    masks = voc_ground_truth(devkit, index, "train", made, sbd=sbd)
    assert masks["2007_000032"] == str(devkit / "SegmentationClass" / "2007_000032.png")  # not SBD's
    assert masks["2008_000001"] == "png/2008_000001.png"
    assert set(masks) == {"2007_000032", "2007_000039", "2008_000001", "2009_000001"}
    assert (made / masks["2009_000001"]).read_bytes() == encode_mask(labels_of(20, 1, 0, 12))
    assert sorted(path.name for path in (made / "png").iterdir()) == ["2008_000001.png", "2009_000001.png"]


def test_labels_of_sbd_are_mapped_by_class_name(devkit, sbd, tmp_path):
    row = ImageRecord("2008_000001", "x.jpg", 12, 8, "train", ("dog",))
    index = Index(("background", "zebra", "dog", "aeroplane"), (row,))
    write_mat(sbd, row.id, np.arange(96, dtype=np.uint8).reshape(8, 12) % 21)
    voc_ground_truth(devkit, index, "train", tmp_path, sbd=sbd)
    expected = np.full(21, 255)
    expected[[0, 1 + VOC_CLASSES.index("dog"), 1 + VOC_CLASSES.index("aeroplane")]] = (0, 2, 3)
    mask = read_mask(tmp_path / "png" / "2008_000001.png", 4)
    np.testing.assert_array_equal(mask.ravel(), expected[np.arange(96) % 21])


def test_bad_masks_are_reported_together(devkit, sbd, tmp_path):
    write_mask(devkit / "SegmentationClass" / "2007_000032.png", labels_of(1).T)
    (devkit / "SegmentationClass" / "2007_000039.png").write_bytes(b"GIF89a")
    write_mat(sbd, "2008_000001", labels_of(1)[:4])
    with pytest.raises(TagsegError, match="3 problems") as caught:
        voc_ground_truth(devkit, index_voc(devkit), "train", tmp_path, sbd=sbd)
    found = [(problem.path.rsplit("/", 1)[1], problem.text[:8]) for problem in caught.value.problems]
    assert found == [
        ("2007_000032.png", "8x12 pix"), ("2007_000039.png", "not a re"), ("2008_000001.mat", "12x4 pix"),
    ]  # fmt: skip
