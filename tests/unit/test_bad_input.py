"""Bad input, one table for all of it: each row is fed to the reader that a stage reads it by.

docs/bad_input.md shows the same table.
"""

import io
import json
import os
import re
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import build_index
from bad_input_places import PLACES, WORKS
from bad_input_results import RESULTS
from helpers import (
    write_annotation,
    write_image_set,
    write_labels,
    write_photograph,
    write_small_devkit,
    write_zero_mask,
)
from mini_coco import edit, write_mini_coco
from tagseg.configuration import config_problems
from tagseg.crf import CrfSettings, refine_labels
from tagseg.datasets.coco import index_coco
from tagseg.datasets.photos import index_photos
from tagseg.datasets.readers import collect_true_masks
from tagseg.datasets.reading import Reading
from tagseg.datasets.voc import index_voc
from tagseg.errors import TagsegError
from tagseg.images import read_photograph, write_mask
from tagseg.index import Index
from tagseg.photographs import square

ROOT = Path(__file__).parents[2]


class Case(NamedTuple):
    """One input: in which section it is told, what it is, what is answered (a part), and who feeds it."""

    section: str
    what: str
    answer: str
    feed: Callable[[Path], object]

    @property
    def short(self) -> str:
        return re.sub(r"\W+", " ", self.what).strip()


CASES: list[Case] = []


def add(section: str, what: str, answer: str, feed: Callable[[Path], object]) -> None:
    CASES.append(Case(section, what, answer, feed))


# Photographs -------------------------------------------------------------------------------------


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


PHOTOGRAPHS = "Photographs"
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
    add(PHOTOGRAPHS, what, answer, of_bytes(name, content))


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


add(PHOTOGRAPHS, "photograph of 1x1", WORKS, of_size(1, 1))
add(PHOTOGRAPHS, "photograph of 20000x10", WORKS, of_size(20_000, 10))
add(
    PHOTOGRAPHS,
    "folder named bad.jpg",
    "bad.jpg: not a readable image (no file); name a file",
    folder_named_as_image,
)
add(
    PHOTOGRAPHS,
    "named pipe named bad.jpg",
    "bad.jpg: not a readable image (no file); name a file",
    pipe_named_as_image,
)
add(
    PHOTOGRAPHS, "unreadable photographs, as many as `dataset.unreadable_share` allows", WORKS, few_unreadable
)
add(
    PHOTOGRAPHS,
    "unreadable photographs, more than `dataset.unreadable_share` allows",
    "1 of 2 photographs cannot be read, where dataset.unreadable_share is 0.4",
    too_many_unreadable,
)


# Tables of labels --------------------------------------------------------------------------------


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


TABLE = "Tables of labels and class lists"
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
    add(TABLE, what, answer, of_row(row))


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
add(TABLE, "byte order mark (BOM)", WORKS, told_well(b"\xef\xbb\xbf" + PLAIN))
add(TABLE, "line ends of Windows (CRLF)", WORKS, told_well(PLAIN.replace(b"\n", b"\r\n")))
add(
    TABLE,
    "table in UTF-16",
    "labels.csv: not UTF-8; save it again",
    of_table(PLAIN.decode().encode("utf-16")),
)
add(TABLE, "table without a row", "labels.csv: no row in it; add one", of_table(PLAIN.split(b"\n")[0]))
add(
    TABLE,
    "table without a head",
    "labels.csv: no column 'image'; the first line has to be",
    of_table(b"a.jpg,cat\nb.jpg,dog\n"),
)
add(
    TABLE,
    "labels.jsonl of 100 levels",
    "'labels' has to be a list of strings",
    of_table(DEEP, "labels.jsonl"),
)
add(
    TABLE,
    "labels.jsonl of 100,000 levels",
    "not JSON that can be read (nested too deeply)",
    of_table(DEEPER, "labels.jsonl"),
)


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


add(TABLE, "class of one photograph", WORKS, of_classes("cat\ndog\n"))
add(
    TABLE,
    "class of no photograph",
    "no train photograph of zebra; add some, or list in classes.txt only those to learn",
    of_classes("cat\ndog\nzebra\n"),
)
add(TABLE, "class listed twice", "class 'dog' is listed twice; remove one", of_classes("cat\ndog\ndog\n"))
add(TABLE, "class that is not in classes.txt", "class 'dog' is not in the class list", of_classes("cat\n"))


# COCO --------------------------------------------------------------------------------------------


def of_coco(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """Return what indexes a data set in COCO's layout after a change of train's annotation file."""

    def feed(folder: Path) -> None:
        write_mini_coco(folder, train=3, val=3)
        edit(folder, "train", change)
        index_coco(folder, reading=Reading())

    return feed


def of_first(key: str, **changes) -> Callable[[Path], None]:
    return of_coco(lambda content: content[key][0].update(changes))


def of_coco_text(text: str) -> Callable[[Path], None]:
    """Return what indexes a data set in COCO's layout whose annotation file is this text."""

    def feed(folder: Path) -> None:
        write_mini_coco(folder, train=3, val=3)
        (folder / "annotations/instances_train2017.json").write_text(text)
        index_coco(folder)

    return feed


def of_coco_link(target: Callable[[Path], Path]) -> Callable[[Path], None]:
    """Return what indexes a data set in COCO's layout, one photograph of which is a link."""

    def feed(folder: Path) -> None:
        write_mini_coco(folder / "coco", train=3, val=3)
        write_photograph(folder / "x.jpg")
        path = folder / "coco/train2017/000000000001.jpg"
        path.unlink()
        path.symlink_to(target(path))
        index_coco(folder / "coco")

    return feed


def nested(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


COCO = "COCO's annotations"
for what, feed, answer in (
    ("`file_name` `../../etc/passwd`", of_first("images", file_name="../../etc/passwd"),
     "`file_name` is '../../etc/passwd'; make it a plain name without a folder"),
    ("`file_name` `/etc/passwd`", of_first("images", file_name="/etc/passwd"),
     "`file_name` is '/etc/passwd'; make it a plain name without a folder"),
    ("photograph that is a link out of the data set", of_coco_link(lambda path: path.parents[2] / "x.jpg"),
     "outside the data set; copy the file into it"),
    ("photograph that is a link to itself", of_coco_link(lambda path: path),
     "train2017/000000000001.jpg: no such file; restore it"),
    ("annotation of no image", of_first("annotations", image_id=99), "no image has the id 99; add it"),
    ("annotation of no category", of_first("annotations", category_id=99), "no category has the id 99; add"),
    ("image of another size than the file's", of_first("images", width=49),
     "48x36 pixels, where the data set says 49x36; replace the photograph"),
    ("category named background",
     of_coco(lambda content: content["categories"][0].update(name="background")),
     "'background' cannot be the name of a class"),
    ("entry of 100 levels", of_coco(lambda content: content["images"].append(nested(100))),
     "not an object; mend it"),
    ("file of 100 levels", of_coco_text("[" * 100 + "]" * 100), "not COCO's annotations ('{' expected"),
    ("file of 100,000 levels", of_coco_text('{"images": ' + "[" * 100_000), "deep nesting"),
    ("file that is cut off", of_coco_text('{"images": [{"id": 1, '), "not COCO's annotations ("),
):  # fmt: skip
    add(COCO, what, answer, feed)


# VOC ---------------------------------------------------------------------------------------------


def of_annotation(content: bytes) -> Callable[[Path], None]:
    """Return what indexes a devkit with an annotation of these bytes."""

    def feed(folder: Path) -> None:
        write_small_devkit(folder)
        write_annotation(folder, "2008_000001", "dog").write_bytes(content)
        index_voc(folder)

    return feed


def of_id(name: str) -> Callable[[Path], None]:
    """Return what indexes a devkit whose train list has this id."""

    def feed(folder: Path) -> None:
        write_small_devkit(folder)
        write_image_set(folder, "train", "2007_000032", name)
        index_voc(folder)

    return feed


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMB = f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><annotation>&l9;</annotation>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'
UTF16 = b'<?xml version="1.0" encoding="UTF-16"?>'
VOC = "VOC's annotations and lists"
for what, feed, answer in (
    ("XML with entities that expand to gigabytes", of_annotation(BOMB.encode()),
     "2008_000001.xml: declares a DOCTYPE or ENTITY; remove the declaration"),
    ("XML with an entity that reads another file", of_annotation(OUTSIDE.encode()),
     "2008_000001.xml: declares a DOCTYPE or ENTITY; remove the declaration"),
    ("the same in UTF-16", of_annotation(UTF16 + BOMB.encode("utf-16")), "2008_000001.xml: not UTF-8"),
    ("XML that is cut off", of_annotation(b"<annotation><object>"), "2008_000001.xml: not valid XML"),
    ("XML of 2 MB", of_annotation(b" " * 2_000_000), "2008_000001.xml: more than 1,000,000 bytes"),
    ("object without a name", of_annotation(b"<annotation><object/></annotation>"),
     "2008_000001.xml: an object without a name"),
    ("id `../../etc/passwd`", of_id("../../etc/passwd"),
     "train.txt, line 2: '../../etc/passwd' is not an id; write the photograph's file name"),
    ("id without a photograph", of_id("2008_000009"), "2008_000009.jpg: no such image; put it there"),
):  # fmt: skip
    add(VOC, what, answer, feed)


# Masks -------------------------------------------------------------------------------------------


def of_true_mask(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what collects the true mask that `make` puts at a path."""

    def feed(folder: Path) -> None:
        write_photograph(folder / "photos" / "a.jpg")
        write_labels(folder / "photos", "a.jpg,cat,train")
        index = index_photos(folder / "photos", random_seed=0, val_share=0.2)
        path = folder / "photos/SegmentationClass/a.png"
        path.parent.mkdir()
        make(path)
        collect_true_masks({"kind": "photos", "root": str(folder / "photos")}, index, "train", folder)

    return feed


def with_wrong_checksum(path: Path) -> None:
    content = write_zero_mask(path).read_bytes()
    path.write_bytes(altered(content, content.index(b"IEND") - 6))


MASKS = "True masks"
for what, feed, answer in (
    ("mask with a label that is no class",
     of_true_mask(lambda path: write_mask(path, np.full((8, 12), 7, np.uint8))),
     "a.png: label 7, where the classes end at 1; mend the mask or the class list"),
    ("mask in RGB", of_true_mask(write_photograph), "a.png: mode RGB, where a mask has one label a pixel"),
    ("mask with a wrong checksum", of_true_mask(with_wrong_checksum),
     "a.png: damaged mask (wrong checksum of the pixels)"),
    ("mask of another size than its photograph", of_true_mask(lambda path: write_zero_mask(path, 8, 12)),
     "a.png: 8x12 pixels, where the photograph has 12x8"),
    ("JPEG named .png", of_true_mask(lambda path: path.write_bytes(noise("JPEG"))),
     "a.png: not a PNG, as masks have to be"),
    ("mask that is a link out of the folder",
     of_true_mask(lambda path: path.symlink_to(write_zero_mask(path.parents[2] / "mask.png"))),
     "outside the folder; copy the file into it"),
):  # fmt: skip
    add(MASKS, what, answer, feed)


# Places and names --------------------------------------------------------------------------------

for what, answer, feed in PLACES:
    add("Links, pipes and names", what, answer, feed)


# What the stages hand on -------------------------------------------------------------------------

for what, answer, feed in RESULTS:
    add("Results of earlier stages, and weights", what, answer, feed)


# Configuration -----------------------------------------------------------------------------------


def of_config(text: str) -> Callable[[Path], None]:
    """Return what checks config.yaml with an overlay laid over it."""

    def feed(folder: Path) -> None:
        content = yaml.safe_load((ROOT / "config.yaml").read_text())
        lay_over(content, yaml.safe_load(text))
        schema = yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text())
        problems = config_problems(content, schema)
        if problems:
            raise TagsegError("\n".join(problems))

    return feed


def lay_over(content: dict, overlay: dict) -> None:
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            lay_over(content[key], value)
        else:
            content[key] = value


CONFIG = "Configuration"
for what, text, answer in (
    ("unknown key", "sigma: 1", "top level: Additional properties are not allowed ('sigma' was unexpected)"),
    ("misspelt key", "segmenter: {training: {epoch: 3}}",
     "segmenter.training: Additional properties are not allowed ('epoch' was unexpected)"),
    ("negative number", "subsets: {cap: -5}", "subsets.cap: -5 is less than the minimum of 1"),
    ("huge number", "shards: 1000000000", "shards: 1000000000 is greater than the maximum of 10000"),
    ("share of unreadable photographs of 1", "dataset: {unreadable_share: 1.0}",
     "dataset.unreadable_share: 1.0 is greater than or equal to the maximum of 1"),
    ("`.nan` for a number", "classifier: {training: {head_lr: .nan}}",
     "classifier.training.head_lr: nan is not of type 'number'"),
    ("`.inf` for a number", "classifier: {training: {head_lr: .inf}}",
     "classifier.training.head_lr: inf is not of type 'number'"),
    ("text for a number", "shards: two", "shards: 'two' is not of type 'integer'"),
    ("float for a whole number", "shards: 2.0", "shards: 2.0 is not of type 'integer'"),
    ("scales from high to low", "classifier: {training: {scales: [1.25, 0.8]}}",
     "classifier.training.scales: [1.25, 0.8] is not in ascending order"),
    ("CRF of a millionth of a grey value", "crf: {test: {bilateral_srgb: 1.0e-6}}",
     "crf.test.bilateral_srgb: 1e-06 is less than the minimum of 0.1"),
    ("CRF of a huge weight", "crf: {proxy: {gaussian_compat: 1.0e+300}}",
     "crf.proxy.gaussian_compat: 1e+300 is greater than the maximum of 1000"),
    ("huge micro_batch", "segmenter: {training: {micro_batch: 1000000}}",
     "segmenter.training.micro_batch: 1000000 is greater than the maximum of 65536"),
    ("name of a run with `/`", "run: a/../../b", "run: 'a/../../b' does not match"),
    ("name of a run with a line break", 'run: "demo\\n"', r"run: 'demo\n' does not match"),
):  # fmt: skip
    add(CONFIG, what, answer, of_config(text))


# The table ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.short)
def test_bad_input(case, tmp_path):
    if case.answer == WORKS:
        case.feed(tmp_path)
        return
    with pytest.raises(TagsegError) as caught:
        case.feed(tmp_path)
    assert case.answer in str(caught.value)
    assert ";" in str(caught.value) or case.section == CONFIG, "no remedy"
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "case", [case for case in CASES if "malicious" in case.what], ids=lambda case: case.short
)
def test_the_malice_is_real(case, tmp_path):
    """Read without care, these files do make the folder that the test above looks for."""
    with pytest.raises(TagsegError):
        case.feed(tmp_path)
    (path,) = [*tmp_path.glob("*.pth"), *tmp_path.rglob("eigenvector.npy")]
    if path.suffix == ".npy":
        np.load(path, allow_pickle=True)
    else:
        torch.load(path, weights_only=False)
    assert (tmp_path / "executed").is_dir()


def test_the_documentation_has_the_same_table():
    text = (ROOT / "docs" / "bad_input.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (.+)$|^\| (?!input )([^|]+?) \| (.+?) \|$", text, re.M)
    rows, section = [], ""
    for head, what, answer in found:
        section = head or section
        rows += [(section, what, answer)] if what else []
    assert rows == [(case.section, case.what, shown(case.answer)) for case in CASES]


def shown(answer: str) -> str:
    return answer if answer == WORKS else f"`` {answer} ``"


def test_there_are_forty_at_least_and_none_twice():
    assert len({case.what for case in CASES}) == len(CASES) >= 40
