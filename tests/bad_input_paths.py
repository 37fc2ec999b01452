"""Links, pipes and names in anyone's folder: rows of the table of bad input, (what, answer, who feeds it)."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from helpers import write_image, write_labels, write_small_devkit, write_zero_mask
from tagseg.datasets.common import CLASS_LIST
from tagseg.datasets.folder.reader import index_photos, photos_ground_truth
from tagseg.datasets.voc.devkit import index_voc, voc_ground_truth
from tagseg.storage.index import ImageRecord, Index

WORKS = "works"
Change = Callable[[Path], object]
Row = tuple[str, str, Callable[[Path], object]]
"""What the input is, what is answered (a part of it, or WORKS), and who feeds it to its reader."""


def of_photos(change: Change) -> Callable[[Path], None]:
    """Return what indexes a cat and a dog, in a folder with table and class list, after a change of it."""

    def feed(folder: Path) -> None:
        root = folder / "photos"
        for name in ("cat.jpg", "dog.jpg"):
            write_image(root / name)
        write_labels(root, "cat.jpg,cat,train", "dog.jpg,dog,train")
        (root / "classes.txt").write_text("cat\ndog\n")
        change(root)
        index_photos(root, random_seed=0, val_fraction=0.2)

    return feed


def of_devkit(change: Change, **options) -> Callable[[Path], None]:
    """Return what indexes a devkit with a class list after a change of it."""

    def feed(folder: Path) -> None:
        devkit = write_small_devkit(folder / "VOC2012")
        (devkit / "classes.txt").write_text("aeroplane\nchair\ndog\nperson\ntrain\ntvmonitor\n")
        change(devkit)
        index_voc(devkit, **options)

    return feed


def pipe(name: str) -> Change:
    """Return what puts a named pipe in the place of a file."""

    def change(root: Path) -> None:
        (root / name).unlink()
        os.mkfifo(root / name)

    return change


def linked(name: str, target: str) -> Change:
    """Return what moves a file or folder to `target` and puts a link there; "nowhere": removes the file."""

    def change(root: Path) -> None:
        place = root / target
        if target == "nowhere":
            (root / name).unlink()
        else:
            place.parent.mkdir(exist_ok=True)
            (root / name).rename(place)
        (root / name).symlink_to(place)

    return change


def of_masks(change: Change, collect: Callable = photos_ground_truth) -> Callable[[Path], None]:
    """Return what collects the ground truth of a image after a change of its folder."""

    def feed(folder: Path) -> None:
        root = folder / "photos"
        row = ImageRecord("a", str(write_image(root / "JPEGImages/a.jpg")), 12, 8, "train", ("cat",))
        (root / "ImageSets/Segmentation").mkdir(parents=True)
        write_zero_mask(root / "SegmentationClass/a.png")
        change(root)
        collect(root, Index(("background", "cat"), (row,)), "train", folder / "made")

    return feed


def replaced(name: str) -> Change:
    """Return what puts a text in the place of a folder."""

    def change(root: Path) -> None:
        shutil.rmtree(root / name)
        (root / name).write_text("no folder\n")

    return change


def of_names(*names: str) -> Callable[[Path], None]:
    """Return what indexes images of these names."""

    def feed(folder: Path) -> None:
        for name in names:
            write_image(folder / name)
        write_labels(folder, *(f"{name},cat,train" for name in names))
        index_photos(folder, random_seed=0, val_fraction=0.2)

    return feed


def of_class(name: str) -> Callable[[Path], None]:
    """Return what indexes images of a class of this name."""
    return of_photos(lambda root: write_labels(root, f"cat.jpg,{name},train") and (root / CLASS_LIST).unlink())


MASKS, MASK = "SegmentationClass", "SegmentationClass/a.png"
NO_MASK = "a.png: not a file. Replace or remove it"
NO_FILE = "not a regular file. Replace it by a text file"
NO_FOLDER = "SegmentationClass: not a folder. Make it a folder of masks or remove it."
PLACES: list[Row] = [
    ("table of labels that is a named pipe", f"labels.csv: {NO_FILE}", of_photos(pipe("labels.csv"))),
    ("VOC's annotation that is a named pipe", f"2008_000001.xml: {NO_FILE}",
     of_devkit(pipe("Annotations/2008_000001.xml"))),
    ("table of labels of more than a gibibyte", "labels.csv: more than 1,073,741,824 bytes",
     of_photos(lambda root: os.truncate(root / "labels.csv", 2**30 + 1))),
    ("classes.txt that is a link to another folder", WORKS, of_photos(linked("classes.txt", "../away/x"))),
    ("classes.txt that is a link to nowhere", "classes.txt: no such file. Restore it",
     of_photos(linked("classes.txt", "nowhere"))),
    ("VOC's mask that is a link to nowhere", NO_MASK, of_masks(linked(MASK, "nowhere"), voc_ground_truth)),
    ("folder of masks that is a link to another disk", WORKS, of_masks(linked(MASKS, "../masks"))),
    ("folder of masks that is a file", NO_FOLDER, of_masks(replaced(MASKS))),
    ("class of 300 characters", "is longer than 200 bytes. Rename it",
     of_class("x" * 300)),
    ("class named `patterns.json`", "class 'patterns.json' has the name of a result file. Rename it",
     of_class("patterns.json")),
    ("images `a.jpg` and `a.png/x.jpg`",
     "a.jpg: its mask or overlay would have the name of the folder a.png. Rename one",
     of_names("a.jpg", "a.png/x.jpg")),
    ("image `manifest.json/x.jpg`", "x.jpg: the folder manifest.json has the name of a result",
     of_names("a.jpg", "manifest.json/x.jpg")),
    ("images of 255 bytes that differ in their suffix", "a name longer than 251 bytes, too long for",
     of_names("x" * 251 + ".jpg", "x" * 251 + ".png")),
    ("image of 255 bytes", WORKS, of_names("x" * 251 + ".jpg")),
]  # fmt: skip
