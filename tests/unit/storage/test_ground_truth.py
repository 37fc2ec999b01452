"""The table of ground truth: what is written is read back, and a broken one is reported."""

import pytest

from helpers import write_zero_mask
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_folder
from tagseg.storage.ground_truth import read_ground_truth, write_ground_truth


def test_round_trip(tmp_path):
    masks = {"ü/b, c": "data/SegmentationClass/b.png", "a": "/elsewhere/a.png", "x": "png/x.png"}
    with atomic_folder(tmp_path / "train") as aside:
        write_zero_mask(aside / "png" / "x.png")
        write_ground_truth(aside, masks)
    read = read_ground_truth(tmp_path / "train")
    assert list(read) == ["a", "x", "ü/b, c"]
    assert {name: str(path) for name, path in read.items()} == masks | {"x": f"{tmp_path}/train/png/x.png"}


def test_a_data_set_in_a_folder_named_png_is_not_taken_for_masks_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_zero_mask(tmp_path / "png" / "SegmentationClass" / "a.png")
    write_ground_truth(tmp_path / "train", {"a": "png/SegmentationClass/a.png"})
    assert read_ground_truth(tmp_path / "train")["a"].is_file()


def test_a_missing_table(tmp_path):
    with pytest.raises(TagsegError, match=r"masks\.csv: no such file. Run the stage `collect_ground_truth`"):
        read_ground_truth(tmp_path)


@pytest.mark.parametrize(("text", "message"), [
    ("name,path\na,a.png\n", "no column 'id'"),
    ("id,path\na\n", "malformed row 'a'"),
    ("id,path\na,png/a.png\n", "png/a.png: missing. Delete the folder"),
])  # fmt: skip
def test_a_malformed_table(tmp_path, text, message):
    (tmp_path / "train" / "png").mkdir(parents=True)
    (tmp_path / "train" / "masks.csv").write_text(text)
    with pytest.raises(TagsegError, match=message):
        read_ground_truth(tmp_path / "train")
