"""The report of a tiny run, rendered by its script."""

import json
import re

import numpy as np
import pytest
from PIL import Image

import render_report
from helpers import read_csv, run_script, write_image
from small_results import write_scores
from tagseg.evaluation.tables import Table, write_tables
from tagseg.patterns.class_patterns import ClassPattern, write_patterns
from tagseg.storage.ground_truth import write_ground_truth
from tagseg.storage.images import write_mask
from tagseg.storage.index import ImageRecord, Index, write_index
from tagseg.storage.mask_shards import write_mask_shard

CLASSES = ("background", "cat", "<script>{{x}}{% raw %}</script>")
TAGS = [CLASSES[1:2], CLASSES[2:], CLASSES[1:], CLASSES[2:]]
SETTINGS = {"run": "tiny", "random_seed": 7, "layer": "blocks.5.0", "note": "{% a folder %}"}
SETTINGS |= {"segmenter": {"network": {"backbone": "net7"}}}
PICTURES = ("examples_val", "best_worst", "per_class", "training", "examples_train", "explained_variance")
SUMMARY = ["stage", "split", "mAP", "mIoU (void as background)", "mIoU (void skipped)", "coverage"]


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def scored(path, iou, split, images):
    content = {"split": split, "images": images, "coverage": 0.95, "confusion": [[0] * 4] * 3}
    return write_scores(path, dict(zip(CLASSES, iou, strict=True)), **content)


def square_mask(label, corner=8):
    mask = np.zeros((30, 40), np.uint8)
    mask[corner : corner + 14, corner : corner + 20] = label
    return mask


def write_data(folder, masks, val):
    rows = []
    for split, count in (("train", 4), ("val", val)):
        for n in range(count):
            path = write_image(folder / f"{split}{n}.jpg", width=40, height=30, seed=n)
            rows.append(ImageRecord(path.stem, str(path), 40, 30, split, TAGS[n]))
    write_index(folder / "index", Index(CLASSES, tuple(rows)))
    for split in ("train", "val"):
        truths = {row.id: folder / f"{row.id}.png" for row in rows if masks and row.split == split}
        for row in rows:
            if row.id in truths:
                write_mask(truths[row.id], square_mask(CLASSES.index(row.tags[0])))
        write_ground_truth(folder / "true" / split, {name: str(path) for name, path in truths.items()})
    line = ["--index", folder / "index", "--ground-truth", folder / "true/train", folder / "true/val"]
    for name, split in (("seed-masks", "train"), ("proxy-masks", "train"), ("predictions", "val")):
        ours = [row for row in rows if row.split == split]
        made = [(row.id, square_mask(CLASSES.index(row.tags[0]), 6 + n)) for n, row in enumerate(ours)]
        shards = [folder / name / f"shard-{shard}" for shard in (0, 1)]
        for shard, path in enumerate(shards):
            write_mask_shard(path, made[shard::2])
        line += [f"--{name}", *shards]
    pattern = ClassPattern(np.array([1.0, 0, 0]), np.zeros(3), np.array([0.5, 0.2]), 9, 0.5)
    write_patterns(folder / "patterns", {"cat": pattern, "dog": pattern}, "blocks.5.1")
    return [*line, "--patterns", folder / "patterns"]


def write_results(folder, masks, val):
    logs = {}
    for name, device in (("classifier", "NVIDIA H200"), ("round1", "CPU"), ("round2", "CPU")):
        epochs = [{"epoch": n, "loss": 1 / n, "seconds": 2.0} for n in (1, 2, 3)]
        logs[name] = write_json(folder / f"{name}.json", {"epochs": epochs, "device": device})
    count = val if masks else 0
    iou = ((90.0, 40.0, 20.0), (90.0, 50.0, None))
    rounds = [scored(folder / f"scores/{n}.json", iou[n], "val", count) for n in (0, 1)]
    train = scored(folder / "scores/train.json", (80.0, 50.0, 50.0), "train", 2 * masks)
    bound = Table("Bound", ("class", "ratio"), (("mean", 0.5),), decimals={"ratio": 3})
    seeds = Table("Seeds", ("seed", "mIoU"), ((CLASSES[2], 3.0), ("cam", 1.0)), best=frozenset({"mIoU"}))
    for name, table in (("upper_bound", bound), ("ablation", seeds)):
        write_tables(table, json=folder / f"{name}.json")
    for number, name in enumerate(("ablation", "figure_9"), start=1):
        Image.fromarray(np.full((number, 9, 3), number, np.uint8)).save(folder / f"{name}.png")
    for name in ("train_classifier", "render_report"):
        (folder / "benchmarks").mkdir(exist_ok=True)
        (folder / f"benchmarks/{name}.tsv").write_text("s\th:m:s\tmax_rss\n61.4\t0:01:01\t512.3\n")
    precision = write_json(folder / "precision.json", {"split": "val", "mean": 91.26})
    return [
        *("--classifier-log", logs["classifier"], "--segmenter-logs", logs["round1"], logs["round2"]),
        *("--average-precision", precision, "--val-scores", *rounds),
        *("--seed-scores", train, "--proxy-scores", train),
        *("--tables", folder / "upper_bound.json", folder / "ablation.json"),
        *("--figures", folder / "ablation.png", folder / "figure_9.png"),
        *("--benchmarks", folder / "benchmarks", "--report", folder / "report"),
    ]


def render(folder, masks=True, val=3, without=(), **settings):
    line = [*write_data(folder, masks, val), *write_results(folder, masks, val)]
    for option in without:
        start = line.index(option)
        del line[start : start + 3]
    run_script(render_report, *line, "--settings", SETTINGS | settings)
    return (folder / "report/report.html").read_text(encoding="utf-8")


def summary(folder):
    return [list(row.values()) for row in read_csv(folder / "report/summary.csv")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return folder, render(folder)


def numbers(page):
    pattern = r'<div class="number"><b>(.*?)</b><span>(.*?)</span>\n<small>(.*?)</small></div>'
    return re.findall(pattern, page, re.DOTALL)


def section(page, heading):
    return re.search(f"<h2>{heading}</h2>(.*?)</section>", page, re.DOTALL)[1]


def test_outputs_and_summary(tiny):
    folder, page = tiny
    names = {*(f"{name}.png" for name in PICTURES), "report.html", "front.rst", "summary.md", "summary.csv"}
    assert {path.name for path in (folder / "report").iterdir()} == names
    assert list(read_csv(folder / "report/summary.csv")[0]) == [*SUMMARY, "images with ground truth"]
    assert summary(folder) == [
        ["classifier", "val", "91.3", "", "", "", ""],
        ["seed masks of blocks.5.1", "train", "", "60.0", "60.0", "0.950", "2"],
        ["proxy masks of blocks.5.1, after CRF", "train", "", "60.0", "60.0", "0.950", "2"],
        ["segmenter, round 1", "val", "", "50.0", "50.0", "0.950", "3"],
        ["segmenter, round 2", "val", "", "70.0", "70.0", "0.950", "3"],
    ]


def test_headline(tiny):
    _, page = tiny
    assert "<h1>tiny: segmentation from tags</h1>" in page
    assert "A network (net7) that segments 2 classes, trained on 4 images and their tags alone" in page
    assert "from the layer blocks.5.0 of a classifier. 3 images of val were held out." in page
    assert numbers(page) == [
        ("70.0 %", "mIoU of the final network", "round 2; val, 3 images"),
        ("50.0 %", "mIoU of an earlier network", "round 1; val, 3 images"),
        ("60.0 %", "mIoU of the proxy masks of train", "void as background"),
        ("0.950", "coverage of the proxy masks", "fraction with a label"),
        ("91.3 %", "mean average precision", "classifier, tags of val"),
        ("0.500", "ratio to full supervision", "mIoU over that of ground truth"),
    ]
    assert "<script" not in page and "{{" not in page and "{%" not in page
    assert page.count("&lt;script&gt;&#123;&#123;x&#125;&#125;&#123;% raw %&#125;&lt;/script&gt;") == 1


def test_sections_and_their_pictures(tiny):
    _, page = tiny
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert {heading: re.findall(r'alt="([^"]*)"', section(page, heading)) for heading in headings} == {
        "Examples": ["Examples val"],
        "Scores": [],
        "Tables": ["Ablation"],
        "Figures": ["Examples train", "Explained variance", "Figure 9"],
        "Training": ["Training"],
        "Classes": ["Per class"],
        "Best and worst": ["Best worst"],
        "Provenance": [],
    }
    caption = (render_report.REPOSITORY / "docs/report/training.rst").read_text(encoding="utf-8")
    assert f"<figcaption>{' '.join(caption.split())}</figcaption>" in section(page, "Training")


def test_provenance(tiny):
    shown = section(tiny[1], "Provenance")
    facts = dict(re.findall("<dt>(.*?)</dt>\n<dd>(.*?)</dd>", shown))
    assert facts["random seed"] == "7" and facts["trained on"] == "NVIDIA H200 · CPU"
    assert facts["page rendered with: numpy"] == np.__version__
    assert len(facts["index (SHA-256)"]) == 64
    assert shown.count("1 min 01 s") == 4 and ">512<" in shown
    assert "<td>train_classifier</td>" in shown and "render_report" not in shown
    assert "note: &#39;&#123;% a folder %&#125;&#39;" in shown
    assert "segmenter:\n  network:\n    backbone: net7\n" in shown


def test_run_without_ground_truth(tmp_path):
    page = render(tmp_path, masks=False)
    assert [text for text, *_ in numbers(page)] == ["–", "–", "–", "–", "91.3 %", "0.500"]
    assert numbers(page)[0][2] == "round 2; no ground truth"
    assert summary(tmp_path)[-1] == ["segmenter, round 2", "val", "", "", "", "", "0"]
    text = (tmp_path / "report/summary.md").read_text(encoding="utf-8")
    assert "no image of train has ground truth" in text and "no image of val has ground truth" in text


def test_run_without_val_tables_and_figures(tmp_path):
    page = render(tmp_path, val=0, layer="auto", without=("--tables", "--figures"))
    assert "from a layer chosen from tags and images of a classifier. No images were held out." in page
    assert not section(page, "Scores").count("img") and "<h2>Tables" not in page
    assert "full supervision" not in page
    for name in ("examples_val", "best_worst"):
        with Image.open(tmp_path / f"report/{name}.png") as image:
            assert image.size == (910, 260), "a message"
