"""The scripts of tables 1 to 3, from score files to Markdown, CSV, JSON and LaTeX."""

import json
import sys

import pytest

import build_table_1
import build_table_2
import build_table_3
from tagseg.datasets.voc.devkit import VOC_CLASSES
from tagseg.evaluation import paper
from tagseg.evaluation.tables import markdown, read_table
from tagseg.runtime import commandline
from tagseg.storage.index import ImageRecord, Index, write_index

SCRIPTS = {1: build_table_1, 2: build_table_2, 3: build_table_3}
VOC = ("background", *VOC_CLASSES)
OTHER = ("background", "cat", "dog")
CLASSES = {1: VOC, 2: VOC, 3: paper.coco_classes()}


def build(number, folder, classes, scores="scores.json"):
    """Run the script of a table with one row of ours, IoU 60 for each class; return the written table."""
    images = tuple(ImageRecord(f"p{n}", "p.jpg", 1, 1, "train", ()) for n in range(3))
    write_index(folder / "index", Index(classes, images))
    content = {"split": "val", "miou": 60.0, "miou_void_skipped": 60.0, "iou": dict.fromkeys(classes, 60.0)}
    content |= {"images": 1449, "coverage": 1.0, "pixel_accuracy": 50.0, "confusion": [[0]]}
    (folder / "scores.json").write_text(json.dumps(content), encoding="utf-8")
    row = {"name": "ours", "val" if number == 2 else "scores": str(folder / scores)}
    line = ["--index", folder / "index", "--settings", json.dumps({"rows": [row]})]
    for name in ("markdown", "csv", "json", "latex"):
        line += [f"--{name}", folder / f"t.{name}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["script", *map(str, line)])
        commandline.run(SCRIPTS[number].main)
    table = read_table(folder / "t.json")
    assert (folder / "t.markdown").read_text(encoding="utf-8") == markdown(table)
    assert "\\begin{table}" in (folder / "t.latex").read_text(encoding="utf-8")
    return table


@pytest.mark.parametrize("number", SCRIPTS)
def test_our_scores_are_in_the_table(tmp_path, number):
    table = build(number, tmp_path, CLASSES[number])
    assert any("60.0" in row for row in table.text())
    notes = " ".join(table.notes)
    assert ("over 1,449 images, the paper's over 5,000" in notes) == (number == 3)
    assert ("snakemake submission" in notes) == (number == 2)


def test_table_2_inserts_our_row_by_its_score(tmp_path):
    lines = build(2, tmp_path, VOC).text()
    # 60.0 is between AffinityNet's 58.4 and SeeNet's 61.1.
    assert lines[15] == ["class labels", "ours", "this run", "3", "60.0", ""]
    assert [lines[number][1] for number in (14, 16)] == ["AffinityNet", "SeeNet"]


@pytest.mark.parametrize("number", [2, 3])
def test_our_cells_are_empty_for_other_classes(tmp_path, number):
    table = build(number, tmp_path, OTHER)
    assert not any("60.0" in row for row in table.text()) and "other classes" in table.notes[-1]


@pytest.mark.parametrize("number", SCRIPTS)
def test_missing_scores_are_named(tmp_path, number):
    with pytest.raises(SystemExit, match=r"gone\.json: no such file"):
        build(number, tmp_path, CLASSES[number], scores="gone.json")
