"""Small data sets in a temporary folder, and other helpers of several test files."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.storage.images import write_mask
from tagseg.storage.index import ImageRecord


def write_image(path: Path, width: int = 12, height: int = 8, seed: int = 0, **options) -> Path:
    """Write an image of noise in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def write_zero_mask(path: Path, width: int = 12, height: int = 8) -> Path:
    write_mask(path, np.zeros((height, width), np.uint8))
    return path


def write_annotation(devkit: Path, name: str, *objects: str | tuple[str, bool]) -> Path:
    """Write VOC's XML of an image; an object is its name or a pair (name, difficult)."""
    pairs = [(thing, False) if isinstance(thing, str) else thing for thing in objects]
    things = "".join(
        f"<object><name>{thing}</name><difficult>{int(difficult)}</difficult><part><name>head</name></part></object>"
        for thing, difficult in pairs
    )
    path = devkit / "Annotations" / f"{name}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation><folder>VOC2012</folder>{things}</annotation>", encoding="utf-8")
    return path


def write_image_set(devkit: Path, split: str, *ids: str) -> Path:
    path = devkit / "ImageSets" / "Segmentation" / f"{split}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")
    return path


def write_voc_image(devkit: Path, name: str, *objects, mask: bool = True, **size) -> None:
    """Write an image of a devkit, its annotation and, unless `mask` is false, its mask."""
    write_image(devkit / "JPEGImages" / f"{name}.jpg", **size)
    write_annotation(devkit, name, *objects)
    if mask:
        write_zero_mask(devkit / "SegmentationClass" / f"{name}.png", **size)


def write_small_devkit(devkit: Path) -> Path:
    """Write a devkit of three train and two val images, with VOC's classes."""
    write_voc_image(devkit, "2007_000032", "person", "aeroplane", "person", "aeroplane")
    write_voc_image(devkit, "2007_000039", "tvmonitor", ("chair", True), width=9, height=15)
    write_voc_image(devkit, "2008_000001", "dog", mask=False)
    write_voc_image(devkit, "2007_000033", "aeroplane")
    write_voc_image(devkit, "2007_000042", ("train", True))
    write_image_set(devkit, "train", "2007_000032", "2007_000039", "2008_000001")
    write_image_set(devkit, "val", "2007_000033", "2007_000042")
    return devkit


def write_labels(folder: Path, *lines: str, head: str = "image,labels,split") -> Path:
    path = folder / "labels.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((head, *lines)) + "\n", encoding="utf-8")
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def image_rows(folder: Path, count: int, width: int = 12, height: int = 8, **columns) -> list[ImageRecord]:
    """Write images of noise as PNG; return their rows of an index."""
    columns = {"split": "train", "tags": (), **columns}
    paths = [write_image(folder / f"{seed}.png", width, height, seed) for seed in range(count)]
    return [ImageRecord(path.stem, str(path), width, height, **columns) for path in paths]


def run_script(script, *line) -> None:
    """Run the `main` of a script in this process; dictionaries in its command line become JSON."""
    words = [json.dumps(word) if isinstance(word, dict) else str(word) for word in line]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script.__name__, *words])
        script.main()


class MakesFolder:
    """Makes a folder when it is unpickled, as a file of weights could run any code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@contextmanager
def small_disk(folder: Path, mebibytes: int = 1) -> Iterator[Path]:
    """Mount a small disk below a folder for the time of a block; skip the test where only root may."""
    disk = folder / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", disk]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk requires root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def write_sbd(folder: Path, train: str, val: str) -> Path:
    """Write SBD's lists and an empty folder of masks."""
    (folder / "cls").mkdir(parents=True)
    (folder / "train.txt").write_bytes(train.encode())
    (folder / "val.txt").write_bytes(val.encode())
    return folder


def write_small_sbd(folder: Path, devkit: Path) -> Path:
    """Write an SBD of three further images and of some of VOC's train and val."""
    write_voc_image(devkit, "2008_000002", "person", mask=False)
    write_voc_image(devkit, "2008_000003", ("cat", True), "dog", "dog", mask=False)
    write_voc_image(devkit, "2009_000001", "sofa", mask=False)
    train = "2008_000002 \r\n2007_000033\r\n2007_000032\r\n2009_000001\r\n"
    return write_sbd(folder, train, "2008_000003\n2007_000042\n2009_000001\n")
