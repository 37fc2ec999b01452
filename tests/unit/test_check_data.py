"""The check of a data set: it tells everything at once, and ends well where something is wrong."""

import csv
import json
import sys

import numpy as np
import pytest

import check_data
from helpers import write_image_set, write_labels, write_photograph, write_voc_photograph, write_zero_mask
from mini_coco import write_mini_coco
from tagseg.datasets.readers import KINDS, Kind
from tagseg.images import write_mask
from tagseg.index import Index, Photograph

COCO = {"crowd": True, "counts_known": False}
SIZES = {"a": (12, 8), "b": (9, 15), "c": (12, 8), "d": (20, 30)}


@pytest.fixture
def photos(tmp_path):
    """A folder of photographs without a problem; c of val, d of test and without a tag."""
    folder = tmp_path / "photos"
    for name, (width, height) in SIZES.items():
        write_photograph(folder / f"{name}.jpg", width, height)
    write_labels(folder, "a.jpg,cat,train", "b.jpg,cat;dog,train", "c.jpg,dog,val", "d.jpg,,test")
    write_zero_mask(folder / "SegmentationClass" / "c.png")
    return folder


def of_photos(folder):
    photographs = {"random_seed": 0, "val_share": 0.2, "labels": None}
    return settings({"kind": "photos", "root": str(folder)}, photographs, {})


def settings(both, photographs, true_masks):
    return {"photographs": both | photographs, "true_masks": both | true_masks, "splits": ["train", "val"]}


def run_script(monkeypatch, folder, content, threads=2):
    """Return the lines of the report and the rows of the problems."""
    report, problems = folder / "report.md", folder / "problems.csv"
    arguments = ["--settings", json.dumps(content), "--report", report, "--problems", problems]
    arguments += ["--threads", threads]
    monkeypatch.setattr(sys, "argv", ["check_data.py", *map(str, arguments)])
    check_data.main()
    assert {path.name for path in folder.iterdir()} == {"report.md", "problems.csv"}
    with open(problems, newline="", encoding="utf-8") as stream:
        return report.read_text(encoding="utf-8").splitlines(), list(csv.DictReader(stream))


def test_a_sound_data_set_is_counted(tmp_path, photos, monkeypatch, capsys):
    lines, problems = run_script(monkeypatch, tmp_path / "new" / "report", of_photos(photos))
    assert problems == [] and lines[0] == f"# Data set `{photos}`" and "No problems." in lines
    tables = [line for line in lines if line.startswith("|") and ":--" not in line]
    assert tables == [
        "| split | photographs | without a tag | tags a photograph | true masks | width | height |",
        "| train | 2 | 0 | 1.500 | 0 | 9 to 12 | 8 to 15 |",
        "| val | 1 | 0 | 1.000 | 1 | 12 to 12 | 8 to 8 |",
        "| test | 1 | 1 | 0.000 | 0 | 20 to 20 | 30 to 30 |",
        "| class | train | val | test |",
        "| cat | 2 | 0 | 0 |",
        "| dog | 1 | 1 | 0 |",
    ]
    assert "no problems; see " in capsys.readouterr().err


def test_pictures_of_our_own_results_are_not_looked_at(tmp_path, monkeypatch):
    for name in ("cat/1.jpg", "dog/2.jpg", "results/photos/report/figure.png"):
        write_photograph(tmp_path / name)
    lines, problems = run_script(monkeypatch, tmp_path / "results/photos/data_report", of_photos(tmp_path))
    assert problems == [] and not any("results" in line for line in lines if line.startswith("|"))


def test_all_problems_of_an_index_that_cannot_be_built(tmp_path, photos, monkeypatch, capsys):
    write_labels(photos, "a.jpg,cat,train", "b.jpg,cat,nowhere", "x.jpg,cat,train", "c.jpg,dog,val")
    (photos / "a.jpg").write_bytes(b"\xff\xd8\xff")
    lines, problems = run_script(monkeypatch, tmp_path / "report", of_photos(photos))
    assert [row["line"] for row in problems] == ["2", "3", "4"]
    assert lines.count("3 problems.") == 1 and sum(line.startswith("    ") for line in lines) == 3
    assert not any(line.startswith("|") for line in lines)
    assert "3 problems; see " in capsys.readouterr().err


def test_a_data_set_that_is_not_there_is_a_problem_too(tmp_path, monkeypatch):
    _, problems = run_script(monkeypatch, tmp_path / "report", of_photos(tmp_path / "nowhere"))
    assert len(problems) == 1 and "nowhere: no such folder" in problems[0]["problem"]


def write_devkit(folder):
    for name in ("good", "half", "wrong", "label", "size"):
        write_voc_photograph(folder, name, "dog", width=40, height=30)
    write_image_set(folder, "train", "good", "half", "wrong")
    write_image_set(folder, "val", "label", "size")
    (folder / "classes.txt").write_text("dog\ncat\n")
    lists = {"train_list": "train", "val_list": "val", "test_list": None, "difficult": True}
    return settings({"kind": "demo", "root": str(folder)}, lists, {})


def test_sizes_that_the_photographs_do_not_have(tmp_path, monkeypatch):
    """Those of COCO are taken from the annotations."""
    write_mini_coco(tmp_path / "coco")
    path = write_photograph(tmp_path / "coco/train2017/000000000001.jpg", 30, 20)
    content = settings({"kind": "coco", "root": str(tmp_path / "coco")}, COCO, {})
    lines, problems = run_script(monkeypatch, tmp_path / "report", content)
    text = "30x20 pixels, where the data set says 48x36; replace the photograph"
    assert [(row["place"], row["problem"]) for row in problems] == [(str(path), text)]
    assert "| train | 7 | 1 | 1.286 | 6 | 48 to 48 | 36 to 36 |" in lines


def test_sizes_that_the_masks_do_not_have(tmp_path, monkeypatch):
    row = Photograph("a", str(write_photograph(tmp_path / "a.jpg", 12, 8)), 12, 8, "train", ("dog",))
    mask = write_zero_mask(tmp_path / "a.png", 8, 12)
    index = Index(("background", "dog"), (row,))
    kind = Kind(lambda root, reading: index, (), lambda root, index, split, folder: {"a": str(mask)}, ())
    monkeypatch.setitem(KINDS, "told", kind)
    content = settings({"kind": "told", "root": str(tmp_path)}, {}, {}) | {"splits": ["train"]}
    _, problems = run_script(monkeypatch, tmp_path / "report", content, threads=1)
    text = "8x12 pixels, where the photograph has 12x8; replace the mask"
    assert [(row["place"], row["problem"]) for row in problems] == [(str(mask), text)]


@pytest.mark.parametrize(
    ("share", "rest"), [(0.25, "a run leaves them out"), (0.2, "a run ends at the index")]
)
def test_unreadable_photographs_are_counted_and_the_others_reported(
    tmp_path, photos, monkeypatch, share, rest
):
    (photos / "a.jpg").write_bytes(b"")
    content = of_photos(photos)
    content["photographs"]["unreadable_share"] = share
    lines, problems = run_script(monkeypatch, tmp_path / "report", content)
    told = f"1 of 4 photographs cannot be read; with `dataset.unreadable_share: {share}`, {rest}."
    assert told in lines and "| train | 1 | 0 | 2.000 | 0 | 9 to 9 | 15 to 15 |" in lines
    assert [row["line"] for row in problems] == ["2"] and "a.jpg: not a readable" in problems[0]["problem"]


@pytest.mark.parametrize("threads", [1, 2])
def test_photographs_and_masks_are_read_to_the_last_pixel(tmp_path, monkeypatch, threads):
    """What the headers of the files do not show: half a photograph, half a mask, a label of no class."""
    content = write_devkit(tmp_path / "devkit")
    photograph, masks = tmp_path / "devkit/JPEGImages/half.jpg", tmp_path / "devkit/SegmentationClass"
    photograph.write_bytes(photograph.read_bytes()[:-300])
    (masks / "wrong.png").write_bytes((masks / "wrong.png").read_bytes()[:-30])
    write_mask(masks / "label.png", np.full((30, 40), 3, np.uint8))
    lines, problems = run_script(monkeypatch, tmp_path / "report", content, threads)
    told = {row["place"].rpartition("/")[2]: row["problem"].split(" ")[0] for row in problems}
    assert told == {"": "no", "half.jpg": "damaged", "wrong.png": "damaged", "label.png": "label"}
    assert "no train photograph of cat" in problems[0]["problem"]
    assert "| train | 2 | 0 | 1.000 | 2 | 40 to 40 | 30 to 30 |" in lines
    assert "1 of 5 photographs cannot be read" in " ".join(lines)


def test_masks_of_one_split_that_cannot_be_collected_leave_the_other(tmp_path, monkeypatch):
    content = write_devkit(tmp_path / "devkit")
    (tmp_path / "devkit/classes.txt").write_text("dog\n")
    write_zero_mask(tmp_path / "devkit/SegmentationClass/size.png", 4, 3)
    lines, problems = run_script(monkeypatch, tmp_path / "report", content)
    assert [row["problem"].split(" ")[0] for row in problems] == ["4x3"]
    assert "| train | 3 | 0 | 1.000 | 3 | 40 to 40 | 30 to 30 |" in lines
    assert "| val | 2 | 0 | 1.000 | 0 | 40 to 40 | 30 to 30 |" in lines


def test_many_problems_are_in_the_table_all_and_in_the_report_the_first(tmp_path, photos, monkeypatch):
    write_labels(photos, *[f"x{number}.jpg,cat,train" for number in range(230)])
    lines, problems = run_script(monkeypatch, tmp_path / "report", of_photos(photos))
    assert len(problems) == 230 and sum(line.startswith("    ") for line in lines) == 200
    assert "and 30 more, which are in problems.csv." in lines
