"""Real photographs in two layouts: a VOC devkit made of them gives what their table of labels gives."""

import csv
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tagseg.datasets.photos import index_photos
from tagseg.datasets.voc import index_voc, voc_true_masks
from whole_runs import ROOT, snakemake

pytestmark = pytest.mark.slow

PHOTOS15 = Path(__file__).parents[3] / "shared" / "data" / "photos15"


def write_annotation(path: Path, tags: list[str]) -> None:
    """Write an annotation with an object a tag, the first one twice, the last one difficult."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = f"{path.stem}.jpg"
    for place, tag in enumerate([tags[0], *tags]):
        thing = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(thing, "name").text = tag
        ElementTree.SubElement(thing, "difficult").text = str(int(place == len(tags)))
    ElementTree.ElementTree(root).write(path, encoding="utf-8")


@pytest.fixture(scope="module")
def devkit(tmp_path_factory) -> Path:
    """A devkit of copies of the photographs, masks and lists, with annotations made from the table."""
    if not PHOTOS15.is_dir():
        pytest.skip("the folder photos15 of real photographs is not beside the repository")
    folder = tmp_path_factory.mktemp("photos15") / "VOC2012"
    (folder / "Annotations").mkdir(parents=True)
    for name in ("JPEGImages", "SegmentationClass", "ImageSets"):
        shutil.copytree(PHOTOS15 / name, folder / name)
    shutil.copy(PHOTOS15 / "classes.txt", folder)
    with open(PHOTOS15 / "labels.csv", newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            path = folder / "Annotations" / f"{Path(row['image']).stem}.xml"
            write_annotation(path, row["labels"].split(";"))
    return folder


def what_is_told(index) -> dict:
    """Return size, split and tags of each photograph by its file's name: ids and folders differ."""
    return {Path(row.path).name: (row.width, row.height, row.split, row.tags) for row in index.photographs}


def test_both_layouts_give_the_same_photographs(devkit):
    ours = index_voc(devkit)
    expected = index_photos(PHOTOS15, random_seed=0, val_share=0.2)
    assert ours.classes == expected.classes and len(ours.classes) == 16
    assert what_is_told(ours) == what_is_told(expected)
    assert (len(ours.of_split("train")), len(ours.of_split("val"))) == (337, 110)
    assert {row.id for row in ours.photographs} == {Path(row.id).name for row in expected.photographs}


@pytest.mark.parametrize("split", ["train", "val"])
def test_every_photograph_has_its_true_mask(devkit, split, tmp_path):
    index = index_voc(devkit)
    masks = voc_true_masks(devkit, index, split, tmp_path)
    assert masks == {
        row.id: str(devkit / "SegmentationClass" / f"{row.id}.png") for row in index.of_split(split)
    }


def test_both_layouts_give_the_same_proxy_masks(devkit, photos15, results):
    """To the byte, classifier and all: the layouts differ in the photographs' ids alone."""
    shards = [f"proxy_masks/blocks.5.0/shard-{number}" for number in range(2)]
    dataset = json.dumps({"kind": "voc", "root": str(devkit)})
    settings = ("--config", f"dataset={dataset}", f"results={results}", "run=photos15-voc")
    overlay = ("--configfile", str(ROOT / "config" / "photos.yaml"))
    snakemake(*overlay, *settings, "--", *(f"{results}/photos15-voc/{shard}" for shard in shards))
    ours = [path for shard in shards for path in (results / "photos15-voc" / shard).rglob("*.png")]
    theirs = {path.name: path for shard in shards for path in (photos15.folder / shard).rglob("*.png")}
    assert {path.name for path in ours} == set(theirs) and len(ours) == 337
    assert all(path.read_bytes() == theirs[path.name].read_bytes() for path in ours)
