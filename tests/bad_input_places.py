"""Links, pipes and names in anyone's folder: rows of the table of bad input, (what, answer, who feeds it)."""

import os
from collections.abc import Callable
from pathlib import Path

from helpers import write_labels, write_photograph, write_small_devkit
from tagseg.datasets.photos import index_photos
from tagseg.datasets.voc import index_voc

Change = Callable[[Path], object]


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
    """Return what puts a link in the place of a file; `target` is its file's new path, or leads nowhere."""

    def change(root: Path) -> None:
        place = root / target
        if target == "nowhere":
            (root / name).unlink()
        else:
            place.parent.mkdir(exist_ok=True)
            (root / name).rename(place)
        (root / name).symlink_to(place)

    return change


OUTSIDE = "outside the folder; copy the file into it"
NO_FILE = "cannot be read (no regular file); put a file of text there"
PLACES: list[tuple[str, str, Callable[[Path], None]]] = [
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
]  # fmt: skip
