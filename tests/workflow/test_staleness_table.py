"""The table in docs/changing.md, row by row: a change, and exactly the jobs that run again."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers import write_labels, write_photograph, write_zero_mask
from pretended_run import PretendedRun

CHANGING = Path(__file__).parents[2] / "docs" / "changing.md"

STAGES = {
    "index": "build_index",
    "truth": "collect_true_masks",
    "subsets": "draw_subsets",
    "classifier": "train_classifier",
    "features": "extract_features",
    "CAM": "compute_cam",
    "patterns": "find_patterns",
    "seeds": "estimate_masks",
    "choice": "choose_layer",
    "proxy": "refine_masks",
    "their scores": "score_masks",
    "segmenter": "train_segmenter",
    "logits": "compute_logits",
    "masks": "decide_masks",
    "scores": "score_predictions",
    "figures": "draw_report",
    "page": "compose_report",
}
"""The heads of the table's columns, and the rules that they stand for: all of the target `all`."""

NETWORK = {"backbone": "resnet18", "weights": None}
OTHER_NETWORK = {"segmenter": {"network": NETWORK, "training": {"frozen": ["conv1"]}}}
ONE_TIME = 'find results -exec touch -d "$(date)" {} +'
SHELL_OF_PATTERNS = '--patterns {output:q} --threads {threads} 2> {log:q}"'


@pytest.fixture(scope="module")
def pretended(checkout, tmp_path_factory) -> PretendedRun:
    photos = tmp_path_factory.mktemp("data") / "photos"
    for number in range(6):
        write_photograph(photos / f"{number}.jpg", seed=number)
    (photos / "4.jpg").rename(photos / "4.jfif")
    for name in ("more", "others"):
        (photos / name).mkdir()
    lead_link(photos, "more")
    (photos / "loop.jpg").symlink_to("loop.jpg")
    write_labels(photos, "0.jpg,dog,train", "1.jpg,cat,train", "2.jpg,dog;cat,train", "3.jpg,dog,val")
    (photos / "classes.txt").write_text("dog\ncat\n")
    config = {"run": "fotos", "photos": str(photos)}
    for network in ("classifier", "segmenter"):
        path = photos.with_name(f"{network}.pth")
        path.write_bytes(LARGE + network.encode())
        config[network] = {"network": {"weights": str(path)}}
    return PretendedRun(checkout, config)


# The changes --------------------------------------------------------------------------------------

Plan = Callable[[PretendedRun, Path], Counter[str]]


def setting(**config) -> Plan:
    return lambda run, _: run.planned(**config)


def option(*flags: str, **more) -> Plan:
    return lambda run, _: run.planned(flags=flags, **more)


def data(change: Callable[[Path], object]) -> Plan:
    """Change the folder of photographs."""

    def plan(run: PretendedRun, _: Path) -> Counter[str]:
        with run.changed_data() as folder:
            change(folder)
            return run.planned()

    return plan


def source(name: str, old: str, new: str) -> Plan:
    """Replace a text of a source; without an old text, add the new one at its end."""

    def plan(run: PretendedRun, _: Path) -> Counter[str]:
        with run.edited(name, lambda text: text.replace(old, new) if old else text + new):
            return run.planned()

    return plan


def statement(name: str) -> Plan:
    return source(f"workflow_scripts/{name}", "", "\nedited = True\n")


def append_line(path: Path, line: str) -> None:
    path.write_text(path.read_text() + f"{line}\n")


def replace_text(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def replace_jfif(folder: Path) -> None:
    write_photograph(folder / "4.jpg", width=16).rename(folder / "4.jfif")


def lead_link(folder: Path, name: str) -> None:
    """Let the link in the folder lead to another folder beside it."""
    (folder / "link").unlink(missing_ok=True)
    (folder / "link").symlink_to(name)


def add_photograph(folder: Path) -> None:
    write_photograph(folder / "new.jpg")
    append_line(folder / "labels.csv", "new.jpg,cat,train")


def remove_photograph(folder: Path) -> None:
    replace_text(folder / "labels.csv", "2.jpg,dog;cat,train\n", "")
    (folder / "2.jpg").unlink()


def write_notes(folder: Path) -> None:
    for name in ("notes.txt", "prices.csv", "scan.json", "album.xml", ".hidden.jpg"):
        (folder / name).write_text("nothing to learn from")


def moved_photographs(run: PretendedRun, folder: Path) -> Counter[str]:
    shutil.copytree(run.photos, folder / "photos", symlinks=True)
    return run.planned(photos=str(folder / "photos"))


LARGE = bytes(1_100_000)  # of files up to 1 MB Snakemake itself compares contents


def weights_of(run: PretendedRun, network: str) -> Path:
    return Path(run.config[network]["network"]["weights"])


def replaced_weights(network: str) -> Plan:
    def plan(run: PretendedRun, folder: Path) -> Counter[str]:
        path = weights_of(run, network)
        shutil.copy2(path, folder / "before")
        path.write_bytes(LARGE + b"other")
        os.utime(path, (0, 0))
        try:
            return run.planned()
        finally:
            shutil.copy2(folder / "before", path)

    return plan


def touched_weights(run: PretendedRun, _: Path) -> Counter[str]:
    for network in ("classifier", "segmenter"):
        os.utime(weights_of(run, network))
    return run.planned()


def touched_sources(run: PretendedRun, _: Path) -> Counter[str]:
    for name in run.checkout.sources:
        os.utime(run.checkout.folder / name)
    return run.planned()


def touched_result(name: str) -> Plan:
    def plan(run: PretendedRun, _: Path) -> Counter[str]:
        path = run.results / name
        before = path.stat()
        os.utime(path)
        try:
            return run.planned()
        finally:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return plan


def deleted_result(name: str) -> Plan:
    def plan(run: PretendedRun, folder: Path) -> Counter[str]:
        shutil.move(run.results / name, folder / "aside")
        try:
            return run.planned()
        finally:
            shutil.move(folder / "aside", run.results / name)

    return plan


def other_profile(run: PretendedRun, folder: Path) -> Counter[str]:
    profile = {"scheduler": "greedy", "jobs": 7, "latency-wait": 60, "default-resources": ["mem_mb=123"]}
    (folder / "config.yaml").write_text(json.dumps(profile))
    return run.planned(flags=("--workflow-profile", folder))


def moved_checkout(run: PretendedRun, folder: Path) -> Counter[str]:
    home, away = run.checkout.folder, folder / "away"
    home.rename(away)
    try:
        with run.elsewhere(away):
            return run.planned()
    finally:
        away.rename(home)


@contextmanager
def on_another_machine(run: PretendedRun, folder: Path) -> Iterator[None]:
    """Work in a copy without time stamps, as another user with another Python, for the time of a block."""
    copy_as_if_later(run.checkout.folder, folder / "repository")
    (folder / "environment").symlink_to(sys.prefix)
    home, umask = run.checkout.python, os.umask(0o077)
    run.checkout.python = str(folder / "environment" / "bin" / Path(home).name)
    try:
        with run.elsewhere(folder / "repository"):
            yield
    finally:
        os.umask(umask)
        run.checkout.python = home


def copy_as_if_later(folder: Path, copy: Path) -> None:
    """Copy a folder file by file, what was made first last: the worst that `cp -r` may do to time stamps."""
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)
    files = [path for path in folder.rglob("*") if path.is_file()]
    for age, path in enumerate(sorted(files, key=lambda path: path.stat().st_mtime_ns)):
        then = time.time() - age
        os.utime(copy / path.relative_to(folder), (then, then))


def copied_with_times(run: PretendedRun, folder: Path) -> Counter[str]:
    shutil.copytree(run.checkout.folder, folder / "repository")
    with run.elsewhere(folder / "repository"):
        return run.planned()


def copied_with_one_time(run: PretendedRun, folder: Path) -> Counter[str]:
    with on_another_machine(run, folder):
        give_one_time(run.checkout.folder)
        return run.planned()


def give_one_time(folder: Path) -> None:
    """Run the documented command in the folder."""
    assert ONE_TIME in CHANGING.read_text(encoding="utf-8")
    subprocess.run(["sh", "-c", ONE_TIME], cwd=folder, check=True)


CHECKPOINT = "segmenter/blocks.5.1/efficientnet_lite0/round2/checkpoint.pth"

CHANGES: dict[str, Plan] = {
    # Settings
    "`layer`, to one whose features are not there": setting(layer="blocks.5.0"),
    "`subsets.cap`": setting(subsets={"cap": 2}),
    "`subsets.random_seed`": setting(subsets={"random_seed": 1}),
    "`subsets.random_seed`, to that of the run": setting(subsets={"random_seed": 0}),
    "`random_seed`": setting(random_seed=1),
    "`patterns.boundary`": setting(patterns={"boundary": "mean"}),
    "`features.sizes`": setting(features={"sizes": [64, 96]}),
    "`classifier.training.epochs`": setting(classifier={"training": {"epochs": 2}}),
    "`crf.proxy.iterations`": setting(crf={"proxy": {"iterations": 3}}),
    "`crf.test.bilateral_sxy`": setting(crf={"test": {"bilateral_sxy": 40}}),
    "`crf.reference_side`": setting(crf={"reference_side": None}),
    "`segmenter.inference.sizes` (test scales)": setting(segmenter={"inference": {"sizes": [64, 96]}}),
    "`segmenter.training.head_lr`": setting(segmenter={"training": {"head_lr": 0.01}}),
    "`segmenter.training.epochs`": setting(segmenter={"training": {"epochs": 2}}),
    "`segmenter.network.backbone`": setting(**OTHER_NETWORK),
    "`segmenter.retrain.restrict_to_tags`": setting(segmenter={"retrain": {"restrict_to_tags": False}}),
    "`segmenter.rounds`, one more": setting(segmenter={"rounds": 3}),
    "`segmenter.rounds`, one less": setting(segmenter={"rounds": 1}),
    "`shards`, one more": setting(shards=3),
    "`shards`, one less": setting(shards=1),
    "`layer: auto`": setting(layer="auto"),
    "`deterministic`": setting(deterministic=False),
    "`dataset.val_share`": setting(dataset={"val_share": 0.5}),
    "`dataset.unreadable_share`": setting(dataset={"unreadable_share": 0.5}),
    "`dataset.true_masks: [val]`": setting(dataset={"true_masks": ["val"]}),
    "`gpus`": setting(gpus=2),
    "`threads`": setting(threads=2),
    # Data
    "a class more in `classes.txt`": data(lambda folder: append_line(folder / "classes.txt", "horse")),
    "one image replaced": data(lambda folder: write_photograph(folder / "1.jpg", width=16)),
    "one tag changed": data(lambda folder: replace_text(folder / "labels.csv", "1.jpg,cat", "1.jpg,dog")),
    "one image added": data(add_photograph),
    "one image removed": data(remove_photograph),
    "an image touched": data(lambda folder: os.utime(folder / "1.jpg")),
    "an image `4.jfif` replaced": data(replace_jfif),
    "a link to a folder beside the images led elsewhere": data(lambda folder: lead_link(folder, "others")),
    "the images moved to another folder": moved_photographs,
    "a true mask added": data(lambda folder: write_zero_mask(folder / "SegmentationClass" / "1.png")),
    "weights of the classifier replaced, by a file of an older time stamp": replaced_weights("classifier"),
    "weights of the segmenter replaced, by a file of an older time stamp": replaced_weights("segmenter"),
    "weights touched": touched_weights,
    "notes or tables of other names beside the images": data(write_notes),
    # Code
    "a statement in the script `find_patterns.py`": statement("find_patterns.py"),
    "a statement in the module `tagseg/subsets.py`": statement("tagseg/subsets.py"),
    "a statement in the module `tagseg/index.py`": statement("tagseg/index.py"),
    "a comment in a script": source("workflow_scripts/find_patterns.py", "", "# edited\n"),
    "a comment in a module": source("workflow_scripts/tagseg/index.py", "\nclass", "\n# edited\nclass"),
    "the command of the rule `find_patterns`": source(
        "rules/patterns.smk", SHELL_OF_PATTERNS, SHELL_OF_PATTERNS.replace("2>", " 2>")
    ),
    "threads or memory of a rule, or a comment beside it": source(
        "rules/patterns.smk", "mem_mb=8000,", "mem_mb=9000,  # edited"
    ),
    "`envs/light.yaml`": source("envs/light.yaml", "", "# edited\n"),
    "all sources touched, or checked out again": touched_sources,
    # Results
    "a folder of proxy masks touched": touched_result("proxy_masks/blocks.5.1/shard-0/.snakemake_timestamp"),
    "a result below 1 MB touched": touched_result("index/index.csv"),
    "the final checkpoint deleted": deleted_result(CHECKPOINT),
    "the folder `features` deleted": deleted_result("features"),
    # Machine
    "another number of cores": option(cores=7),
    "another number of GPUs, `--resources gpu=`": option("--resources", "gpu=8"),
    "another profile": other_profile,
    "the repository moved to another folder": moved_checkout,
    "all copied to another machine, with `cp -a`": copied_with_times,
    "all copied to another machine, with `cp -r`, then one time stamp given to all": copied_with_one_time,
}


# The table ----------------------------------------------------------------------------------------


def documented() -> dict[str, Counter[str]]:
    """Return the jobs that the table of docs/changing.md names by rule, for each change."""
    text = CHANGING.read_text(encoding="utf-8")
    lines = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in cells] for cells in lines]
    start = next(number for number, row in enumerate(rows) if row[1:] == list(STAGES))
    wide = [row for row in rows[start + 2 :] if len(row) == len(STAGES) + 1]
    return {row[0]: _counts(row[1:]) for row in wide}


def _counts(cells: list[str]) -> Counter[str]:
    pairs = zip(STAGES.values(), cells, strict=True)
    return Counter({rule: int(cell) for rule, cell in pairs if cell})


EXPECTED = documented()


def test_the_table_and_the_tested_changes_are_the_same():
    assert list(EXPECTED) == list(CHANGES)


def test_nothing_re_runs_at_first(pretended):
    assert pretended.planned() == Counter()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_re_runs_the_jobs_of_its_row(pretended, tmp_path, change):
    assert CHANGES[change](pretended, tmp_path) == EXPECTED[change]


def test_nothing_re_runs_at_last(pretended):
    """Every change was taken back, or the rows after it prove nothing."""
    assert pretended.planned() == Counter()


# New photographs ----------------------------------------------------------------------------------


def test_notes_beside_new_photographs_re_run_nothing(pretended, tmp_path):
    asked = {"new_photos": str(tmp_path / "new")}
    write_photograph(tmp_path / "new" / "0.jpg")
    (pretended.results / "segmented" / "new").mkdir(parents=True)
    pretended.snakemake("--touch", "--forceall", "--", "segment", **asked)
    write_notes(tmp_path / "new")
    assert pretended.planned(target="segment", **asked) == Counter()
    write_photograph(tmp_path / "new" / "1.jpg")
    assert pretended.planned(target="segment", **asked) == Counter(segment_photographs=1)


# Copies -------------------------------------------------------------------------------------------


def test_a_copy_with_new_time_stamps_may_re_run_everything(pretended, tmp_path):
    """What the documented command is for."""
    with on_another_machine(pretended, tmp_path):
        assert pretended.planned()["train_segmenter"] == 2


def test_one_time_stamp_for_all_hides_no_changed_setting(pretended, tmp_path):
    with on_another_machine(pretended, tmp_path):
        give_one_time(pretended.checkout.folder)
        change = {"crf": {"test": {"bilateral_sxy": 40}}}
        assert pretended.planned(**change) == EXPECTED["`crf.test.bilateral_sxy`"]


WITHOUT_RECORDS = "without the records of how they were made"


def test_results_without_their_records_are_refused_until_they_are_taken_over(pretended, tmp_path):
    shutil.copytree(pretended.checkout.folder, tmp_path / "repository")
    with pretended.elsewhere(tmp_path / "repository"):
        shutil.rmtree(pretended.checkout.folder / ".snakemake")
        assert WITHOUT_RECORDS in pretended.snakemake("-n", "--", "all", fails=True)
        pretended.snakemake("--touch", "--forceall", "--", "all")
        assert pretended.planned() == Counter()
        assert pretended.planned(subsets={"cap": 2}) == EXPECTED["`subsets.cap`"]


def test_the_records_of_another_run_are_no_records_of_this_one(pretended, tmp_path):
    """A dry run makes the folders of records, and a whole run those of its own outputs."""
    shutil.copytree(pretended.checkout.folder, tmp_path / "repository")
    with pretended.elsewhere(tmp_path / "repository"):
        shutil.rmtree(pretended.checkout.folder / ".snakemake")
        pretended.snakemake("-n", "--", "all", run="other")
        assert WITHOUT_RECORDS in pretended.snakemake("-n", "--", "all", fails=True)
        pretended.results.rename(pretended.results.with_name("other"))
        pretended.snakemake("--touch", "--forceall", "--", "all", run="other")
        pretended.results.with_name("other").rename(pretended.results)
        assert WITHOUT_RECORDS in pretended.snakemake("-n", "--", "all", fails=True)


def test_results_of_an_index_that_was_interrupted_are_not_refused(pretended, tmp_path):
    """Snakemake's mark of it is enough: it makes them again."""
    shutil.copytree(pretended.checkout.folder, tmp_path / "repository")
    with pretended.elsewhere(tmp_path / "repository"):
        records = pretended.checkout.folder / ".snakemake"
        shutil.rmtree(records / "incomplete")
        (records / "metadata").rename(records / "incomplete")
        assert pretended.planned()["build_index"] == 1


def test_records_of_outputs_with_long_paths_are_found(pretended):
    """Their names are split over several folders."""
    long = PretendedRun(pretended.checkout, pretended.config | {"run": "long" * 50})
    assert list((pretended.checkout.folder / ".snakemake" / "metadata").glob("@*"))
    assert long.planned() == Counter()
