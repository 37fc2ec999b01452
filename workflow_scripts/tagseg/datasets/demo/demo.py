"""The demo data set: generated images with ground truth, in the form of PASCAL VOC's devkit.

It needs no download, and the same settings give the same bytes. Image k depends on the seed and on k (and on size,
classes and fraction), not on the number of images: a larger data set begins with the images of a smaller one. The
constants at the top of `textures`, `shapes` and `scenes` make it harder or easier.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from tagseg.datasets.demo.scenes import Scene, draw_scene
from tagseg.datasets.demo.settings import DemoStage
from tagseg.datasets.demo.shapes import SHAPES
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_folder
from tagseg.storage.images import encode_mask

PAIR_ODDS = 0.25  # of a single-class image to hold two objects of its class
JPEG_QUALITY = 90
FOLDERS = ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation")


def class_names(settings: DemoStage) -> list[str]:
    """Return the object classes in alphabetical order; the first one has label 1 in the masks."""
    return sorted(list(SHAPES)[: settings.classes])


def image_id(number: int) -> str:
    """Return the id of image `number` (from 1): the stem of its files."""
    return f"demo_{number:06d}"


def splits(settings: DemoStage) -> dict[str, list[str]]:
    """Return the ids of train, val and trainval; train comes first in the numbering."""
    ids = [image_id(number) for number in range(1, settings.train + settings.val + 1)]
    return {"train": ids[: settings.train], "val": ids[settings.train :], "trainval": ids}


def object_names(number: int, settings: DemoStage, rng: np.random.Generator) -> list[str]:
    """Return the class of each object of image `number`, back to front.

    The main class goes through a new permutation every `classes` images, and the images of two classes are spread
    evenly, so that each split has about the same fraction of all.
    """
    names, fraction = class_names(settings), settings.multi_class_fraction
    block, turn = divmod(number - 1, len(names))
    order = np.random.default_rng([settings.random_seed, block, 1]).permutation(len(names))
    main = names[order[turn]]
    if math.floor(number * fraction) > math.floor((number - 1) * fraction):
        other = rng.choice([name for name in names if name != main])
        return [str(name) for name in rng.permutation([main, other])]
    return [main, main] if rng.random() < PAIR_ODDS else [main]


def generate_image(number: int, settings: DemoStage) -> Scene:
    """Return image `number` (from 1) with its mask and its objects."""
    rng = np.random.default_rng([settings.random_seed, number])
    labels = {name: label for label, name in enumerate(class_names(settings), start=1)}
    names = object_names(number, settings, rng)
    return draw_scene(names, labels, settings.height, settings.width, rng)


def write_devkit(folder: str | Path, settings: DemoStage) -> None:
    """Write the whole data set; `folder` appears complete or not at all.

    It replaces an earlier demo data set. Raises TagsegError if the folder holds anything else.
    """
    _refuse_foreign(Path(folder))
    with atomic_folder(folder) as devkit:
        for name in FOLDERS:
            (devkit / name).mkdir(parents=True)
        for number in range(1, settings.train + settings.val + 1):
            _write_image(devkit, image_id(number), generate_image(number, settings))
        for split, ids in splits(settings).items():
            _write_lines(devkit / "ImageSets" / "Segmentation" / f"{split}.txt", ids)
        _write_lines(devkit / "classes.txt", class_names(settings))


def _refuse_foreign(folder: Path) -> None:
    """Raise TagsegError if writing to `folder` would delete other files, such as a real devkit."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    images = list((folder / "JPEGImages").glob("*"))
    ours = all(path.name.startswith("demo_") for path in images)
    if not (ours and (folder / "classes.txt").is_file()):
        raise TagsegError(f"{folder}: holds other files than a demo data set. Name another folder.")


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _write_image(devkit: Path, name: str, scene: Scene) -> None:
    """Write the image, the mask and the annotation of one image."""
    image = devkit / "JPEGImages" / f"{name}.jpg"
    Image.fromarray(scene.image).save(image, quality=JPEG_QUALITY)
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
    """Append one element per value."""
    for tag, value in values.items():
        ElementTree.SubElement(parent, tag).text = str(value)
