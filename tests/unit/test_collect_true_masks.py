"""The stage that collects true masks: of the splits that want them, complete or not at all."""

import csv
import json
import sys

import numpy as np
import pytest

import collect_true_masks
from helpers import write_labels, write_photograph, write_zero_mask
from tagseg.datasets.photos import index_photos
from tagseg.datasets.problems import DatasetProblems
from tagseg.datasets.readers import KINDS, Kind
from tagseg.errors import TagsegError
from tagseg.images import write_mask
from tagseg.index import write_index
from tagseg.true_masks import read_true_masks


@pytest.fixture
def photos(tmp_path):
    """Photographs, of which two of train and one of val have a mask, and their index."""
    folder = tmp_path / "photos"
    lines = [
        f"{name}.jpg,cat,{split}" for name, split in zip("abcde", ["train"] * 3 + ["val"] * 2, strict=True)
    ]
    for line in lines:
        write_photograph(folder / line.split(",")[0])
    write_labels(folder, *lines)
    for name in "bce":
        write_zero_mask(folder / "SegmentationClass" / f"{name}.png")
    write_index(tmp_path / "index", index_photos(folder, random_seed=0, val_share=0.2, labels=None))
    return folder


def run_script(monkeypatch, folder, split="train", **changes):
    content = {"kind": "photos", "root": str(folder), "collected": True} | changes
    made = folder.parent / "true_masks" / split
    arguments = ["--index", folder.parent / "index", "--settings", json.dumps(content)]
    arguments += ["--split", split, "--true-masks", made, "--threads", 2]
    monkeypatch.setattr(sys, "argv", ["collect_true_masks.py", *map(str, arguments)])
    collect_true_masks.main()
    return made


@pytest.mark.parametrize(("split", "names", "count"), [("train", "bc", 3), ("val", "e", 2), ("test", "", 0)])
def test_masks_of_the_split_alone(photos, monkeypatch, capsys, split, names, count):
    read = read_true_masks(run_script(monkeypatch, photos, split))
    assert {name: str(path) for name, path in read.items()} == {
        name: str(photos / "SegmentationClass" / f"{name}.png") for name in names
    }
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == f"{len(names)} of {count} photographs of {split} have a true mask"


def test_a_split_that_is_not_wanted_has_none(photos, monkeypatch):
    assert read_true_masks(run_script(monkeypatch, photos, collected=False)) == {}


def test_problems_go_beside_the_folder_which_stays_as_it_was(photos, monkeypatch):
    made = run_script(monkeypatch, photos)
    for name in "bc":
        write_mask(photos / "SegmentationClass" / f"{name}.png", np.zeros((3, 4), np.uint8))
    with pytest.raises(DatasetProblems, match="2 problems"):
        run_script(monkeypatch, photos)
    with open(made.parent / "train-problems.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["place"].rpartition("/")[2] for row in rows] == ["b.png", "c.png"]
    assert {path.name for path in made.parent.iterdir()} == {"train", "train-problems.csv"}
    assert set(read_true_masks(made)) == {"b", "c"}
    for name in "bc":
        write_zero_mask(photos / "SegmentationClass" / f"{name}.png")
    run_script(monkeypatch, photos)
    assert {path.name for path in made.parent.iterdir()} == {"train"}


def test_what_is_inside_of_the_masks_is_read_before_anything_is_trained(photos, monkeypatch):
    masks = photos / "SegmentationClass"
    write_mask(masks / "b.png", np.full((8, 12), 2, np.uint8))
    write_photograph(masks / "c.png")
    write_mask(masks / "e.png", np.full((8, 12), 255, np.uint8))
    with pytest.raises(DatasetProblems, match="2 problems") as caught:
        run_script(monkeypatch, photos)
    label, colours = caught.value.problems
    assert label.place.endswith("b.png") and label.text.startswith("label 2, where the classes end at 1; ")
    assert colours.place.endswith("c.png") and colours.text.startswith("mode RGB, where a mask has one label")
    assert set(read_true_masks(run_script(monkeypatch, photos, "val"))) == {"e"}


def test_masks_that_are_made_lie_in_the_folder(photos, monkeypatch):
    """As of COCO and SBD: the collector writes PNGs into the folder, which then moves to its place."""

    def collect(root, index, split, folder, *, threads):
        assert threads == 2
        return {
            row.id: f"png/{write_zero_mask(folder / 'png' / f'{row.id}.png').name}"
            for row in index.of_split(split)
        }

    monkeypatch.setitem(KINDS, "drawn", Kind(lambda: None, (), collect, ("threads",)))
    made = run_script(monkeypatch, photos, kind="drawn")
    assert read_true_masks(made) == {name: made / "png" / f"{name}.png" for name in "abc"}


@pytest.mark.parametrize(("change", "message"), [
    ({"kind": "coco 17"}, "kind: 'coco 17' is none of"),
    ({"root": None}, "root: missing"),
    ({"sbd": None}, "sbd: no setting of the kind photos; known are none"),
    ({"kind": "voc"}, "sbd: missing; the kind voc needs it"),
])  # fmt: skip
def test_script_names_a_wrong_setting(photos, monkeypatch, change, message):
    with pytest.raises(TagsegError, match=message):
        run_script(monkeypatch, photos, **change)
    assert not (photos.parent / "true_masks" / "train").exists()
