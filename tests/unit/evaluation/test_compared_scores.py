"""The scripts that compare the scores of seeds, and those of the upper bound."""

import csv
import json
import sys
from statistics import mean

import pytest
from PIL import Image

import compare_seeds
import compare_upper_bound
from tagseg.runtime import commandline

CLASSES = ("background", "cat", "dog")


def write_scores(path, *iou, split="val", images=1449, skipped=None, coverage=1.0):
    """Write a score file with the IoU per class; empty without images."""
    iou = [None if value is None or not images else float(value) for value in iou]
    by_class, known = dict(zip(CLASSES, iou, strict=True)), [value for value in iou if value is not None]
    miou = mean(known) if known else 0.0
    content = {"split": split, "miou": miou, "iou": by_class, "coverage": coverage, "images": images}
    content |= {"miou_void_skipped": miou if skipped is None else skipped}
    path.write_text(json.dumps(content | {"pixel_accuracy": 50.0, "confusion": [[0]]}), encoding="utf-8")
    return path


def run(folder, script, *line):
    """Run a script in this process; return the rows of its CSV, header first, and its Markdown."""
    outputs = [part for name in ("markdown", "csv", "json") for part in (f"--{name}", folder / f"t.{name}")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["script", *map(str, (*line, *outputs))])
        commandline.run(script.main)
    with open(folder / "t.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    return rows, (folder / "t.markdown").read_text(encoding="utf-8")


def compare(folder, before, after):
    seeds = ["--seeds", "blocks.5.0", "cam", "--plot", folder / "plot.png"]
    return run(folder, compare_seeds, *seeds, "--seed-scores", *before, "--proxy-scores", *after)


def test_seeds(tmp_path):
    before = [write_scores(tmp_path / "b0", 80, 50, 20), write_scores(tmp_path / "b1", 70, 30, 5)]
    after = [
        write_scores(tmp_path / "a0", 90, 60, 30.06, skipped=61.5, coverage=0.91234),
        write_scores(tmp_path / "a1", 85, 65, None),
    ]
    (header, *rows), markdown = compare(tmp_path, before, after)
    assert header == [
        *("seed", "mIoU before CRF", "mIoU after CRF (void as background)", "mIoU after CRF (void skipped)"),
        *("coverage", *CLASSES),
    ]
    assert rows == [
        ["blocks.5.0", "50.0", "60.0", "61.5", "0.912", "90.0", "60.0", "30.1"],
        ["cam", "35.0", "75.0", "75.0", "1.000", "85.0", "65.0", ""],
    ]
    assert "| cam | 35.0 | **75.0** | **75.0** | 1.000 | 85.0 | **65.0** |  |" in markdown
    with Image.open(tmp_path / "plot.png") as image:
        assert image.format == "PNG"


def test_seeds_without_ground_truth(tmp_path):
    files = [write_scores(tmp_path / name, 1, 1, 1, split="train", images=0) for name in "ab"]
    rows, markdown = compare(tmp_path, files, files)
    assert rows[1:] == [["blocks.5.0", *[""] * 7], ["cam", *[""] * 7]]
    assert "no image of train has ground truth" in markdown and "SegmentationClass/<stem>.png" in markdown


@pytest.mark.parametrize("images", [1449, 0])
def test_upper_bound(tmp_path, images):
    ours = write_scores(tmp_path / "ours", 90, 40, 20, images=images)
    truth = write_scores(tmp_path / "truth", 90, 60, 0, images=images)
    (header, *rows), markdown = run(tmp_path, compare_upper_bound, "--ours", ours, "--truth", truth)
    expected = {"background": (90.0, 90.0, "1.000"), "cat": (40.0, 60.0, "0.667"), "dog": (20.0, 0.0, "")}
    expected["mean"] = (50.0, 50.0, "1.000")
    assert header == ["class", "tags alone", "ground truth", "ratio"]
    assert rows == [[name, *(map(str, row) if images else [""] * 3)] for name, row in expected.items()]
    assert ("no image of val has ground truth" in markdown) == (not images)
