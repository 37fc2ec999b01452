"""Real images in two layouts: a VOC devkit made of them gives what their table of labels gives."""

import json
import shutil
from pathlib import Path

import pytest

from helpers import read_csv
from whole_runs import ROOT, snakemake

pytestmark = pytest.mark.slow

OBJECT = "<object><name>{}</name><difficult>{}</difficult></object>"


@pytest.fixture(scope="module")
def devkit(photos15, tmp_path_factory) -> Path:
    """A devkit of the images, masks and lists; in annotations the first tag is twice, the last one difficult."""
    folder = tmp_path_factory.mktemp("photos15") / "VOC2012"
    (folder / "Annotations").mkdir(parents=True)
    for name in ("JPEGImages", "SegmentationClass", "ImageSets"):
        shutil.copytree(photos15 / name, folder / name)
    shutil.copy(photos15 / "classes.txt", folder)
    for row in read_csv(photos15 / "labels.csv"):
        first, *others = row["labels"].split(";")
        names = [first, first, *others]
        objects = "".join(OBJECT.format(name, int(name is names[-1])) for name in names)
        path = folder / "Annotations" / f"{Path(row['image']).stem}.xml"
        path.write_text(f"<annotation>{objects}</annotation>", encoding="utf-8")
    return folder


def test_both_layouts_give_the_same_proxy_masks(devkit, photos15_run, results):
    """To the byte, with index and classifier: only the images' ids differ."""
    shards = [f"proxy_masks/blocks.5.0/shard-{shard}" for shard in range(2)]
    dataset = json.dumps({"kind": "voc", "root": str(devkit)})
    settings = ("--config", f"dataset={dataset}", f"results={results}", "run=photos15-voc")
    overlay = ("--configfile", str(ROOT / "config" / "photos.yaml"))
    snakemake(*overlay, *settings, "--", *(f"{results}/photos15-voc/{shard}" for shard in shards))
    ours, expected = (
        {path.name: path.read_bytes() for shard in shards for path in (folder / shard).rglob("*.png")}
        for folder in (results / "photos15-voc", photos15_run.folder)
    )
    assert len(ours) == 337 and ours == expected
