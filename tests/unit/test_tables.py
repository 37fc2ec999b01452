"""Tables are compared with what a person would write, character by character."""

import csv
import json
import re
import shutil
import subprocess

import pytest

from tagseg.errors import TagsegError
from tagseg.metrics import Scores
from tagseg.tables import (
    ScoreFile,
    Table,
    csv_text,
    known,
    latex,
    markdown,
    missing_masks,
    read_scores,
    write_csv,
    write_latex,
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


def test_a_class_may_have_the_name_of_a_column_of_text():
    table = Table("t", ("a", "by", "by"), (("x", "us", 1.0), ("y", "them", 2.0)), best=frozenset({"a", "by"}))
    assert markdown(table).splitlines()[-2:] == ["| x | us | 1.0 |", "| y | them | **2.0** |"]


def test_the_best_may_be_among_some_rows_alone():
    table = Table("t", ("a", "b"), (("x", 9.0), ("y", 2.0), ("z", 1.0)), best=frozenset({"b"}))
    some = Table(*(table.title, table.header, table.rows), best=table.best, best_among=frozenset({1, 2}))
    assert markdown(table).splitlines()[-3:] == ["| x | **9.0** |", "| y | 2.0 |", "| z | 1.0 |"]
    assert markdown(some).splitlines()[-3:] == ["| x | 9.0 |", "| y | **2.0** |", "| z | 1.0 |"]


def test_text_stands_to_the_left():
    table = Table("t", ("a", "b", "c", "d"), ((1.0, None, "x", 1), (2.0, 1.0, None, 2)))
    assert markdown(table).splitlines()[3] == "| :-- | --: | :-- | --: |"
    assert "\\begin{tabular}[t]{lrlr}" in latex(table)


@pytest.mark.parametrize("other", [None, float("nan")])
def test_a_number_without_another_to_compare_with_is_not_bold(other):
    table = Table("t", ("a", "b"), (("x", 1.0), ("y", other)), best=frozenset({"b"}))
    assert "**" not in markdown(table)


def test_latex_character_by_character():
    assert latex(TABLE) == (
        "% wants \\usepackage{booktabs} and \\usepackage{adjustbox}\n"
        "\\begin{table}[htbp]\n"
        "\\centering\n"
        "\\caption{Masks \\textbar{} by seed}\n"
        "\\begin{adjustbox}{max width=\\linewidth}\n"
        "\\begin{tabular}[t]{lrrr}\n"
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


GROUPED = Table(
    "t", ("kind", "of", "n"), (("a", "x", 1), ("a", "y", 2), ("b", "z", 3), ("b", "", 4), ("a", "w", 5)),
    grouped=True,
)  # fmt: skip


def body(text):
    """Return the lines of each tabular of a LaTeX table, between header and end."""
    parts = re.findall(r"\\midrule\n(.*?)\n\\bottomrule", text, re.DOTALL)
    return [part.replace(" \\\\", "").splitlines() for part in parts]


def test_a_group_is_ruled_off_and_its_name_said_once():
    rule = "\\cmidrule(lr){1-3}"
    expected = ["a & x & 1", " & y & 2", rule, "b & z & 3", " &  & 4", rule, "a & w & 5"]
    assert body(latex(GROUPED)) == [expected]


def test_two_halves_stand_side_by_side_and_each_says_its_group():
    rule = "\\cmidrule(lr){1-3}"
    left, right = body(latex(GROUPED, halves=2))
    assert left == ["a & x & 1", " & y & 2", rule, "b & z & 3"]
    assert right == ["b &  & 4", rule, "a & w & 5"]


def test_many_columns_have_an_upright_header():
    names = ("a", *(f"c{n}" for n in range(12)))
    table = Table("t", names, (("x", *range(12)),))
    assert "\na & \\rotatebox{90}{c0} & " in latex(table)
    assert "rotatebox" not in latex(Table("t", names[:-1], (("x", *range(11)),)))


TEX_SIGNS = 'a & b % c $ d # e _ f { g } h ~ i ^ j \\ k < l > m | n ` o " p [ q * r'


def test_the_signs_of_tex_are_escaped():
    text = latex(Table(TEX_SIGNS, ("a",), (("[x]",), ("*y",), ("two\nlines",)), notes=("See `a_b` & c.",)))
    assert (
        "\\caption{a \\& b \\% c \\$ d \\# e \\_ f \\{ g \\} h \\textasciitilde{} i \\textasciicircum{} j "
        "\\textbackslash{} k \\textless{} l \\textgreater{} m \\textbar{} n "
        "\\textasciigrave{} o \\char34{} p {[} q {*} r}"
    ) in text
    assert body(text) == [["{[}x]", "{*}y", "two lines"]]
    assert "See \\texttt{a\\_b} \\& c.\\par}" in text


@pytest.mark.parametrize("halves", [1, 2])
@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_latex_is_well_formed(rows, halves):
    header = tuple(f"{n} {TEX_SIGNS}" for n in range(4))
    table = Table(TEX_SIGNS, header, ((TEX_SIGNS, 1.0, None, 2),) * rows, grouped=True, notes=(TEX_SIGNS,))
    text = latex(table, halves)
    bare = re.sub(r"\\\\|\\[&%$#_{}]", "", text)
    depths = [bare[:place].count("{") - bare[:place].count("}") for place in range(len(bare) + 1)]
    assert min(depths) == 0 == depths[-1]
    assert re.findall(r"\\begin\{(\w+)", bare).count("tabular") == halves
    assert {line.count("&") for line in bare.splitlines() if "&" in line} == {3}
    assert bare.count("%") == 1 == text.count("\\end{table}")


def has_tex():
    """Say whether there is a TeX with the packages that a table wants."""
    if not (shutil.which("pdflatex") and shutil.which("kpsewhich")):
        return False
    command = ["kpsewhich", "booktabs.sty", "adjustbox.sty"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_tex(), reason="no TeX here")
@pytest.mark.parametrize("halves", [1, 2])
def test_tex_takes_it(tmp_path, halves):
    rows = ((TEX_SIGNS, 1.0, 2.0), ("[x]", 3.0, None), ("*", 3.0, None))
    table = Table(TEX_SIGNS, (TEX_SIGNS, "a", "b"), rows, best=frozenset({"a"}), notes=(TEX_SIGNS, "`a_b`"))
    write_latex(tmp_path / "t.tex", table, halves)
    packages = "\\usepackage{booktabs}\\usepackage{adjustbox}"
    document = f"\\documentclass{{article}}{packages}\\begin{{document}}\\input{{t}}\\end{{document}}"
    (tmp_path / "main.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_zero_is_a_number_and_never_negative():
    assert Table("t", ("a", "b"), ((0.0, -0.04),)).text() == [["0.0", "0.0"]]


def test_a_table_without_rows():
    empty = Table("t", ("a", "b"), (), best=frozenset({"b"}))
    assert markdown(empty) == "# t\n\n| a | b |\n| :-- | --: |\n"
    assert csv_text(empty) == "a,b\n"
    assert body(latex(empty)) == []
    assert "a & b \\\\\n\\midrule\n\\bottomrule" in latex(empty)


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
