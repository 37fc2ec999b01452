"""The stage that collects ground truth: complete or not at all."""

import json
import sys

import numpy as np
import pytest

import collect_ground_truth
from helpers import read_csv, write_image, write_labels, write_zero_mask
from tagseg.datasets.folder.reader import index_photos
from tagseg.datasets.problems import DatasetProblems
from tagseg.storage.ground_truth import read_ground_truth
from tagseg.storage.images import write_mask
from tagseg.storage.index import write_index


@pytest.fixture
def photos(tmp_path):
    """Images, of which two of train and one of val have a mask, and their index."""
    folder = tmp_path / "photos"
    lines = [f"{name}.jpg,cat,{'train' if name < 'd' else 'val'}" for name in "abcde"]
    for line in lines:
        write_image(folder / line.split(",")[0])
    write_labels(folder, *lines)
    for name in "bce":
        write_zero_mask(folder / "SegmentationClass" / f"{name}.png")
    write_index(tmp_path / "index", index_photos(folder, random_seed=0, val_fraction=0.2, labels=None))
    return folder


def run_script(monkeypatch, folder, split="train", **changes):
    content = {"kind": "photos", "root": str(folder), "collected": True} | changes
    made = folder.parent / "ground_truth" / split
    arguments = ["--index", folder.parent / "index", "--settings", json.dumps(content)]
    arguments += ["--split", split, "--ground-truth", made, "--threads", 2]
    monkeypatch.setattr(sys, "argv", ["collect_ground_truth.py", *map(str, arguments)])
    collect_ground_truth.main()
    return made


@pytest.mark.parametrize(("split", "names", "count"), [("train", "bc", 3), ("val", "e", 2), ("test", "", 0)])
def test_masks_of_the_split_alone(photos, monkeypatch, caplog, split, names, count):
    read = read_ground_truth(run_script(monkeypatch, photos, split))
    assert read == {name: photos / "SegmentationClass" / f"{name}.png" for name in names}
    assert caplog.messages[-1] == f"{len(names)} of {count} images of {split} have a ground-truth mask"
    assert read_ground_truth(run_script(monkeypatch, photos, split, collected=False)) == {}


def test_problems_go_beside_the_folder_which_stays_as_it_was(photos, monkeypatch):
    made, masks = run_script(monkeypatch, photos), photos / "SegmentationClass"
    write_mask(masks / "b.png", np.full((8, 12), 2, np.uint8))  # their pixels are read
    write_image(masks / "c.png")
    with pytest.raises(DatasetProblems, match="2 problems"):
        run_script(monkeypatch, photos)
    label, colours = read_csv(made.parent / "train-problems.csv")
    assert label["path"].endswith("/b.png") and label["problem"].startswith("label 2, but the last class is 1. ")
    assert colours["path"].endswith("/c.png") and colours["problem"].startswith("mode RGB, but a mask has one")
    assert {path.name for path in made.parent.iterdir()} == {"train", "train-problems.csv"}
    assert set(read_ground_truth(made)) == {"b", "c"}
    for name in "bc":
        write_zero_mask(masks / f"{name}.png")
    run_script(monkeypatch, photos)
    assert {path.name for path in made.parent.iterdir()} == {"train"}


REMEDY = (
    "A mask holds class indices: 0 background, 1, 2, ... the classes in order, 255 void. "
    "Correct the masks, or list the classes in their order in classes.txt."
)


@pytest.mark.parametrize(("labels", "text"), [
    ((0, 255), f"train: the masks hold 0 and 255 alone. {REMEDY}"),
    ((0, 1), f"train: class index 2 (dog) is in none of the 5 masks of images with that tag. {REMEDY}"),
    ((0, 2), f"train: class index 1 (cat) is in none of the 5 masks of images with that tag. {REMEDY}"),
    ((0, 1, 2), None),
])  # fmt: skip
def test_masks_that_cannot_be_right_are_refused(tmp_path, monkeypatch, labels, text):
    folder = tmp_path / "photos"
    for number in range(10):
        write_image(folder / f"{number}.jpg", seed=number)
        mask = np.resize(np.array(labels, np.uint8), (8, 12))
        (folder / "SegmentationClass").mkdir(exist_ok=True)
        write_mask(folder / "SegmentationClass" / f"{number}.png", mask)
    write_labels(folder, *(f"{number}.jpg,{'cat' if number % 2 else 'dog'},train" for number in range(10)))
    write_index(tmp_path / "index", index_photos(folder, random_seed=0, val_fraction=0.2, labels=None))
    if text is None:
        assert len(read_ground_truth(run_script(monkeypatch, folder))) == 10
        return
    with pytest.raises(DatasetProblems) as caught:
        run_script(monkeypatch, folder)
    assert [one.text for one in caught.value.problems] == [text]
