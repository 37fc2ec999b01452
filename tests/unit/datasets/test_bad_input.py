"""Bad input of users, each row fed to the reader that a stage reads it by: images, links, pipes and names."""

import os
import shutil
import struct

import numpy as np
import pytest

from helpers import write_image, write_labels, write_small_devkit, write_zero_mask
from image_files import png_bytes
from tagseg.datasets.folder.reader import index_photos, photos_ground_truth
from tagseg.datasets.image_checks import Reading
from tagseg.datasets.voc.devkit import index_voc
from tagseg.datasets.voc.masks import voc_ground_truth
from tagseg.models.inputs import square
from tagseg.runtime.errors import TagsegError
from tagseg.segmentation.crf import refine_labels
from tagseg.segmentation.settings import ProxyCrfSettings
from tagseg.storage.images import read_image
from tagseg.storage.index import ImageRecord, Index

WORKS = "works"


def index_of(folder, *names, **options):
    """Index images of a cat; those that are not there are written."""
    for name in names:
        if not (folder / name).exists():
            write_image(folder / name)
    write_labels(folder, *(f"{name},cat,train" for name in names))
    return index_photos(folder, random_seed=0, val_fraction=0.2, **options)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20_000, 10)])
def test_images_of_odd_size_go_through_index_resizing_and_crf(tmp_path, width, height):
    write_image(tmp_path / "odd.png", width, height)
    (row,) = index_of(tmp_path, "odd.png").images
    assert (row.width, row.height) == (width, height)
    image, mask = read_image(tmp_path / "odd.png"), np.zeros((height, width), np.uint8)
    mask[:, width // 2 :] = 1
    assert square(image, 32).shape == (3, 32, 32)
    assert refine_labels(image, mask, ProxyCrfSettings(iterations=2), 512).shape == mask.shape


def test_unreadable_images_are_skipped_up_to_the_fraction(tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"")
    index = index_of(tmp_path, "good.jpg", "bad.jpg", reading=Reading(0.5))
    assert [row.id for row in index.images] == ["good"]
    message = r"1 of 2 images cannot be read, more than dataset.max_unreadable_fraction \(0.4\) allows"
    with pytest.raises(TagsegError, match=message):
        index_of(tmp_path, "good.jpg", "bad.jpg", reading=Reading(0.4))


def of_photos(change):
    """Return what indexes a cat and a dog, in a folder with table and class list, after a change of it."""

    def feed(folder):
        root = folder / "photos"
        for name in ("cat.jpg", "dog.jpg"):
            write_image(root / name)
        write_labels(root, "cat.jpg,cat,train", "dog.jpg,dog,train")
        (root / "classes.txt").write_text("cat\ndog\n")
        change(root)
        index_photos(root, random_seed=0, val_fraction=0.2)

    return feed


def of_masks(
    change, collect=lambda root, index, split, made: photos_ground_truth(root / "SegmentationClass", index, split)
):
    """Return what collects the ground truth of an image after a change of its folder."""

    def feed(folder):
        root = folder / "photos"
        row = ImageRecord("a", str(write_image(root / "JPEGImages/a.jpg")), 12, 8, "train", ("cat",))
        (root / "ImageSets/Segmentation").mkdir(parents=True)
        write_zero_mask(root / "SegmentationClass/a.png")
        change(root)
        collect(root, Index(("background", "cat"), (row,)), "train", folder / "made")

    return feed


def of_names(*names):
    return lambda folder: index_of(folder, *names)


def of_bytes(name, content):
    return lambda folder: (folder / name).write_bytes(content) and index_of(folder, "good.jpg", name)


def pipe(name):
    """Return what puts a named pipe in the place of a file."""

    def change(root):
        (root / name).unlink()
        os.mkfifo(root / name)

    return change


def linked(name, target):
    """Return what moves a file or folder to `target` and puts a link there; "removed": to nowhere."""

    def change(root):
        (root / target).parent.mkdir(exist_ok=True)
        (root / name).rename(root / target)
        (root / name).symlink_to(root / ("nowhere" if target == "removed" else target))

    return change


def annotation_that_is_a_pipe(folder):
    devkit = write_small_devkit(folder / "VOC2012")
    pipe("Annotations/2008_000001.xml")(devkit)
    index_voc(devkit)


def masks_that_are_a_file(root):
    shutil.rmtree(root / "SegmentationClass")
    (root / "SegmentationClass").write_text("no folder\n")


MASK = "SegmentationClass/a.png"
NO_FILE = "not a regular file. Replace it by a text file"
CASES = {
    "offset beyond a TIFF": (
        of_bytes("bad.tif", b"II\x2b\0\x08\0\0\0" + struct.pack("<Q", 2**63 - 1) + b"\0" * 100),
        "bad.tif: not a readable image (Invalid argument). Replace or remove it"),
    "decompression bomb": (
        of_bytes("bad.png", png_bytes(60_000, 60_000, 8, 2, b"\0")),
        "bad.png: 60000x60000 pixels take 50.4 GB of memory to read. Scale it down, or raise"),
    "225 million pixels": (
        of_bytes("bad.png", png_bytes(15_000, 15_000, 8, 2, b"\0")),
        "bad.png: 15000x15000 pixels take 3.1 GB of memory to read. Scale it down, or raise"),
    "table that is a pipe": (of_photos(pipe("labels.csv")), f"labels.csv: {NO_FILE}"),
    "annotation that is a pipe": (annotation_that_is_a_pipe, f"2008_000001.xml: {NO_FILE}"),
    "table of more than a gibibyte": (
        of_photos(lambda root: os.truncate(root / "labels.csv", 2**30 + 1)),
        "labels.csv: more than 1,073,741,824 bytes"),
    "classes.txt linked elsewhere": (of_photos(linked("classes.txt", "../away/x")), WORKS),
    "classes.txt linked to nowhere": (
        of_photos(linked("classes.txt", "removed")), "classes.txt: no such file. Restore it"),
    "mask linked to nowhere": (
        of_masks(linked(MASK, "removed"), voc_ground_truth), "a.png: not a file. Replace or remove it"),
    "masks linked elsewhere": (of_masks(linked("SegmentationClass", "../masks")), WORKS),
    "masks of VOC linked elsewhere": (of_masks(linked("SegmentationClass", "../masks"), voc_ground_truth), WORKS),
    "mask of VOC linked elsewhere": (of_masks(linked(MASK, "../away.png"), voc_ground_truth), WORKS),
    "masks that are a file": (
        of_masks(masks_that_are_a_file),
        "SegmentationClass: not a folder. Make it a folder of masks or remove it."),
    "image and folder of one name": (
        of_names("a.jpg", "a.png/x.jpg"),
        "a.jpg: its mask or overlay would have the name of the folder a.png. Rename one"),
    "folder named as a result": (
        of_names("a.jpg", "manifest.json/x.jpg"), "x.jpg: the folder manifest.json has the name of a result"),
    "names of 255 bytes that differ in the suffix": (
        of_names("x" * 251 + ".jpg", "x" * 251 + ".png"), "a name longer than 251 bytes, too long for"),
    "name of 255 bytes": (of_names("x" * 251 + ".jpg"), WORKS),
}  # fmt: skip


@pytest.mark.timeout(60)  # what waits for a named pipe waits forever
@pytest.mark.parametrize("case", CASES)
def test_images_links_pipes_and_names(tmp_path, case):
    feed, answer = CASES[case]
    if answer == WORKS:
        feed(tmp_path)
        return
    with pytest.raises(TagsegError) as caught:
        feed(tmp_path)
    assert answer in str(caught.value)
