"""The demo data set: a genuine, reproducible VOC devkit whose tags and boxes tell the truth."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tagseg.datasets.demo import demo
from tagseg.datasets.demo import shapes as demo_shapes
from tagseg.datasets.demo.settings import DemoStage
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import voc_palette

SCRIPT = Path(__file__).resolve().parents[3] / "workflow_scripts" / "generate_demo.py"
SETTINGS = DemoStage(random_seed=5, train=36, val=18, width=96, height=72, multi_class_fraction=0.3)


@pytest.fixture(scope="module")
def devkit(tmp_path_factory):
    """A small demo data set, written once."""
    folder = tmp_path_factory.mktemp("demo") / "devkit"
    demo.write_devkit(folder, SETTINGS)
    return folder


def read_lines(path):
    return path.read_text().splitlines()


def annotation_of(devkit, name):
    return ElementTree.parse(devkit / "Annotations" / f"{name}.xml").getroot()


def read_tags(devkit, name):
    return {one.findtext("name") for one in annotation_of(devkit, name).findall("object")}


def read_mask(devkit, name):
    return np.array(Image.open(devkit / "SegmentationClass" / f"{name}.png"))


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def all_ids(devkit):
    return read_lines(devkit / "ImageSets/Segmentation/trainval.txt")


def test_same_seed_same_bytes_and_another_seed_differs(devkit, tmp_path):
    few = SETTINGS.model_copy(update={"train": 3, "val": 2})
    for name, settings in (("a", few), ("b", few), ("c", few.model_copy(update={"random_seed": 6}))):
        demo.write_devkit(tmp_path / name, settings)
    first, again, other = (files(tmp_path / name) for name in "abc")
    assert first == again and first.keys() == other.keys()
    images = [path for path in first if path.suffix == ".jpg"]
    assert len(images) == 5 and all(first[path] != other[path] for path in images)
    whole = files(devkit)  # an image does not depend on how many there are
    drawn = [path for path in first if path.suffix in (".jpg", ".png", ".xml")]
    assert len(drawn) == 15 and all(first[path] == whole[path] for path in drawn)


def test_every_image_has_annotation_and_mask_of_one_size(devkit):
    for name in all_ids(devkit):
        with Image.open(devkit / "JPEGImages" / f"{name}.jpg") as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (96, 72))
        assert read_mask(devkit, name).shape == (72, 96)
        root = annotation_of(devkit, name)
        assert [root.findtext(f"size/{key}") for key in ("width", "height", "depth")] == ["96", "72", "3"]
        assert (root.findtext("filename"), root.findtext("segmented")) == (f"{name}.jpg", "1")
    for folder in ("JPEGImages", "Annotations", "SegmentationClass"):
        assert len(list((devkit / folder).iterdir())) == 54
    with Image.open(devkit / "SegmentationClass" / "demo_000001.png") as mask:
        assert mask.mode == "P" and mask.getpalette() == voc_palette().ravel().tolist()


def test_tags_are_the_classes_of_the_mask_and_are_seen_well_enough(devkit):
    classes, shares = read_lines(devkit / "classes.txt"), []
    assert classes == sorted(set(classes)) and len(classes) == 6
    for name in all_ids(devkit):
        mask = read_mask(devkit, name)
        labels = {classes.index(tag) + 1 for tag in read_tags(devkit, name)}
        assert {*np.unique(mask)} - {255} == labels | {0}, name
        assert min((mask == label).mean() for label in labels) >= 0.01, name
        shares.append((mask != 0).mean())
    assert 0.15 <= np.median(shares) <= 0.45 and min(shares) < 0.12 and max(shares) > 0.3


def test_boxes_hold_the_pixels_of_their_class_and_are_tight(devkit):
    classes = read_lines(devkit / "classes.txt")
    for name in all_ids(devkit):
        mask, objects = read_mask(devkit, name), annotation_of(devkit, name).findall("object")
        for tag in read_tags(devkit, name):
            covered = np.zeros(mask.shape, dtype=bool)
            for one in (one for one in objects if one.findtext("name") == tag):
                keys = ("xmin", "ymin", "xmax", "ymax")
                box = left, top, right, bottom = [int(one.findtext(f"bndbox/{key}")) for key in keys]
                assert 1 <= left <= right <= 96 and 1 <= top <= bottom <= 72
                at_border = any(side == end for side, end in zip(box, (1, 1, 96, 72), strict=True))
                assert (one.findtext("truncated") == "1") == at_border
                covered[top - 1 : bottom, left - 1 : right] = True
            label = classes.index(tag) + 1
            assert not ((mask == label) & ~covered).any(), (name, tag)
            # Void hides the outermost pixel or two of an object, more where an arm is thin.
            core = np.isin(mask, (label, 255))
            for axis in (0, 1):
                assert core.any(axis)[np.flatnonzero(covered.any(axis))].all(), (name, tag)


def test_a_band_of_void_three_pixels_wide_parts_any_two_regions(devkit):
    widths = []
    for name in all_ids(devkit):
        mask = read_mask(devkit, name)
        clear = mask != 255
        for one, two in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
            assert not (clear[one] & clear[two] & (mask[one] != mask[two])).any(), name
        background, objects = mask == 0, clear & (mask > 0)
        gap = ndimage.distance_transform_cdt(~background)[objects & ndimage.binary_dilation(~clear)]
        widths.append(np.median(gap) - 1)
    assert 2 <= np.median(widths) <= 4


def test_splits_are_disjoint_and_each_has_every_class(devkit):
    lists = (devkit / f"ImageSets/Segmentation/{split}.txt" for split in ("train", "val", "trainval"))
    train, val, both = map(read_lines, lists)
    assert (len(train), len(val)) == (36, 18) and not set(train) & set(val) and both == train + val
    for ids in (train, val):
        counts = Counter(tag for name in ids for tag in read_tags(devkit, name))
        assert set(counts) == set(read_lines(devkit / "classes.txt"))
        assert min(counts.values()) >= len(ids) / 6


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_images_with_two_classes_is_the_settings(share):
    settings = SETTINGS.model_copy(update={"multi_class_fraction": share})
    names = [demo.object_names(number, settings, np.random.default_rng(number)) for number in range(1, 301)]
    assert np.mean([len(set(drawn)) == 2 for drawn in names]) == pytest.approx(share, abs=0.01)


def test_an_older_demo_is_replaced_but_nothing_else(tmp_path):
    tiny = SETTINGS.model_copy(update={"train": 1, "val": 0})
    demo.write_devkit(tmp_path / "devkit", tiny.model_copy(update={"train": 2}))
    demo.write_devkit(tmp_path / "devkit", tiny)
    assert all_ids(tmp_path / "devkit") == ["demo_000001"]
    assert len(list((tmp_path / "devkit" / "JPEGImages").iterdir())) == 1
    mine = tmp_path / "mine" / "JPEGImages" / "holiday.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"an image")
    with pytest.raises(TagsegError, match="mine"):
        demo.write_devkit(tmp_path / "mine", tiny)
    assert mine.read_bytes() == b"an image"


def test_the_colour_of_an_object_does_not_give_its_class_away():
    """The mean colour of each class, over many looks, lies near that of all classes."""
    u, v = np.meshgrid(*[np.linspace(-1, 1, 32, dtype=np.float32)] * 2)
    means = []
    for name in demo.class_names(SETTINGS):
        styles = (demo_shapes.random_style(np.random.default_rng(seed)) for seed in range(60))
        surfaces = (demo_shapes.surface(name, u, v, style) for style in styles)
        colours = [colour[inside].mean(axis=0) for inside, colour in surfaces]
        means.append(np.mean(colours, axis=0))
        assert np.std(colours, axis=0).min() > 0.05, name
    assert np.ptp(means, axis=0).max() < 0.25


@pytest.mark.parametrize(("name", "value"), [
    ("classes", 2), ("classes", 9), ("train", -1), ("val", 2.5), ("width", 8), ("height", True), ("colour", 1),
    ("multi_class_fraction", 1.5), ("multi_class_fraction", "much"), ("random_seed", -3),
])  # fmt: skip
def test_bad_settings_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        DemoStage.model_validate({name: value})


def test_the_script_writes_the_devkit_or_names_a_bad_setting(tmp_path):
    sizes = {"train": 2, "val": 1, "width": 64, "height": 48, "classes": 3, "multi_class_fraction": 0.5}
    command = [sys.executable, SCRIPT, "--devkit", tmp_path / "devkit", "--settings"]
    bad = subprocess.run([*command, '{"classes": 99}'], capture_output=True, text=True)
    assert bad.returncode == 2 and "classes: Input should be less than or equal to 8" in bad.stderr
    assert "Traceback" not in bad.stderr and not (tmp_path / "devkit").exists()
    done = subprocess.run([*command, json.dumps({"random_seed": 1} | sizes)], capture_output=True, text=True)
    assert done.returncode == 0 and len((done.stdout + done.stderr).splitlines()) == 1, done.stderr
    assert read_lines(tmp_path / "devkit" / "classes.txt") == ["ball", "fish", "flower"]
    assert len(all_ids(tmp_path / "devkit")) == 3
