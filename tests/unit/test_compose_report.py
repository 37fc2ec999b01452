"""The report of a tiny run, composed by the script, and its parts."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import compose_report
import draw_report
from tagseg import commandline
from tagseg.index import Index, Photograph, write_index
from tagseg.provenance import RuleCost
from tagseg.report_page import ShownTable
from tagseg.tables import Table, write_csv, write_markdown

CLASSES = ("background", "cat", "<script>{{x}}{% raw %}</script>")
SETTINGS = {
    "run": "tiny",
    "random_seed": 7,
    "layer": "blocks.5.0",
    "segmenter": {"network": {"backbone": "net7"}},
    "photos": "{% a folder %}",
}
COLUMNS = ("stage", "split", "mAP", compose_report.MIOU, "mIoU (void left out)", "coverage", "photographs")
FIGURES = ("examples_val", "training", "per_class", "best_worst", "examples_train", "ablation", "figure_9")


def write_scores(path, *iou, photographs=2):
    known = [value for value in iou if value is not None]
    content = {
        "split": "val",
        "miou": sum(known) / len(known) if known else 0.0,
        "miou_void_left_out": 0.0,
        "iou": dict(zip(CLASSES, iou, strict=True)),
        "pixel_accuracy": 50.0,
        "coverage": 1.0,
        "photographs": photographs,
        "confusion": [[0] * 4] * 3,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_table(folder, name, table):
    write_csv(folder / f"{name}.csv", table)
    write_markdown(folder / f"{name}.md", table)
    return folder / f"{name}.csv"


def write_summary(folder, scored=True):
    scores = (60.0, 62.0, 0.95) if scored else (None, None, None)
    rows = (
        ("classifier", "val", 91.26, None, None, None, None),
        ("seed masks of blocks.5.0", "train", None, 50.0, 52.0, 0.9, 2),
        ("proxy masks of blocks.5.0, after CRF", "train", None, *scores, 2),
    )
    return write_table(folder, "summary", Table("Scores", COLUMNS, rows, decimals={"coverage": 3}))


def write_tables(folder):
    bound = Table(
        "Bound", ("class", "ours", "true", "ratio"), (("mean", 1.0, 2.0, 0.5),), decimals={"ratio": 3}
    )
    seeds = Table("Seeds", ("seed", "mIoU"), ((CLASSES[2], 3.0), ("cam", 1.0)), best=frozenset({"mIoU"}))
    return [write_table(folder, "upper_bound", bound), write_table(folder, "ablation", seeds)]


def write_figures(folder):
    paths = [folder / f"{name}.png" for name in FIGURES]
    for number, path in enumerate(paths, start=1):
        Image.fromarray(np.full((number, 9, 3), number, np.uint8)).save(path)
    return paths


def write_run(folder, *, scored=True, settings=SETTINGS, val=2):
    """Write what a run leaves for the page; return the command line of compose_report."""
    splits = ["train"] * 3 + ["val"] * val
    rows = [Photograph(f"p{n}", f"p{n}.jpg", 4, 3, split, ("cat",)) for n, split in enumerate(splits)]
    write_index(folder / "index", Index(CLASSES, tuple(rows)))
    names = ("round1.json", "round2.json")
    iou = ((90.0, 40.0, 20.0), (90.0, 50.0, None)) if scored else ((None,) * 3,) * 2
    count = 2 if scored else 0
    rounds = [
        write_scores(folder / name, *shares, photographs=count)
        for name, shares in zip(names, iou, strict=True)
    ]
    for name in ("train_classifier", "compose_report"):
        path = folder / f"benchmarks/{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("s\th:m:s\tmax_rss\n61.4\t0:01:01\t512.3\n", encoding="utf-8")
    return [
        *("--index", folder / "index", "--settings", json.dumps(settings)),
        *("--summary", write_summary(folder, scored), "--val-scores", *rounds),
        *("--tables", *write_tables(folder), "--figures", *write_figures(folder)),
        *("--benchmarks", folder / "benchmarks", "--training-logs", *write_logs(folder)),
        *("--html", folder / "out/report.html", "--front", folder / "out/front.rst"),
    ]


def write_logs(folder):
    """Write the logs of three trainings, two of them on one device."""
    paths = [folder / f"training-{number}.json" for number in range(3)]
    for path, device in zip(paths, ("NVIDIA H200", "CPU", "CPU"), strict=True):
        path.write_text(json.dumps({"epochs": [], "device": f"{device}, torch 2.13.0"}), encoding="utf-8")
    return paths


def run(arguments):
    """Run the script in this process; return what ended it, None where it went well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["compose_report.py", *map(str, arguments)])
        try:
            return commandline.run(compose_report.main)
        except SystemExit as end:
            return end.code


def composed(folder, **options):
    """Compose the page of a tiny run; return its HTML."""
    assert run(write_run(folder, **options)) is None
    return (folder / "out/report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Compose the page of a tiny run as Snakemake does, in a process of its own; return its folder."""
    folder = tmp_path_factory.mktemp("tiny")
    command = [sys.executable, compose_report.__file__, *map(str, write_run(folder))]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    (folder / "said").write_text(done.stderr, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def page(tiny):
    """Return the HTML of the tiny run's page."""
    return (tiny / "out/report.html").read_text(encoding="utf-8")


def numbers_of(page):
    """Return (text, label, detail) of the large numbers."""
    return re.findall(
        r'<div class="number"><b>(.*?)</b><span>(.*?)</span><small>(.*?)</small></div>', page, re.DOTALL
    )


def section(page, heading):
    """Return the HTML of a section."""
    return re.search(f"<h2>{heading}</h2>(.*?)</section>", page, re.DOTALL)[1]


def heights(html):
    """Return the heights of the pictures, which tell them apart."""
    return [int(height) for height in re.findall(r'height="(\d+)"', html)]


def test_the_headline(page):
    assert "<h1>tiny: segmentation from tags</h1>" in page
    lead = "A network (net7) that segments 2 classes, learnt from 3 photographs and their tags alone"
    assert lead in page
    assert "made from the layer blocks.5.0 of a classifier. 2 photographs of val were kept apart." in page
    assert [(text, label) for text, label, _ in numbers_of(page)] == [
        ("70.0 %", "mIoU of the final network"),
        ("50.0 %", "mIoU of an earlier network"),
        ("60.0 %", "mIoU of the proxy masks of train"),
        ("0.950", "coverage of the proxy masks"),
        ("91.3 %", "mean average precision"),
        ("0.500", "share of full supervision"),
    ]
    assert numbers_of(page)[0][2] == "round 2; val, 2 photographs"


def test_each_picture_stands_once_in_its_section(page):
    expected = {"Examples": [1], "Training": [2], "Best and worst": [4], "Figures": [5, 7], "Tables": [6]}
    assert {heading: heights(section(page, heading)) for heading in expected} == expected
    # The bars of the page stand for the figure per_class, the third.
    assert sorted(heights(page)) == [1, 2, 4, 5, 6, 7]
    assert "<h3>Figure 9</h3>" in section(page, "Figures")


def test_sections_stand_in_order(page):
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings == [
        *("Examples", "Scores", "Tables", "Figures", "Training", "Classes", "Best and worst", "Provenance"),
    ]


def test_classes_are_bars_of_both_rounds(page):
    bars = section(page, "Classes")
    assert "IoU in percent on val, round 2; the mean is 70.0." in bars
    assert re.findall(r"width:([\d.]+)%", bars) == ["90.0", "50.0", "0.0"]
    assert "<small>20.0 → </small>–" in bars


def test_provenance(page):
    shown = section(page, "Provenance")
    facts = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", shown))
    assert facts["random seed"] == "7"
    assert facts["page composed with: numpy"] == np.__version__
    assert len(facts["index (SHA-256)"]) == 64
    assert "<td>train_classifier</td>" in shown
    assert '<td class="right">1 min 01 s</td><td class="right">512</td>' in shown
    assert "<td>compose_report</td>" not in shown
    assert "photos: &#x27;&#123;% a folder %&#125;&#x27;" in shown
    assert "segmenter:\n  network:\n    backbone: net7\n" in shown


def test_names_of_data_are_text(page):
    assert "<script" not in page
    assert "{{" not in page
    assert "{%" not in page
    assert page.count("&lt;script&gt;&#123;&#123;x&#125;&#125;&#123;% raw %&#125;&lt;/script&gt;") == 2


def test_the_front_page_holds_the_same(tiny, page):
    front = (tiny / "out/front.rst").read_text(encoding="utf-8").splitlines()
    assert [line for line in front if line and not line.startswith("   ")] == [
        "{% raw %}",
        ".. raw:: html",
        "{% endraw %}",
    ]
    body = re.search("<body>(.*)</body>", page, re.DOTALL)[1]
    assert "".join(body.split()) in "".join("".join(front).split())


def test_the_page_is_the_same_every_time(tmp_path):
    arguments = write_run(tmp_path)
    pages = []
    for _ in range(2):
        assert run(arguments) is None
        pages.append([(tmp_path / "out" / name).read_bytes() for name in ("report.html", "front.rst")])
    assert pages[0] == pages[1]


def test_sizes_are_said(tiny):
    lines = (tiny / "said").read_text(encoding="utf-8").splitlines()
    assert lines == [f"{tiny}/out/report.html: 0.0 MB", f"{tiny}/out/front.rst: 0.0 MB"]


def test_a_run_without_true_masks(tmp_path):
    page = composed(tmp_path, scored=False)
    assert [text for text, *_ in numbers_of(page)] == ["–", "–", "–", "–", "91.3 %", "0.500"]
    assert numbers_of(page)[0][2] == "round 2; nothing to score against"
    assert "no photograph of val has a true mask" in section(page, "Classes")


def test_the_page_says_where_networks_were_trained(tmp_path):
    assert run(write_run(tmp_path)) is None
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    facts = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", section(page, "Provenance")))
    assert facts["trained on"] == "NVIDIA H200, torch 2.13.0 · CPU, torch 2.13.0"


def test_a_log_that_is_none_is_told(tmp_path):
    arguments = write_run(tmp_path)
    (tmp_path / "training-1.json").write_text('{"epochs": []}')
    assert "training-1.json: not a log of training; delete it and run again" in str(run(arguments))
    assert not (tmp_path / "out").exists()


def test_a_run_without_val_tables_and_figures(tmp_path):
    arguments = write_run(tmp_path, val=0, scored=False)
    start, end = arguments.index("--tables"), arguments.index("--benchmarks")
    assert run([*arguments[:start], *arguments[end:]]) is None
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "No photograph was kept apart." in page
    assert re.findall("<h2>(.*?)</h2>", page) == ["Scores", "Classes", "Provenance"]
    assert "share of full supervision" not in page


def test_a_layer_that_was_chosen_is_told(tmp_path):
    page = composed(tmp_path, settings={**SETTINGS, "layer": "auto"})
    assert "made from a layer chosen from tags and photographs of a classifier" in page


@pytest.mark.parametrize("key", ["run", "layer", "random_seed", "segmenter"])
def test_a_missing_setting_is_told_and_nothing_written(tmp_path, key):
    settings = {name: value for name, value in SETTINGS.items() if name != key}
    assert run(write_run(tmp_path, settings=settings)).startswith(f"error: --settings: no '{key}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["figure_9.png", "ablation.csv", "round1.json", "summary.csv"])
def test_malformed_inputs_are_told_and_nothing_written(tmp_path, name):
    arguments = write_run(tmp_path)
    (tmp_path / name).write_text("a,b\n1\n", encoding="utf-8")
    assert re.match(f"error: .*{name}", run(arguments))
    assert not (tmp_path / "out").exists()


def test_a_malformed_benchmark_is_left_out(tmp_path, capsys):
    arguments = write_run(tmp_path)
    (tmp_path / "benchmarks/draw_report.tsv").write_text("?", encoding="utf-8")
    assert run(arguments) is None
    assert "draw_report.tsv: no benchmark of Snakemake" in capsys.readouterr().err
    assert "draw_report" not in (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_the_summary_has_the_columns_that_are_looked_for():
    assert compose_report.MIOU == draw_report.MIOU


def test_captions_are_those_of_the_documentation():
    text = (Path(compose_report.CAPTIONS) / "training.rst").read_text(encoding="utf-8")
    assert compose_report.caption_of("anywhere/training.png") == " ".join(text.split())
    assert compose_report.caption_of("anywhere/figure_none.png") == ""


def test_costs_are_summed_up():
    costs = [RuleCost("a", 2, 3720.0, 1900.0, 10.4), RuleCost("b", 1, 0.25, 0.25, None)]
    table = compose_report.cost_table(costs)
    assert table.rows == (
        ("a", "2", "1 h 02 min", "31 min 40 s", "10"),
        ("b", "1", "0.2 s", "0.2 s", ""),
        ("all", "3", "1 h 02 min", "31 min 40 s", "10"),
    )
    assert isinstance(table, ShownTable)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (90000.0, "25 h 00 min"),
    ],
)
def test_times_in_words(seconds, text):
    assert compose_report.duration(seconds) == text
