"""Data at the path where fetched data would be: the user's own are watched, unpacked ones are not."""

import hashlib
import os
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from helpers import write_annotation, write_small_devkit, write_zero_mask
from mini_coco import write_mini_coco
from pretended_run import PretendedRun

pytestmark = pytest.mark.slow

BASE = ("tests/workflow/mini.yaml",)
TARGETS = ("results/ours/index/index.csv", "results/ours/ground_truth/val")


def write_devkit(folder: Path) -> Path:
    devkit = write_small_devkit(folder / "VOCdevkit" / "VOC2012")
    write_annotation(devkit, "2007_000042", "aeroplane")
    (devkit / "classes.txt").write_text("person\naeroplane\ntvmonitor\nchair\ndog\n")
    return devkit


def config_of(name: str, kind: str = "voc", **fetch) -> dict:
    return {"run": name, "dataset": {"kind": kind}, "fetch": {"folder": f"data_{name}", **fetch}}


@pytest.fixture(scope="module")
def own(checkout) -> tuple[PretendedRun, Path]:
    """A run on a devkit and an SBD that the user copied to where they would be unpacked; the folder of both."""
    folder = checkout.folder / "data_own"
    write_devkit(folder)
    sbd = folder / "benchmark_RELEASE" / "dataset"
    (sbd / "cls").mkdir(parents=True)
    (sbd / "train.txt").write_text("2008_000001\n")
    config = config_of("own")
    config["dataset"] |= {"train_list": "trainaug", "sbd_masks": True}
    return PretendedRun(checkout, config, BASE), folder


def test_own_data_are_watched_and_nothing_is_fetched_or_unpacked_over_them(own):
    run, folder = own
    assert run.planned() == Counter()
    plan = run.planned(flags=("--forceall",))
    assert plan["build_index"] == 1 and not plan["unpack_archive"] and not plan["fetch_archive"]
    names = [f"VOCdevkit/VOC2012/{name}" for name in ("classes.txt", "Annotations/2008_000001.xml")]
    names += ["VOCdevkit/VOC2012/JPEGImages/2008_000001.jpg", "benchmark_RELEASE/dataset/train.txt"]
    for name in names:
        before = (folder / name).stat()
        os.utime(folder / name)
        assert run.planned()["build_index"] == 1, name
        os.utime(folder / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    mask = write_zero_mask(folder / "VOCdevkit/VOC2012/SegmentationClass/2008_000001.png")
    plan = run.planned()
    mask.unlink()
    assert plan["collect_ground_truth"] == 2 and not plan["build_index"]


def test_coco_is_watched_folder_by_folder(checkout):
    """val2017 does not exist yet: it would be fetched."""
    folder = checkout.folder / "data_coco" / "coco2017"
    write_mini_coco(folder, train=3, val=3)
    (folder / "val2017").rename(folder / "val2017_elsewhere")
    target = "results/coco/index/index.csv"
    made = PretendedRun(checkout, config_of("coco", "coco"), BASE, targets=(target,))
    assert made.planned(target=target)["build_index"] == 0
    os.utime(folder / "train2017" / "000000000001.jpg")
    assert made.planned(target=target)["build_index"] == 1


def test_what_a_job_unpacked_is_not_watched(checkout, tmp_path):
    archive = checkout.folder / "data_ours" / "archives" / "VOCtrainval_11-May-2012.tar"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w") as tar:
        tar.add(write_devkit(tmp_path).parent, "VOCdevkit")
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    config = config_of("ours", archives={"voc2012": {"md5": md5}})
    checkout.make("--", *TARGETS, base=BASE, config=config)
    assert checkout.planned(*TARGETS, base=BASE, config=config) == Counter()
    os.utime(checkout.folder / "data_ours" / "VOCdevkit" / "VOC2012" / "classes.txt")
    assert checkout.planned(*TARGETS, base=BASE, config=config) == Counter()
