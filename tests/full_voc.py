"""PASCAL VOC 2012 and SBD at their true size, made of the published tags and one small image."""

import os
from collections.abc import Sequence
from pathlib import Path

from helpers import read_csv, write_image
from mini_voc import annotation

TABLE = Path(__file__).parents[2] / "shared" / "data" / "voc12_tags.csv"
"""Names, splits (train, aug, val) and tags of the published set, if it is beside the repository."""


def objects_of(tags: list[str], position: int) -> tuple[tuple[str, bool], ...]:
    """Return an image's objects: some classes twice, some objects difficult."""
    names = [*tags, tags[0]] if position % 3 == 0 else tags
    return tuple((name, (position + place) % 4 == 0) for place, name in enumerate(names))


def read_table() -> list[dict[str, str]]:
    return read_csv(TABLE)


def write_full_voc(root: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write VOCdevkit/VOC2012 and benchmark_RELEASE/dataset below a folder; all images are one file.

    SBD's lists hold most of VOC's train and val too, mixed, with untidy line ends.
    """
    devkit, sbd = root / "VOCdevkit" / "VOC2012", root / "benchmark_RELEASE" / "dataset"
    for folder in (devkit / "JPEGImages", devkit / "Annotations", devkit / "ImageSets" / "Segmentation", sbd):
        folder.mkdir(parents=True)
    image = write_image(root / "one.jpg", 16, 12)
    names: dict[str, list[str]] = {"train": [], "aug": [], "val": []}
    for position, row in enumerate(rows):
        names[row["split"]].append(row["image"])
        os.link(image, devkit / "JPEGImages" / f"{row['image']}.jpg")
        text = annotation(row["image"], objects_of(row["labels"].split(";"), position))
        (devkit / "Annotations" / f"{row['image']}.xml").write_text(text, encoding="utf-8")
    for split in ("train", "val"):
        (devkit / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names[split]) + "\n")
    mixed = sorted([*names["aug"], *names["train"][::2], *names["val"][::3], *names["val"][1::3]])
    lines = [f"{name}\r\n" for position, name in enumerate(mixed) if position % 4]
    (sbd / "train.txt").write_bytes("".join(lines).encode())
    (sbd / "val.txt").write_bytes("".join(f"{name}  \n" for name in mixed[::4]).encode())
