"""Changes of settings, data, sources and paths: the rows of the table in tests/workflow/staleness_table.md."""

import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers import write_image, write_zero_mask
from pretended_run import PretendedRun

TABLE = Path(__file__).parent / "workflow" / "staleness_table.md"
DOCUMENTED = Path(__file__).parents[1] / "docs" / "changing.md"
ONE_TIME = 'find results -exec touch -d "$(date)" {} +'
NOTES = ("notes.txt", "prices.csv", "scan.json", "album.xml", ".hidden.jpg", ".DS_Store", "labels.csv~")
LARGE = bytes(1_100_000)  # of files up to 1 MB Snakemake itself compares contents
OTHER_NETWORK = {"network": {"backbone": "resnet18", "weights": None}, "training": {"frozen": ["conv1"]}}
CHECKPOINT = "segmenter/blocks.5.1/efficientnet_lite0/round2/checkpoint.pth"
TIMESTAMP = "proxy_masks/blocks.5.1/shard-0/.snakemake_timestamp"

Plan = Callable[[PretendedRun, Path], Counter[str]]


def setting(key: str, value) -> Plan:
    for name in reversed(key.split(".")):
        value = {name: value}
    return lambda run, _: run.planned(**value)


def option(*flags: str, **options) -> Plan:
    return lambda run, _: run.planned(flags=flags, **options)


def change(path_of: Callable[[PretendedRun], Path], edit: Callable[[Path], object]) -> Plan:
    """Change a file or folder, and restore it after the plan, times included."""

    def plan(run: PretendedRun, folder: Path) -> Counter[str]:
        path, before = path_of(run), folder / "before"
        copy = shutil.copytree if path.is_dir() else shutil.copy2
        copy(path, before, **({"symlinks": True} if path.is_dir() else {}))
        try:
            edit(path)
            return run.planned()
        finally:
            remove(path)
            before.rename(path)

    return plan


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def data(edit: Callable[[Path], object]) -> Plan:
    return change(lambda run: run.images, edit)


def result(name: str, edit: Callable[[Path], object]) -> Plan:
    return change(lambda run: run.results / name, edit)


def source(name: str, old: str, new: str) -> Plan:
    """Replace a text of a source file; without an old text, append the new one."""

    def edit(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new) if old else text + new)

    return change(lambda run: run.checkout.folder / name, edit)


def statement(name: str) -> Plan:
    return source(f"workflow_scripts/{name}", "", "\nedited = True\n")


def replace_text(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def set_link(folder: Path, target: str) -> None:
    (folder / "link").unlink(missing_ok=True)
    (folder / "link").symlink_to(target)


def set_images(old: str, new: str, edit: Callable[[Path], object]) -> Plan:
    """Replace a text of the table of labels and change the folder of images."""
    return data(lambda folder: (replace_text(folder / "labels.csv", old, new), edit(folder)))


def weights_of(run: PretendedRun, network: str) -> Path:
    return Path(run.config[network]["network"]["weights"])


def replaced_weights(network: str) -> Plan:
    def edit(path: Path) -> None:
        path.write_bytes(LARGE + b"other")
        os.utime(path, (0, 0))

    return change(lambda run: weights_of(run, network), edit)


def touched(paths_of: Callable[[PretendedRun], list[Path]]) -> Plan:
    return lambda run, _: [*map(os.utime, paths_of(run))] and run.planned()


def write_notes(folder: Path) -> None:
    for name in NOTES:
        (folder / name).write_text("no data")


def moved_images(run: PretendedRun, folder: Path) -> Counter[str]:
    shutil.copytree(run.images, folder / "images", symlinks=True)
    return run.planned(photos=str(folder / "images"))


def other_profile(run: PretendedRun, folder: Path) -> Counter[str]:
    profile = {"scheduler": "greedy", "jobs": 7, "latency-wait": 60, "default-resources": ["mem_mb=123"]}
    (folder / "config.yaml").write_text(json.dumps(profile))
    return run.planned(flags=("--workflow-profile", folder))


@contextmanager
def on_another_machine(run: PretendedRun, folder: Path) -> Iterator[None]:
    copy_in_reverse(run.checkout.folder, folder / "repository")
    with run.moved_to(folder / "repository"):
        yield


def copy_in_reverse(folder: Path, copy: Path) -> None:
    """Copy a folder file by file, the oldest last: the worst that `cp -r` may do to time stamps."""
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)
    files = [path for path in folder.rglob("*") if path.is_file()]
    for age, path in enumerate(sorted(files, key=lambda path: path.stat().st_mtime_ns)):
        then = time.time() - age
        os.utime(copy / path.relative_to(folder), (then, then))


def copied_with_times(run: PretendedRun, folder: Path) -> Counter[str]:
    shutil.copytree(run.checkout.folder, folder / "repository")
    with run.moved_to(folder / "repository"):
        return run.planned()


def copied_with_one_time(run: PretendedRun, folder: Path) -> Counter[str]:
    with on_another_machine(run, folder):
        give_one_time(run.checkout.folder)
        return run.planned()


def give_one_time(folder: Path) -> None:
    assert ONE_TIME in DOCUMENTED.read_text(encoding="utf-8")
    subprocess.run(["sh", "-c", ONE_TIME], cwd=folder, check=True)


CHANGES: dict[str, Plan] = {
    # Settings
    "`layer`, to one without features": setting("layer", "blocks.5.0"),
    "`subsets.cap`": setting("subsets.cap", 2),
    "`subsets.random_seed`": setting("subsets.random_seed", 1),
    "`subsets.random_seed`, to that of the run": setting("subsets.random_seed", 0),
    "`random_seed`": setting("random_seed", 1),
    "`patterns.threshold`": setting("patterns.threshold", "mean"),
    "`masks.conflicts`": setting("masks.conflicts", "void"),
    "`features.sizes`": setting("features.sizes", [64, 96]),
    "`classifier.training.epochs`": setting("classifier.training.epochs", 2),
    "`crf.proxy.iterations`": setting("crf.proxy.iterations", 3),
    "`crf.test.bilateral_sxy`": setting("crf.test.bilateral_sxy", 40),
    "`crf.reference_side`": setting("crf.reference_side", None),
    "`segmenter.inference.sizes` (test scales)": setting("segmenter.inference.sizes", [64, 96]),
    "`segmenter.training.epochs`": setting("segmenter.training.epochs", 2),
    "`segmenter.network.backbone`": setting("segmenter", OTHER_NETWORK),
    "`segmenter.retrain.restrict_to_tags`": setting("segmenter.retrain.restrict_to_tags", False),
    "`segmenter.rounds`, one more": setting("segmenter.rounds", 3),
    "`segmenter.rounds`, one less": setting("segmenter.rounds", 1),
    "`shards`, one more": setting("shards", 3),
    "`shards`, one less": setting("shards", 1),
    "`layer: auto`": setting("layer", "auto"),
    "`deterministic`": setting("deterministic", False),
    "`dataset.val_fraction`": setting("dataset.val_fraction", 0.5),
    "`dataset.max_unreadable_fraction`": setting("dataset.max_unreadable_fraction", 0.5),
    "`dataset.ground_truth: [val]`": setting("dataset.ground_truth", ["val"]),
    "`gpus`": setting("gpus", 2),
    "`threads`": setting("threads", 2),
    # Data
    "a class added to `classes.txt`": data(lambda folder: replace_text(folder / "classes.txt", "cat", "cat\ncow")),
    "an image replaced": data(lambda folder: write_image(folder / "1.jpg", width=16)),
    "a tag changed": data(lambda folder: replace_text(folder / "labels.csv", "1.jpg,cat", "1.jpg,dog")),
    "an image added": set_images("3.jpg,", "new.jpg,cat,train\n3.jpg,", lambda folder: write_image(folder / "new.jpg")),
    "an image removed": set_images("2.jpg,dog;cat,train\n", "", lambda folder: (folder / "2.jpg").unlink()),
    "an image touched": data(lambda folder: os.utime(folder / "1.jpg")),
    "an image `4.jfif` touched": data(lambda folder: os.utime(folder / "4.jfif")),
    "another target of a link to a folder": data(lambda folder: set_link(folder, "others")),
    "the images moved to another folder": moved_images,
    "a ground-truth mask added": data(lambda folder: write_zero_mask(folder / "SegmentationClass" / "1.png")),
    "weights of the classifier replaced, by a file of an older time stamp": replaced_weights("classifier"),
    "weights of the segmenter replaced, by a file of an older time stamp": replaced_weights("segmenter"),
    "weights touched": touched(lambda run: [weights_of(run, one) for one in ("classifier", "segmenter")]),
    "notes or other tables beside the images": data(write_notes),
    # Code
    "a statement in the script `find_patterns.py`": statement("find_patterns.py"),
    "a statement in the module `tagseg/patterns/subsets.py`": statement("tagseg/patterns/subsets.py"),
    "a statement in the module `tagseg/storage/index.py`": statement("tagseg/storage/index.py"),
    "a comment in a script": source("workflow_scripts/find_patterns.py", "", "# edited\n"),
    "a comment in a module": source("workflow_scripts/tagseg/storage/index.py", "", "# edited\n"),
    "the command of the rule `find_patterns`": source("rules/patterns.smk", "2> {log:q}", " 2> {log:q}"),
    "memory of a rule, or a comment": source(
        "rules/patterns.smk", "mem_mb=memory(6000),", "mem_mb=memory(9000),  # edited"
    ),
    "`envs/light.yaml`": source("envs/light.yaml", "", "# edited\n"),
    "all sources touched, or checked out again": touched(
        lambda run: [run.checkout.folder / name for name in run.checkout.sources]
    ),
    # Results
    "a folder of proxy masks touched": result(TIMESTAMP, os.utime),
    "a result below 1 MB touched": result("index/index.csv", os.utime),
    "the final checkpoint deleted": result(CHECKPOINT, remove),
    "the folder `features` deleted": result("features", remove),
    # Machine
    "another number of cores": option(cores=7),
    "another number of GPUs, `--resources gpu=`": option("--resources", "gpu=8"),
    "another profile": other_profile,
    "all copied to another machine, with `cp -a`": copied_with_times,
    "all copied to another machine, with `cp -r`, then one time stamp for all": copied_with_one_time,
}
