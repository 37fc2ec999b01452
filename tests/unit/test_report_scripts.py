"""The scripts that set scores side by side, run as Snakemake runs them on tiny inputs."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import draw_report
from helpers import write_photograph
from tagseg.examples import read_truths
from tagseg.images import write_mask
from tagseg.index import Index, Photograph, read_index, write_index
from tagseg.mask_shards import write_mask_shard
from tagseg.patterns import ClassPattern, write_patterns
from tagseg.true_masks import write_true_masks

SCRIPTS = Path(draw_report.__file__).parent
CLASSES = ("background", "cat", "dog")
REPORT = {
    "summary.md",
    "summary.csv",
    "examples_train.png",
    "examples_val.png",
    "best_worst.png",
    "training.png",
    "explained_variance.png",
    "per_class.png",
}


def run(script, *arguments):
    """Run a script; return the finished process."""
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def run_well(script, *arguments):
    done = run(script, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def write_scores(path, iou, *, miou=None, left_out=None, split="train", coverage=1.0, photographs=2):
    """Write a score file; `iou` by class number, the mean is taken unless it is given."""
    iou = [None if value is None else float(value) for value in iou]
    known = [value for value in iou if value is not None]
    miou = miou if miou is not None else (sum(known) / len(known) if known else 0.0)
    content = {
        "split": split,
        "miou": miou,
        "miou_void_left_out": miou if left_out is None else left_out,
        "iou": dict(zip(CLASSES, iou, strict=True)),
        "pixel_accuracy": 50.0,
        "coverage": coverage,
        "photographs": photographs,
        "confusion": [[0] * 4] * 3,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def no_scores(path, split="train"):
    return write_scores(path, (None,) * 3, split=split, coverage=0.0, photographs=0)


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def table_lines(path):
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]


def colours(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert 500 < image.width < 2500
        assert 200 < image.height < 3000
        return len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0))


def compare_seeds(folder, seeds, before, after):
    outputs = [part for name in ("markdown", "csv", "plot") for part in (f"--{name}", folder / f"t.{name}")]
    inputs = ("--seed-scores", *before, "--proxy-scores", *after)
    return run("compare_seeds", "--seeds", *seeds, *inputs, *outputs)


def test_seeds_side_by_side(tmp_path):
    before = [write_scores(tmp_path / "b0", (80, 50, 20)), write_scores(tmp_path / "b1", (70, 30, 5))]
    after = [
        write_scores(tmp_path / "a0", (90, 60, 30.06), left_out=61.5, coverage=0.91234),
        write_scores(tmp_path / "a1", (85, 65, None), coverage=1.0),
    ]
    done = compare_seeds(tmp_path, ("blocks.5.0", "cam"), before, after)
    assert done.returncode == 0, done.stderr
    assert rows_of(tmp_path / "t.csv") == [
        [
            "seed",
            "mIoU before CRF",
            "mIoU after CRF (void as background)",
            "mIoU after CRF (void left out)",
            "coverage",
            *CLASSES,
        ],
        ["blocks.5.0", "50.0", "60.0", "61.5", "0.912", "90.0", "60.0", "30.1"],
        ["cam", "35.0", "75.0", "75.0", "1.000", "85.0", "65.0", ""],
    ]
    assert table_lines(tmp_path / "t.markdown")[2:] == [
        "| blocks.5.0 | **50.0** | 60.0 | 61.5 | 0.912 | **90.0** | 60.0 | 30.1 |",
        "| cam | 35.0 | **75.0** | **75.0** | 1.000 | 85.0 | **65.0** |  |",
    ]
    assert "nothing to score" not in (tmp_path / "t.markdown").read_text(encoding="utf-8")
    assert colours(tmp_path / "t.plot") > 20


def test_seeds_without_true_masks(tmp_path):
    files = [no_scores(tmp_path / name) for name in ("a", "b")]
    done = compare_seeds(tmp_path, ("low", "cam"), files, files)
    assert done.returncode == 0, done.stderr
    assert rows_of(tmp_path / "t.csv")[1:] == [["low", *[""] * 7], ["cam", *[""] * 7]]
    text = (tmp_path / "t.markdown").read_text(encoding="utf-8")
    assert "nothing to score against: no photograph of train" in text
    assert "SegmentationClass/<stem>.png" in text
    assert colours(tmp_path / "t.plot") > 5


def test_seeds_and_files_of_unequal_number(tmp_path):
    files = [no_scores(tmp_path / name) for name in ("a", "b")]
    done = compare_seeds(tmp_path, ("low", "cam", "more"), files, files)
    assert done.returncode == 1
    assert done.stderr.startswith("error: 3 seeds, 2 and 2 score files")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def upper_bound(folder, ours, truth):
    outputs = ("--markdown", folder / "t.md", "--csv", folder / "t.csv")
    return run("compare_upper_bound", "--ours", ours, "--truth", truth, *outputs)


def test_upper_bound(tmp_path):
    ours = write_scores(tmp_path / "ours", (90, 40, 20), split="val")
    truth = write_scores(tmp_path / "truth", (90, 60, 0), split="val")
    done = upper_bound(tmp_path, ours, truth)
    assert done.returncode == 0, done.stderr
    assert rows_of(tmp_path / "t.csv") == [
        ["class", "tags alone", "true masks", "ratio"],
        ["background", "90.0", "90.0", "1.000"],
        ["cat", "40.0", "60.0", "0.667"],
        ["dog", "20.0", "0.0", ""],
        ["mean", "50.0", "50.0", "1.000"],
    ]
    assert "| cat | 40.0 | 60.0 | 0.667 |" in table_lines(tmp_path / "t.md")


def test_upper_bound_without_true_masks(tmp_path):
    files = [no_scores(tmp_path / name, "val") for name in ("ours", "truth")]
    assert upper_bound(tmp_path, *files).returncode == 0
    assert rows_of(tmp_path / "t.csv")[-1] == ["mean", "", "", ""]
    assert "no photograph of val has a true mask" in (tmp_path / "t.md").read_text(encoding="utf-8")


def test_upper_bound_of_different_splits_is_refused(tmp_path):
    ours, truth = (write_scores(tmp_path / split, (1, 2, 3), split=split) for split in ("train", "val"))
    done = upper_bound(tmp_path, ours, truth)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"train", "val"}


def square_mask(label, corner=8):
    mask = np.zeros((30, 40), np.uint8)
    mask[corner : corner + 14, corner : corner + 20] = label
    return mask


def photograph_row(folder, name, split, tags):
    """Write a photograph; return its row of the index."""
    path = write_photograph(folder / f"{name}.jpg", width=40, height=30, seed=len(name))
    return Photograph(name, str(path), 40, 30, split, tags)


def write_truths(folder, rows, masks):
    """Write the true masks and their table a split; an empty one unless there are `masks`."""
    for split in ("train", "val"):
        truths = {row.id: folder / f"{row.id}.png" for row in rows if masks and row.split == split}
        for row in rows:
            if row.id in truths:
                write_mask(truths[row.id], square_mask(CLASSES.index(row.tags[0])))
        write_true_masks(folder / "true" / split, {name: str(path) for name, path in truths.items()})


def write_run(folder, *, masks=True, val=3):
    """Write what a run leaves for the report; return the command line of draw_report."""
    tags = [("cat",), ("dog",), ("cat", "dog"), ("dog",)]
    rows = [photograph_row(folder, f"t{n}", "train", tags[n]) for n in range(4)]
    rows += [photograph_row(folder, f"v{n}", "val", tags[n]) for n in range(val)]
    write_index(folder / "index", Index(CLASSES, tuple(rows)))
    write_truths(folder, rows, masks)
    for name, split in (("seed", "train"), ("proxy", "train"), ("predictions", "val")):
        of_split = [row for row in rows if row.split == split]
        masks_of = [
            (row.id, square_mask(CLASSES.index(row.tags[0]), 6 + n)) for n, row in enumerate(of_split)
        ]
        for shard in (0, 1):
            write_mask_shard(folder / name / f"shard-{shard}", masks_of[shard::2])
    pattern = ClassPattern(np.array([1.0, 0, 0]), np.zeros(3), np.array([0.5, 0.2]), 9, 0.5)
    write_patterns(folder / "patterns", dict.fromkeys(CLASSES[1:], pattern), "blocks.5.1")
    return [*write_logs(folder), *write_all_scores(folder, masks, val)]


def write_logs(folder):
    """Write the logs of a run; return their part of the command line, with index, masks and patterns."""
    for name in ("classifier", "round1", "round2"):
        epochs = [{"epoch": n, "loss": 1 / n, "head_lr": 0.1, "seconds": 2.0} for n in (1, 2, 3)]
        (folder / f"{name}.json").write_text(json.dumps({"epochs": epochs}), encoding="utf-8")
    precision = {"split": "val", "mean": 91.26, "by_class": {"cat": 91.26, "dog": None}}
    (folder / "precision.json").write_text(json.dumps(precision), encoding="utf-8")
    shards = {
        name: [folder / name / f"shard-{n}" for n in (0, 1)] for name in ("seed", "proxy", "predictions")
    }
    return [
        *("--index", folder / "index", "--patterns", folder / "patterns"),
        *("--classifier-log", folder / "classifier.json", "--average-precision", folder / "precision.json"),
        *("--segmenter-logs", folder / "round1.json", folder / "round2.json"),
        *("--seed-masks", *shards["seed"], "--proxy-masks", *shards["proxy"]),
        *("--predictions", *shards["predictions"], "--report", folder / "report"),
        *("--true-masks", folder / "true" / "train", folder / "true" / "val"),
    ]


def write_all_scores(folder, masks, val):
    scores = folder / "scores"
    if masks:
        seed = write_scores(scores / "seed.json", (80, 50, 20), left_out=52.0, coverage=0.9)
        proxy = write_scores(scores / "proxy.json", (90, 60, 30), left_out=62.0, coverage=0.95)
    else:
        seed, proxy = (no_scores(scores / name) for name in ("seed.json", "proxy.json"))
    rounds = [scores / "round1.json", scores / "round2.json"]
    for number, path in enumerate(rounds):
        if masks and val:
            write_scores(path, (90, 60 + number, 40), split="val", photographs=val)
        else:
            no_scores(path, "val")
    return ["--seed-scores", seed, "--proxy-scores", proxy, "--val-scores", *rounds]


def report_colours(folder):
    """Check that the report is whole; return the number of colours of its pictures."""
    assert {path.name for path in folder.iterdir()} == REPORT
    return {path.stem: colours(path) for path in folder.glob("*.png")}


def test_report(tmp_path):
    run_well("draw_report", *write_run(tmp_path))
    pictures = report_colours(tmp_path / "report")
    assert min(pictures.values()) > 20
    assert min(pictures[name] for name in ("examples_train", "examples_val", "best_worst")) > 1000
    assert rows_of(tmp_path / "report" / "summary.csv") == [
        [
            "stage",
            "split",
            "mAP",
            "mIoU (void as background)",
            "mIoU (void left out)",
            "coverage",
            "photographs with masks",
        ],
        ["classifier", "val", "91.3", "", "", "", ""],
        ["seed masks of blocks.5.1", "train", "", "50.0", "52.0", "0.900", "2"],
        ["proxy masks of blocks.5.1, after CRF", "train", "", "60.0", "62.0", "0.950", "2"],
        ["segmenter, round 1", "val", "", "63.3", "63.3", "1.000", "3"],
        ["segmenter, round 2", "val", "", "63.7", "63.7", "1.000", "3"],
    ]
    lines = table_lines(tmp_path / "report" / "summary.md")
    assert lines[-1] == "| segmenter, round 2 | val |  | 63.7 | 63.7 | 1.000 | 3 |"


def test_report_without_masks(tmp_path):
    run_well("draw_report", *write_run(tmp_path, masks=False))
    assert min(report_colours(tmp_path / "report").values()) > 5
    rows = rows_of(tmp_path / "report" / "summary.csv")
    assert rows[-1] == ["segmenter, round 2", "val", "", "", "", "", "0"]
    text = (tmp_path / "report" / "summary.md").read_text(encoding="utf-8")
    assert "no photograph of train has a true mask" in text
    assert "no photograph of val has a true mask" in text


def test_report_without_val(tmp_path):
    run_well("draw_report", *write_run(tmp_path, val=0))
    assert report_colours(tmp_path / "report")["examples_val"] > 5
    for name in ("examples_val", "best_worst"):
        with Image.open(tmp_path / "report" / f"{name}.png") as image:
            assert image.size == (910, 260), "a message"


@pytest.mark.parametrize(("val", "blocks"), [(1, ["best of val"]), (3, ["best of val", "worst of val"])])
def test_the_best_and_the_worst_are_named_as_such(tmp_path, val, blocks):
    write_run(tmp_path, val=val)
    index, truths = read_index(tmp_path / "index"), read_truths([tmp_path / "true" / "val"])
    folders = [tmp_path / "predictions" / f"shard-{n}" for n in (0, 1)]
    figure = draw_report.figures_of_val(index, truths, folders)["best_worst"]
    words = [text.get_text() for text in figure.texts]
    assert [text for text in words if text.endswith("of val")] == blocks
    ranks = [text.split("rank ")[1] for text in words if "rank" in text]
    assert ranks == [f"{place} of {val}" for place in ((1,) if val == 1 else (1, 2, 3))]


def test_a_vanished_mask_ends_the_report_before_anything_is_written(tmp_path):
    arguments = write_run(tmp_path)
    (tmp_path / "predictions" / "shard-0" / "v0.png").unlink()
    done = run("draw_report", *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error:")
    assert "v0.png: gone since it was made" in done.stderr
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("name", ["classifier", "precision"])
def test_malformed_inputs_of_the_report_are_told(tmp_path, name):
    arguments = write_run(tmp_path)
    (tmp_path / f"{name}.json").write_text("{}", encoding="utf-8")
    done = run("draw_report", *arguments)
    assert done.returncode == 1
    assert f"{name}.json: not a " in done.stderr
    assert not (tmp_path / "report").exists()
