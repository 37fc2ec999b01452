"""What each kind of data set gives to the workflow: inputs made by jobs, and the user's files that are watched."""

from pathlib import Path

import pytest
import yaml

from tagseg.datasets.base import UNPACKED_MARK
from tagseg.datasets.registry import ADAPTERS
from tagseg.workflow.plan import Plan
from tagseg.workflow.stages import Stages

CONFIG = yaml.safe_load((Path(__file__).parents[3] / "config.yaml").read_text())
COCO = [f"data/coco2017/{part}" for part in ("train2017", "val2017", "annotations")]

# Keys of `dataset` -> what other rules make of the images and of the ground truth.
VOC, SBD, AUG = ["data/VOCdevkit"], ["data/benchmark_RELEASE"], {"train_list": "trainaug"}
MADE = {
    "demo": ({}, ["results/demo/devkit"], ["results/demo/devkit"]),
    "voc": ({"kind": "voc"}, VOC, VOC),
    "voc with trainaug": ({"kind": "voc", **AUG}, VOC + SBD, VOC),
    "voc with SBD's masks": ({"kind": "voc", "sbd_masks": True}, VOC, VOC + SBD),
    "a copy of voc": ({"kind": "voc", "root": "."}, [], []),
    "a copy of voc, but not of SBD": ({"kind": "voc", "root": ".", **AUG}, SBD, []),
    "copies of both": ({"kind": "voc", "root": ".", "sbd": ".", **AUG}, [], []),
    "coco": ({"kind": "coco"}, COCO, COCO),
    "a copy of coco": ({"kind": "coco", "root": "."}, [], []),
}


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def plan_of(**dataset) -> Plan:
    return Plan({**CONFIG, "dataset": {**CONFIG["dataset"], **dataset}})


@pytest.mark.parametrize("name", MADE)
def test_what_the_user_does_not_name_is_made_by_jobs(name):
    dataset, images, ground_truth = MADE[name]
    adapter = plan_of(**dataset).adapter
    assert (adapter.inputs(), adapter.ground_truth_inputs()) == (images, ground_truth)
    if "root" not in dataset:  # what jobs make is not watched
        own = ["data/coco2017/classes.txt"] if name == "coco" else []
        assert adapter.image_paths() == own and adapter.ground_truth_paths() == []


@pytest.mark.parametrize(("kind", "folder", "file"), [
    ("voc", "VOCdevkit", "VOC2012/Annotations/a.xml"), ("voc", "benchmark_RELEASE", "dataset/train.txt"),
    ("coco", "coco2017/train2017", "1.jpg"),
])  # fmt: skip
def test_a_folder_put_there_by_hand_is_watched_and_an_unpacked_one_is_not(kind, folder, file):
    path, options = Path("data", folder, file), {"kind": kind, **(AUG if kind == "voc" else {})}
    path.parent.mkdir(parents=True)
    path.write_text("x")
    assert f"data/{folder}" not in plan_of(**options).adapter.inputs()
    before = Stages(plan_of(**options)).image_listing
    path.write_text("longer")
    assert Stages(plan_of(**options)).image_listing != before
    Path("data", folder, UNPACKED_MARK).touch()
    assert f"data/{folder}" in plan_of(**options).adapter.inputs()
    unpacked = Stages(plan_of(**options)).image_listing
    path.write_text("even longer")
    assert Stages(plan_of(**options)).image_listing == unpacked


def test_masks_beside_the_users_images_are_watched_apart():
    Path("photos/SegmentationClass").mkdir(parents=True)
    Path("photos/1.jpg").write_text("x")

    def plan() -> Plan:
        return Plan({**CONFIG, "dataset": {"kind": "photos"}, "photos": "photos"})

    images, masks = Stages(plan()).image_listing, Stages(plan()).ground_truth_listing
    Path("photos/SegmentationClass/1.png").write_text("x")
    assert Stages(plan()).image_listing == images and Stages(plan()).ground_truth_listing != masks
    Path("photos/notes.txt").write_text("x")
    assert Stages(plan()).image_listing == images
    Path("photos/2.jpg").symlink_to("nowhere.jpg")
    assert Stages(plan()).image_listing != images


def test_every_archive_is_in_the_configuration():
    names = {archive.name for adapter in ADAPTERS.values() for archive in adapter.archives}
    assert names == set(CONFIG["fetch"]["archives"])
