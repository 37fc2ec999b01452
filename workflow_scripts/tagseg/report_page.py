"""The parts of the report as HTML: numbers, tables, pictures, bars, and the page around them.

Whatever comes from data passes `escape`. The page needs no script and no other file.
"""

import base64
import csv
import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tagseg.errors import TagsegError
from tagseg.report_style import FRONT, PAGE, WINDOW

EMPTY = "\N{EN DASH}"
"""What stands for a number that there is not."""


def escape(text: object) -> str:
    """Return text as HTML that reads as itself, in a browser and in Jinja alike.

    Braces become entities, as Snakemake takes the front page of its report for a Jinja template.
    """
    return html.escape(str(text)).replace("{", "&#123;").replace("}", "&#125;")


def prose(text: str) -> str:
    """Return a line of Markdown or RST as HTML: its `code` and ``code`` marked, its backslashes resolved."""
    plain = re.sub(r"\\([^\w\s]|_)", r"\1", text)
    return re.sub(r"(`{1,2})(.+?)\1", r"<code>\2</code>", escape(plain))


@dataclass(frozen=True)
class Number:
    """A large number of the headline, with what it measures and a detail in small print."""

    text: str
    label: str
    detail: str = ""


def numbers(shown: Iterable[Number]) -> str:
    """Return the numbers of the headline; the first stands out."""
    tiles = (
        f'<div class="number"><b>{escape(one.text)}</b><span>{escape(one.label)}</span>'
        f"<small>{escape(one.detail)}</small></div>"
        for one in shown
    )
    return f'<div class="numbers">{"".join(tiles)}</div>'


@dataclass(frozen=True)
class ShownTable:
    """A table as it was written: `name` is its file's stem, `best` the (row, column) of what is in bold."""

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]] = frozenset()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"{row} has {len(row)} cells, the header {len(self.header)}")

    def column(self, name: str) -> list[str]:
        """Return the cells of the column `name`, "" for each row where there is no such column."""
        place = self.header.index(name) if name in self.header else None
        return ["" if place is None else row[place] for row in self.rows]


def read_table(path: str | Path) -> ShownTable:
    """Read a table's CSV and, from the Markdown beside it, its title, notes and what is in bold.

    Without Markdown the title is the file's name. Raises TagsegError where the CSV is missing or malformed.
    """
    path = Path(path)
    try:
        header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines(keepends=True), strict=True)
        title, best, notes = _read_markdown(path.with_suffix(".md"), len(rows))
        return ShownTable(path.stem, title, tuple(header), tuple(map(tuple, rows)), best, notes)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such file; run the stage that makes it again") from None
    except (ValueError, csv.Error) as error:
        raise TagsegError(f"{path}: not a table ({error}); delete it and run again") from None


def _read_markdown(path: Path, rows: int) -> tuple[str, frozenset[tuple[int, int]], tuple[str, ...]]:
    """Return the title, the places in bold and the notes of a table's Markdown, of as many `rows`."""
    if not path.exists():
        return name_of(path.stem), frozenset(), ()
    lines = path.read_text(encoding="utf-8").splitlines()
    titles = [line.removeprefix("# ") for line in lines if line.startswith("# ")]
    table = [line for line in lines if line.startswith("|")][2:]
    notes = [line for line in lines if line.strip() and not line.startswith(("|", "# "))]
    best = _bold_cells(table) if len(table) == rows else frozenset()
    return (titles or [name_of(path.stem)])[0], best, tuple(notes)


def _bold_cells(lines: Sequence[str]) -> frozenset[tuple[int, int]]:
    """Return (row, column) of the cells in bold of a pipe table's lines."""
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return frozenset(
        (row, column)
        for row, line in enumerate(cells)
        for column, cell in enumerate(line)
        if len(cell) > 4 and cell.startswith("**") and cell.endswith("**")
    )


def name_of(stem: str) -> str:
    """Return a file's stem as a heading."""
    return stem.replace("_", " ").capitalize()


def heading(text: str) -> str:
    """Return a heading within a section."""
    return f"<h3>{prose(text)}</h3>"


def table(shown: ShownTable) -> str:
    """Return a table with its heading and notes; columns of numbers are set to the right.

    Where there are many columns, the names of those are turned, so that they are as narrow as their numbers.
    """
    right = {column for column, cells in enumerate(zip(*shown.rows, strict=True)) if _are_numbers(cells)}
    head = "".join(_head(name, column in right) for column, name in enumerate(shown.header))
    body = "".join(f"<tr>{_row(shown, number, right)}</tr>" for number in range(len(shown.rows)))
    notes = "".join(f'<p class="note">{prose(note)}</p>' for note in shown.notes)
    kind = ' class="many"' if len(shown.header) > MANY_COLUMNS else ""
    whole = f"<table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'{heading(shown.title)}<div class="wide">{whole}</div>{notes}'


MANY_COLUMNS = 12

NUMBER = r"[+-]?\d[\d,]*(\.\d+)?( ?(%|s|min|h))?( \d\d (s|min))?"
"""A cell that is set to the right: a number, a percentage or a time."""


def _are_numbers(cells: Sequence[str]) -> bool:
    """Say whether a column holds nothing but numbers, at least one, and empty cells."""
    filled = [cell for cell in cells if cell not in ("", "-")]
    return bool(filled) and all(re.fullmatch(NUMBER, cell) for cell in filled)


def _row(shown: ShownTable, number: int, right: set[int]) -> str:
    cells = enumerate(map(escape, shown.rows[number]))
    marked = (
        (column, f"<b>{text}</b>" if (number, column) in shown.best else text) for column, text in cells
    )
    return "".join(_cell("td", text, column in right) for column, text in marked)


def _head(name: str, right: bool) -> str:
    """Return a cell of the header; a long name has room, however narrow what is below it."""
    kind = ' class="long"' if len(name) > 18 else ""
    return _cell("th", f"<span{kind}>{escape(name)}</span>", right)


def _cell(tag: str, content: str, right: bool) -> str:
    return f'<{tag} class="right">{content}</{tag}>' if right else f"<{tag}>{content}</{tag}>"


@dataclass(frozen=True)
class Picture:
    """A PNG or JPEG, by its `kind`, with its caption: `name` is its file's stem, sizes are in pixels."""

    name: str
    content: bytes
    kind: str
    width: int
    height: int
    caption: str


LINE = 5000
"""Signs of a picture in a line, below docutils's limit of 10,000."""

LARGE = 200_000
"""Above so many bytes a PNG is embedded as a JPEG, if that is smaller."""

PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def read_picture(path: str | Path, caption: str = "") -> Picture:
    """Read a PNG. Raises TagsegError where it is missing or none."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise TagsegError(f"{path}: cannot be read ({error.strerror}); draw it again") from None
    if not content.startswith(PNG_HEAD) or len(content) < len(PNG_HEAD) + 8:
        raise TagsegError(f"{path}: not a PNG; delete it and run again")
    width, height = (int.from_bytes(content[place : place + 4], "big") for place in (16, 20))
    return Picture(Path(path).stem, *_light(content), width, height, caption)


def _light(content: bytes) -> tuple[bytes, str]:
    """Return a PNG and its type; as a JPEG where it is large: many photographs fit into a page so."""
    if len(content) <= LARGE:
        return content, "png"
    stream = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.convert("RGB").save(stream, "JPEG", quality=88, subsampling=0, optimize=True)
    return min((content, "png"), (stream.getvalue(), "jpeg"), key=lambda one: len(one[0]))


def picture(shown: Picture, small: bool = False) -> str:
    """Return a picture with its caption above, as a data URI: the page stays one file."""
    text = base64.b64encode(shown.content).decode()
    # Browsers skip the breaks; docutils refuses longer lines.
    uri = f"data:image/{shown.kind};base64," + "\n".join(re.findall(f".{{1,{LINE}}}", text))
    caption = f"<figcaption>{prose(shown.caption)}</figcaption>" if shown.caption else ""
    size = f'width="{shown.width}" height="{shown.height}"'
    kind = ' class="small"' if small else ""
    return f'<figure{kind}>{caption}<img src="{uri}" alt="{escape(name_of(shown.name))}" {size}></figure>'


def bars(shares: Mapping[str, Sequence[float | None]]) -> str:
    """Return a bar a name, from the best to the worst by the last of its percentages.

    The others stand before it, small: the rounds before. None is a share that there is not.
    """
    last = {name: values[-1] for name, values in shares.items()}
    ranked = sorted(shares, key=lambda name: -1.0 if last[name] is None else last[name], reverse=True)
    return f'<ul class="bars">{"".join(_bar(name, shares[name]) for name in ranked)}</ul>'


def _bar(name: str, values: Sequence[float | None]) -> str:
    *before, last = (EMPTY if value is None else f"{value:.1f}" for value in values)
    small = f"<small>{''.join(f'{text} → ' for text in before)}</small>"
    return (
        f'<li><span>{escape(name)}</span><span class="track" aria-hidden="true">'
        f'<span class="fill" style="width:{values[-1] or 0:.1f}%"></span></span>'
        f'<span class="value">{small}{last}</span></li>'
    )


def facts(known: Mapping[str, str]) -> str:
    """Return a list of names and what they are."""
    pairs = (f"<dt>{escape(name)}</dt><dd>{escape(what)}</dd>" for name, what in known.items())
    return f"<dl>{''.join(pairs)}</dl>"


def folded(title: str, text: str) -> str:
    """Return text that opens at a click, its lines and blanks kept."""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def page(title: str, lead: str, headline: str, sections: Mapping[str, str]) -> str:
    """Return the page: title and lead as text, headline and sections as HTML; empty sections are left out."""
    filled = [(f"tagseg-{place}", *pair) for place, pair in enumerate(sections.items()) if pair[1]]
    links = "".join(f'<a href="#{place}">{escape(heading)}</a>' for place, heading, _ in filled)
    parts = "\n".join(
        f'<section id="{place}"><h2>{escape(heading)}</h2>\n{content}</section>'
        for place, heading, content in filled
    )
    return (
        f'<div class="tagseg not-prose">\n<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n'
        f"{headline}\n<nav>{links}</nav>\n{parts}\n</div>"
    )


def standalone(title: str, body: str) -> str:
    """Return a whole HTML document of a page."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{WINDOW}{PAGE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def front(body: str) -> str:
    """Return a page as RST for Snakemake's directive `report:`, which is read as a Jinja template first.

    A raw directive ends at the first line that is not indented, so every line is, by the breaks that
    docutils knows; and no line may be longer than 10,000 signs, so each tag begins one.
    """
    content = f"<style>{PAGE}{FRONT}</style>\n{body}".replace("><", ">\n<")
    indented = "\n".join(f"   {line}" for line in content.splitlines())
    return f"{{% raw %}}\n.. raw:: html\n\n{indented}\n\n{{% endraw %}}\n"
