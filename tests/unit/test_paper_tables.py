"""The paper's numbers are checked against what the paper says of them, and the tables against a slow copy."""

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import mean

import pytest

import build_table_1
import build_table_2
import build_table_3
from tagseg import paper
from tagseg.datasets.coco import PUBLISHED, PUBLISHED_CLASSES
from tagseg.datasets.voc import PUBLISHED_PHOTOGRAPHS, TRAINAUG, VOC_CLASSES
from tagseg.errors import TagsegError
from tagseg.index import Index, Photograph, check_class_names, write_index
from tagseg.metrics import Scores
from tagseg.tables import ScoreFile

SCRIPTS = Path(build_table_1.__file__).parent
VOC = ("background", *VOC_CLASSES)
OTHER = ("background", "cat", "dog")
PRINTED_TO = 0.1  # percent


# ---------------------------------------------------------------------------------- the paper's numbers


def test_table_1_is_of_voc_and_its_means_are_those_of_its_classes_but_one():
    rows = {row.name: row for row in paper.table_1()}
    assert list(rows) == ["C43", "C42", "C41", "C41 + Retrain"]
    assert all(tuple(row.iou) == VOC == paper.voc_classes() for row in rows.values())
    off = {name: mean(row.iou.values()) - row.miou for name, row in rows.items()}
    assert {name for name in off if abs(off[name]) > PRINTED_TO} == {"C41 + Retrain"}
    assert mean(rows["C41 + Retrain"].iou.values()) == pytest.approx(64.62, abs=0.005)


def test_table_1_is_what_the_text_says_of_it():
    c43, c42, c41, retrained = (row.miou for row in paper.table_1())
    assert (c43, c41, retrained) == (46.0, 60.3, 64.5)
    assert c42 - c43 == pytest.approx(6.4)
    last = paper.table_1()[-1].iou
    assert [last[name] for name in ("aeroplane", "diningtable", "motorbike", "tvmonitor")] == [
        64.1,
        40.8,
        76.0,
        58.3,
    ]


def test_table_2_has_three_groups_and_the_gaps_of_the_paper():
    rows = paper.table_2()
    groups = Counter(row.supervision for row in rows)
    assert groups == {"scribbles": 1, "box": 2, paper.WITH_LABELS_ALONE: 17}
    assert len({row.name for row in rows}) == len(rows)
    assert all(row.val is not None and row.train_set for row in rows)
    assert [row.name for row in rows if row.test is None] == [
        "Scribblesup",
        "Box-driven",
        "Luo & Yang (VGG16)",
    ]


def test_table_2_agrees_with_the_text_and_with_table_1():
    rows = {row.name: row for row in paper.table_2()}
    ours = rows["Luo & Yang (ResNet101)"]
    assert (ours.val, ours.test) == (64.5, 64.6)
    assert ours.val == paper.table_1()[-1].miou
    of_labels = [row for row in rows.values() if row.supervision == paper.WITH_LABELS_ALONE]
    assert max(of_labels, key=lambda row: row.val) is ours
    assert rows["SEC"] == paper.Method(
        "class labels", "SEC", "Kolesnikov and Lampert 2016", "10k", 50.7, 51.7
    )


def test_table_3_has_cocos_classes_by_supercategory():
    rows = paper.table_3().classes
    assert len(rows) == len(paper.coco_classes()) == PUBLISHED_CLASSES + 1 == 81
    assert rows[0].name == "background"
    check_class_names(paper.coco_classes()[1:], "table3.csv")
    assert Counter(row.category for row in rows) == {
        **{"Background": 1, "Person": 1, "Vehicle": 8, "Outdoor": 5, "Animal": 10, "Accessory": 5},
        **{"Sport": 10, "Kitchenware": 7, "Food": 10, "Furniture": 6, "Electronics": 6},
        **{"Appliance": 5, "Indoor": 7},
    }


def test_the_means_of_table_3_are_those_of_its_classes_but_dsrgs():
    table = paper.table_3()
    columns = {name: [row.iou[name] for row in table.classes] for name in table.means}
    known = {name: [iou for iou in column if iou is not None] for name, column in columns.items()}
    off = {name: mean(known[name]) - table.means[name] for name in known}
    assert {name for name in off if abs(off[name]) > PRINTED_TO} == {"DSRG"}
    assert mean(known["SEC"]) == pytest.approx(22.40, abs=0.005)
    assert mean(known["Luo & Yang"]) == pytest.approx(29.93, abs=0.005)
    # What DSRG's person, the one empty cell, would have to be for the mean that is printed.
    assert 81 * table.means["DSRG"] - sum(known["DSRG"]) == pytest.approx(53.8, abs=0.05)
    assert [(name, row.name) for row in table.classes for name in row.iou if row.iou[name] is None] == [
        ("DSRG", "person")
    ]


def test_table_3_is_what_the_text_says_of_it():
    table = paper.table_3()
    assert table.means["Luo & Yang"] - table.means["DSRG"] == pytest.approx(3.9)
    assert {row.name for row in table.classes if row.iou["Luo & Yang"] == 0} == {
        *("backpack", "handbag", "baseball bat", "baseball glove", "fork", "spoon", "mouse", "toaster"),
        "hair drier",
    }
    by_name = {row.name: tuple(row.iou.values()) for row in table.classes}
    assert by_name["banana"] == (43.6, 46.4, 52.0)
    assert by_name["frisbee"] == (12.3, 13.0, 23.2)
    assert by_name["bottle"] == (13.2, 22.3, 28.4)
    assert by_name["toothbrush"] == (2.8, 2.0, 11.1)


def test_the_sets_are_those_that_the_adapters_know():
    assert paper.VOC_PHOTOGRAPHS.items() <= PUBLISHED_PHOTOGRAPHS.items()
    assert PUBLISHED_PHOTOGRAPHS[TRAINAUG] == paper.TRAINAUG_PHOTOGRAPHS
    assert PUBLISHED["val"] == paper.COCO_VAL_PHOTOGRAPHS


READERS = {"table1.csv": paper.table_1, "table2.csv": paper.table_2, "table3.csv": paper.table_3}


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("table1.csv", "46.0", "46,0", "cells too many or too few"),
        ("table1.csv", "46.0", "", "an empty cell where the paper has a number"),
        ("table1.csv", "46.0", "x", "'x' is no percentage"),
        ("table1.csv", "46.0", "nan", "'nan' is no percentage"),
        ("table1.csv", "features,", "block,", "no rows, or not the columns features"),
        ("table2.csv", "64.6", "646", "'646' is no percentage"),
        ("table2.csv", "49.8", "-1", "'-1' is no percentage"),
        ("table3.csv", "DSRG", "other", "no rows, or not the columns category, class"),
        ("table3.csv", "mean IoU", "mean", "the last row is of 'mean', not of 'mean IoU'"),
        ("table3.csv", "29.9\n", "\n", "an empty cell where the paper has a number"),
    ],
)
def test_an_edited_number_that_is_none_is_told(tmp_path, name, old, new, message):
    text = (paper.FOLDER / name).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(TagsegError, match=message) as raised:
        READERS[name](tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)
    assert "restore the file" in str(raised.value)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_a_missing_or_broken_table_is_told(tmp_path, content):
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    for read in READERS.values():
        with pytest.raises(TagsegError, match="t.csv: .*restore the file"):
            read(tmp_path / "t.csv")


# ------------------------------------------------------------------------------------------ the scripts


def write_scores(path, classes, first=40.0, split="val", photographs=1449):
    """Write a score file: the IoU of class n is `first` + n / 2; nothing where there are no photographs."""
    iou = {name: first + n / 2 if photographs else None for n, name in enumerate(classes)}
    miou = mean(iou.values()) if photographs else 0.0
    content = {
        **{"split": split, "miou": miou, "miou_void_left_out": miou, "iou": iou, "pixel_accuracy": 50.0},
        **{"coverage": 1.0, "photographs": photographs, "confusion": [[0]]},
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def write_classes(folder, classes, train=3):
    rows = tuple(Photograph(f"p{n:05}", "p.jpg", 1, 1, "train", ()) for n in range(train))
    write_index(folder / "index", Index(tuple(classes), rows))
    return folder / "index"


def build(number, folder, index, **settings):
    """Run a table's script; return the finished process."""
    outputs = [part for name in ("markdown", "csv", "latex") for part in (f"--{name}", folder / f"t.{name}")]
    command = [sys.executable, SCRIPTS / f"build_table_{number}.py", "--index", index]
    command += ["--settings", json.dumps(settings), *outputs]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env=environment
    )
    assert "Traceback" not in done.stderr
    return done


def built(number, folder, index, **settings):
    """Run a table's script; return its rows, header first, and its Markdown."""
    done = build(number, folder, index, **settings)
    assert done.returncode == 0, done.stderr
    latex = (folder / "t.latex").read_text(encoding="utf-8")
    assert latex.count("\\begin{table}") == latex.count("\\end{table}") == 1
    with open(folder / "t.csv", newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream)), (folder / "t.markdown").read_text(encoding="utf-8")


def refused(number, folder, index, **settings):
    """Run a table's script, which has to fail; return the error; nothing may have been written."""
    done = build(number, folder, index, **settings)
    assert done.returncode == 1
    assert not list(folder.glob("t.*"))
    return done.stderr


def of_block(name, scores=None, paper_name=None):
    return {"name": name, "paper": paper_name or name, "scores": scores}


def test_table_1_sets_number_beside_number(tmp_path):
    index = write_classes(tmp_path, VOC)
    low, high = (write_scores(tmp_path / name, VOC, first) for name, first in (("low", 40), ("high", 50)))
    rows = [
        {"name": "CAM", "paper": None, "scores": low},
        of_block("C42", high),
        of_block("C41 + retrain"),
        of_block("C42 + retrain", low),
    ]
    (header, *lines), markdown = built(1, tmp_path, index, rows=rows)
    assert header == ["features", "by", *VOC, "mIoU"]
    assert [line[:2] for line in lines] == [
        ["CAM", "tagseg"],
        ["C42", "Luo & Yang"],
        ["C42", "tagseg"],
        ["C41 + retrain", "Luo & Yang"],
        ["C41 + retrain", "tagseg"],
        ["C42 + retrain", "tagseg"],
    ]
    assert lines[0][2:5] == ["40.0", "40.5", "41.0"] and lines[0][-1] == "45.0"
    assert lines[1][2:5] == ["80.8", "43.0", "31.0"] and lines[1][-1] == "52.4"
    assert lines[3][-1] == "64.5" and lines[4][2:] == [""] * 22
    assert "trains what they need" in markdown and "Not comparable" not in markdown


def test_the_best_of_table_1_is_ours(tmp_path):
    index = write_classes(tmp_path, VOC)
    files = [write_scores(tmp_path / name, VOC, first) for name, first in (("a", 1.0), ("b", 2.0))]
    rows = [of_block(name, file) for name, file in zip(("C43", "C42"), files, strict=True)]
    markdown = built(1, tmp_path, index, rows=rows)[1]
    bold = [line.count("**") // 2 for line in markdown.splitlines() if line.startswith("| C4")]
    assert bold == [0, 0, 0, 22]


def test_table_1_of_other_classes_has_our_rows_alone(tmp_path):
    index = write_classes(tmp_path, OTHER)
    rows = [
        of_block("blocks.6", write_scores(tmp_path / "a", OTHER, photographs=7)),
        of_block("C41", write_scores(tmp_path / "b", OTHER, photographs=0)),
    ]
    (header, *lines), markdown = built(1, tmp_path, index, rows=rows)
    assert header == ["features", "by", *OTHER, "mIoU"]
    assert lines == [["blocks.6", "tagseg", "40.0", "40.5", "41.0", "40.5"], ["C41", "tagseg", *[""] * 4]]
    assert "paper's rows are left out" in markdown and "Not comparable" not in markdown
    assert "no photograph of val has a true mask" in markdown and "trains what" not in markdown


def test_table_1_of_few_photographs_says_so(tmp_path):
    index = write_classes(tmp_path, VOC)
    rows = [of_block("C41", write_scores(tmp_path / "a", VOC, photographs=12))]
    assert "numbers of val are over 12 photographs, the paper's over 1,449" in built(
        1, tmp_path, index, rows=rows
    )[1].replace("tagseg's ", "")


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"classes": OTHER}, "scores of val, 3 classes, where those of val in the index's 21"),
        ({"split": "train"}, "scores of train, 21 classes, where those of val"),
        ({"classes": VOC[::-1]}, "score the masks again"),
        ({"photographs": 1000}, "over 1000 and 1449 photographs"),
    ],
)
def test_scores_of_something_else_are_refused(tmp_path, scores, message):
    index = write_classes(tmp_path, VOC)
    good = write_scores(tmp_path / "good", VOC)
    bad = write_scores(tmp_path / "bad", **({"classes": VOC} | scores))
    error = refused(1, tmp_path, index, rows=[of_block("C43", good), of_block("C42", bad)])
    assert message in error


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_missing_score_file_or_index_is_told(tmp_path, number):
    classes = {1: VOC, 2: VOC, 3: paper.coco_classes()}[number]
    gone = str(tmp_path / "gone.json")
    settings = {
        1: {"rows": [of_block("C43", gone)]},
        2: {"rows": [{"name": "tagseg", "val": gone, "test": None}]},
        3: {"scores": gone},
    }[number]
    assert "gone.json: no such file" in refused(
        number, tmp_path, write_classes(tmp_path, classes), **settings
    )
    assert "classes.csv: no such file" in refused(number, tmp_path, tmp_path / "none", **settings)


def row_2(name, val=None, test=None):
    return {"name": name, "val": val, "test": test}


def test_table_2_keeps_the_papers_rows_and_places_ours(tmp_path):
    index = write_classes(tmp_path, VOC, paper.TRAINAUG_PHOTOGRAPHS)
    # 55.0 + 5.0, the mean of n / 2: 60.0 is between AffinityNet's 58.4 and SeeNet's 61.1.
    val = write_scores(tmp_path / "val", VOC, 55.0)
    test = write_scores(tmp_path / "test", VOC, 54.0, split="test", photographs=1456)
    rows = [row_2("later"), row_2("tagseg", val, test)]
    (header, *lines), markdown = built(2, tmp_path, index, rows=rows)
    assert header == ["supervision", "method", "reference", "train set", "val", "test"]
    theirs = [line for line in lines if line[2] != "this run"]
    assert [(line[1], line[2]) for line in theirs] == [(row.name, row.reference) for row in paper.table_2()]
    assert lines[15] == ["class labels", "tagseg", "this run", "10k", "60.0", "59.0"]
    assert [lines[number][1] for number in (14, 16)] == ["AffinityNet", "SeeNet"]
    assert lines[-1] == ["class labels", "later", "this run", "10k", "", ""]
    assert "Not comparable" not in markdown and "trains what they need" in markdown
    assert "snakemake submission" in markdown


@pytest.mark.parametrize("val", [0.0, 38.1, 38.2, 51.0, 58.4, 58.9, 60.5, 61.15, 61.2, 64.4, 64.5, 90.0])
def test_ours_stands_after_the_last_that_is_not_better(val):
    """The reference walks down the finished table instead of looking for a place."""
    ours = paper.Method(paper.WITH_LABELS_ALONE, "tagseg", "", "10k", val, None)
    rows = build_table_2.placed([ours], paper.table_2())
    below = rows[rows.index(ours) + 1 :]
    above = [row for row in rows[: rows.index(ours)] if row.supervision == paper.WITH_LABELS_ALONE]
    assert all(row.val > val for row in below if row.train_set == "10k")
    assert all("10k + " in row.train_set or row.train_set == "19k" for row in above[:6])
    assert len(above) == 6 or (above[-1].train_set == "10k" and above[-1].val <= val)
    assert [row for row in rows if row is not ours] == list(paper.table_2())


def test_several_of_ours_stand_from_low_to_high_and_those_not_run_at_the_end():
    scores = {"a": None, "b": 99.0, "c": 98.0, "d": None, "e": 1.0}
    ours = [paper.Method(paper.WITH_LABELS_ALONE, name, "", "10k", val, None) for name, val in scores.items()]
    names = [row.name for row in build_table_2.placed(ours, paper.table_2())]
    assert names[-5:] == ["Luo & Yang (ResNet101)", "c", "b", "a", "d"]
    assert names[names.index("e") + 1] == "EM-Adapt"


def test_the_best_of_table_2_is_among_those_with_class_labels():
    ours = paper.Method(paper.WITH_LABELS_ALONE, "tagseg", "", "10k", 60.0, 70.0)
    table = build_table_2.comparison([ours])
    assert table.best_among == frozenset(range(3, 21))
    assert {table.rows[row][0] for row in table.best_among} == {"class labels"}


def test_table_2_of_other_classes_leaves_our_cells_empty(tmp_path):
    index = write_classes(tmp_path, OTHER)
    rows = [row_2("tagseg", write_scores(tmp_path / "val", OTHER))]
    (_, *lines), markdown = built(2, tmp_path, index, rows=rows)
    assert lines[-1] == ["class labels", "tagseg", "this run", "3", "", ""]
    assert len(lines) == len(paper.table_2()) + 1
    assert "this run has other classes" in markdown and "trains what" not in markdown


def test_table_2_without_masks_or_with_few(tmp_path):
    index = write_classes(tmp_path, VOC)
    none = write_scores(tmp_path / "none", VOC, photographs=0)
    few = write_scores(tmp_path / "few", VOC, 20.0, photographs=5)
    (_, *lines), markdown = built(2, tmp_path, index, rows=[row_2("none", none), row_2("few", few)])
    assert lines[-1][1:] == ["none", "this run", "3", "", ""]
    assert [line for line in lines if line[1] == "few"] == [
        ["class labels", "few", "this run", "3", "25.0", ""]
    ]
    assert "no photograph of val has a true mask" in markdown
    assert "of val are over 5 photographs, the paper's over 1,449" in markdown


def test_table_3_sets_ours_beside_the_papers(tmp_path):
    classes = paper.coco_classes()
    index = write_classes(tmp_path, classes)
    scores = write_scores(tmp_path / "val", classes, 0.0, photographs=5000)
    (header, *lines), markdown = built(3, tmp_path, index, scores=scores)
    assert header == ["category", "class", "SEC", "DSRG", "Luo & Yang", "tagseg"]
    assert [line[1] for line in lines] == [*classes, ""]
    assert lines[:2] == [
        ["Background", "background", "74.3", "80.6", "73.9", "0.0"],
        ["Person", "person", "43.6", "", "48.7", "0.5"],
    ]
    assert lines[-1] == ["mean IoU", "", "22.4", "26.0", "29.9", "20.0"]
    assert "Luo & Yang has 9: backpack, handbag, " in markdown
    assert "tagseg has 1: background." in markdown
    assert "Not comparable" not in markdown


@pytest.mark.parametrize(
    ("classes", "photographs", "note"),
    [
        (OTHER, 9, "this run has other classes"),
        (None, 0, "no photograph of val has a true mask"),
        (None, None, "trains what they need"),
    ],
)
def test_table_3_without_numbers_of_ours(tmp_path, classes, photographs, note):
    classes = classes or paper.coco_classes()
    index = write_classes(tmp_path, classes)
    scores = None if photographs is None else write_scores(tmp_path / "val", classes, photographs=photographs)
    (_, *lines), markdown = built(3, tmp_path, index, scores=scores)
    assert len(lines) == 82 and {line[-1] for line in lines} == {""}
    assert lines[-1][:-1] == ["mean IoU", "", "22.4", "26.0", "29.9"]
    assert note in markdown


def test_a_class_that_does_not_occur_is_an_empty_cell():
    iou = dict.fromkeys(paper.coco_classes(), 50.0) | {"toaster": None, "fork": 0.0}
    table = build_table_3.by_class(Scores(49.0, 49.0, iou, 1.0, 1.0, 9, [[0]]))
    cells = {row[1]: row[-1] for row in table.rows}
    assert (cells["toaster"], cells["fork"], cells[""]) == (None, 0.0, 49.0)
    assert any("tagseg has 1: fork." in note for note in table.notes)


def test_the_order_of_the_indexs_classes_is_kept():
    turned = (VOC[0], *VOC[:0:-1])
    scores = Scores(1.0, 1.0, {name: float(n) for n, name in enumerate(turned)}, 1.0, 1.0, 1449, [[0]])
    table = build_table_1.ablation([of_block("C41")], [ScoreFile("val", scores)], turned)
    theirs, ours = (dict(zip(table.header, row, strict=True)) for row in table.rows)
    assert (theirs["tvmonitor"], ours["tvmonitor"]) == (53.1, 1.0)
    assert (theirs["aeroplane"], ours["aeroplane"]) == (53.7, 20.0)
