"""What the messages about data sets advise: each remedy is carried out, and then the data set is read."""

import json
import re

import numpy as np
import pytest

from helpers import write_image, write_image_set, write_labels, write_voc_image
from mini_coco import annotation_entry, edit, image_entry, write_half
from tagseg.datasets.coco.coco import index_coco
from tagseg.datasets.folder.reader import index_photos
from tagseg.datasets.image_checks import Reading
from tagseg.datasets.problems import raise_any
from tagseg.datasets.readers import SourceSettings, collect_ground_truth, train_problems
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import write_mask


def write(name, text):
    return lambda root: (root / name).write_text(text)


def table(*rows, head="image,labels,split"):
    return lambda root: write_labels(root, *rows, head=head)


def rename(old, new):
    return lambda root: (root / old).rename(root / new)


def option(**changes):
    """Return a remedy that is a key of the configuration."""
    return lambda root: changes


def in_folders(root, *classes):
    """Move the images into class folders."""
    for number, image in enumerate(sorted(root.glob("*.jpg"))):
        (root / classes[number % len(classes)]).mkdir(exist_ok=True)
        image.rename(root / classes[number % len(classes)] / image.name)


def mask(label, name="SegmentationClass/{0}.png"):
    def change(root):
        (root / "SegmentationClass").mkdir(exist_ok=True)
        for number in range(6):
            write_image(root / f"{number}.jpg", seed=number)
            write_mask(root / name.format(number), np.full((8, 12), label, np.uint8))
        write_labels(root, *(f"{number}.jpg,{'cat' if number else 'dog'},train" for number in range(6)))

    return change


GOOD = ("a.jpg,cat,train", "b.jpg,dog,train")
# What is wrong, its message, and the remedies that this names: each must work.
PHOTOS = {
    "class in val alone: list": (
        table(*GOOD, "c.jpg,bird,val"), "no train image of bird. Add some, or list only the classes",
        write("classes.txt", "cat\ndog\n")),
    "class in val alone: add": (
        table(*GOOD, "c.jpg,bird,val"), "no train image of bird. Add some", table(*GOOD, "c.jpg,bird,train")),
    "near miss: correct": (
        lambda root: (write("classes.txt", "cat\ndog\n")(root), table("a.jpg,catt,train", "b.jpg,dog,")(root)),
        "class 'catt' is not in classes.txt. Correct it to 'cat'", table("a.jpg,cat,train", "b.jpg,dog,")),
    "near miss: add": (
        lambda root: (write("classes.txt", "cat\ndog\n")(root), table(*GOOD, "c.jpg,catt,train")(root)),
        "or add it to classes.txt", write("classes.txt", "cat\ndog\ncatt\n")),
    "joined: separate": (
        table('a.jpg,"cat, emu",train', "b.jpg,cat,train"), "looks like several classes. Separate labels by ;",
        table("a.jpg,cat;emu,train", "b.jpg,cat,train")),
    "joined: list": (
        table('a.jpg,"cat, emu",train', "b.jpg,cat,train"), "or list all classes in classes.txt",
        write("classes.txt", "cat\ncat, emu\n")),
    "split of two rows": (
        table(*GOOD, "a.jpg,dog,val"), "split val, but train in line 2. Write the same split",
        table(*GOOD, "a.jpg,dog,train")),
    "unknown split: known": (table("a.jpg,cat,dev", GOOD[1]), "Use train, val, test", table(*GOOD)),
    "unknown split: empty": (table("a.jpg,cat,dev", GOOD[1]), "or leave it empty", table("a.jpg,cat,", GOOD[1])),
    "column of another name": (
        table(*GOOD, head="image,labels,splits"), "column 'splits' is unknown. Write 'split'", table(*GOOD)),
    "no column of labels": (
        table("a.jpg,12", head="image,size"), "no column 'labels'. Start with the line 'image,labels,split'",
        table(*GOOD)),
    "no column of labels: 0 and 1": (
        table("a.jpg,12", head="image,size"), "or with one column of 0 and 1 per class",
        table("a.jpg,1,0", "b.jpg,0,1", head="image,cat,dog")),
    "no column of images": (table("a.jpg,1", head="id,labels"), "no column 'image'. Start", table(*GOOD)),
    "more cells": (
        table("a.jpg,cat,train,x", GOOD[1]), "Write the labels into one cell with quotes", table(*GOOD)),
    "quotes": (table('"a.jpg,cat,train', GOOD[1]), "Correct the quotes", table(*GOOD)),
    "two tables": (
        lambda root: write("labels.jsonl", "{}")(root), "holds labels.csv and labels.jsonl. Name one of them",
        option(labels="labels.csv")),
    "table of another name": (
        rename("labels.csv", "mine.csv"), "mine.csv is not named labels.csv or labels.tsv or labels.jsonl. Name it",
        option(labels="mine.csv")),
    "no table: write one": (
        lambda root: (root / "labels.csv").unlink(), "labels.csv: no such file. Write a table there", table(*GOOD)),
    "no table: folders": (
        lambda root: (root / "labels.csv").unlink(), "or put the images into one folder per class",
        lambda root: in_folders(root, "cat", "dog")),
    "a single folder": (
        lambda root: ((root / "labels.csv").unlink(), in_folders(root, "cat")),
        "for a single class, set dataset.labels to folders", option(labels="folders")),
    "missing image: restore": (
        table(*GOOD, "x.jpg,dog,train"), "no such image. Restore it", lambda root: write_image(root / "x.jpg", seed=8)),
    "missing image: remove": (table(*GOOD, "x.jpg,dog,train"), "or remove it from the data set", table(*GOOD)),
    "damaged image: replace": (
        write("b.jpg", "no image"), "not a readable image", lambda root: write_image(root / "b.jpg", seed=1)),
    "damaged image: fraction": (
        lambda root: (write("c.jpg", "no image")(root), table(*GOOD, "c.jpg,dog,train")(root)),
        "Replace or remove them, or raise it", option(max_unreadable_fraction=0.5)),
    "size of an image": (
        lambda root: {"max_image_memory": 1e-9}, "Scale it down, or raise dataset.max_image_memory",
        option(max_image_memory=3.0)),
    "suffix": (
        lambda root: (rename("b.jpg", "b.jpgx")(root), table(GOOD[0], "b.jpgx,dog,train")(root)),
        "rename or convert the image", lambda root: (rename("b.jpgx", "b.jpg")(root), table(*GOOD)(root))),
    "path outside": (
        lambda root: (rename("b.jpg", "../b.jpg")(root), table(GOOD[0], "../b.jpg,dog,train")(root)),
        "Move the file into the folder, or link to it there",
        lambda root: ((root / "b.jpg").symlink_to(root.parent / "b.jpg"), table(*GOOD)(root))),
    "class name": (
        table("a.jpg,background,train", GOOD[1]), "'background' is not allowed as a class name. Rename it.",
        table(*GOOD)),
    "link to a parent": (
        lambda root: ((root / "labels.csv").unlink(), in_folders(root, "cat", "dog"),
                      (root / "cat/up").symlink_to(root)),
        "a link to a parent folder. Remove it", lambda root: (root / "cat/up").unlink()),
    "masks of 0 and 255": (mask(255), "hold 0 and 255 alone. A mask holds class indices", mask(1)),
    "masks of other labels: correct": (mask(2), "class index 1 (cat) is in none of the 5 masks", mask(1)),
    "masks of other labels: list": (
        mask(2), "or list the classes in their order in classes.txt", write("classes.txt", "dog\ncat\n")),
    "label without class": (
        mask(9), "label 9, but the last class is 2. Correct the mask or the class list", mask(1)),
    "mask of colours": (
        lambda root: (mask(1)(root), write_image(root / "SegmentationClass/0.png")),
        "Save it as a palette or grey PNG", mask(1)),
    "folder of masks": (write("SegmentationClass", "x"), "not a folder. Make it a folder of masks or remove it",
        lambda root: (root / "SegmentationClass").unlink()),
}  # fmt: skip


def read(settings, folder):
    """Run the stages of the index and the ground truth; both may fail."""
    reading = Reading(settings.max_unreadable_fraction or 0.0, max_pixels=settings.max_pixels)
    whole = settings.read_index(reading)
    index = settings.for_training(whole)
    raise_any(settings.root, train_problems(index))
    keys = {key: value for key, value in settings.model_dump().items() if key in ("kind", "root", "val_images")}
    for split in ("train", "val"):
        (folder / split).mkdir(parents=True, exist_ok=True)
        collect_ground_truth(SourceSettings(**keys), index, split, folder / split)


def check(settings, folder, break_it, message, fix):
    """Read a data set, break it, see the message, carry out the remedy and read it again."""
    root = folder / "data"
    settings = {"root": str(root), **settings}
    read(SourceSettings(**settings), folder / "made")
    broken = break_it(root)
    with pytest.raises(TagsegError, match=re.escape(message)):
        read(SourceSettings(**settings | (broken if isinstance(broken, dict) else {})), folder / "made")
    remedy = fix(root)
    read(SourceSettings(**settings | (remedy if isinstance(remedy, dict) else {})), folder / "made")


@pytest.mark.parametrize("what", PHOTOS)
def test_photos(tmp_path, what):
    for number, name in enumerate("abc"):
        write_image(tmp_path / f"data/{name}.jpg", seed=number)
    table(*GOOD)(tmp_path / "data")
    check({"kind": "photos", "random_seed": 0, "val_fraction": 0.2}, tmp_path, *PHOTOS[what])


def annotation(**changes):
    return lambda root: edit(root, "train", lambda content: content["annotations"][1].update(changes))


def image(**changes):
    return lambda root: edit(root, "train", lambda content: content["images"][1].update(changes))


COCO = {
    "unknown image: remove": (
        annotation(image_id=77), "no image has the id 77. Add it or remove the annotation",
        lambda root: edit(root, "train", lambda content: content["annotations"].pop(1))),
    "unknown category: add": (
        annotation(category_id=3), "no category has the id 3. Add it",
        lambda root: [edit(root, split, lambda content: content["categories"].append({"id": 3, "name": "emu"}))
                      for split in ("train", "val")]),
    "missing image: remove": (
        lambda root: (root / "train2017/000000000002.jpg").unlink(), "Restore it or remove it from the annotations",
        lambda root: edit(root, "train", lambda content: (content["images"].pop(1), content["annotations"].pop(1)))),
    "image in both splits": (
        lambda root: (edit(root, "val", lambda content: content["images"].append(image_entry(2))),
                      write_image(root / "val2017/000000000002.jpg")),
        "is in train too. Remove it from one", lambda root: edit(root, "val", lambda content: content["images"].pop())),
    "other categories": (
        lambda root: edit(root, "val", lambda content: content["categories"].pop()),
        "Export both with the same categories",
        lambda root: edit(root, "val", lambda content: content["categories"].append({"id": 44, "name": "bottle"}))),
    "class in val alone": (
        lambda root: edit(root, "val", lambda content: content["annotations"].append(annotation_entry(9, 7, 44))),
        "no train image of bottle. Add some, or list only the classes to learn in classes.txt",
        write("classes.txt", "dog\ntraffic light\n")),
    "category in classes.txt": (
        write("classes.txt", "dog\nlight\n"), "light: no annotation has this category. Correct the name",
        write("classes.txt", "dog\n")),
    "size": (
        image(width=99), "the data set states 99x8. Replace the image",
        lambda root: write_image(root / "train2017/000000000002.jpg", 99, 8)),
    "other names": (
        rename("val2017", "mine"), "or name your files in dataset.train_json, train_images, val_json and val_images",
        option(val_images="mine")),
}  # fmt: skip


@pytest.mark.parametrize("what", COCO)
def test_coco(tmp_path, what):
    root = tmp_path / "data"
    write_half(root, "train", [image_entry(1), image_entry(2)], [annotation_entry(1, 1, 7), annotation_entry(2, 2, 2)])
    write_half(root, "val", [image_entry(7)], [annotation_entry(3, 7, 7)])
    for name in ("train", "val"):  # the third category has no annotation
        assert len(json.loads((root / f"annotations/instances_{name}2017.json").read_text())["categories"]) == 3
    index_coco(root)
    check({"kind": "coco"}, tmp_path, *COCO[what])


VOC = {
    "id twice": (
        lambda root: write_image_set(root, "train", "a", "b", "a"), "'a' is already in line 1. Remove one",
        lambda root: write_image_set(root, "train", "a", "b")),
    "id in two splits": (
        lambda root: write_image_set(root, "val", "c", "a"), "'a' is already in train. Remove one",
        lambda root: write_image_set(root, "val", "c")),
    "no image: remove the id": (
        lambda root: (root / "JPEGImages/c.jpg").unlink(), "or remove the id from val.txt, line 1",
        lambda root: write_image_set(root, "val")),
    "not VOC's class: list": (
        lambda root: write_voc_image(root, "b", "emu"), "or list all classes in classes.txt",
        write("classes.txt", "cat\nemu\n")),
    "not VOC's class: correct": (
        lambda root: write_voc_image(root, "b", "dogg"), "not one of VOC's classes. Correct the annotation",
        lambda root: write_voc_image(root, "b", "dog")),
    "no list": (
        option(train_list="mine"), "put the list there or set the name of another one".capitalize(),
        lambda root: write_image_set(root, "mine", "a", "b")),
    "trainaug without SBD": (
        option(train_list="trainaug"), "or use another train_list", option(train_list="train")),
}  # fmt: skip


@pytest.mark.parametrize("what", VOC)
def test_voc(tmp_path, what):
    root = tmp_path / "data"
    for number, (name, tag) in enumerate({"a": "cat", "b": "dog", "c": "cat"}.items()):
        write_voc_image(root, name, tag)
        write_image(root / f"JPEGImages/{name}.jpg", seed=number)
    write_image_set(root, "train", "a", "b")
    write_image_set(root, "val", "c")
    check({"kind": "voc"}, tmp_path, *VOC[what])


def test_a_folder_without_a_problem_needs_no_remedy(tmp_path):
    write_image(tmp_path / "a.jpg")
    write_labels(tmp_path, "a.jpg,cat,train")
    assert train_problems(index_photos(tmp_path, random_seed=0, val_fraction=0.2)) == []
