"""Real images of 15 classes, from tags to scores, as the paper claims; in two layouts and with a ResNet-50."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from helpers import read_csv
from whole_runs import ROOT, mious, snakemake

pytestmark = pytest.mark.slow

PHOTOS = ROOT / "config" / "photos.yaml"
OBJECT = "<object><name>{}</name><difficult>{}</difficult></object>"
WEIGHTS = ROOT.parent / "shared" / "data" / "weights" / "resnet50_photos_fp16.pth"
TRAINING = {"epochs": 3, "input_size": 256, "frozen": ["conv1", "bn1", "layer1", "layer2", "layer3"]}
FIGURES = [f"figures/figure_{number}.png" for number in (1, 3, 4)]


def test_scores_of_photos15(photos15_run):
    masks = photos15_run.scores("proxy_masks")
    lower = max(masks[layer] for layer in ("blocks.5.0", "blocks.5.1", "blocks.5.3"))
    assert lower > max(masks["blocks.6"], masks["cam"]) + 5 and masks["blocks.5.1"] >= 76.5
    assert photos15_run.miou_of_chosen_layer() >= lower - 2
    assert photos15_run.ratio_to_full_supervision() >= 0.93


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


def test_both_layouts_give_the_same_proxy_masks_to_the_byte(devkit, photos15_run, results):
    shards = [f"proxy_masks/blocks.5.1/shard-{shard}" for shard in range(2)]
    dataset = json.dumps({"kind": "voc", "root": str(devkit)})
    settings = ("--config", f"dataset={dataset}", f"results={results}", "run=photos15-voc")
    targets = [f"{results}/photos15-voc/{shard}" for shard in shards]
    snakemake("--configfile", str(PHOTOS), *settings, "--", *targets)
    ours, expected = (
        {path.name: path.read_bytes() for shard in shards for path in (folder / shard).rglob("*.png")}
        for folder in (results / "photos15-voc", photos15_run.folder)
    )
    assert len(ours) == 337 and ours == expected


def proxy_masks(results, photos15, stride: int, *targets: str) -> dict[str, float]:
    """Return the mIoU of the proxy masks by seed, at an output stride of a ResNet-50 from a local file."""
    folder = results / f"resnet50_{stride}"
    network = {"backbone": "resnet50", "weights": str(WEIGHTS), "output_stride": stride}
    config = {"classifier": {"network": network, "training": TRAINING}, "features": {"sizes": [256]}}
    overlay = folder.with_suffix(".yaml")
    overlay.write_text(yaml.safe_dump(config))
    files = (PHOTOS, ROOT / "config" / "resnet50.yaml", overlay)
    settings = (f"photos={photos15}", f"results={results}", f"run={folder.name}")
    made = (str(folder / target) for target in targets)
    snakemake("--configfile", *map(str, files), "--config", *settings, "--", "ablation", *made)
    return mious(folder / "scores" / "proxy_masks")


@pytest.mark.skipif(not WEIGHTS.is_file(), reason="shared/data/weights is not beside the repository")
def test_lower_blocks_and_smaller_strides_are_better(results, photos15):
    """The order of the paper's table 1, and its figures. C41 is layer4.0, C43 layer4.2."""
    at_32, at_16 = proxy_masks(results, photos15, 32, *FIGURES), proxy_masks(results, photos15, 16)
    assert at_32["layer4.0"] >= at_32["layer4.2"] + 5
    assert min(at_32[f"layer4.{block}"] for block in range(3)) > at_32["cam"]
    assert at_16["layer4.0"] >= max(66, at_32["layer4.0"])
    for name in FIGURES:
        with Image.open(results / "resnet50_32" / name) as image:
            assert min(image.size) > 400
