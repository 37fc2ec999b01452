"""Grids of photographs with masks laid over them, drawn with matplotlib's objects: no global state."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Patch

from tagseg.figures import GREY, MEDIUM, SMALL, cut, legend_name, plain_text
from tagseg.images import VOID, resize_mask, resize_photograph
from tagseg.mask_looks import HATCHES, VOID_HATCH, Look, labels_in, laid_over, looks_of

CELL, GAP = 2.5, 0.08  # width of a picture in a grid and what lies between two, inches
BLOCK_GAP = 0.35  # between two blocks side by side
HEAD, LABEL = 0.3, 0.3  # height of the titles and of a line's label
LEGEND_LINE = 0.24
STORED_SIDE = 400  # longest side, in pixels, at which a picture is drawn


@dataclass(frozen=True)
class Example:
    """A line of a grid: a photograph uint8 (H, W, 3), its masks uint8 (H, W) or None, and its words."""

    name: str
    remarks: tuple[str, ...]
    photograph: np.ndarray
    masks: tuple[np.ndarray | None, ...]


def qualitative(
    rows: Sequence[Example], columns: Sequence[str], classes: Sequence[str], blocks: Sequence[str] = ("",)
) -> Figure:
    """Return a grid: a line a photograph, with its masks laid over; a legend of the classes that occur.

    `columns` are titles of the photograph and of each mask; `classes` are names by class number. None in
    place of a mask leaves its cell empty. The rows are dealt to `blocks` side by side, named if they have
    a name. Raises ValueError where there is no row, or one has not as many masks as the columns ask for.
    """
    present = labels_in(mask for row in rows for mask in row.masks)
    looks = looks_of(present)
    entries = mask_entries(looks, classes, present)
    width = Grid.width_of(len(columns), len(blocks))
    grid = Grid.of(rows, columns, blocks, below=0.15 + legend_height(entries, width))
    figure = Figure(figsize=(grid.width, grid.height))
    grid.draw(figure, rows, looks)
    draw_legend(figure, entries)
    return figure


@dataclass(frozen=True)
class Grid:
    """Where the parts of a grid lie; sizes in inches, places as shares of the figure, as matplotlib asks."""

    columns: tuple[str, ...]
    blocks: tuple[str, ...]
    lines: int  # of each block
    height: float  # of the figure
    picture: float  # height of a picture

    @classmethod
    def of(
        cls, rows: Sequence[Example], columns: Sequence[str], blocks: Sequence[str] = ("",), below: float = 0
    ) -> "Grid":
        """Lay out a grid on top of a figure that has so many inches `below` it.

        Raises ValueError where there is no row, or one has not as many masks as the columns ask for.
        """
        if not rows or any(len(row.masks) != len(columns) - 1 for row in rows):
            raise ValueError(f"a grid needs rows, each with {len(columns) - 1} masks")
        aspects = [row.photograph.shape[0] / row.photograph.shape[1] for row in rows]
        picture = CELL * float(np.clip(np.median(aspects), 0.5, 1.2))
        lines = -(-len(rows) // len(blocks))
        height = _heads(blocks) * HEAD + lines * (picture + LABEL) + below
        return cls(tuple(columns), tuple(blocks), lines, height, picture)

    @staticmethod
    def width_of(columns: int, blocks: int = 1) -> float:
        """Return the width in inches of blocks of so many columns."""
        return blocks * (columns * (CELL + GAP) + GAP) + (blocks - 1) * BLOCK_GAP

    @property
    def width(self) -> float:
        """Return the width of the figure."""
        return self.width_of(len(self.columns), len(self.blocks))

    def draw(self, figure: Figure, rows: Sequence[Example], looks: Mapping[int, Look]) -> None:
        """Draw titles and rows, the first block's first."""
        for block, name in enumerate(self.blocks):
            self._draw_heads(figure, block, name)
        for number, row in enumerate(rows):
            block, line = divmod(number, self.lines)
            self._write_label(figure, block, line, row)
            for column, image in enumerate(_pictures(row, looks)):
                _draw_picture(figure.add_axes(self._cell(block, line, column)), image)

    def _left(self, block: int, column: int) -> float:
        return GAP + block * (self.width_of(len(self.columns)) + BLOCK_GAP) + column * (CELL + GAP)

    def _bottom(self, line: int) -> float:
        return self.height - _heads(self.blocks) * HEAD - (line + 1) * (self.picture + LABEL)

    def _cell(self, block: int, line: int, column: int) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height of a picture."""
        left, bottom = self._left(block, column) / self.width, self._bottom(line) / self.height
        return left, bottom, CELL / self.width, self.picture / self.height

    def _draw_heads(self, figure: Figure, block: int, name: str) -> None:
        style = {"ha": "center", "va": "top", "weight": "bold"}
        middle = self._left(block, 0) + (self.width_of(len(self.columns)) - 2 * GAP) / 2
        top = self.height - 0.1
        if name:
            write(figure, (middle / self.width, top / self.height), name, MEDIUM + 1, **style)
        top -= (_heads(self.blocks) - 1) * HEAD
        for column, title in enumerate(self.columns):
            place = (self._left(block, column) + CELL / 2) / self.width, top / self.height
            write(figure, place, cut(title, 28), MEDIUM, **style)

    def _write_label(self, figure: Figure, block: int, line: int, row: Example) -> None:
        """Write a photograph's name and remarks above its line, cut to the width of its block."""
        letters = int(self.width_of(len(self.columns)) * 12.5)
        text = cut("  ·  ".join(filter(None, (row.name, *row.remarks))), letters)
        place = self._left(block, 0), self._bottom(line) + self.picture + 0.05
        share = place[0] / self.width, place[1] / self.height
        write(figure, share, text, SMALL + 0.5, va="bottom", color="#222222")


def _heads(blocks: Sequence[str]) -> int:
    """Return how many lines of titles stand on top: the columns', and the blocks' if they have names."""
    return 2 if any(blocks) else 1


def write(figure: Figure, place: tuple[float, float], text: str, size: float, **style) -> None:
    """Write text as it is: a name may hold signs that matplotlib would read as a formula."""
    figure.text(*place, text, fontsize=size, parse_math=False, **style)


def _pictures(row: Example, looks: Mapping[int, Look]) -> list[np.ndarray | None]:
    """Return the photograph and its overlays, no larger than they are drawn."""
    scale = min(1, STORED_SIDE / max(row.photograph.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in row.photograph.shape[:2])
    photograph = resize_photograph(row.photograph, *size)
    small = [None if mask is None else resize_mask(mask, *size) for mask in row.masks]
    return [photograph, *(None if mask is None else laid_over(photograph, mask, looks) for mask in small)]


def _draw_picture(axes: Axes, image: np.ndarray | None) -> None:
    axes.set_axis_off()
    if image is None:
        axes.text(0.5, 0.5, "no true mask", ha="center", va="center", fontsize=SMALL, color=GREY)
    else:
        axes.imshow(image)


LegendEntry = tuple[tuple[Artist, ...], str]
"""What stands in a legend side by side, and its name."""


def mask_entries(
    looks: Mapping[int, Look], classes: Sequence[str], present: Collection[int]
) -> list[LegendEntry]:
    """Return a patch for each class among the labels `present` in masks and, if it is there, for void."""
    entries = [((patch(look),), classes[number]) for number, look in looks.items() if number in present]
    if VOID in present:
        style = {"facecolor": "white", "edgecolor": GREY, "linewidth": 0.6}
        entries.append(((Patch(hatch=VOID_HATCH, **style),), "void"))
    return entries


def patch(look: Look) -> Patch:
    """Return a patch; matplotlib draws a hatch in the colour of the edge, so that textures are white."""
    edge = "#333333" if look.texture == "plain" else "white"
    return Patch(facecolor=look.colour, edgecolor=edge, hatch=HATCHES[look.texture], linewidth=0.6)


def legend_height(entries: Sequence[LegendEntry], width: float) -> float:
    """Return the height in inches of a legend in a figure of so many inches."""
    return LEGEND_LINE * _legend_lines(entries, width)


def _legend_lines(entries: Sequence[LegendEntry], width: float) -> int:
    widest = 0.7 + 0.08 * max((len(legend_name(name)) for _, name in entries), default=0)
    return -(-len(entries) // max(1, int(width / widest)))


def draw_legend(figure: Figure, entries: Sequence[LegendEntry]) -> None:
    """Draw the legend, if there is anything to name, at the foot of the figure, in lines of one length."""
    if not entries:
        return
    columns = -(-len(entries) // _legend_lines(entries, figure.get_figwidth()))
    handles, names = zip(*entries, strict=True)
    options = {"loc": "lower center", "frameon": False, "fontsize": SMALL + 0.5, "handleheight": 0.9}
    options["handler_map"] = {tuple: HandlerTuple(ndivide=None)}
    plain_text(figure.legend(handles, map(legend_name, names), ncols=columns, **options))
