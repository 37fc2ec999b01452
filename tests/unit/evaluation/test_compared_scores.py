"""The scripts that score masks and that compare scores: seeds, upper bound, the paper's tables 1 to 3."""

import json

import numpy as np
import pytest
from PIL import Image

import build_table_1
import build_table_2
import build_table_3
import compare_seeds
import compare_upper_bound
import copy_ground_truth
import score_masks
from helpers import image_rows, read_csv, run_script
from small_results import CLASSES, write_scores
from tagseg.datasets.voc.devkit import VOC_CLASSES
from tagseg.evaluation import paper
from tagseg.evaluation.tables import markdown, read_table
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import digest
from tagseg.storage.ground_truth import write_ground_truth
from tagseg.storage.images import write_mask
from tagseg.storage.index import ImageRecord, Index, write_index
from tagseg.storage.mask_shards import read_mask_shards, write_mask_shard


def scored(path, *iou, **content):
    return write_scores(path, dict(zip(CLASSES, iou, strict=True)), **content)


def run(folder, script, *line, names=("markdown", "csv", "json")):
    """Run a script; return the rows of its CSV and its Markdown."""
    run_script(script, *line, *(part for name in names for part in (f"--{name}", folder / f"t.{name}")))
    return read_csv(folder / "t.csv"), (folder / "t.markdown").read_text(encoding="utf-8")


def test_seeds(tmp_path):
    seeds = ["--seeds", "blocks.5.0", "cam", "--plot", tmp_path / "plot.png", "--seed-scores"]
    before = [scored(tmp_path / "b0", 80, 50, 20), scored(tmp_path / "b1", 70, 30, 5)]
    after = [
        scored(tmp_path / "a0", 90, 60, 30.06, miou_void_skipped=61.5, coverage=0.91234),
        scored(tmp_path / "a1", 85, 65, None),
    ]
    rows, text = run(tmp_path, compare_seeds, *seeds, *before, "--proxy-scores", *after)
    crf = "mIoU after CRF (void as background)", "mIoU after CRF (void skipped)"
    assert list(rows[0]) == ["seed", "mIoU before CRF", *crf, "coverage", *CLASSES]
    assert [list(row.values()) for row in rows] == [
        ["blocks.5.0", "50.0", "60.0", "61.5", "0.912", "90.0", "60.0", "30.1"],
        ["cam", "35.0", "75.0", "75.0", "1.000", "85.0", "65.0", ""],
    ]
    assert "| cam | 35.0 | **75.0** | **75.0** | 1.000 | 85.0 | **65.0** |  |" in text
    with Image.open(tmp_path / "plot.png") as image:
        assert image.format == "PNG"
    files = [scored(tmp_path / name, 1, 1, 1, split="train", images=0) for name in "ab"]
    rows, text = run(tmp_path, compare_seeds, *seeds, *files, "--proxy-scores", *files)
    assert [set(row.values()) for row in rows] == [{"blocks.5.0", ""}, {"cam", ""}]
    assert "no image of train has ground truth" in text and "SegmentationClass/<stem>.png" in text


@pytest.mark.parametrize("images", [1449, 0])
def test_upper_bound(tmp_path, images):
    ours = scored(tmp_path / "ours", 90, 40, 20, images=images)
    truth = scored(tmp_path / "truth", 90, 60, 0, images=images)
    rows, text = run(tmp_path, compare_upper_bound, "--ours", ours, "--truth", truth)
    expected = {"background": (90.0, 90.0, "1.000"), "cat": (40.0, 60.0, "0.667"), "dog": (20.0, 0.0, "")}
    expected["mean"] = (50.0, 50.0, "1.000")
    assert list(rows[0]) == ["class", "tags alone", "ground truth", "ratio"]
    assert {row.pop("class"): list(row.values()) for row in rows} == {
        name: list(map(str, row)) if images else [""] * 3 for name, row in expected.items()
    }
    assert ("no image of val has ground truth" in text) == (not images)


def test_the_mean_of_the_upper_bound_is_of_the_classes_that_both_have(tmp_path):
    ours, truth = scored(tmp_path / "ours", 90, 40, 0), scored(tmp_path / "truth", 90, 60, None)
    rows, text = run(tmp_path, compare_upper_bound, "--ours", ours, "--truth", truth)
    assert list(rows[-1].values()) == ["mean", "65.0", "75.0", "0.867"]
    assert "The mean is without dog, for lack of ground truth." in text


SCRIPTS = {1: build_table_1, 2: build_table_2, 3: build_table_3}
VOC = ("background", *VOC_CLASSES)
CLASSES_OF = {1: VOC, 2: VOC, 3: paper.coco_classes()}


def build(number, folder, classes, scores="scores.json"):
    """Run the script of a table with one row of ours, IoU 60 for each class; return the written table."""
    images = tuple(ImageRecord(f"p{n}", "p.jpg", 1, 1, "train", ()) for n in range(3))
    write_index(folder / "index", Index(classes, images))
    write_scores(folder / "scores.json", dict.fromkeys(classes, 60.0))
    row = {"name": "ours", "val" if number == 2 else "scores": str(folder / scores)}
    line = ["--index", folder / "index", "--settings", {"rows": [row]}]
    _, text = run(folder, SCRIPTS[number], *line, names=("markdown", "csv", "json", "latex"))
    table = read_table(folder / "t.json")
    assert text == markdown(table) and "\\begin{table}" in (folder / "t.latex").read_text(encoding="utf-8")
    return table


@pytest.mark.parametrize("number", SCRIPTS)
def test_our_scores_are_in_the_papers_table(tmp_path, number):
    table = build(number, tmp_path, CLASSES_OF[number])
    assert any("60.0" in row for row in table.text())
    notes = " ".join(table.notes)
    assert ("over 1,449 images, the paper's over 5,000" in notes) == (number == 3)
    assert ("snakemake submission" in notes) == (number == 2)
    if number != 1:
        table = build(number, tmp_path, CLASSES)
        assert not any("60.0" in row for row in table.text()) and "other classes" in table.notes[-1]
    with pytest.raises(TagsegError, match=r"gone\.json: no such file"):
        build(number, tmp_path, CLASSES_OF[number], scores="gone.json")
    lines = build(2, tmp_path, VOC).text()
    assert lines[15] == ["class labels", "ours", "this run", "3", "60.0", ""]
    assert [lines[number][1] for number in (14, 16)] == ["AffinityNet", "SeeNet"]  # of 58.4 and 61.1


NAMES = "012"


def halves(label):
    mask = np.zeros((8, 12), np.uint8)
    mask[:, 6:] = label
    return mask


@pytest.fixture
def made(tmp_path):
    """A folder with an index, masks in two shards and ground truth: 0 is right, 1 is not, 2 has no truth."""
    rows = image_rows(tmp_path / "images", 3, tags=("cat",))
    write_index(tmp_path / "index", Index(CLASSES, tuple(rows)))
    for shard, names in enumerate((NAMES[::2], NAMES[1::2])):
        write_mask_shard(tmp_path / "masks" / str(shard), [(name, halves(1)) for name in names])
    for name, label in zip(NAMES, (1, 2), strict=False):
        write_mask(tmp_path / f"{name}.png", halves(label))
    write_ground_truth(tmp_path / "true", {name: str(tmp_path / f"{name}.png") for name in NAMES[:2]})
    return tmp_path


def call(script, folder, *arguments):
    run_script(script, "--index", folder / "index", "--ground-truth", folder / "true", *arguments)


def score(folder):
    masks = ["--masks", folder / "masks" / "0", folder / "masks" / "1"]
    call(score_masks, folder, "--split", "train", *masks, "--scores", folder / "scores.json")
    return json.loads((folder / "scores.json").read_text())


def test_masks_are_scored_against_ground_truth(made):
    scores = score(made)
    assert scores["images"] == 2 and scores["iou"] == {"background": 100, "cat": 50, "dog": 0}
    assert set(scores["provenance"]) == {"index", "ground_truth", "masks", "code"}
    assert scores["provenance"]["ground_truth"] == digest(made / "true" / "masks.csv")
    write_ground_truth(made / "true", {})
    assert score(made)["images"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "true" / "masks.csv").unlink(), r"masks\.csv: no such file"),
        (lambda folder: (folder / "1.png").unlink(), r"1\.png: no such image"),
        (lambda folder: write_mask(folder / "1.png", halves(1)[1:]), r"1\.png: .*\(7, 12\) .*Fix the mask"),
        (lambda folder: write_mask(folder / "1.png", halves(3)), r"1\.png: label 3, but"),
    ],
)
def test_unusable_ground_truth_is_named(made, change, message):
    change(made)
    with pytest.raises(TagsegError, match=message):
        score(made)
    assert not (made / "scores.json").exists()


def test_masks_of_the_upper_bound_are_copies_of_ground_truth(made):
    copied = []
    for shard in (0, 1):
        folder = made / "copied" / str(shard)
        call(copy_ground_truth, made, "--shard", shard, "--shards", 2, "--masks", folder)
        copied.append(read_mask_shards([folder]))
    assert [set(masks) for masks in copied] == [{"0"}, {"1"}]
    assert np.array_equal(copied[1]["1"].read(), halves(2))
