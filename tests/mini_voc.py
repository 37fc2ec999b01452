"""PASCAL VOC 2012, its test devkit and SBD as their archives unpack, a few small images each.

The forms are the genuine ones: annotations with boxes, parts and difficult objects, palette PNGs with void
borders, MATLAB structs, image sets. All of VOC's classes are in train: each has a colour, drawn as boxes.
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

from helpers import write_image_set
from tagseg.datasets.voc.devkit import VOC_CLASSES
from tagseg.storage.images import VOID, voc_palette, write_mask

Objects = tuple[tuple[str, bool], ...]
"""Class of each object, and whether it is marked difficult."""

DEVKIT, SBD_FOLDER = "VOCdevkit/VOC2012", "benchmark_RELEASE/dataset"


def objects_of_train(place: int) -> Objects:
    """Return the objects of an image of trainaug: several of a class, of two classes, difficult ones."""
    own = VOC_CLASSES[place]
    if place == len(VOC_CLASSES) - 1:
        return ((own, True),)
    pair = ((own, False),) if place % 3 == 0 else ()
    second = ((VOC_CLASSES[place + 2], False),) if place % 4 == 1 else ()
    third = ((VOC_CLASSES[(place + 3) % 20], True),) if place % 5 == 2 else ()
    return ((own, False), *pair, *second, *third)


TRAIN = {f"2007_{place:06}": objects_of_train(place) for place in range(12)}
ADDED = {f"2008_{place:06}": objects_of_train(place) for place in range(12, 20)}
"""What SBD adds: images of the devkit that none of its lists of segmentation has."""
VAL = {f"2009_{place:06}": ((VOC_CLASSES[3 * place], False),) for place in range(5)}
VAL["2009_000099"] = (("person", False), ("person", False), ("horse", True))
TEST = {f"2010_{place:06}": (("person", False),) for place in range(3)}


class MiniVoc(NamedTuple):
    """Folders into which the three archives were unpacked."""

    trainval: Path
    test: Path
    sbd: Path

    @property
    def devkit(self) -> Path:
        return self.trainval / DEVKIT


def write_mini_voc(folder: Path) -> MiniVoc:
    made = MiniVoc(folder / "trainval", folder / "test", folder / "sbd")
    for name, objects in ADDED.items():
        _write(made.devkit, name, objects)
    write_devkit(made.devkit, TRAIN, VAL)
    for name, objects in TEST.items():
        _write(made.test / DEVKIT, name, objects)
    write_image_set(made.test / DEVKIT, "test", *TEST)
    _write_sbd(made.sbd / SBD_FOLDER)
    return made


def write_devkit(devkit: Path, train: dict[str, Objects], val: dict[str, Objects]) -> None:
    """Write a devkit of train and val images, all with masks."""
    for name, objects in (train | val).items():
        _write(devkit, name, objects)
        write_mask(devkit / "SegmentationClass" / f"{name}.png", mask(name, objects, borders=True))
    for split, names in {"train": train, "val": val, "trainval": train | val}.items():
        write_image_set(devkit, split, *names)


def tags(objects: Objects, difficult: bool = True) -> tuple[str, ...]:
    """Return the tags that objects give, in the order of VOC's classes."""
    names = {name for name, hard in objects if difficult or not hard}
    return tuple(name for name in VOC_CLASSES if name in names)


def size(name: str) -> tuple[int, int]:
    """Return (width, height) of an image: the odd ones are upright."""
    return (45, 60) if int(name[-1]) % 2 else (64, 48)


def mask(name: str, objects: Objects, borders: bool) -> np.ndarray:
    """Return the labels of an image: VOC's have a void border round each object, SBD's have none."""
    width, height = size(name)
    labels = np.zeros((height, width), np.uint8)
    for (tag, _), (x, y, x2, y2) in zip(objects, _boxes(name, objects), strict=True):
        labels[y:y2, x:x2] = VOID if borders else VOC_CLASSES.index(tag) + 1
        labels[y + 1 : y2 - 1, x + 1 : x2 - 1] = VOC_CLASSES.index(tag) + 1
    return labels


def _boxes(name: str, objects: Objects) -> list[tuple[int, int, int, int]]:
    """Return x, y, x2, y2 of each object: they stand side by side."""
    width, height = size(name)
    step, places = width // len(objects), range(len(objects))
    return [(place * step + 2, 5, (place + 1) * step - 2, height - 4 - 6 * place) for place in places]


def _write(devkit: Path, name: str, objects: Objects) -> None:
    labels = mask(name, objects, borders=False)
    rng = np.random.default_rng(int(name.replace("_", "")))
    noise = rng.integers(-30, 30, (*labels.shape, 3))
    colours = np.vstack([[(110, 110, 110)], voc_palette()[1 : len(VOC_CLASSES) + 1]])
    pixels = np.clip(colours[labels] + noise, 0, 255).astype(np.uint8)
    for folder in ("JPEGImages", "Annotations"):
        (devkit / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(devkit / "JPEGImages" / f"{name}.jpg", quality=95)
    (devkit / "Annotations" / f"{name}.xml").write_text(annotation(name, objects), encoding="utf-8")


_ANNOTATION = """<annotation>
\t<folder>VOC2012</folder>
\t<filename>{name}.jpg</filename>
\t<source><database>The VOC2007 Database</database><image>flickr</image></source>
\t<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>
\t<segmented>1</segmented>
{objects}</annotation>
"""
_BOX = "<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox>"
_OBJECT = """\t<object>
\t\t<name>{name}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>{difficult}</difficult>
\t\t{box}{part}
\t</object>
"""


def annotation(name: str, objects: Objects) -> str:
    """Return VOC's XML; persons have a part, as those of the layout task have."""
    things = []
    for (tag, difficult), corners in zip(objects, _boxes(name, objects), strict=True):
        box = _BOX.format(*corners)
        part = f"<part><name>head</name>{box}</part>" if tag == "person" else ""
        things.append(_OBJECT.format(name=tag, difficult=int(difficult), box=box, part=part))
    return _ANNOTATION.format(name=name, size=size(name), objects="".join(things))


def _write_sbd(folder: Path) -> None:
    """Write SBD: its two lists have images of VOC's train and val too, and masks of all."""
    added, train, val = list(ADDED), list(TRAIN), list(VAL)
    lists = {"train": [train[0], *added[:5], val[0]], "val": [*added[5:], val[1], train[1]]}
    (folder / "cls").mkdir(parents=True)
    for list_name, names in lists.items():
        (folder / f"{list_name}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            labels = mask(name, (TRAIN | ADDED | VAL)[name], borders=False)
            (folder / "cls" / f"{name}.mat").write_bytes(mat(labels))


def mat(labels: np.ndarray, compressed: bool = True, names=("GTcls", "Segmentation")) -> bytes:
    """Return the bytes of a .mat in SBD's form: a boundary per class, the labels, the classes present."""
    boundaries = np.empty((len(VOC_CLASSES), 1), object)
    for label in range(1, len(VOC_CLASSES) + 1):
        inside = labels.reshape(len(labels), labels[:1].size) == label
        edges = (inside != np.roll(inside, 1, axis=1)) | (inside != np.roll(inside, 1, axis=0))
        boundaries[label - 1, 0] = csc_matrix(edges)
    present = np.setdiff1d(labels, [0]).astype(np.uint8)[:, None]
    record = {"Boundaries": boundaries, names[1]: labels, "CategoriesPresent": present}
    stream = io.BytesIO()
    savemat(stream, {"before": np.eye(3), names[0]: record}, do_compression=compressed)
    return stream.getvalue()
