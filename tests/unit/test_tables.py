"""Tables are compared with what a person would write, character by character."""

import csv
import json

import pytest

from tagseg.errors import TagsegError
from tagseg.metrics import Scores
from tagseg.tables import (
    ScoreFile,
    Table,
    csv_text,
    known,
    markdown,
    missing_masks,
    read_scores,
    write_csv,
    write_markdown,
)

TABLE = Table(
    "Masks | by seed",
    ("seed", "mIoU", "coverage", "images"),
    (("a_b", 55.25, 0.97649, 24), ("c|d", 55.21, None, 3), ("e", float("nan"), 1.0, None)),
    decimals={"coverage": 3},
    best=frozenset({"mIoU"}),
    notes=("One.", "Two."),
)


def scores_of(photographs, iou=(("background", 90.0), ("cat", None))):
    iou = dict(iou)
    return Scores(45.0, 46.0, iou, 80.0, 0.5, photographs, [[1, 2, 3], [4, 5, 6]])


def test_markdown_character_by_character():
    assert markdown(TABLE) == (
        "# Masks \\| by seed\n"
        "\n"
        "| seed | mIoU | coverage | images |\n"
        "| :-- | --: | --: | --: |\n"
        "| a\\_b | **55.2** | 0.976 | 24 |\n"
        "| c\\|d | **55.2** |  | 3 |\n"
        "| e |  | 1.000 |  |\n"
        "\nOne.\n"
        "\nTwo.\n"
    )


def test_csv_character_by_character():
    assert csv_text(TABLE) == "seed,mIoU,coverage,images\na_b,55.2,0.976,24\nc|d,55.2,,3\ne,,1.000,\n"


def test_csv_quotes_what_needs_it(tmp_path):
    write_csv(tmp_path / "t.csv", Table("t", ("a, b", 'c"d'), (("x\ny", 1.0),)))
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as stream:
        assert list(csv.reader(stream)) == [["a, b", 'c"d'], ["x\ny", "1.0"]]


def test_the_best_is_bold_in_its_columns_alone():
    table = Table("t", ("a", "b", "c"), (("x", 1.0, 9.0), ("y", 2.0, 8.0)), best=frozenset({"b"}))
    assert markdown(table).splitlines()[-2:] == ["| x | 1.0 | 9.0 |", "| y | **2.0** | 8.0 |"]


@pytest.mark.parametrize("other", [None, float("nan")])
def test_a_number_without_another_to_compare_with_is_not_bold(other):
    table = Table("t", ("a", "b"), (("x", 1.0), ("y", other)), best=frozenset({"b"}))
    assert "**" not in markdown(table)


def test_zero_is_a_number_and_never_negative():
    assert Table("t", ("a", "b"), ((0.0, -0.04),)).text() == [["0.0", "0.0"]]


def test_a_table_without_rows():
    empty = Table("t", ("a", "b"), (), best=frozenset({"b"}))
    assert markdown(empty) == "# t\n\n| a | b |\n| :-- | --: |\n"
    assert csv_text(empty) == "a,b\n"


def test_rows_have_as_many_cells_as_the_header():
    with pytest.raises(ValueError, match="3 cells, the header 2"):
        Table("t", ("a", "b"), ((1, 2, 3),))


def test_files_appear_whole_or_not_at_all(tmp_path, monkeypatch):
    write_markdown(tmp_path / "sub" / "t.md", TABLE)
    assert (tmp_path / "sub" / "t.md").read_text(encoding="utf-8") == markdown(TABLE)
    monkeypatch.setattr("tagseg.files.os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_csv(tmp_path / "new" / "t.csv", TABLE)
    assert list((tmp_path / "new").iterdir()) == []


def test_scores_are_read_back(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"split": "val", **vars(scores_of(2))}), encoding="utf-8")
    assert read_scores(path) == ScoreFile("val", scores_of(2))


@pytest.mark.parametrize(
    "content", ["{}", "[]", '{"split": "val", "miou": 1}', '{"split": "val", "other": 1}']
)
def test_malformed_scores_are_told(tmp_path, content):
    path = tmp_path / "scores.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TagsegError, match="not a score file"):
        read_scores(path)


def test_cells_are_empty_where_nothing_was_scored():
    assert known(ScoreFile("val", scores_of(1)), 1.0, 2.0) == (1.0, 2.0)
    assert known(ScoreFile("val", scores_of(0)), 1.0, 2.0) == (None, None)


def test_missing_masks_are_told_once_a_split():
    files = [ScoreFile(split, scores_of(count)) for split, count in [("train", 0), ("train", 0), ("val", 3)]]
    (note,) = missing_masks(files)
    assert "no photograph of train has a true mask" in note
    assert "SegmentationClass/<stem>.png" in note
