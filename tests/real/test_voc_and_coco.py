"""Genuine images of VOC and COCO by their adapters: VOC's as the field has them, and whole short runs."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from helpers import read_csv
from tagseg.datasets.folder.reader import index_photos, photos_ground_truth
from tagseg.datasets.voc.devkit import index_voc
from tagseg.datasets.voc.masks import voc_ground_truth
from whole_runs import ROOT, snakemake

SHARED = ROOT.parent / "shared" / "data"
SHORT = {
    "classifier": {"training": {"epochs": 1}},
    "segmenter": {"training": {"epochs": 1}, "inference": {"sizes": [224]}},
}


def shared(name: str) -> Path:
    if not (SHARED / name).is_dir():
        pytest.skip(f"shared/data/{name} is not beside the repository")
    return SHARED / name


@pytest.fixture(scope="module")
def devkit(tmp_path_factory) -> tuple[Path, Path]:
    """voc_animals as a folder, and as a devkit with masks in SegmentationClassAug and lists of two columns."""
    folder = shared("voc_animals")
    kit = tmp_path_factory.mktemp("voc_animals") / "VOC2012"
    (kit / "Annotations").mkdir(parents=True)
    (kit / "ImageSets/Segmentation").mkdir(parents=True)
    (kit / "JPEGImages").symlink_to(folder / "JPEGImages")
    (kit / "SegmentationClassAug").symlink_to(folder / "SegmentationClass")
    shutil.copy(folder / "classes.txt", kit)
    lists: dict[str, list[str]] = {"train": [], "val": []}
    for row in read_csv(folder / "labels.csv"):
        name = Path(row["image"]).stem
        objects = "".join(f"<object><name>{tag}</name></object>" for tag in row["labels"].split(";"))
        (kit / f"Annotations/{name}.xml").write_text(f"<annotation>{objects}</annotation>")
        lists[row["split"]].append(f"/JPEGImages/{name}.jpg /SegmentationClassAug/{name}.png\n")
    for split, lines in lists.items():
        (kit / f"ImageSets/Segmentation/{split}.txt").write_text("".join(lines))
    return folder, kit


def test_a_devkit_as_the_field_has_it_gives_the_same_ground_truth(devkit, tmp_path):
    folder, kit = devkit
    plain, ours = index_photos(folder, random_seed=0, val_fraction=0.2), index_voc(kit)
    assert ours.classes == plain.classes
    expected = {Path(row.id).name: (row.split, row.tags, row.width, row.height) for row in plain.images}
    assert {row.id: (row.split, row.tags, row.width, row.height) for row in ours.images} == expected
    for split, count in (("train", 600), ("val", 220)):
        masks = voc_ground_truth(kit, ours, split, tmp_path)
        theirs = photos_ground_truth(folder / "SegmentationClass", plain, split)
        contents = {Path(name).name: Path(path).read_bytes() for name, path in theirs.items()}
        assert {name: Path(path).read_bytes() for name, path in masks.items()} == contents and len(masks) == count


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["photos", "voc", "coco"])
def test_a_short_run_ends_with_all_results(kind, devkit, tmp_path):
    """Epochs are reduced: a run ends with its report, and the proxy masks are better than nothing."""
    folder, kit = devkit
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(SHORT))
    roots = {"photos": folder, "voc": kit, "coco": shared("coco_mini")}
    dataset = {} if kind == "photos" else {"dataset": json.dumps({"kind": kind, "root": str(roots[kind])})}
    config = {"photos": str(folder), "run": kind, "results": str(tmp_path), **dataset}
    words = [f"{key}={value}" for key, value in config.items() if kind == "photos" or key != "photos"]
    files = [ROOT / "config/photos.yaml", tmp_path / "short.yaml"]
    snakemake("--configfile", *map(str, files), "--config", *words, "--", "all")
    assert (tmp_path / kind / "report/report.html").is_file()
    scores = json.loads((tmp_path / kind / "scores/proxy_masks/blocks.5.1.json").read_text())
    assert scores["miou"] > 100 / (1 + len(scores["iou"]))
