"""Photographs and tables of labels: rows of the table of bad input, (what, answer, who feeds it)."""

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
from bad_input_places import WORKS, Row
from helpers import write_labels, write_photograph
from tagseg.crf import CrfSettings, refine_labels
from tagseg.datasets.photos import index_photos
from tagseg.datasets.reading import Reading
from tagseg.images import read_photograph
from tagseg.index import Index
from tagseg.photographs import square

# Photographs --------------------------------------------------------------------------------------


def index_with(folder: Path, name: str, split: str = "train") -> Index:
    """Index a sound photograph and the one `name`."""
    write_photograph(folder / "good.jpg")
    write_labels(folder, "good.jpg,cat,train", f"{name},dog,{split}")
    return index_photos(folder, random_seed=0, val_share=0.2)


def of_bytes(name: str, content: Callable[[], bytes]) -> Callable[[Path], Index]:
    """Return what indexes a photograph that consists of the bytes `content`."""

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
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


PHOTOGRAPHS: list[Row] = []
for what, name, content, answer in (
    ("JPEG that is cut off", "bad.jpg", lambda: noise("JPEG")[:-400],
     "bad.jpg: damaged image (image file is truncated"),
    ("PNG that is cut off", "bad.png", lambda: noise("PNG")[:-400],
     "bad.png: damaged image (image file is truncated"),
    ("WebP that is cut off", "bad.webp", lambda: noise("WEBP")[:-400], "bad.webp: not a readable image"),
    ("PNG with a wrong checksum (CRC) of its pixels", "bad.png",
     lambda: altered(noise("PNG"), noise("PNG").index(b"IEND") - 6),
     "bad.png: damaged image (wrong checksum of the pixels)"),
    ("PNG with a wrong checksum of its header", "bad.png", lambda: altered(noise("PNG"), 30),
     "bad.png: not a readable image"),
    ("TIFF whose first offset is beyond what files can have", "bad.tif",
     lambda: b"II\x2b\0\x08\0\0\0" + struct.pack("<Q", 2**63 - 1) + b"\0" * 100,
     "bad.tif: not a readable image (Invalid argument); replace or remove it"),
    ("file of zero bytes", "bad.jpg", lambda: b"", "bad.jpg: not a readable image"),
    ("text named .jpg", "bad.jpg", lambda: b"not an image\n" * 9, "bad.jpg: not a readable image"),
    ("GIF named .jpg", "bad.jpg", lambda: noise("GIF"), "bad.jpg: not a readable image"),
    ("decompression bomb: PNG of 60000x60000", "bad.png", lambda: png_of_size(60_000, 60_000),
     "bad.png: not a readable image (Image size (3600000000 pixels) exceeds limit"),
    ("PNG of 11000x11000", "bad.png", lambda: png_of_size(11_000, 11_000),
     "bad.png: 11000x11000 exceeds 100,000,000 pixels; scale it down"),
):  # fmt: skip
    PHOTOGRAPHS.append((what, answer, of_bytes(name, content)))


def of_size(width: int, height: int) -> Callable[[Path], None]:
    """Return what indexes a photograph of that size, and puts it through the resizing and the CRF."""

    def feed(folder: Path) -> None:
        write_photograph(folder / "odd.png", width, height)
        index = index_with(folder, "odd.png")
        assert [(row.width, row.height) for row in index.photographs if row.id == "odd"] == [(width, height)]
        photograph = read_photograph(folder / "odd.png")
        assert square(photograph, 32).shape == (3, 32, 32)
        mask = np.zeros((height, width), np.uint8)
        mask[:, width // 2 :] = 1
        assert refine_labels(photograph, mask, CrfSettings(2, 3, 3, 50, 5, 10), 512).shape == mask.shape

    return feed


def folder_named_as_image(folder: Path) -> None:
    (folder / "bad.jpg").mkdir()
    index_with(folder, "bad.jpg")


def pipe_named_as_image(folder: Path) -> None:
    os.mkfifo(folder / "bad.jpg")
    index_with(folder, "bad.jpg")


def too_many_unreadable(folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"")
    write_photograph(folder / "good.jpg")
    write_labels(folder, "good.jpg,cat,train", "bad.jpg,cat,train")
    index_photos(folder, random_seed=0, val_share=0.2, reading=Reading(0.4))


def few_unreadable(folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"")
    write_photograph(folder / "good.jpg")
    write_labels(folder, "good.jpg,cat,train", "bad.jpg,cat,train")
    index = index_photos(folder, random_seed=0, val_share=0.2, reading=Reading(0.5))
    assert [row.id for row in index.photographs] == ["good"]


PHOTOGRAPHS += [
    ("photograph of 1x1", WORKS, of_size(1, 1)),
    ("photograph of 20000x10", WORKS, of_size(20_000, 10)),
    ("folder named bad.jpg", "bad.jpg: not a readable image (no file); name a file", folder_named_as_image),
    ("named pipe named bad.jpg", "bad.jpg: not a readable image (no file); name a file", pipe_named_as_image),
    ("unreadable photographs, as many as `dataset.unreadable_share` allows", WORKS, few_unreadable),
    ("unreadable photographs, more than `dataset.unreadable_share` allows",
     "1 of 2 photographs cannot be read, where dataset.unreadable_share is 0.4", too_many_unreadable),
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
        write_photograph(root / "good.jpg")
        write_photograph(root / "bad.jpg")
        for name in ("plain", "bad.jpe", ".bad.jpg", ".cache/bad.jpg"):
            write_photograph(root / "new.jpg").rename(make_folder_of(root / name))
        write_photograph(folder / "elsewhere" / "x.jpg")
        (root / "out.jpg").symlink_to(folder / "elsewhere" / "x.jpg")
        (root / "outside").symlink_to(folder / "elsewhere")
        (root / "loop.jpg").symlink_to(root / "loop.jpg")
        write_labels(root, "good.jpg,cat,train", row)
        index_photos(root, random_seed=0, val_share=0.2)

    return feed


TABLES: list[Row] = []
for what, row, answer in (
    ("path `../../etc/passwd`", "../../etc/passwd,dog,train",
     "../../etc/passwd: the path leaves the folder by ..; move the file into the folder"),
    ("path `/etc/passwd`", "/etc/passwd,dog,train", "/etc/passwd: an absolute path; write it relative"),
    (r"path `C:\x.jpg`", r"C:\x.jpg,dog,train", "an absolute path; write it relative"),
    ("symbolic link out of the folder", "out.jpg,dog,train", "outside the folder; copy the file into it"),
    ("file in a folder that is a link out", "outside/x.jpg,dog,train",
     "outside the folder; copy the file into it"),
    ("link to itself", "loop.jpg,dog,train", "loop.jpg: cannot be read (Too many levels of symbolic links)"),
    ("photograph that is not there", "gone.jpg,dog,train", "gone.jpg: no such image; restore it"),
    ("photograph without a suffix", "plain,dog,train",
     "plain: a name that ends in none of .bmp, .jfif, .jpeg, .jpg, .png, .tif, .tiff, .webp; rename it"),
    ("photograph of another suffix", "bad.jpe,dog,train", "bad.jpe: a name that ends in none of .bmp, .jfif"),
    ("hidden photograph", ".bad.jpg,dog,train", ".bad.jpg: a hidden file, or in a hidden folder; rename it"),
    ("photograph in a hidden folder", ".cache/bad.jpg,dog,train",
     ".cache/bad.jpg: a hidden file, or in a hidden folder; rename it"),
    ("photograph listed twice", "good.jpg,dog,train", "good.jpg: already in line 2; remove one of the two"),
    ("photograph without a tag", "bad.jpg,,train", "bad.jpg: no tag; name what is on the photograph"),
    ("tag without a photograph", ",dog,train", "no path; name the image's file"),
    ("unknown split", "bad.jpg,dog,trian", "bad.jpg: split 'trian' is none of train, val, test"),
    ("class named background", "bad.jpg,background,train",
     "'background' cannot be the name of a class; rename it"),
    ("class named `a/b`", "bad.jpg,a/b,train", "class 'a/b' holds a sign that file names cannot; rename it"),
    ("quote that is not closed", '"bad.jpg,dog,train', "mend the quotes"),
):  # fmt: skip
    TABLES.append((what, answer, of_row(row)))


def of_table(content: bytes, name: str = "labels.csv") -> Callable[[Path], Index]:
    """Return what indexes two photographs by a table that consists of these bytes."""

    def feed(folder: Path) -> Index:
        for image in ("a.jpg", "b.jpg"):
            write_photograph(folder / image)
        (folder / name).write_bytes(content)
        return index_photos(folder, random_seed=0, val_share=0.2)

    return feed


def told_well(content: bytes) -> Callable[[Path], None]:
    """Return what finds a cat and a dog in these bytes."""

    def feed(folder: Path) -> None:
        index = of_table(content)(folder)
        assert [(row.id, row.tags) for row in index.photographs] == [("a", ("cat",)), ("b", ("dog",))]

    return feed


PLAIN = b"image,labels,split\na.jpg,cat,train\nb.jpg,dog,train\n"
DEEP = b'{"image": "a.jpg", "labels": ' + b"[" * 100 + b"]" * 100 + b"}\n"
DEEPER = b'{"image": "a.jpg", "labels": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
TABLES += [
    ("byte order mark (BOM)", WORKS, told_well(b"\xef\xbb\xbf" + PLAIN)),
    ("line ends of Windows (CRLF)", WORKS, told_well(PLAIN.replace(b"\n", b"\r\n"))),
    ("table in UTF-16", "labels.csv: not UTF-8; save it again", of_table(PLAIN.decode().encode("utf-16"))),
    ("table without a row", "labels.csv: no row in it; add one", of_table(PLAIN.split(b"\n")[0])),
    ("table without a head", "labels.csv: no column 'image'; the first line has to be",
     of_table(b"a.jpg,cat\nb.jpg,dog\n")),
    ("labels.jsonl of 100 levels", "'labels' has to be a list of strings", of_table(DEEP, "labels.jsonl")),
    ("labels.jsonl of 100,000 levels", "not JSON that can be read (nested too deeply)",
     of_table(DEEPER, "labels.jsonl")),
]  # fmt: skip


def of_classes(text: str) -> Callable[[Path], None]:
    """Return what builds the index of a cat and a dog, given the class list."""

    def feed(folder: Path) -> None:
        of_table(PLAIN)(folder)
        (folder / "classes.txt").write_text(text)
        content = {"kind": "photos", "root": str(folder), "random_seed": 0, "val_share": 0.2, "labels": None}
        arguments = ["--settings", json.dumps(content), "--listing", "0", "--index", str(folder / "index")]
        arguments_before, sys.argv = sys.argv, ["build_index.py", *arguments]
        try:
            build_index.main()
        finally:
            sys.argv = arguments_before

    return feed


TABLES += [
    ("class of one photograph", WORKS, of_classes("cat\ndog\n")),
    ("class of no photograph",
     "no train photograph of zebra; add some, or list in classes.txt only those to learn",
     of_classes("cat\ndog\nzebra\n")),
    ("class listed twice", "class 'dog' is listed twice; remove one", of_classes("cat\ndog\ndog\n")),
    ("class that is not in classes.txt", "class 'dog' is not in the class list", of_classes("cat\n")),
]  # fmt: skip
