"""What people bring: each line of the first table of docs/inputs.md is read as it says there."""

import json
import re
import unicodedata
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from helpers import write_image, write_image_set, write_labels, write_voc_image
from tagseg.datasets.coco.coco import index_coco
from tagseg.datasets.folder.reader import index_photos
from tagseg.datasets.image_checks import Reading
from tagseg.datasets.voc.devkit import index_voc
from tagseg.runtime.errors import TagsegError

DOCUMENT = Path(__file__).parents[3] / "docs/inputs.md"
PLAIN = {"a": ("cat", "dog"), "b": ("dog",)}


def table(content, name="labels.csv", names=("a.jpg", "b.jpg"), labels=None, classes=None):
    """Return what reads a folder of images with a table."""

    def read(folder, reading):
        for number, image in enumerate(names):
            write_image(folder / image, seed=number)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        if classes:
            (folder / "classes.txt").write_text(classes)
        return index_photos(folder, random_seed=0, val_fraction=0.2, labels=labels, reading=reading)

    return read


def folders(*names):
    """Return what reads images in class folders."""

    def read(folder, reading):
        for number, image in enumerate(names):
            write_image(folder / image, seed=number)
        return index_photos(folder, random_seed=0, val_fraction=0.2, labels="folders", reading=reading)

    return read


def elsewhere(folder, reading):
    for number, name in enumerate(("a.jpg", "b.jpg")):
        write_image(folder / "store" / name, seed=number)
    path = write_labels(folder / "mine", "a.jpg,cat;dog,train", "b.jpg,dog,train")
    return index_photos(folder / "store", random_seed=0, val_fraction=0.2, labels=str(path), reading=reading)


def decomposed(folder, reading):
    write_image(folder / unicodedata.normalize("NFD", "Käfer.jpg"))
    write_labels(folder, "Käfer.jpg,cat,train")
    return index_photos(folder, random_seed=0, val_fraction=0.2, reading=reading)


def devkit(
    folder,
    reading,
    line="/JPEGImages/{0}.jpg /SegmentationClassAug/{0}.png",
    sets="Segmentation",
    tags=("cat", "dog"),
    listed=True,
):
    write_voc_image(folder, "a", *tags)
    write_voc_image(folder, "b", "dog")
    write_image(folder / "JPEGImages/b.jpg", seed=1)
    if listed:
        (folder / "classes.txt").write_text("cat\ndog\n")
    write_image_set(folder, "train", line.format("a"), line.format("b"))
    (folder / "ImageSets/Segmentation").rename(folder / "ImageSets" / sets)
    return index_voc(folder, val_list=None, reading=reading)


def coco(folder, reading, segmentation=(), crowd=0, categories=((1, "cat"), (2, "dog")), classes=None, exif=False):
    """Read an export of Roboflow."""
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6 if exif else 1
    if classes:
        (folder / "classes.txt").write_text(classes)
    for split, shown in (("train", {"a": (1, 2), "b": (2,)}), ("valid", {"c": (1,)})):
        images, annotations = [], []
        for number, (name, labels) in enumerate(shown.items(), start=1):
            write_image(folder / split / f"{name}.jpg", seed=ord(name), exif=turned)
            images.append({"id": number, "file_name": f"{name}.jpg", "width": 12, "height": 8})
            for label in labels:
                entry = {"id": len(annotations), "image_id": number, "category_id": label, "iscrowd": crowd}
                annotations.append(entry | {"segmentation": list(segmentation)})
        named = [{"id": number, "name": name} for number, name in categories]
        content = {"images": images, "annotations": annotations, "categories": named}
        (folder / split / "_annotations.coco.json").write_text(json.dumps(content))
    return index_coco(folder, reading=reading)


def whole_coco(folder, reading):
    """Read an export of CVAT, made of one of Roboflow."""
    coco(folder, Reading())
    (folder / "annotations").mkdir()
    (folder / "train/_annotations.coco.json").rename(folder / "annotations/instances_default.json")
    (folder / "train").rename(folder / "images")
    (folder / "valid").rename(folder / "other")
    return index_coco(folder, reading=reading)


HEAD = "image,labels\n"
READ = {
    "table with semicolons and a byte order mark (Excel)": (
        table('\ufeffimage;labels\r\na.jpg;"cat;dog"\r\nb.jpg;dog\r\n'),
        PLAIN,
        "",
    ),
    "table with tabs": (table("image\tlabels\na.jpg\tcat;dog\nb.jpg\tdog\n", "labels.tsv"), PLAIN, ""),
    "table in UTF-16 or in cp1252 (Windows)": (table(f"{HEAD}a.jpg,cat;dog\nb.jpg,dog\n".encode("utf-16")), PLAIN, ""),
    "header in capitals, or `filename`, `tags`, ...": (table("FileName,Tags\na.jpg,cat;dog\nb.jpg,dog\n"), PLAIN, ""),
    "further columns, an index column": (
        table(",image,labels,note\n0,a.jpg,cat;dog,x\n1,b.jpg,dog,y\n"),
        PLAIN,
        "labels.csv: ignored columns: note",
    ),
    "empty rows": (table(f"{HEAD}a.jpg,cat;dog\n,\nb.jpg,dog\n,\n"), PLAIN, ""),
    "one column of 0 and 1 per class": (table("image,cat,dog\na.jpg,1,1\nb.jpg,0,1\n"), PLAIN, ""),
    "one row per label": (table(f"{HEAD}a.jpg,cat\na.jpg,dog\nb.jpg,dog\n"), PLAIN, "several rows"),
    "labels as a JSON or Python list": (table(f'{HEAD}a.jpg,"[""cat"", ""dog""]"\nb.jpg,[\'dog\']\n'), PLAIN, ""),
    "labels joined by a comma, a bar or a blank": (
        table(f'{HEAD}a.jpg,"cat, dog"\nb.jpg,dog\nc.jpg,cat\n', names=("a.jpg", "b.jpg", "c.jpg")),
        PLAIN | {"c": ("cat",)},
        "class 'cat, dog' is read as 'cat' and 'dog'",
    ),
    "a name in other capitals, with blanks or in another Unicode form": (
        table(f"{HEAD}a.jpg,cat; Dog\nb.jpg,dog\nc.jpg,dog\n", names=("a.jpg", "b.jpg", "c.jpg")),
        PLAIN | {"c": ("dog",)},
        "class 'Dog' is read as 'dog'",
    ),
    "a label that is not in classes.txt": (
        table(f"{HEAD}a.jpg,cat;dog;emu\nb.jpg,dog\n", classes="cat\ndog\n"),
        PLAIN,
        "class 'emu' is not in classes.txt: ignored (1 image)",
    ),
    "an image without a label": (
        table(f"{HEAD}a.jpg,cat;dog\nb.jpg,dog\nc.jpg,\n", names=("a.jpg", "b.jpg", "c.jpg")),
        PLAIN | {"c": ()},
        "",
    ),
    "table, class list or masks in another folder than the images": (elsewhere, PLAIN, ""),
    "paths of Windows, absolute paths, names without folder or suffix": (
        lambda folder, reading: table(
            f"{HEAD}x\\a.jpg,cat;dog\n{folder}/x/b.jpg,dog\nc.jpg,cat\nd,dog\n",
            names=("x/a.jpg", "x/b.jpg", "y/c.jpg", "y/d.png"),
        )(folder, reading),
        {"x/a": ("cat", "dog"), "x/b": ("dog",), "y/c": ("cat",), "y/d": ("dog",)},
        "labels.csv: 2 images found by the file name alone",
    ),
    "file names of a Mac (NFD)": (decomposed, {unicodedata.normalize("NFD", "Käfer"): ("cat",)}, ""),
    "thumbnails and trash of NAS and systems": (
        folders("cat/a.jpg", "dog/b.jpg", "cat/@eaDir/x.jpg", "dog/#recycle/y.jpg", "__MACOSX/z.jpg", "cat/._a.jpg"),
        {"cat/a": ("cat",), "dog/b": ("dog",)},
        "",
    ),
    "VOC lists of two columns": (devkit, PLAIN, ""),
    "VOC with ImageSets/Main alone": (lambda folder, reading: devkit(folder, reading, "{0}", "Main"), PLAIN, ""),
    "a part of VOC": (lambda folder, reading: devkit(folder, reading, listed=False), PLAIN, "without a train image"),
    "VOC annotations in other capitals": (
        lambda folder, reading: devkit(folder, reading, tags=("Cat", "dog")),
        PLAIN,
        "class 'Cat' is read as 'cat'",
    ),
    "COCO JSON of Roboflow or CVAT": (coco, PLAIN | {"c": ("cat",)}, ""),
    "COCO JSON without splits (CVAT, Label Studio)": (whole_coco, PLAIN, ""),
    "some of COCO's categories": (
        lambda folder, reading: coco(folder, reading, classes="dog\n"),
        {"a": ("dog",), "b": ("dog",), "c": ()},
        "not in classes.txt are ignored: cat",
    ),
    "COCO annotations that ignore an EXIF rotation": (
        lambda folder, reading: coco(folder, reading, exif=True),
        PLAIN | {"c": ("cat",)},
        "EXIF rotation that the annotations ignore",
    ),
    "COCO with a root category that no object has": (
        lambda folder, reading: coco(folder, reading, categories=((0, "pets"), (1, "cat"), (2, "dog"))),
        PLAIN | {"c": ("cat",)},
        "categories without any annotation are ignored: pets",
    ),
    "COCO boxes without polygons": (coco, PLAIN | {"c": ("cat",)}, ""),
}
REFUSED = {
    "a misspelt label beside classes.txt": (
        table(f"{HEAD}a.jpg,catt\nb.jpg,dog\n", classes="cat\ndog\n"),
        "class 'catt' is not in classes.txt. Correct it to 'cat'",
    ),
    "a misspelt column": (table("image,labels,splits\na.jpg,cat,val\n"), "column 'splits' is unknown. Write 'split'"),
    "one image in two splits": (
        table("image,labels,split\na.jpg,cat,val\na.jpg,dog,train\n"),
        "split train, but val in line 2. Write the same split",
    ),
    "a list of labels of which one is no class by itself": (
        table(f'{HEAD}a.jpg,"cat, emu"\nb.jpg,cat\n'),
        "class 'cat, emu' looks like several classes",
    ),
}


@pytest.mark.parametrize("what", READ)
def test_is_read(tmp_path, what):
    read, tags, note = READ[what]
    reading = Reading()
    index = read(tmp_path, reading)
    assert {row.id: row.tags for row in index.images} == tags
    assert any(note in one for one in reading.notes) if note else not reading.notes, reading.notes


@pytest.mark.parametrize("what", REFUSED)
def test_is_refused(tmp_path, what):
    read, message = REFUSED[what]
    with pytest.raises(TagsegError, match=re.escape(message)):
        read(tmp_path, Reading())


def test_the_document_lists_all_of_them():
    section = DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1]
    listed = re.findall(r"^\| (.+?) \| (?!what)", section, re.MULTILINE)
    assert [one for one in listed if one != "what people have"] == [*READ, *REFUSED]
