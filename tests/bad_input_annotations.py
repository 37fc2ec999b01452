"""COCO's and VOC's files and true masks: rows of the table of bad input, (what, answer, who feeds it)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from bad_input_photographs import altered, noise
from bad_input_places import Row
from helpers import (
    write_annotation,
    write_image_set,
    write_labels,
    write_photograph,
    write_small_devkit,
    write_zero_mask,
)
from mini_coco import edit, write_mini_coco
from tagseg.datasets.coco import index_coco
from tagseg.datasets.photos import index_photos
from tagseg.datasets.readers import collect_true_masks
from tagseg.datasets.reading import Reading
from tagseg.datasets.voc import index_voc
from tagseg.images import write_mask

# COCO ---------------------------------------------------------------------------------------------


def of_coco(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """Return what indexes a data set in COCO's layout after a change of train's annotation file."""

    def feed(folder: Path) -> None:
        write_mini_coco(folder, train=3, val=3)
        edit(folder, "train", change)
        index_coco(folder, reading=Reading())

    return feed


def of_first(key: str, **changes) -> Callable[[Path], None]:
    return of_coco(lambda content: content[key][0].update(changes))


def of_coco_text(text: str) -> Callable[[Path], None]:
    """Return what indexes a data set in COCO's layout whose annotation file is this text."""

    def feed(folder: Path) -> None:
        write_mini_coco(folder, train=3, val=3)
        (folder / "annotations/instances_train2017.json").write_text(text)
        index_coco(folder)

    return feed


def of_coco_link(target: Callable[[Path], Path]) -> Callable[[Path], None]:
    """Return what indexes a data set in COCO's layout, one photograph of which is a link."""

    def feed(folder: Path) -> None:
        write_mini_coco(folder / "coco", train=3, val=3)
        write_photograph(folder / "x.jpg")
        path = folder / "coco/train2017/000000000001.jpg"
        path.unlink()
        path.symlink_to(target(path))
        index_coco(folder / "coco")

    return feed


def nested(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


COCO: list[Row] = []
for what, feed, answer in (
    ("`file_name` `../../etc/passwd`", of_first("images", file_name="../../etc/passwd"),
     "`file_name` is '../../etc/passwd'; make it a plain name without a folder"),
    ("`file_name` `/etc/passwd`", of_first("images", file_name="/etc/passwd"),
     "`file_name` is '/etc/passwd'; make it a plain name without a folder"),
    ("photograph that is a link out of the data set", of_coco_link(lambda path: path.parents[2] / "x.jpg"),
     "outside the data set; copy the file into it"),
    ("photograph that is a link to itself", of_coco_link(lambda path: path),
     "train2017/000000000001.jpg: no such file; restore it"),
    ("annotation of no image", of_first("annotations", image_id=99), "no image has the id 99; add it"),
    ("annotation of no category", of_first("annotations", category_id=99), "no category has the id 99; add"),
    ("image of another size than the file's", of_first("images", width=49),
     "48x36 pixels, where the data set says 49x36; replace the photograph"),
    ("category named background",
     of_coco(lambda content: content["categories"][0].update(name="background")),
     "'background' cannot be the name of a class"),
    ("entry of 100 levels", of_coco(lambda content: content["images"].append(nested(100))),
     "not an object; mend it"),
    ("file of 100 levels", of_coco_text("[" * 100 + "]" * 100), "not COCO's annotations ('{' expected"),
    ("file of 100,000 levels", of_coco_text('{"images": ' + "[" * 100_000), "deep nesting"),
    ("file that is cut off", of_coco_text('{"images": [{"id": 1, '), "not COCO's annotations ("),
):  # fmt: skip
    COCO.append((what, answer, feed))


# VOC ----------------------------------------------------------------------------------------------


def of_annotation(content: bytes) -> Callable[[Path], None]:
    """Return what indexes a devkit with an annotation of these bytes."""

    def feed(folder: Path) -> None:
        write_small_devkit(folder)
        write_annotation(folder, "2008_000001", "dog").write_bytes(content)
        index_voc(folder)

    return feed


def of_id(name: str) -> Callable[[Path], None]:
    """Return what indexes a devkit whose train list has this id."""

    def feed(folder: Path) -> None:
        write_small_devkit(folder)
        write_image_set(folder, "train", "2007_000032", name)
        index_voc(folder)

    return feed


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMB = f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><annotation>&l9;</annotation>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'
UTF16 = b'<?xml version="1.0" encoding="UTF-16"?>'
VOC: list[Row] = []
for what, feed, answer in (
    ("XML with entities that expand to gigabytes", of_annotation(BOMB.encode()),
     "2008_000001.xml: declares a DOCTYPE or ENTITY; remove the declaration"),
    ("XML with an entity that reads another file", of_annotation(OUTSIDE.encode()),
     "2008_000001.xml: declares a DOCTYPE or ENTITY; remove the declaration"),
    ("the same in UTF-16", of_annotation(UTF16 + BOMB.encode("utf-16")), "2008_000001.xml: not UTF-8"),
    ("XML that is cut off", of_annotation(b"<annotation><object>"), "2008_000001.xml: not valid XML"),
    ("XML of 2 MB", of_annotation(b" " * 2_000_000), "2008_000001.xml: more than 1,000,000 bytes"),
    ("object without a name", of_annotation(b"<annotation><object/></annotation>"),
     "2008_000001.xml: an object without a name"),
    ("id `../../etc/passwd`", of_id("../../etc/passwd"),
     "train.txt, line 2: '../../etc/passwd' is not an id; write the photograph's file name"),
    ("id without a photograph", of_id("2008_000009"), "2008_000009.jpg: no such image; put it there"),
):  # fmt: skip
    VOC.append((what, answer, feed))


# Masks --------------------------------------------------------------------------------------------


def of_true_mask(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what collects the true mask that `make` puts at a path."""

    def feed(folder: Path) -> None:
        write_photograph(folder / "photos" / "a.jpg")
        write_labels(folder / "photos", "a.jpg,cat,train")
        index = index_photos(folder / "photos", random_seed=0, val_share=0.2)
        path = folder / "photos/SegmentationClass/a.png"
        path.parent.mkdir()
        make(path)
        collect_true_masks({"kind": "photos", "root": str(folder / "photos")}, index, "train", folder)

    return feed


def with_wrong_checksum(path: Path) -> None:
    content = write_zero_mask(path).read_bytes()
    path.write_bytes(altered(content, content.index(b"IEND") - 6))


MASKS: list[Row] = []
for what, feed, answer in (
    ("mask with a label that is no class",
     of_true_mask(lambda path: write_mask(path, np.full((8, 12), 7, np.uint8))),
     "a.png: label 7, where the classes end at 1; mend the mask or the class list"),
    ("mask in RGB", of_true_mask(write_photograph), "a.png: mode RGB, where a mask has one label a pixel"),
    ("mask with a wrong checksum", of_true_mask(with_wrong_checksum),
     "a.png: damaged mask (wrong checksum of the pixels)"),
    ("mask of another size than its photograph", of_true_mask(lambda path: write_zero_mask(path, 8, 12)),
     "a.png: 8x12 pixels, where the photograph has 12x8"),
    ("JPEG named .png", of_true_mask(lambda path: path.write_bytes(noise("JPEG"))),
     "a.png: not a PNG, as masks have to be"),
    ("mask that is a link out of the folder",
     of_true_mask(lambda path: path.symlink_to(write_zero_mask(path.parents[2] / "mask.png"))),
     "outside the folder; copy the file into it"),
):  # fmt: skip
    MASKS.append((what, answer, feed))
