"""The check of a data set: it reports all problems together and succeeds in spite of them."""

import html
import json
import re
import sys

import numpy as np
import pytest

import check_data
from helpers import read_csv, write_image, write_image_set, write_labels, write_voc_image, write_zero_mask
from mini_coco import write_mini_coco
from tagseg.storage.images import write_mask


@pytest.fixture
def photos(tmp_path):
    """A folder of images without a problem: c in val, d in test and without a tag."""
    folder = tmp_path / "photos"
    for name, size in {"a": (12, 8), "b": (9, 15), "c": (12, 8), "d": (20, 30)}.items():
        write_image(folder / f"{name}.jpg", *size)
    write_labels(folder, "a.jpg,cat,train", "b.jpg,cat;dog,train", "c.jpg,dog,val", "d.jpg,,test")
    write_zero_mask(folder / "SegmentationClass" / "c.png")
    return folder


def settings(kind, root, **images):
    both = {"kind": kind, "root": str(root)}
    return {"images": both | images, "ground_truth": both, "splits": ["train", "val"]}


def of_photos(folder, **more):
    return settings("photos", folder, random_seed=0, val_fraction=0.2, labels=None, **more)


def run_script(monkeypatch, folder, content, threads=2):
    """Return the lines of the report, those of tables with bars, and the rows of the problems."""
    report, problems = folder / "report.html", folder / "problems.csv"
    arguments = ["--settings", json.dumps(content), "--report", report, "--problems", problems]
    arguments += ["--threads", threads]
    monkeypatch.setattr(sys, "argv", ["check_data.py", *map(str, arguments)])
    check_data.main()
    assert {path.name for path in folder.iterdir()} == {"report.html", "problems.csv"}
    page = html.unescape(report.read_text(encoding="utf-8"))
    rows = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        for row in re.findall("<tr>(.*?)</tr>", page, re.DOTALL)
    ]
    return [
        *page.splitlines(),
        *(f"| {' | '.join(re.sub('<.*?>', '', cell).strip() for cell in row)} |" for row in rows),
    ], read_csv(problems)


def test_a_correct_data_set_is_counted(tmp_path, photos, monkeypatch, caplog):
    lines, problems = run_script(monkeypatch, tmp_path / "new" / "report", of_photos(photos))
    assert problems == [] and f"<h1>Data set {photos}</h1>" in lines
    tables = [line for line in lines if line.startswith("|")]
    assert tables == [
        "| split | images | without a tag | tags per image | ground truth | width | height |",
        "| train | 2 | 0 | 1.500 | 0 | 9 to 12 | 8 to 15 |",
        "| val | 1 | 0 | 1.000 | 1 | 12 to 12 | 8 to 8 |",
        "| test | 1 | 1 | 0.000 | 0 | 20 to 20 | 30 to 30 |",
        "| class | train | val | test |",
        "| cat | 2 | 0 | 0 |",
        "| dog | 1 | 1 | 0 |",
    ]
    page = (tmp_path / "new" / "report" / "report.html").read_text(encoding="utf-8")
    assert "Ready to train. See " in caplog.text and "<b>Ready to train.</b>" in page and "<h2>Problems" not in page
    assert re.findall('alt="(.*?)"', page) == ["images of cat", "images of dog"] and "<td>dog</td>" in page


def test_images_of_our_own_results_are_ignored(tmp_path, monkeypatch):
    for name in ("cat/1.jpg", "dog/2.jpg", "results/photos/report/figure.png"):
        write_image(tmp_path / name)
    lines, problems = run_script(monkeypatch, tmp_path / "results/photos/data_report", of_photos(tmp_path))
    assert problems == [] and not any("results" in line for line in lines if line.startswith("|"))


def test_images_of_another_size_than_annotated(tmp_path, monkeypatch):
    write_mini_coco(tmp_path / "coco")
    path = write_image(tmp_path / "coco/train2017/000000000001.jpg", 30, 20)
    content = settings("coco", tmp_path / "coco", crowd=True, counts_known=False)
    lines, problems = run_script(monkeypatch, tmp_path / "report", content)
    text = "30x20 pixels, but the data set states 48x36. Replace the image."
    assert [(row["path"], row["problem"]) for row in problems] == [(str(path), text)]
    assert "| train | 7 | 1 | 1.286 | 6 | 48 to 48 | 36 to 36 |" in lines


@pytest.mark.parametrize(("share", "rest"), [(0.25, "a run skips them"), (0.2, "the index stage fails")])
def test_unreadable_images_are_counted_and_the_others_reported(tmp_path, photos, monkeypatch, share, rest):
    (photos / "a.jpg").write_bytes(b"")
    content = of_photos(photos, max_unreadable_fraction=share)
    lines, problems = run_script(monkeypatch, tmp_path / "report", content)
    line = f"1 of 4 images cannot be read; with dataset.max_unreadable_fraction {share}, {rest}"
    assert f"<pre>{line}" in lines and "| train | 1 | 0 | 2.000 | 0 | 9 to 9 | 15 to 15 |" in lines
    assert [row["line"] for row in problems] == ["2"] and "a.jpg: not a readable" in problems[0]["problem"]


@pytest.mark.parametrize("threads", [1, 2])
def test_images_and_masks_are_read_to_the_last_pixel(tmp_path, monkeypatch, threads):
    """The headers do not show it: half an image, half a mask, an unknown label."""
    devkit = tmp_path / "devkit"
    masks = devkit / "SegmentationClass"
    for name in ("good", "half", "wrong", "label", "size"):
        write_voc_image(devkit, name, "dog", width=40, height=30)
    write_image_set(devkit, "train", "good", "half", "wrong")
    write_image_set(devkit, "val", "label", "size")
    (devkit / "classes.txt").write_text("dog\ncat\n")
    lists = {"train_list": "train", "val_list": "val", "test_list": None, "difficult": True}
    content = settings("demo", devkit, **lists)
    for path, cut in ((devkit / "JPEGImages/half.jpg", -300), (masks / "wrong.png", -30)):
        path.write_bytes(path.read_bytes()[:cut])
    write_mask(masks / "label.png", np.full((30, 40), 3, np.uint8))
    lines, problems = run_script(monkeypatch, tmp_path / "report", content, threads)
    words = {row["path"].rpartition("/")[2]: row["problem"].split(" ")[0] for row in problems}
    assert words == {"": "no", "half.jpg": "damaged", "wrong.png": "damaged", "label.png": "label"}
    assert "no train image of cat" in problems[0]["problem"]
    assert "| train | 2 | 0 | 1.000 | 2 | 40 to 40 | 30 to 30 |" in lines
    assert "1 of 5 images cannot be read" in " ".join(lines)


def test_the_report_lists_the_first_problems_and_the_table_all(tmp_path, photos, monkeypatch):
    write_labels(photos, *[f"x{number}.jpg,cat,train" for number in range(230)])
    lines, problems = run_script(monkeypatch, tmp_path / "report", of_photos(photos))
    assert len(problems) == 230 and sum("jpg: no such image" in line for line in lines) == 200
    assert any("and 30 more, which are in problems.csv." in line for line in lines)
