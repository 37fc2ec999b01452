"""The page, read back by a parser of HTML; versions and costs."""

import base64
import io
import platform
import re
import subprocess
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from tagseg.evaluation.tables import Table
from tagseg.report import page as report_page
from tagseg.report.page import Picture, read_picture
from tagseg.report.run_info import RuleCost, commit, durations, versions
from tagseg.report.summary import Number
from tagseg.report.templates import duration, render

HOSTILE = "<script>{{x}}{% raw %}</script> {% endraw %} {# \"c\" & 'd' #}"
TABLE = Table("T", ("stage", "by", "IoU"), (("a", "x", 1.0), ("b", "", None), ("c", "y", 0.5)))


class Reader(HTMLParser):
    def __init__(self, document):
        super().__init__()
        self.tags, self.words, self.addresses = [], [], []
        self.feed(document)
        self.text = "".join(self.words)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        if self.tags[-1:] != ["style"] or data.isspace():
            self.words.append(data)


def made(**changes):
    content = {"title": "t", "lead": "l", "headline": [], "summary": TABLE, "tables": {}}
    content |= {"figures": report_page.in_sections([], {"t": None}), "facts": {}, "costs": []}
    content["configuration"] = ""
    return render("report.html.j2", **content | changes)


def hostile_page():
    table = Table(HOSTILE, (HOSTILE, "n"), ((HOSTILE, 1),), notes=(HOSTILE,))
    picture = Picture("t", "data:,", 1, 1, HOSTILE)
    return made(
        **{"title": HOSTILE, "lead": HOSTILE, "headline": [Number(HOSTILE, HOSTILE, HOSTILE)]},
        **{"tables": {"t": table}, "figures": report_page.in_sections([picture], {"t": table})},
        **{"facts": {HOSTILE: HOSTILE}, "configuration": f"{HOSTILE}\n  {HOSTILE}"},
        costs=[RuleCost(HOSTILE, 1, 1.0, 1.0, None)],
    )


def test_hostile_names_are_text():
    read = Reader(hostile_page())
    assert "script" not in read.tags
    # Titles of the window and the page, lead, number, table, caption, facts, rule, configuration.
    assert read.text.count(HOSTILE) == 2 + 1 + 3 + 4 + 1 + 2 + 1 + 2


def test_page_needs_no_other_file():
    document = hostile_page()
    addresses = Reader(document).addresses
    assert document.startswith("<!doctype html>") and not re.search(r"url\(|@import", document)
    sections = re.findall(r'<section id="([^"]*)"', document)
    assert [one for one in addresses if one != "data:,"] == [f"#{name}" for name in sections]


def test_table_marks_numbers_and_the_best():
    best = Table(TABLE.title, TABLE.header, TABLE.rows, best=frozenset({"IoU"}), notes=("One.",))
    page = made(summary=best)
    assert '<td class="right"><b>1.0</b></td>' in page and '<td class="right">0.5</td>' in page
    assert '<td class="right"></td>' in page and "<td>x</td>" in page
    assert '<p class="note">One.</p>' in page and 'class="many"' not in page
    header = tuple(map(str, range(13)))
    assert 'class="many"' in made(summary=Table("t", header, ()))


def test_large_picture_is_embedded_as_jpeg(tmp_path):
    rows, columns = np.indices((700, 600))
    pixels = np.stack([rows % 256, columns % 256, (rows * columns // 97) % 256], axis=2).astype(np.uint8)
    pixels += np.random.default_rng(0).integers(0, 6, pixels.shape, np.uint8)
    path = tmp_path / "best_worst.png"
    Image.fromarray(pixels).save(path)
    (tmp_path / "best_worst.rst").write_text('Ours,\n"best"\n', encoding="utf-8")
    shown = read_picture(path, tmp_path)
    assert (shown.title, shown.width, shown.height, shown.caption) == ("Best worst", 600, 700, 'Ours, "best"')
    content = base64.b64decode(shown.uri.removeprefix("data:image/jpeg;base64,"))
    assert path.stat().st_size > report_page.LARGE and len(content) < path.stat().st_size / 2
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (600, 700))
        assert np.abs(np.asarray(image.convert("RGB"), float) - pixels).mean() < 8


def test_durations():
    texts = {0.0: "0.0 s", 59.94: "59.9 s", 59.96: "1 min 00 s", 3599.4: "59 min 59 s"}
    texts |= {3599.6: "1 h 00 min", 90000.0: "25 h 00 min"}
    assert {seconds: duration(seconds) for seconds in texts} == texts


def git(folder, *arguments):
    command = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_versions_with_the_commit_of_a_clone(tmp_path, monkeypatch):
    found = versions(tmp_path)
    assert found["Python"] == platform.python_version() and found["numpy"] == np.__version__
    assert "tagseg" not in found, "not a clone"
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "one")
    revision = git(tmp_path, "rev-parse", "HEAD")[:12]
    assert versions(tmp_path)["tagseg"] == revision
    (tmp_path / "a").write_text("2")
    assert commit(tmp_path) == f"{revision}-dirty"
    monkeypatch.setenv("PATH", "")
    assert commit(tmp_path) is None, "no git"


BENCHMARKS = {
    "draw": ["2\t0:00:02\t10\t7", "0.5\t0:00:00\t100.25\t7"],
    "train/a/round1": ["60\t0:01:00\t900\t7"],
    "train/b/shard-0": ["91.5\t0:01:31\t-\t-"],
    "quick": ["0.01\t0:00:00\t0.00\t-"],
    "page": ["1\t0:00:01\t1\t1"],
}


def test_costs_per_rule_and_of_all(tmp_path):
    for name, rows in BENCHMARKS.items():
        path = tmp_path / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["s\th:m:s\tmax_rss\tmax_vms", *rows, ""]))
    assert durations(tmp_path, skip="page") == [
        RuleCost("train", 2, 151.5, 91.5, 900.0),
        RuleCost("draw", 2, 2.5, 2.0, 100.25),
        RuleCost("quick", 1, 0.01, 0.01, None),
        RuleCost("all", 5, 154.01, 91.5, 900.0),
    ]
    assert durations(tmp_path / "nowhere") == []
