"""The report of a tiny run, rendered by its script."""

import json
import re

import numpy as np
import pytest
from PIL import Image

import render_report
from helpers import read_csv, run_script
from small_results import CLASSES, write_results, write_scores
from tagseg.evaluation.tables import Table, write_tables
from tagseg.patterns.class_patterns import ClassPattern, write_patterns
from tagseg.storage.ground_truth import write_ground_truth
from tagseg.storage.index import Index, read_index, write_index
from tagseg.storage.mask_shards import write_mask_shard

SETTINGS = {"run": "tiny", "random_seed": 7, "layer": "blocks.5.0", "note": "{% a folder %}"}
SETTINGS |= {"segmenter": {"network": {"backbone": "net7"}}}
HOSTILE = "<script>{{x}}{% raw %}</script>"
STAGES = ("seed_masks", "proxy_masks")
PICTURES = ("examples_val", "best_worst", "per_class", "training", "examples_train", "explained_variance")
SUMMARY = ["stage", "split", "mAP", "mIoU (void as background)", "mIoU (void skipped)", "coverage"]


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def data_of(results, masks, val):
    """Take ground truth or val away, add patterns; return the part of the command line."""
    index = read_index(results / "index")
    if not masks:
        for split in ("train", "val"):
            write_ground_truth(results / "ground_truth" / split, {})
    shards = {stage: [results / stage / f"blocks.6/shard-{n}" for n in (0, 1)] for stage in STAGES}
    predictions = [results / f"predictions/net/net/round1/val/shard-{n}" for n in (0, 1)] if val else []
    if not val:
        write_index(results / "index", Index(index.classes, index.of_split("train")))
        write_ground_truth(results / "ground_truth" / "val", {})
        write_mask_shard(results / "empty", [])
    pattern = ClassPattern(np.array([1.0, 0, 0]), np.zeros(3), np.array([0.5, 0.2]), 9, 0.5)
    write_patterns(results / "patterns", {"cat": pattern, "dog": pattern}, "blocks.5.1")
    truth = [results / "ground_truth" / split for split in ("train", "val")]
    return [
        *("--index", results / "index", "--ground-truth", *truth, "--patterns", results / "patterns"),
        *("--seed-masks", *shards["seed_masks"], "--proxy-masks", *shards["proxy_masks"]),
        *("--predictions", *(predictions or [results / "empty"])),
    ]


def write_rest(folder, masks, val):
    logs = {}
    for name, device in (("classifier", "NVIDIA H200"), ("round1", "CPU"), ("round2", "CPU")):
        epochs = [{"epoch": n, "loss": 1 / n, "seconds": 2.0} for n in (1, 2, 3)]
        logs[name] = write_json(folder / f"{name}.json", {"epochs": epochs, "device": device})
    scores = (("val", 90.0, 40.0, 20.0), ("val", 90.0, 50.0, None), ("train", 80.0, 50.0, 50.0))
    content = {"coverage": 0.95, "confusion": [[0] * 4] * 3, "images": val if masks else 0}
    *rounds, train = (
        write_scores(folder / f"{n}.json", dict(zip(CLASSES, iou, strict=True)), split=split, **content)
        for n, (split, *iou) in enumerate(scores)
    )
    bound = Table("Bound", ("class", "ratio"), (("mean", 0.5),), decimals={"ratio": 3})
    seeds = Table("Seeds", ("seed", "mIoU"), ((HOSTILE, 3.0), ("cam", 1.0)), best=frozenset({"mIoU"}))
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


def render(folder, masks=True, val=2, without=(), **settings):
    """Render the report of a tiny run, without some options; return the page."""
    line = [*data_of(write_results(folder), masks, val), *write_rest(folder, masks, val)]
    for option in without:
        start = line.index(option) + 1
        del line[start : start + 2]
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
    names = {*(f"{name}.png" for name in PICTURES), "report.html", "summary.md", "summary.csv"}
    assert {path.name for path in (folder / "report").iterdir()} == names
    assert list(read_csv(folder / "report/summary.csv")[0]) == [*SUMMARY, "images with ground truth"]
    assert summary(folder) == [
        ["classifier", "val", "91.3", "", "", "", ""],
        ["seed masks of blocks.5.1", "train", "", "60.0", "60.0", "0.950", "2"],
        ["proxy masks of blocks.5.1, after CRF", "train", "", "60.0", "60.0", "0.950", "2"],
        ["segmenter, round 1", "val", "", "50.0", "50.0", "0.950", "2"],
        ["segmenter, round 2", "val", "", "70.0", "70.0", "0.950", "2"],
    ]


def test_headline(tiny):
    _, page = tiny
    assert "<h1>tiny: segmentation from tags</h1>" in page
    assert "A network (net7) that segments 2 classes, trained on 4 images and their tags alone" in page
    assert "from the layer blocks.5.0 of a classifier. 2 images of val were held out." in page
    assert numbers(page) == [
        ("70.0 %", "mIoU of the final network", "round 2; val, 2 images"),
        ("50.0 %", "mIoU of an earlier network", "round 1; val, 2 images"),
        ("60.0 %", "mIoU of the proxy masks of train", "void as background"),
        ("0.950", "coverage of the proxy masks", "fraction with a label"),
        ("91.3 %", "mean average precision", "classifier, tags of val"),
        ("0.500", "ratio to full supervision", "mIoU over that of ground truth"),
    ]
    assert "<script" not in page
    assert page.count("&lt;script&gt;{{x}}{% raw %}&lt;/script&gt;") == 1


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
    assert "note: &#39;{% a folder %}&#39;" in shown
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
