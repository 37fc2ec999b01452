"""The page is read back by a parser of HTML, and by Jinja and docutils as Snakemake does."""

import base64
import io
import re
from html.parser import HTMLParser

import jinja2
import numpy as np
import pytest
from docutils.core import publish_parts
from PIL import Image

from tagseg import report_page
from tagseg.errors import TagsegError
from tagseg.report_page import Number, Picture, ShownTable, read_picture, read_table
from tagseg.tables import Table, write_csv, write_markdown

# Snakemake names docutils's writer in a way that goes with docutils 2.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

HOSTILE = "<script>{{x}}{% raw %}</script> {% endraw %} {# \"c\" & 'd' #}"


class Reader(HTMLParser):
    """Gathers the tags, the text outside style sheets, and the addresses of a document."""

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


def as_snakemake(front):
    """Return what Snakemake 9 makes of the file that its directive `report:` names."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    links = "\n\n\n.. _Workflow: javascript:show_panel('workflow')\n"
    return publish_parts(environment.from_string(front + links).render(), writer_name="html")["html_body"]


def letters(document):
    """Return the text of a document without white space, which may differ between tags."""
    return "".join(Reader(document).text.split())


def write_png(path, width=3, height=2):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def hostile_page():
    shown = ShownTable("t", HOSTILE, (HOSTILE, "n"), ((HOSTILE, "1"),), notes=(HOSTILE,))
    parts = {
        "Tables": report_page.table(shown),
        "Bars": report_page.bars({HOSTILE: [1.0]}),
        "Facts": report_page.facts({HOSTILE: HOSTILE})
        + report_page.folded(HOSTILE, f"{HOSTILE}\n  {HOSTILE}"),
        HOSTILE: report_page.heading(HOSTILE),
    }
    return report_page.page(HOSTILE, HOSTILE, report_page.numbers([Number(HOSTILE, HOSTILE, HOSTILE)]), parts)


def test_hostile_names_are_text_and_nothing_else():
    read = Reader(report_page.standalone(HOSTILE, hostile_page()))
    assert "script" not in read.tags
    # The window's title; title, lead, 3 of the number; link and heading of a section, a heading within it;
    # title, head, cell and note of the table; a bar; 2 of the facts; 3 of what is folded.
    assert read.text.count(HOSTILE) == 1 + 5 + 3 + 4 + 1 + 2 + 3


def test_hostile_names_pass_snakemake_unchanged():
    made = as_snakemake(report_page.front(hostile_page()))
    assert "system-message" not in made
    assert "script" not in Reader(made).tags
    assert letters(made) == letters(hostile_page())


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_no_line_break_ends_the_raw_block(line_break):
    text = f"one{line_break}two{line_break}{line_break}.. note:: three"
    made = as_snakemake(report_page.front(report_page.page("t", text, "", {"a": "<p>last</p>"})))
    assert "system-message" not in made
    assert letters(made) == "tonetwo..note::threeaalast"


def test_long_tables_and_large_pictures_keep_below_the_limit_of_docutils(tmp_path):
    rows = tuple((f"class {number}", "1.0") for number in range(2000))
    shown = read_picture(write_png(tmp_path / "p.png", 300, 200))
    body = report_page.table(ShownTable("t", "t", ("class", "IoU"), rows)) + report_page.picture(shown)
    front = report_page.front(report_page.page("t", "", "", {"a": body}))
    assert max(map(len, front.splitlines())) < 10_000
    made = as_snakemake(front)
    assert "system-message" not in made
    assert picture_bytes(made) == (tmp_path / "p.png").read_bytes()


def test_the_front_page_is_the_page_and_its_style():
    made = as_snakemake(report_page.front(report_page.page("Title", "Lead.", "", {"a": "<p>b</p>"})))
    assert letters(made) == "TitleLead.aab"
    assert "#rulegraph" in made
    assert "{% raw %}" not in made


def test_lines_of_folded_text_keep_their_indentation_in_snakemake():
    text = "top:\n  inner:\n    - 1\n\nother: '{x}'\n"
    made = as_snakemake(
        report_page.front(report_page.page("t", "", "", {"a": report_page.folded("c", text)}))
    )
    assert text in Reader(made).text


def test_the_page_that_stands_alone_asks_for_nothing_outside(tmp_path):
    body = report_page.picture(read_picture(write_png(tmp_path / "p.png")))
    document = report_page.standalone("t", report_page.page("t", "l", "", {"a": body, "empty": "", "b": "x"}))
    read = Reader(document)
    assert document.startswith("<!doctype html>")
    assert [address.split(",")[0] for address in read.addresses] == [
        "#tagseg-0",
        "#tagseg-2",
        "data:image/png;base64",
    ]
    assert not re.search(r"url\(|@import", document)
    assert re.findall(r'<section id="([^"]*)"', document) == ["tagseg-0", "tagseg-2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a & b", "a &amp; b"),
        ("see `a<b>` and ``c``", "see <code>a&lt;b&gt;</code> and <code>c</code>"),
        ("a\\_b \\| \\`c\\`", "a_b | <code>c</code>"),
        ("C:\\data", "C:\\data"),
        ("one ` alone", "one ` alone"),
        ("{{x}}", "&#123;&#123;x&#125;&#125;"),
    ],
)
def test_marks_of_prose(text, expected):
    assert report_page.prose(text) == expected


def test_numbers_of_the_headline():
    made = report_page.numbers([Number("78.0 %", "mIoU", "val"), Number("–", "mAP")])
    assert made.count('<div class="number">') == 2
    assert Reader(made).words == ["78.0 %", "mIoU", "val", "–", "mAP"]


def test_a_table_is_read_back_as_it_was_written(tmp_path):
    rows = (('a_b, "c"|d', 1.25, None), ("e\\*", 3.0, 2))
    written = Table(
        "T_1 | x", ("na_me", "mIoU", "n"), rows, best=frozenset({"mIoU"}), notes=("One.", "Two `2`.")
    )
    write_csv(tmp_path / "t_1.csv", written)
    write_markdown(tmp_path / "t_1.md", written)
    shown = read_table(tmp_path / "t_1.csv")
    assert (shown.name, shown.header, shown.rows) == (
        "t_1",
        written.header,
        tuple(map(tuple, written.text())),
    )
    assert shown.best == {(1, 1)}
    assert shown.notes == written.notes
    assert report_page.prose(shown.title) == "T_1 | x"


def test_a_table_without_markdown_is_called_as_its_file(tmp_path):
    (tmp_path / "upper_bound.csv").write_text("a,b\n1,\n", encoding="utf-8")
    assert read_table(tmp_path / "upper_bound.csv") == ShownTable(
        "upper_bound", "Upper bound", ("a", "b"), (("1", ""),)
    )


def test_markdown_of_other_rows_marks_none_in_bold(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n", encoding="utf-8")
    (tmp_path / "t.md").write_text("# T\n\n| a | b |\n| :-- | --: |\n| 1 | **2** |\n", encoding="utf-8")
    assert read_table(tmp_path / "t.csv").best == frozenset()


@pytest.mark.parametrize("content", [b"", b"a,b\n1\n", b"a,b\n1,2,3\n", b"a\n\xff\n", b'a\n"1" 2\n'])
def test_malformed_tables_are_told(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TagsegError, match=r"t\.csv: not a table .*delete it and run again"):
        read_table(tmp_path / "t.csv")


def test_a_missing_table_is_told(tmp_path):
    with pytest.raises(TagsegError, match=r"t\.csv: no such file"):
        read_table(tmp_path / "t.csv")


def test_a_table_of_text_and_numbers():
    shown = ShownTable(
        "t", "T", ("stage", "by", "IoU"), (("a", "x", "1.0"), ("b", "", "")), frozenset({(0, 2)}), ("Note.",)
    )
    made = report_page.table(shown)
    assert "<h3>T</h3>" in made
    assert '<tr><td>a</td><td>x</td><td class="right"><b>1.0</b></td></tr>' in made
    assert '<tr><td>b</td><td></td><td class="right"></td></tr>' in made
    assert made.endswith('<p class="note">Note.</p>')
    assert 'class="many"' not in made


def test_many_columns_are_narrow():
    header = tuple(map(str, range(report_page.MANY_COLUMNS + 1)))
    assert 'class="many"' in report_page.table(ShownTable("t", "T", header, (header,)))


@pytest.mark.parametrize(
    "cell", ["1", "-0.5", "10,582", "0.984", "78.0 %", "16 min 29 s", "1 h 02 min", "0.2 s"]
)
def test_columns_of_numbers_are_set_to_the_right(cell):
    assert f'<td class="right">{cell}</td>' in report_page.table(
        ShownTable("t", "", ("n",), ((cell,), ("",)))
    )


@pytest.mark.parametrize("cells", [("10k", "1"), ("train", "1"), ("", ""), ("C41", "C42")])
def test_columns_of_other_things_are_not(cells):
    made = report_page.table(ShownTable("t", "", ("n",), tuple((cell,) for cell in cells)))
    assert "right" not in made


def test_a_table_without_rows():
    assert "<tbody></tbody>" in report_page.table(ShownTable("t", "", ("a", "b"), ()))


def test_rows_have_as_many_cells_as_the_header():
    with pytest.raises(ValueError, match="1 cells, the header 2"):
        ShownTable("t", "", ("a", "b"), (("1",),))


def picture_bytes(document):
    """Return the bytes of a document's picture, decoded as browsers do: without white space."""
    (uri,) = re.findall(r'src="data:image/(?:png|jpeg);base64,([^"]*)"', document)
    return base64.b64decode("".join(uri.split()), validate=True)


def test_a_picture_holds_the_file_itself(tmp_path):
    path = write_png(tmp_path / "figure_1.png", 31, 17)
    shown = read_picture(path, 'Ours, "best"')
    made = report_page.picture(shown)
    assert (shown.name, shown.width, shown.height) == ("figure_1", 31, 17)
    assert picture_bytes(made) == path.read_bytes()
    assert 'width="31" height="17"' in made
    assert 'alt="Figure 1"' in made
    assert "<figcaption>Ours, &quot;best&quot;</figcaption>" in made
    with Image.open(io.BytesIO(picture_bytes(made))) as image:
        assert image.size == (31, 17)


def test_a_large_picture_is_embedded_as_a_jpeg_of_its_size_and_looks(tmp_path):
    rows, columns = np.indices((700, 600))
    pixels = np.stack([rows % 256, columns % 256, (rows * columns // 97) % 256], axis=2).astype(np.uint8)
    pixels += np.random.default_rng(0).integers(0, 6, pixels.shape, np.uint8)
    path = tmp_path / "photographs.png"
    Image.fromarray(pixels).save(path)
    content = picture_bytes(report_page.picture(read_picture(path)))
    assert path.stat().st_size > report_page.LARGE and len(content) < path.stat().st_size / 2
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (600, 700))
        difference = np.asarray(image.convert("RGB"), float) - pixels
    assert np.abs(difference).mean() < 8


def test_a_picture_without_caption_is_called_as_its_file():
    made = report_page.picture(Picture("best_worst", b"", "png", 1, 1, ""))
    assert 'alt="Best worst"' in made
    assert "figcaption" not in made


@pytest.mark.parametrize("content", [b"", b"GIF89a", report_page.PNG_HEAD])
def test_what_is_no_png_is_told(tmp_path, content):
    (tmp_path / "p.png").write_bytes(content)
    with pytest.raises(TagsegError, match=r"p\.png: not a PNG"):
        read_picture(tmp_path / "p.png")


def test_a_missing_picture_is_told(tmp_path):
    with pytest.raises(TagsegError, match=r"p\.png: cannot be read"):
        read_picture(tmp_path / "p.png")


def test_bars_stand_from_the_best_to_the_worst():
    made = report_page.bars(
        {"cat": [10.0, 20.04], "dog": [None, 90.0], "emu": [5.0, None], "fox": [1.0, 0.0]}
    )
    assert Reader(made).text == "dog– → 90.0cat10.0 → 20.0fox1.0 → 0.0emu5.0 → –"
    assert re.findall(r"width:([\d.]+)%", made) == ["90.0", "20.0", "0.0", "0.0"]


def test_bars_of_a_single_round():
    assert Reader(report_page.bars({"cat": [10.0]})).text == "cat10.0"
