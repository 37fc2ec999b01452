"""The demo data set: drawn photographs with true masks, in the form of PASCAL VOC's devkit.

It needs no download and is the same to the byte for the same settings. Image k depends on the seed
and on k (and on size, classes and share), not on how many there are: a larger data set begins with
the images of a smaller one. What makes it harder or easier are the constants on top of
`demo_textures`, `demo_shapes` and `demo_scenes`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from tagseg.datasets.demo_scenes import Scene, draw_scene
from tagseg.datasets.demo_shapes import SHAPES
from tagseg.errors import TagsegError
from tagseg.files import atomic_folder
from tagseg.images import encode_mask

FEWEST_CLASSES, MOST_CLASSES = 3, len(SHAPES)
SMALLEST_SIDE = 32  # pixels: below, the void band leaves nothing of a small object
PAIR_ODDS = 0.25  # of a single-class image to hold two objects of its class
JPEG_QUALITY = 90
FOLDERS = ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation")


class DemoSettingError(TagsegError, ValueError):
    """A setting of the demo data set is missing, unknown or out of range; the message names it."""


@dataclass(frozen=True)
class DemoSettings:
    """The demo data set's settings: numbers of images, sizes in pixels, number of object classes.

    `multi_class_share` is the share of images, in 0..1, with objects of two classes.
    Raises DemoSettingError (a ValueError) where a value is out of range.
    """

    random_seed: int = 0
    train: int = 140
    val: int = 48
    width: int = 240
    height: int = 180
    classes: int = 6
    multi_class_share: float = 0.3

    def __post_init__(self) -> None:
        for name in ("random_seed", "train", "val"):
            _check(name, getattr(self, name), int, 0, math.inf)
        for name in ("width", "height"):
            _check(name, getattr(self, name), int, SMALLEST_SIDE, 4096)
        _check("classes", self.classes, int, FEWEST_CLASSES, MOST_CLASSES)
        _check("multi_class_share", self.multi_class_share, (int, float), 0, 1)


def _check(name: str, value: object, kind: type | tuple, low: float, high: float) -> None:
    """Raise DemoSettingError unless `value` is a number of that kind in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, kind):
        what = "an integer" if kind is int else "a number"
        raise DemoSettingError(f"{name}: {what} is expected, not {value!r}")
    if not low <= value <= high:
        raise DemoSettingError(f"{name}: {value} is not within {low} to {high}")


def parse_settings(content: Mapping[str, object]) -> DemoSettings:
    """Build settings from a mapping; keys left out keep their defaults, unknown ones raise."""
    unknown = set(content) - {field.name for field in fields(DemoSettings)}
    if unknown:
        raise DemoSettingError(f"{', '.join(sorted(unknown))}: no such setting of the demo data")
    return DemoSettings(**content)


def class_names(settings: DemoSettings) -> list[str]:
    """Return the object classes in alphabetical order; the first one has label 1 in the masks."""
    return sorted(list(SHAPES)[: settings.classes])


def image_id(number: int) -> str:
    """Return the id of image `number` (from 1): the stem of its files."""
    return f"demo_{number:06d}"


def splits(settings: DemoSettings) -> dict[str, list[str]]:
    """Return the ids of train, val and trainval; train comes first in the numbering."""
    ids = [image_id(number) for number in range(1, settings.train + settings.val + 1)]
    return {"train": ids[: settings.train], "val": ids[settings.train :], "trainval": ids}


def object_names(number: int, settings: DemoSettings, rng: np.random.Generator) -> list[str]:
    """Draw the class of each object of image `number`, back to front.

    The main class runs through a fresh permutation every `classes` images and the images of two
    classes are spread evenly, so that any run of images, hence each split, has a fair share of all.
    """
    names, share = class_names(settings), settings.multi_class_share
    block, turn = divmod(number - 1, len(names))
    order = np.random.default_rng([settings.random_seed, block, 1]).permutation(len(names))
    main = names[order[turn]]
    if math.floor(number * share) > math.floor((number - 1) * share):
        other = rng.choice([name for name in names if name != main])
        return [str(name) for name in rng.permutation([main, other])]
    return [main, main] if rng.random() < PAIR_ODDS else [main]


def draw_image(number: int, settings: DemoSettings) -> Scene:
    """Draw image `number` (from 1) with its mask and its objects."""
    rng = np.random.default_rng([settings.random_seed, number])
    labels = {name: label for label, name in enumerate(class_names(settings), start=1)}
    names = object_names(number, settings, rng)
    return draw_scene(names, labels, settings.height, settings.width, rng)


def write_devkit(folder: str | Path, settings: DemoSettings) -> None:
    """Write the whole data set; `folder` appears complete or not at all.

    An earlier demo data set there is replaced; TagsegError where the folder holds anything else.
    """
    _refuse_foreign(Path(folder))
    with atomic_folder(folder) as devkit:
        for name in FOLDERS:
            (devkit / name).mkdir(parents=True)
        for number in range(1, settings.train + settings.val + 1):
            _write_image(devkit, image_id(number), draw_image(number, settings))
        for split, ids in splits(settings).items():
            _write_lines(devkit / "ImageSets" / "Segmentation" / f"{split}.txt", ids)
        _write_lines(devkit / "classes.txt", class_names(settings))


def _refuse_foreign(folder: Path) -> None:
    """Raise TagsegError if writing to `folder` would delete other files, such as a real devkit."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    photographs = list((folder / "JPEGImages").glob("*"))
    ours = all(path.name.startswith("demo_") for path in photographs)
    if not (ours and (folder / "classes.txt").is_file()):
        raise TagsegError(f"{folder}: holds other things than a demo data set; name another folder")


def _write_lines(path: Path, lines: list[str]) -> None:
    """Write one line an item."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _write_image(devkit: Path, name: str, scene: Scene) -> None:
    """Write the photograph, the mask and the annotation of one image."""
    photograph = devkit / "JPEGImages" / f"{name}.jpg"
    Image.fromarray(scene.image).save(photograph, quality=JPEG_QUALITY)
    (devkit / "SegmentationClass" / f"{name}.png").write_bytes(encode_mask(scene.mask))
    tree = annotation(name, scene)
    ElementTree.indent(tree, "\t")
    tree.write(devkit / "Annotations" / f"{name}.xml", encoding="utf-8")


def annotation(name: str, scene: Scene) -> ElementTree.ElementTree:
    """Return VOC's annotation of an image: its size and, for each object, name, flags and box."""
    height, width = scene.mask.shape
    root = ElementTree.Element("annotation")
    _add(root, {"folder": "demo", "filename": f"{name}.jpg"})
    source = {"database": "tagseg demo", "annotation": "tagseg demo", "image": "drawn"}
    _add(ElementTree.SubElement(root, "source"), source)
    _add(ElementTree.SubElement(root, "size"), {"width": width, "height": height, "depth": 3})
    _add(root, {"segmented": 1})
    for seen in scene.objects:
        entry = ElementTree.SubElement(root, "object")
        _add(
            entry,
            {
                "name": seen.name,
                "pose": "Unspecified",
                "truncated": int(seen.truncated),
                "difficult": int(seen.difficult),
            },
        )
        box = dict(zip(("xmin", "ymin", "xmax", "ymax"), seen.box, strict=True))
        _add(ElementTree.SubElement(entry, "bndbox"), box)
    return ElementTree.ElementTree(root)


def _add(parent: ElementTree.Element, values: Mapping[str, object]) -> None:
    """Append one element a value."""
    for tag, value in values.items():
        ElementTree.SubElement(parent, tag).text = str(value)
