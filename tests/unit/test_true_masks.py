"""The table of true masks: what is written is read back, and what is not as it was made is told."""

import pytest

from helpers import write_zero_mask
from tagseg.errors import TagsegError
from tagseg.files import atomic_folder
from tagseg.true_masks import read_true_masks, write_true_masks


def test_round_trip(tmp_path):
    masks = {"ü/b, c": "data/SegmentationClass/b.png", "a": "/elsewhere/a.png", "x": "png/x.png"}
    with atomic_folder(tmp_path / "train") as aside:
        write_zero_mask(aside / "png" / "x.png")
        write_true_masks(aside, masks)
    read = read_true_masks(tmp_path / "train")
    assert list(read) == ["a", "x", "ü/b, c"]
    assert {name: str(path) for name, path in read.items()} == masks | {"x": f"{tmp_path}/train/png/x.png"}


def test_the_table_is_sorted_by_id_whatever_the_order(tmp_path):
    for folder, names in (("one", "abc"), ("two", "cab")):
        write_true_masks(tmp_path / folder, {name: f"{name}.png" for name in names})
    text = (tmp_path / "one" / "masks.csv").read_text()
    assert text.split() == ["id,path", "a,a.png", "b,b.png", "c,c.png"]
    assert (tmp_path / "two" / "masks.csv").read_text() == text


def test_no_masks_are_a_table_too(tmp_path):
    write_true_masks(tmp_path, {})
    assert read_true_masks(tmp_path) == {}


def test_a_data_set_in_a_folder_named_png_is_not_taken_for_masks_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_zero_mask(tmp_path / "png" / "SegmentationClass" / "a.png")
    write_true_masks(tmp_path / "train", {"a": "png/SegmentationClass/a.png"})
    assert read_true_masks(tmp_path / "train")["a"].is_file()


def test_a_missing_table(tmp_path):
    with pytest.raises(
        TagsegError, match=r"masks\.csv: no such file; run the stage `collect_true_masks` first"
    ):
        read_true_masks(tmp_path)


@pytest.mark.parametrize(("text", "message"), [
    ("name,path\na,a.png\n", "no column 'id'"),
    ("id,path\na\n", r"malformed row \(a\)"),
    ("id,path\na,a.png,b\n", r"malformed row \(a\)"),
    ("id,path\n,a.png\n", r"malformed row \(no id\)"),
    ("id,path\na,a.png\na,b.png\n", "listed twice"),
    ("id,path\na,png/a.png\n", "png/a.png: gone since it was made; delete the folder"),
    ("id,path\na,png/../../secret.png\n", "gone since it was made"),
])  # fmt: skip
def test_a_malformed_table(tmp_path, text, message):
    (tmp_path / "secret.png").touch()
    (tmp_path / "train" / "png").mkdir(parents=True)
    (tmp_path / "train" / "masks.csv").write_text(text)
    with pytest.raises(TagsegError, match=message):
        read_true_masks(tmp_path / "train")


def test_a_table_in_another_encoding(tmp_path):
    (tmp_path / "masks.csv").write_bytes("id,path\nü,ü.png".encode("latin-1"))
    with pytest.raises(TagsegError, match=r"masks\.csv: not a table in UTF-8"):
        read_true_masks(tmp_path)
