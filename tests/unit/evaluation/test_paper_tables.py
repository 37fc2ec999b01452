"""The paper's numbers, checked against its text; its setup; its tables 1 to 3 with our scores in them."""

from collections import Counter
from functools import reduce
from pathlib import Path
from statistics import mean

import pytest
import yaml

import build_table_1
import build_table_2
import build_table_3
from tagseg.datasets.coco.coco import PUBLISHED
from tagseg.datasets.voc.devkit import PUBLISHED_IMAGES, TRAINAUG, VOC_CLASSES
from tagseg.evaluation import paper
from tagseg.evaluation.comparison import TableRow, other_sizes, unscored
from tagseg.evaluation.metrics import Scores
from tagseg.evaluation.scores import ScoreFile
from tagseg.evaluation.tables import markdown

VOC = ("background", *VOC_CLASSES)
COCO = paper.coco_classes()
PRINTED_TO = 0.1  # percent
OVERLAY = Path(__file__).parents[3] / "config/voc2012.yaml"

SETUP = {
    "dataset.train_list": "trainaug", "subsets.cap": 800, "patterns.threshold": "mean", "layer": "C41",
    "ablation.layers": ["C41", "C42", "C43"], "classifier.network.backbone": "resnet101",
    "segmenter.rounds": 2, "segmenter.network.backbone": "resnet101", "segmenter.network.head_dilation": 12,
    "segmenter.network.dropout": 0.5, "segmenter.training.optimizer": "adam",
    "segmenter.training.backbone_lr": 5e-6, "segmenter.training.head_lr": 1e-4,
    "segmenter.training.batch_size": 16, "segmenter.training.epochs": 20,
    "segmenter.training.input_size": 328, "segmenter.inference.sizes": [241, 328, 401],
}  # fmt: skip
"""Settings that the paper names ("Training and Testing Setting", "Ablation Study")."""
OTHER = ("background", "cat", "dog")


def stairs(classes, first=40.0, split="val", images=1449):
    """Return scores with the IoU `first` + n / 2 for class n."""
    iou = {name: first + n / 2 for n, name in enumerate(classes)}
    return ScoreFile(split, Scores(mean(iou.values()), 0.0, iou, 50.0, 1.0, images, [[0]]))


def table_1(rows, files, classes):
    table = build_table_1.ablation([TableRow(name=name, paper=name) for name in rows], files, classes)
    return table.text(), markdown(table)


def test_table_1_compares_with_the_papers_rows():
    rows = ("CAM", "C42", "C41 + retrain", "C42 + retrain")
    lines, text = table_1(rows, [stairs(VOC), stairs(VOC, 50.0), None, stairs(VOC)], VOC)
    assert [line[:2] for line in lines] == [
        ["CAM", "tagseg"],
        *([name, by] for name in ("C42", "C41 + retrain") for by in ("Luo & Yang", "tagseg")),
        ["C42 + retrain", "tagseg"],
    ]
    assert lines[0][2:5] == ["40.0", "40.5", "41.0"] and lines[0][-1] == "45.0"
    assert lines[1][2:5] == ["80.8", "43.0", "31.0"] and lines[1][-1] == "52.4"
    assert lines[3][-1] == "64.5" and lines[4][2:] == [""] * 22
    assert "trains their networks" in text and "Not comparable" not in text
    bold = [line.count("**") // 2 for line in text.splitlines() if line.startswith("| C")]
    assert bold == [0, 0, 22, 0, 0, 0], "the best of ours"


def test_table_1_of_other_classes_has_our_rows_alone_and_the_index_orders_the_classes():
    lines, text = table_1(("blocks.6", "C41"), [stairs(OTHER), stairs(OTHER, images=0)], OTHER)
    assert lines == [["blocks.6", "tagseg", "40.0", "40.5", "41.0", "40.5"], ["C41", "tagseg", *[""] * 4]]
    assert "Without the paper's rows" in text and "Not comparable" not in text
    turned = (VOC[0], *VOC[:0:-1])
    (theirs, ours), _ = table_1(("C41",), [stairs(turned)], turned)
    assert (theirs[3], ours[3]) == ("53.1", "40.5"), "tvmonitor"
    assert (theirs[-2], ours[-2]) == ("53.7", "50.0"), "aeroplane"


def test_notes_explain_empty_cells_and_other_images():
    assert "no image of val has ground truth" in unscored([stairs(VOC, images=0)])[0]
    (note,) = other_sizes([stairs(VOC, images=5), stairs(VOC), None, stairs(VOC, images=0)], paper.VOC_IMAGES)
    assert "of val are over 5 images, the paper's over 1,449" in note


def method(val, name="tagseg"):
    return paper.Method(paper.CLASS_LABELS, name, "", "10k", val, None)


@pytest.mark.parametrize("val", [0.0, 38.1, 38.2, 51.0, 58.4, 60.0, 61.15, 61.2, 64.5, 90.0])
def test_ours_follows_the_last_that_is_no_better(val):
    """The reference walks down the finished table."""
    ours = method(val)
    rows = build_table_2.merged([ours], paper.table_2())
    below = rows[rows.index(ours) + 1 :]
    above = [row for row in rows[: rows.index(ours)] if row.supervision == paper.CLASS_LABELS]
    assert all(row.val > val for row in below if row.train_set == "10k")
    assert len(above) == 6 or (above[-1].train_set == "10k" and above[-1].val <= val)
    assert [row for row in rows if row is not ours] == paper.table_2()


def test_several_of_ours_go_from_low_to_high_and_then_those_not_run():
    scores = {"a": None, "b": 99.0, "c": 98.0, "d": None, "e": 1.0}
    names = [row[1] for row in build_table_2.comparison([method(*one[::-1]) for one in scores.items()]).rows]
    assert names[-5:] == ["Luo & Yang (ResNet101)", "c", "b", "a", "d"]
    assert names[names.index("e") + 1] == "EM-Adapt"


def test_table_3_compares_with_the_papers():
    table = build_table_3.by_class(stairs(COCO, 0.0).scores)
    lines, text = table.text(), markdown(table)
    assert table.header == ("category", "class", "SEC", "DSRG", "Luo & Yang", "tagseg")
    assert [line[1] for line in lines] == [*COCO, ""]
    assert lines[0] == ["Background", "background", "74.3", "80.6", "73.9", "0.0"]
    assert lines[1] == ["Person", "person", "43.6", "", "48.7", "0.5"]
    assert lines[-1] == ["mean IoU", "", "22.4", "26.0", "29.9", "20.0"]
    assert "Luo & Yang has 9: backpack, handbag, " in text and "tagseg has 1: background." in text


def test_in_table_3_numbers_that_do_not_exist_are_empty_cells():
    lines = build_table_3.by_class(None).text()
    assert len(lines) == 82 and {line[-1] for line in lines} == {""}
    iou = dict.fromkeys(COCO, 50.0) | {"toaster": None, "fork": 0.0}
    table = build_table_3.by_class(Scores(49.0, 49.0, iou, 1.0, 1.0, 9, [[0]]))
    cells = {row[1]: row[-1] for row in table.rows}
    assert (cells["toaster"], cells["fork"], cells[""]) == (None, 0.0, 49.0)


def test_configuration_has_the_papers_setup():
    content = yaml.safe_load(OVERLAY.read_text(encoding="utf-8"))
    found = {key: reduce(lambda section, word: section[word], key.split("."), content) for key in SETUP}
    assert found == SETUP


def test_tables_1_and_2_agree_with_the_text_and_the_adapters():
    table_1, classes = paper.table_1(), paper.voc_classes()
    assert list(table_1) == ["C43", "C42", "C41", "C41 + Retrain"] and classes == VOC
    off = {name: mean(row[one] for one in classes) - row["mIoU"] for name, row in table_1.items()}
    assert {name for name in off if abs(off[name]) > PRINTED_TO} == {"C41 + Retrain"}
    assert paper.VOC_IMAGES.items() <= PUBLISHED_IMAGES.items()
    assert (PUBLISHED_IMAGES[TRAINAUG], PUBLISHED["val"]) == (paper.TRAINAUG_IMAGES, paper.COCO_VAL_IMAGES)
    rows = {row.method: row for row in paper.table_2()}
    groups = Counter(row.supervision for row in rows.values())
    assert groups == {"scribbles": 1, "box": 2, paper.CLASS_LABELS: 17}
    missing = [row.method for row in rows.values() if row.test is None]
    assert missing == ["Scribblesup", "Box-driven", "Luo & Yang (VGG16)"]
    ours = rows["Luo & Yang (ResNet101)"]
    assert (ours.val, ours.test) == (table_1["C41 + Retrain"]["mIoU"], 64.6)
    assert ours.val == max(row.val for row in rows.values() if row.supervision == paper.CLASS_LABELS)
    sec = paper.Method("class labels", "SEC", "Kolesnikov and Lampert 2016", "10k", 50.7, 51.7)
    assert rows["SEC"] == sec


def test_table_3_agrees_with_the_text_and_its_means_are_those_of_its_classes_but_dsrgs():
    *rows, last = paper.table_3()
    known = {name: [row.iou[name] for row in rows if row.iou[name] is not None] for name in last.iou}
    off = {name: mean(known[name]) - last.iou[name] for name in known}
    assert {name for name in off if abs(off[name]) > PRINTED_TO} == {"DSRG"}
    # What DSRG's person, the one empty cell, would have to be for the mean that is printed.
    assert 81 * last.iou["DSRG"] - sum(known["DSRG"]) == pytest.approx(53.8, abs=0.05)
    assert [(n, row.name) for row in rows for n in row.iou if row.iou[n] is None] == [("DSRG", "person")]

    assert last.iou["Luo & Yang"] - last.iou["DSRG"] == pytest.approx(3.9)
    assert {row.name for row in rows if row.iou["Luo & Yang"] == 0} == {
        *("backpack", "handbag", "baseball bat", "baseball glove", "fork", "spoon", "mouse", "toaster"),
        "hair drier",
    }
    by_name = {row.name: tuple(row.iou.values()) for row in rows}
    assert by_name["banana"] == (43.6, 46.4, 52.0) and by_name["toothbrush"] == (2.8, 2.0, 11.1)
