"""Data where they would be fetched: put there by hand they are watched, unpacked by a job they are not."""

import hashlib
import os
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from helpers import write_annotation, write_small_devkit, write_zero_mask
from mini_coco import write_mini_coco
from pretended_run import PretendedRun

BASE = ("tests/workflow/mini.yaml",)
CLASSES = "person\naeroplane\ntvmonitor\nchair\ndog\n"


def write_devkit(folder: Path) -> Path:
    """Write a small devkit as VOC's archive unpacks; return its folder."""
    devkit = write_small_devkit(folder / "VOCdevkit" / "VOC2012")
    write_annotation(devkit, "2007_000042", "aeroplane")
    (devkit / "classes.txt").write_text(CLASSES)
    return devkit


def config_of(name: str, kind: str, **more) -> dict:
    """Return the configuration of a run whose data are in a folder of its own below the working folder."""
    return {"run": name, "dataset": {"kind": kind}, "fetch": {"folder": f"data_{name}", **more}}


# By hand ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def devkit(checkout) -> Path:
    return write_devkit(checkout.folder / "data_hand")


@pytest.fixture(scope="module")
def by_hand(checkout, devkit) -> PretendedRun:
    """A run on a devkit that was put where it would be unpacked, and taken over with `--touch`."""
    return PretendedRun(checkout, config_of("hand", "voc"), BASE)


def test_nothing_is_fetched_or_re_run_at_first(by_hand):
    assert by_hand.planned() == Counter()


def test_not_even_forceall_unpacks_over_it(by_hand):
    plan = by_hand.planned(flags=("--forceall",))
    assert plan["build_index"] == 1 and not plan["unpack_archive"] and not plan["fetch_archive"]


@pytest.mark.parametrize("name", ["Annotations/2008_000001.xml", "JPEGImages/2008_000001.jpg", "classes.txt"])
def test_a_changed_file_starts_from_the_index(by_hand, devkit, name):
    before = (devkit / name).stat()
    os.utime(devkit / name)
    try:
        assert by_hand.planned()["build_index"] == 1
    finally:
        os.utime(devkit / name, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_true_mask_that_was_added_starts_from_the_true_masks(by_hand, devkit):
    mask = write_zero_mask(devkit / "SegmentationClass" / "2008_000001.png")
    try:
        plan = by_hand.planned()
    finally:
        mask.unlink()
    assert plan["collect_true_masks"] == 2 and not plan["build_index"]


def test_sbd_is_watched_too(checkout):
    write_devkit(checkout.folder / "data_sbd")
    sbd = checkout.folder / "data_sbd" / "benchmark_RELEASE" / "dataset"
    (sbd / "cls").mkdir(parents=True)
    (sbd / "train.txt").write_text("2008_000001\n")
    config = config_of("sbd", "voc")
    config["dataset"] |= {"train_list": "trainaug", "sbd_masks": True}
    made = PretendedRun(checkout, config, BASE)
    assert made.planned() == Counter()
    (sbd / "cls" / "2008_000001.mat").write_bytes(b"")
    plan = made.planned()
    assert plan["collect_true_masks"] == 2 and not plan["build_index"]
    os.utime(sbd / "train.txt")
    assert made.planned()["build_index"] == 1


@pytest.mark.parametrize("name", ["annotations/instances_val2017.json", "train2017/000000000001.jpg"])
def test_coco_is_watched_folder_by_folder(checkout, name):
    """Here val2017 is not there: it would be fetched, and tells nothing yet."""
    folder = checkout.folder / "data_coco" / "coco2017"
    if not folder.is_dir():
        write_mini_coco(folder, train=3, val=3)
        (folder / "val2017").rename(folder / "val2017_elsewhere")
    target = "results/coco/index/index.csv"
    made = PretendedRun(checkout, config_of("coco", "coco"), BASE, targets=(target,))
    assert made.planned(target=target)["build_index"] == 0
    os.utime(folder / name)
    assert made.planned(target=target)["build_index"] == 1


def test_copies_that_are_named_are_watched_as_before(checkout, tmp_path):
    devkit = write_devkit(tmp_path)
    (tmp_path / "sbd" / "cls").mkdir(parents=True)
    (tmp_path / "sbd" / "train.txt").write_text("2008_000001\n")
    folders = {"root": str(devkit.parent), "sbd": str(tmp_path / "sbd")}
    config = config_of("named", "voc")
    config["dataset"] |= {"train_list": "trainaug", "sbd_masks": True, **folders}
    made = PretendedRun(checkout, config, BASE)
    assert made.planned() == Counter()
    (tmp_path / "sbd" / "cls" / "2008_000001.mat").write_bytes(b"")
    plan = made.planned()
    assert plan["collect_true_masks"] == 2 and not plan["build_index"]
    os.utime(devkit / "Annotations" / "2008_000001.xml")
    assert made.planned()["build_index"] == 1


# Unpacked by a job --------------------------------------------------------------------------------

TARGETS = ("results/ours/index/index.csv", "results/ours/true_masks/val")


@pytest.fixture(scope="module")
def unpacked(checkout, tmp_path_factory) -> tuple[dict, Path]:
    """The configuration of a run for which a job has unpacked the devkit, and the devkit."""
    archive = checkout.folder / "data_ours" / "archives" / "VOCtrainval_11-May-2012.tar"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w") as tar:
        tar.add(write_devkit(tmp_path_factory.mktemp("voc")).parent, "VOCdevkit")
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    config = config_of("ours", "voc", archives={"voc2012": {"md5": md5}})
    done = checkout.snakemake("--", *TARGETS, base=BASE, config=config)
    assert done.returncode == 0, done.stdout[-4000:]
    return config, checkout.folder / "data_ours" / "VOCdevkit" / "VOC2012"


def test_the_unpacking_itself_re_runs_nothing(checkout, unpacked):
    config, devkit = unpacked
    assert (devkit / "classes.txt").is_file()
    assert checkout.planned(*TARGETS, base=BASE, config=config) == Counter()


def test_what_was_unpacked_is_not_watched(checkout, unpacked):
    config, devkit = unpacked
    os.utime(devkit / "classes.txt")
    assert checkout.planned(*TARGETS, base=BASE, config=config) == Counter()
