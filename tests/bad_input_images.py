"""Images and tables of labels: rows of the table of bad input, (what, answer, who feeds it)."""

import io
import json
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import build_index
from bad_input_paths import WORKS, Row
from helpers import write_image, write_labels
from tagseg.datasets.folder.reader import index_photos
from tagseg.datasets.image_checks import Reading
from tagseg.models.inputs import square
from tagseg.segmentation.crf import refine_labels
from tagseg.segmentation.settings import ProxyCrfSettings
from tagseg.storage.images import read_image
from tagseg.storage.index import Index

# Images --------------------------------------------------------------------------------------


def index_with(folder: Path, name: str, split: str = "train") -> Index:
    """Index a sound image and the one `name`."""
    write_image(folder / "good.jpg")
    write_labels(folder, "good.jpg,cat,train", f"{name},dog,{split}")
    return index_photos(folder, random_seed=0, val_fraction=0.2)


def of_bytes(name: str, content: Callable[[], bytes]) -> Callable[[Path], Index]:
    """Return what indexes an image that consists of the bytes `content`."""

    def feed(folder: Path) -> Index:
        (folder / name).write_bytes(content())
        return index_with(folder, name)

    return feed


def noise(form: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


def altered(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def png_of_size(width: int, height: int) -> bytes:
    """Return a PNG that says it has that size, with next to no pixels in it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + end

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


IMAGES: list[Row] = []
for what, name, content, answer in (
    ("JPEG that is cut off", "bad.jpg", lambda: noise("JPEG")[:-400],
     "bad.jpg: damaged image (image file is truncated"),
    ("PNG with a wrong checksum (CRC) of its pixels", "bad.png",
     lambda: altered(noise("PNG"), noise("PNG").index(b"IEND") - 6),
     "bad.png: damaged image (wrong checksum of the pixels)"),
    ("TIFF whose first offset is beyond what files can have", "bad.tif",
     lambda: b"II\x2b\0\x08\0\0\0" + struct.pack("<Q", 2**63 - 1) + b"\0" * 100,
     "bad.tif: not a readable image (Invalid argument). Replace or remove it"),
    ("file of zero bytes", "bad.jpg", lambda: b"", "bad.jpg: not a readable image"),
    ("decompression bomb: PNG of 60000x60000", "bad.png", lambda: png_of_size(60_000, 60_000),
     "bad.png: not a readable image (Image size (3600000000 pixels) exceeds limit"),
    ("PNG of 11000x11000", "bad.png", lambda: png_of_size(11_000, 11_000),
     "bad.png: 11000x11000 exceeds 100,000,000 pixels. Scale it down"),
):  # fmt: skip
    IMAGES.append((what, answer, of_bytes(name, content)))


def of_size(width: int, height: int) -> Callable[[Path], None]:
    """Return what indexes an image of that size, and puts it through the resizing and the CRF."""

    def feed(folder: Path) -> None:
        write_image(folder / "odd.png", width, height)
        index = index_with(folder, "odd.png")
        assert [(row.width, row.height) for row in index.images if row.id == "odd"] == [(width, height)]
        image = read_image(folder / "odd.png")
        assert square(image, 32).shape == (3, 32, 32)
        mask = np.zeros((height, width), np.uint8)
        mask[:, width // 2 :] = 1
        assert refine_labels(image, mask, ProxyCrfSettings(iterations=2), 512).shape == mask.shape

    return feed


def folder_named_as_image(folder: Path) -> None:
    (folder / "bad.jpg").mkdir()
    index_with(folder, "bad.jpg")


def pipe_named_as_image(folder: Path) -> None:
    os.mkfifo(folder / "bad.jpg")
    index_with(folder, "bad.jpg")


def too_many_unreadable(folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"")
    write_image(folder / "good.jpg")
    write_labels(folder, "good.jpg,cat,train", "bad.jpg,cat,train")
    index_photos(folder, random_seed=0, val_fraction=0.2, reading=Reading(0.4))


def few_unreadable(folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"")
    write_image(folder / "good.jpg")
    write_labels(folder, "good.jpg,cat,train", "bad.jpg,cat,train")
    index = index_photos(folder, random_seed=0, val_fraction=0.2, reading=Reading(0.5))
    assert [row.id for row in index.images] == ["good"]


IMAGES += [
    ("image of 1x1", WORKS, of_size(1, 1)),
    ("image of 20000x10", WORKS, of_size(20_000, 10)),
    ("folder named bad.jpg", "bad.jpg: not a readable image (not a file). Name a file.", folder_named_as_image),
    ("named pipe named bad.jpg", "bad.jpg: not a readable image (not a file). Name a file.", pipe_named_as_image),
    ("unreadable images, as many as `dataset.max_unreadable_fraction` allows", WORKS, few_unreadable),
    ("unreadable images, more than `dataset.max_unreadable_fraction` allows",
     "1 of 2 images cannot be read, more than dataset.max_unreadable_fraction (0.4) allows", too_many_unreadable),
]  # fmt: skip


# Tables of labels ---------------------------------------------------------------------------------


def make_folder_of(path: Path) -> Path:
    """Make the folder of a file; return the file."""
    path.parent.mkdir(exist_ok=True)
    return path


def of_row(row: str) -> Callable[[Path], None]:
    """Return what indexes a table that has this row beside a sound one."""

    def feed(folder: Path) -> None:
        root = folder / "photos"
        write_image(root / "good.jpg")
        write_image(root / "bad.jpg")
        for name in ("plain", "bad.jpe", ".bad.jpg", ".cache/bad.jpg"):
            write_image(root / "new.jpg").rename(make_folder_of(root / name))
        write_image(folder / "elsewhere" / "x.jpg")
        (root / "out.jpg").symlink_to(folder / "elsewhere" / "x.jpg")
        (root / "outside").symlink_to(folder / "elsewhere")
        (root / "loop.jpg").symlink_to(root / "loop.jpg")
        write_labels(root, "good.jpg,cat,train", row)
        index_photos(root, random_seed=0, val_fraction=0.2)

    return feed


TABLES: list[Row] = []
for what, row, answer in (
    ("path `../../etc/passwd`", "../../etc/passwd,dog,train",
     "../../etc/passwd: the path leaves the folder by `..`. Move the file into the folder"),
    ("path `/etc/passwd`", "/etc/passwd,dog,train", "/etc/passwd: an absolute path. Write it relative"),
    ("link to an image elsewhere", "out.jpg,dog,train", WORKS),
    ("image without a suffix", "plain,dog,train",
     "plain: the name ends in none of .bmp, .jfif, .jpeg, .jpg, .png, .tif, .tiff, .webp. Rename"),
    ("hidden image", ".bad.jpg,dog,train", ".bad.jpg: a hidden file, or in a hidden folder. Rename it"),
    ("image without a tag", "bad.jpg,,train", "bad.jpg: no tag. Name the classes in the image"),
):  # fmt: skip
    TABLES.append((what, answer, of_row(row)))


def of_table(content: bytes, name: str = "labels.csv") -> Callable[[Path], Index]:
    """Return what indexes two images by a table that consists of these bytes."""

    def feed(folder: Path) -> Index:
        for image in ("a.jpg", "b.jpg"):
            write_image(folder / image)
        (folder / name).write_bytes(content)
        return index_photos(folder, random_seed=0, val_fraction=0.2)

    return feed


def told_well(content: bytes) -> Callable[[Path], None]:
    """Return what finds a cat and a dog in these bytes."""

    def feed(folder: Path) -> None:
        index = of_table(content)(folder)
        assert [(row.id, row.tags) for row in index.images] == [("a", ("cat",)), ("b", ("dog",))]

    return feed


PLAIN = b"image,labels,split\na.jpg,cat,train\nb.jpg,dog,train\n"
DEEP = b'{"image": "a.jpg", "labels": ' + b"[" * 100 + b"]" * 100 + b"}\n"
DEEPER = b'{"image": "a.jpg", "labels": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
TABLES += [
    ("byte order mark (BOM)", WORKS, told_well(b"\xef\xbb\xbf" + PLAIN)),
    ("table in UTF-16", "labels.csv: not UTF-8. Save it again", of_table(PLAIN.decode().encode("utf-16"))),
    ("table without a row", "labels.csv: no rows. Add one", of_table(PLAIN.split(b"\n")[0])),
    ("table without a head", "labels.csv: no column 'image'. Start with the line",
     of_table(b"a.jpg,cat\nb.jpg,dog\n")),
    ("labels.jsonl of 100,000 levels", "recursion limit exceeded",
     of_table(DEEPER, "labels.jsonl")),
]  # fmt: skip


def of_classes(text: str) -> Callable[[Path], None]:
    """Return what builds the index of a cat and a dog, given the class list."""

    def feed(folder: Path) -> None:
        of_table(PLAIN)(folder)
        (folder / "classes.txt").write_text(text)
        content = {"kind": "photos", "root": str(folder), "random_seed": 0, "val_fraction": 0.2, "labels": None}
        arguments = ["--settings", json.dumps(content), "--listing", "0", "--index", str(folder / "index")]
        arguments_before, sys.argv = sys.argv, ["build_index.py", *arguments]
        try:
            build_index.main()
        finally:
            sys.argv = arguments_before

    return feed


TABLES += [
    ("class of no image",
     "no train image of zebra. Add some, or list only the classes to learn in classes.txt.",
     of_classes("cat\ndog\nzebra\n")),
    ("class that is not in classes.txt", "class 'dog' is not in the class list", of_classes("cat\n")),
]  # fmt: skip
