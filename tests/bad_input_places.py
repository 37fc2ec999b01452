"""Links, pipes and names in anyone's folder: rows of the table of bad input, (what, answer, who feeds it)."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from helpers import write_labels, write_photograph, write_small_devkit, write_zero_mask
from tagseg.datasets.common import CLASS_LIST
from tagseg.datasets.photos import index_photos, photos_true_masks
from tagseg.datasets.voc import index_voc, voc_true_masks
from tagseg.index import Index, Photograph

WORKS = "works"
Change = Callable[[Path], object]
Row = tuple[str, str, Callable[[Path], object]]
"""What the input is, what is answered (a part of it, or WORKS), and who feeds it to its reader."""


def of_photos(change: Change) -> Callable[[Path], None]:
    """Return what indexes a cat and a dog, in a folder with table and class list, after a change of it."""

    def feed(folder: Path) -> None:
        root = folder / "photos"
        for name in ("cat.jpg", "dog.jpg"):
            write_photograph(root / name)
        write_labels(root, "cat.jpg,cat,train", "dog.jpg,dog,train")
        (root / "classes.txt").write_text("cat\ndog\n")
        change(root)
        index_photos(root, random_seed=0, val_share=0.2)

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


def of_masks(change: Change, collect: Callable = photos_true_masks) -> Callable[[Path], None]:
    """Return what collects the true masks of a photograph after a change of its folder."""

    def feed(folder: Path) -> None:
        root = folder / "photos"
        row = Photograph("a", str(write_photograph(root / "JPEGImages/a.jpg")), 12, 8, "train", ("cat",))
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


def looped(name: str) -> Change:
    """Return what puts a link to itself in the place of a folder."""

    def change(root: Path) -> None:
        shutil.rmtree(root / name)
        (root / name).symlink_to(root / name)

    return change


def emptied(name: str) -> Change:
    """Return what puts a folder in the place of a file."""

    def change(root: Path) -> None:
        (root / name).unlink()
        (root / name).mkdir()

    return change


def of_names(*names: str) -> Callable[[Path], None]:
    """Return what indexes photographs of these names."""

    def feed(folder: Path) -> None:
        for name in names:
            write_photograph(folder / name)
        write_labels(folder, *(f"{name},cat,train" for name in names))
        index_photos(folder, random_seed=0, val_share=0.2)

    return feed


def of_class(name: str) -> Callable[[Path], None]:
    """Return what indexes photographs of a class of this name."""
    return of_photos(
        lambda root: write_labels(root, f"cat.jpg,{name},train") and (root / CLASS_LIST).unlink()
    )


MASKS, MASK = "SegmentationClass", "SegmentationClass/a.png"
NO_MASK = "a.png: not a file that can be read; replace or remove it"
OUTSIDE = "outside the folder; copy the file into it"
NO_FILE = "cannot be read (no regular file); put a file of text there"
PLACES: list[Row] = [
    ("table of labels that is a named pipe", f"labels.csv: {NO_FILE}", of_photos(pipe("labels.csv"))),
    ("classes.txt that is a named pipe", f"classes.txt: {NO_FILE}", of_photos(pipe("classes.txt"))),
    ("VOC's annotation that is a named pipe", f"2008_000001.xml: {NO_FILE}",
     of_devkit(pipe("Annotations/2008_000001.xml"))),
    ("VOC's list that is a named pipe", f"train.txt: {NO_FILE}",
     of_devkit(pipe("ImageSets/Segmentation/train.txt"))),
    ("table of labels of more than a gibibyte", "labels.csv: more than 1,073,741,824 bytes",
     of_photos(lambda root: os.truncate(root / "labels.csv", 2**30 + 1))),
    ("classes.txt that is a link out of the folder", OUTSIDE, of_photos(linked("classes.txt", "../away/x"))),
    ("classes.txt that is a link to nowhere", "classes.txt: no such file; restore it",
     of_photos(linked("classes.txt", "nowhere"))),
    ("classes.txt of a devkit that is a link out of it", OUTSIDE,
     of_devkit(linked("classes.txt", "../away/x"))),
    ("VOC's photograph that is a link out of the devkit", OUTSIDE,
     of_devkit(linked("JPEGImages/2008_000001.jpg", "../away/x"))),
    ("VOC's annotation that is a link out of the devkit", OUTSIDE,
     of_devkit(linked("Annotations/2008_000001.xml", "../away/x"))),
    ("VOC's list that is a link out of the devkit", OUTSIDE,
     of_devkit(linked("ImageSets/Segmentation/train.txt", "../away/x"))),
    ("folder of a devkit that is a link out of it", "JPEGImages: a link out of the devkit; move or copy",
     of_devkit(linked("JPEGImages", "../away/x"))),
    ("name of a list that leads elsewhere", "'../../../evil' is no name of a list; name a file of ImageSets",
     of_devkit(lambda devkit: None, train_list="../../../evil")),
    ("VOC's mask that is a link out of the devkit", OUTSIDE,
     of_masks(linked(MASK, "../a.png"), voc_true_masks)),
    ("VOC's mask that is a link to nowhere", NO_MASK, of_masks(linked(MASK, "nowhere"), voc_true_masks)),
    ("VOC's mask that is a folder", NO_MASK, of_masks(emptied(MASK), voc_true_masks)),
    ("VOC's folder of masks that is a link out of the devkit", OUTSIDE,
     of_masks(linked(MASKS, "../masks"), voc_true_masks)),
    ("VOC's folder of masks that is a file", "SegmentationClass: cannot be read (Not a directory)",
     of_masks(replaced(MASKS), voc_true_masks)),
    ("folder of masks that is a link out of the folder", OUTSIDE, of_masks(linked(MASKS, "../masks"))),
    ("folder of masks that is a link to itself", "(Too many levels of symbolic links); make it a folder",
     of_masks(looped(MASKS))),
    ("folder of masks that is a file", "(Not a directory); make it a folder of masks, or remove it",
     of_masks(replaced(MASKS))),
    ("class of 300 characters", "is of more than 200 bytes, too long for the name of a file; shorten it",
     of_class("x" * 300)),
    ("class named `patterns.json`", "class 'patterns.json' has the name of a file of ours; rename it",
     of_class("patterns.json")),
    ("photographs `a.jpg` and `a.png/x.jpg`",
     "a.jpg: its mask or overlay would have the name of the folder a.png; rename one",
     of_names("a.jpg", "a.png/x.jpg")),
    ("photographs `a.png` and `a.jpg/x.png`",
     "a.png: its mask or overlay would have the name of the folder a.jpg; rename one",
     of_names("a.png", "a.jpg/x.png")),
    ("photograph `manifest.json/x.jpg`", "x.jpg: the folder manifest.json has the name of a file of ours",
     of_names("a.jpg", "manifest.json/x.jpg")),
    ("photographs of 255 bytes that differ in their suffix", "a name of more than 251 bytes, too long for a",
     of_names("x" * 251 + ".jpg", "x" * 251 + ".png")),
    ("photograph of 255 bytes", WORKS, of_names("x" * 251 + ".jpg")),
]  # fmt: skip
