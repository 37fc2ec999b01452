"""The paper's numbers, checked against its text, and its setup against config/voc2012.yaml."""

from collections import Counter
from functools import reduce
from pathlib import Path
from statistics import mean

import pytest
import yaml

from tagseg.datasets.coco.coco import PUBLISHED
from tagseg.datasets.voc.devkit import PUBLISHED_IMAGES, TRAINAUG, VOC_CLASSES
from tagseg.evaluation import paper

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


def test_configuration_has_the_papers_setup():
    content = yaml.safe_load(OVERLAY.read_text(encoding="utf-8"))
    found = {key: reduce(lambda section, word: section[word], key.split("."), content) for key in SETUP}
    assert found == SETUP


def test_table_1_has_vocs_classes_and_their_means_but_one():
    rows = paper.table_1()
    assert list(rows) == ["C43", "C42", "C41", "C41 + Retrain"]
    assert paper.voc_classes() == ("background", *VOC_CLASSES)
    off = {name: mean(row[one] for one in paper.voc_classes()) - row["mIoU"] for name, row in rows.items()}
    assert {name for name in off if abs(off[name]) > PRINTED_TO} == {"C41 + Retrain"}


def test_table_2_agrees_with_the_text_and_with_table_1():
    rows = {row.method: row for row in paper.table_2()}
    groups = Counter(row.supervision for row in rows.values())
    assert groups == {"scribbles": 1, "box": 2, paper.CLASS_LABELS: 17}
    missing = [row.method for row in rows.values() if row.test is None]
    assert missing == ["Scribblesup", "Box-driven", "Luo & Yang (VGG16)"]
    ours = rows["Luo & Yang (ResNet101)"]
    assert (ours.val, ours.test) == (paper.table_1()["C41 + Retrain"]["mIoU"], 64.6)
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


def test_the_sets_are_those_of_the_adapters():
    assert paper.VOC_IMAGES.items() <= PUBLISHED_IMAGES.items()
    assert PUBLISHED_IMAGES[TRAINAUG] == paper.TRAINAUG_IMAGES
    assert PUBLISHED["val"] == paper.COCO_VAL_IMAGES
