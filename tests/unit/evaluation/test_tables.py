"""Tables are compared with what a person would write, character by character."""

import json
import re
import shutil
import subprocess

import pytest

from tagseg.evaluation.metrics import Scores
from tagseg.evaluation.scores import ScoreFile, missing_masks, read_scores
from tagseg.evaluation.tables import Table, csv_text, latex, markdown, read_table, write_tables
from tagseg.runtime.errors import TagsegError

TABLE = Table(
    "Masks | by seed",
    ("seed", "mIoU", "coverage", "images"),
    (("a_b", 55.25, 0.97649, 24), ("c|d", 55.21, None, 3), ("e", float("nan"), 1.0, None)),
    decimals={"coverage": 3},
    best=frozenset({"mIoU"}),
    notes=("One.", "Two."),
)
GROUPED = Table(
    "t", ("kind", "of", "n"), (("a", "x", 1), ("a", "y", 2), ("b", "z", 3), ("a", "w", 5)), grouped=True
)  # fmt: skip
TEX_SIGNS = 'a & b % c $ d # e _ f { g } h ~ i ^ j \\ k < l > m | n ` o " p [ q * r'


def test_markdown_and_csv_character_by_character():
    assert csv_text(TABLE) == "seed,mIoU,coverage,images\na_b,55.2,0.976,24\nc|d,55.2,,3\ne,,1.000,\n"
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
    rows = (("x", 9.0), ("y", 2.0), ("z", 1.0))
    table = Table("t", ("a", "b"), rows, best=frozenset({"b"}), best_among=frozenset({1, 2}))
    assert markdown(table).splitlines()[-3:] == ["| x | 9.0 |", "| y | **2.0** |", "| z | 1.0 |"]


def test_latex_character_by_character():
    assert latex(TABLE) == (
        "% needs \\usepackage{booktabs} and \\usepackage{adjustbox}\n"
        "\\begin{table}[htbp]\n"
        "\\centering\n"
        "\\caption{Masks \\textbar{} by seed}\n"
        "\\begin{adjustbox}{max width=\\linewidth, max totalheight=0.85\\textheight}\n"
        "\\begin{tabular}{lrrr}\n"
        "\\toprule\n"
        "seed & mIoU & coverage & images \\\\\n"
        "\\midrule\n"
        "a\\_b & \\textbf{55.2} & 0.976 & 24 \\\\\n"
        "c\\textbar{}d & \\textbf{55.2} &  & 3 \\\\\n"
        "e &  & 1.000 &  \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\\end{adjustbox}\n"
        "\\par\\smallskip{\\footnotesize\\raggedright One.\\par}\n"
        "\\par\\smallskip{\\footnotesize\\raggedright Two.\\par}\n"
        "\\end{table}\n"
    )


def body(text):
    lines = re.findall(r"\\midrule\n(.*?)\n?\\bottomrule", text, re.DOTALL)[0]
    return lines.replace(" \\\\", "").splitlines()


def test_latex_names_each_group_once_and_rotates_the_header_of_many_columns():
    groups = ["a & x & 1", " & y & 2", "\\midrule", "b & z & 3", "\\midrule", "a & w & 5"]
    assert body(latex(GROUPED)) == groups
    names = ("a", *(f"c{n}" for n in range(12)))
    assert "\na & \\rotatebox{90}{c0} & " in latex(Table("t", names, (("x", *range(12)),)))
    assert "rotatebox" not in latex(Table("t", names[:-1], (("x", *range(11)),)))


def test_special_characters_of_tex_are_escaped():
    text = latex(Table(TEX_SIGNS, ("a",), (("[x]",), ("*y",), ("two\nlines",)), notes=("See `a_b` & c.",)))
    assert (
        "\\caption{a \\& b \\% c \\$ d \\# e \\_ f \\{ g \\} h \\textasciitilde{} i \\textasciicircum{} j "
        "\\textbackslash{} k \\textless{} l \\textgreater{} m \\textbar{} n "
        "\\textasciigrave{} o \\char34{} p {[} q {*} r}"
    ) in text
    assert body(text) == ["{[}x]", "{*}y", "two lines"]
    assert "See \\texttt{a\\_b} \\& c.\\par}" in text


def has_tex():
    if not (shutil.which("pdflatex") and shutil.which("kpsewhich")):
        return False
    command = ["kpsewhich", "booktabs.sty", "adjustbox.sty"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("table", [TABLE, GROUPED, Table("t", ("a", "b"), (), best_among=frozenset({1}))])
def test_json_is_read_back(tmp_path, table):
    write_tables(table, json=tmp_path / "sub/t.json")
    read = read_table(tmp_path / "sub/t.json")
    for shown in (markdown, csv_text, latex):
        assert shown(read) == shown(table)


@pytest.mark.skipif(not has_tex(), reason="no TeX here")
def test_tex_accepts_a_table(tmp_path):
    rows = ((TEX_SIGNS, 1.0, 2.0), ("[x]", 3.0, None), ("*", 3.0, None))
    table = Table(TEX_SIGNS, (TEX_SIGNS, "a", "b"), rows, best=frozenset({"a"}), notes=(TEX_SIGNS, "`a_b`"))
    (tmp_path / "t.tex").write_text(latex(table), encoding="utf-8")
    packages = "\\usepackage{booktabs}\\usepackage{adjustbox}"
    document = f"\\documentclass{{article}}{packages}\\begin{{document}}\\input{{t}}\\end{{document}}"
    (tmp_path / "main.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def scores_of(images):
    return Scores(45.0, 46.0, {"background": 90.0, "cat": None}, 80.0, 0.5, images, [[1, 2, 3], [4, 5, 6]])


def test_scores_are_read_back_and_missing_ground_truth_is_noted_once_per_split(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"split": "val", **vars(scores_of(2))}), encoding="utf-8")
    assert read_scores(path) == ScoreFile("val", scores_of(2))
    files = [ScoreFile(split, scores_of(count)) for split, count in [("train", 0), ("train", 0), ("val", 3)]]
    (note,) = missing_masks(files)
    assert "no image of train has ground truth" in note


TABLES = [(read_table, content, "missing, or not a table") for content in ("", "{}", '{"title": "t", "rows": []}')]
SCORES = [(read_scores, content, "not a score file") for content in ("{}", "[]", '{"split": "val", "other": 1}')]


@pytest.mark.parametrize(("read", "content", "message"), TABLES + SCORES)
def test_malformed_tables_and_scores_are_named(tmp_path, read, content, message):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(TagsegError, match=rf"t\.json: {message}"):
        read(tmp_path / "t.json")


def test_json_has_its_sets_in_order(tmp_path):
    names = tuple(f"class {number}" for number in range(30))
    write_tables(Table("t", ("name", *names), (), best=frozenset(names)), json=tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text())["best"] == sorted(names)
