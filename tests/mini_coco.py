"""Data sets in COCO 2017's layout, a few small images each, written into a temporary folder."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from helpers import write_image

CATEGORIES = {7: "dog", 2: "traffic light", 44: "bottle"}
"""Id and name of the mini set's classes, out of order and with gaps, as the ids of COCO have."""

COLOURS = {2: (200, 40, 40), 7: (40, 170, 60), 44: (50, 70, 210)}


def write_mini_coco(root: Path, train: int = 8, val: int = 4, width: int = 48, height: int = 36) -> Path:
    """Write coloured shapes on grey, every class in both splits; the last image of a split has no instance.

    The instances are polygons, pairs of them, both forms of run-length codes and crowds; they overlap.
    """
    for seed, (split, count) in enumerate({"train": train, "val": val}.items()):
        rng = np.random.default_rng(seed)
        images, annotations = [], []
        for place in range(count):
            image = image_entry(1000 * seed + 3 * place + 1, width, height)
            own = [] if place == count - 1 else _things(rng, place, width, height)
            for thing in own:
                entry = 10 * len(annotations) + 5, image["id"], thing.category, thing.segmentation(image)
                annotations.append(annotation_entry(*entry, iscrowd=int(thing.form == "crowd")))
            images.append(image)
            _draw(root / f"{split}2017" / image["file_name"], rng, image, own)
        write_annotations(root, split, images, annotations)
    return root


def image_entry(number: int, width: int = 12, height: int = 8, **changes) -> dict:
    name = f"{number:012}.jpg"
    entry = {"license": 1, "file_name": name, "height": height, "width": width, "id": number}
    return {**entry, "date_captured": "2013-11-14 17:02:52", **changes}


def annotation_entry(number: int, image: int, category: int, segmentation=None, **changes) -> dict:
    """Return an entry of `annotations`, with `changes`; without a segmentation it is a triangle."""
    triangle = [[1.0, 1.0, 6.5, 1.25, 3.0, 7.5]]
    entry = {"segmentation": segmentation or triangle, "area": 9.5, "iscrowd": 0, "image_id": image}
    return {**entry, "bbox": [1, 1, 5.5, 6.5], "category_id": category, "id": number, **changes}


def write_annotations(root: Path, split: str, images: Sequence, annotations: Sequence) -> Path:
    categories = [{"supercategory": "thing", "id": n, "name": name} for n, name in CATEGORIES.items()]
    content = {"info": {"year": 2017, "version": "1.0"}, "licenses": [{"id": 1}], "images": images}
    path = root / "annotations" / f"instances_{split}2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, "annotations": annotations, "categories": categories}))
    return path


def write_half(root: Path, split: str, images: Sequence[dict], annotations: Sequence[dict] = ()) -> Path:
    """Write a split's annotation file and images of noise."""
    for image in images:
        write_image(root / f"{split}2017" / image["file_name"], image["width"], image["height"])
    return write_annotations(root, split, images, annotations)


def edit(root: Path, split: str, change: Callable[[dict], object]) -> None:
    """Change the content of a split's annotation file in place, by `change`."""
    path = root / "annotations" / f"instances_{split}2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def run_lengths(mask: np.ndarray) -> list[int]:
    """Return COCO's uncompressed counts of a mask: runs down the columns, the first of zeros."""
    pixels = mask.T.ravel().astype(int)
    return np.diff([0, *np.flatnonzero(np.diff(pixels, prepend=0)), len(pixels)]).tolist()


def compressed(counts: Sequence[int]) -> str:
    """Return counts as COCO's text: from the fourth on the difference to the last but one, in 5 bits."""
    signs = []
    for place, count in enumerate(counts):
        rest = count - counts[place - 2] if place > 2 else count
        while True:
            bits, rest = rest & 31, rest >> 5
            last = rest == (-1 if bits & 16 else 0)
            signs.append(chr(48 + (bits if last else bits | 32)))
            if last:
                break
    return "".join(signs)


def code(mask: np.ndarray, compress: bool = False) -> dict:
    """Return a mask (height, width) as a segmentation of either run-length form."""
    counts = run_lengths(mask)
    return {"size": list(mask.shape), "counts": compressed(counts) if compress else counts}


class _Thing(NamedTuple):
    """A box of pixels x..x2-1, y..y2-1 of a category, and the form in which it is annotated."""

    category: int
    x: int
    y: int
    x2: int
    y2: int
    form: str

    def inside(self, image: dict) -> np.ndarray:
        """Return its pixels; a box of the form "pair" has a gap of four columns."""
        mask = np.zeros((image["height"], image["width"]), bool)
        mask[self.y : self.y2, self.x : self.x2] = True
        if self.form == "pair":
            middle = (self.x + self.x2) // 2
            mask[:, middle - 2 : middle + 2] = False
        return mask

    def segmentation(self, image: dict) -> list | dict:
        if self.form in ("runs", "compressed", "crowd"):
            return code(self.inside(image), self.form == "compressed")
        middle = (self.x + self.x2) // 2
        parts = [(self.x, middle - 2), (middle + 2, self.x2)] if self.form == "pair" else [(self.x, self.x2)]
        return [[x, self.y, x2, self.y, x2, self.y2, x, self.y2] for x, x2 in parts]


def _things(rng: np.random.Generator, place: int, width: int, height: int) -> list[_Thing]:
    """Return a large thing and, in every second image, a small one over it; some have a crowd."""
    ids = sorted(CATEGORIES)
    large, small = ids[place % 3], ids[(place + 1) % 3]
    x, y = (rng.uniform(0.05, 0.3, 2) * (width, height)).astype(int).tolist()
    x2, y2 = (rng.uniform(0.6, 0.95, 2) * (width, height)).astype(int).tolist()
    form = ("polygon", "runs", "pair", "compressed")[place % 4]
    crowd = [_Thing(large, 0, height * 3 // 4, width, height, "crowd")] if place % 4 == 2 else []
    over = [_Thing(small, x, y, x + width // 6, y + height // 6, "polygon")] if place % 2 else []
    return [*crowd, _Thing(large, x, y, x2, y2, form), *over]


def _draw(path: Path, rng: np.random.Generator, image: dict, things: Sequence[_Thing]) -> None:
    """Write an image: each thing in the colour of its class, on grey noise."""
    pixels = rng.integers(90, 150, (image["height"], image["width"], 3), dtype=np.uint8)
    for thing in things:
        pixels[thing.inside(image)] = COLOURS[thing.category]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)
