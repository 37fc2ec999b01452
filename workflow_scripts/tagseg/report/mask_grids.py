"""Grids of images with masks over them, drawn with matplotlib's objects: no global state."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Patch

from tagseg.report.palettes import HATCHES, VOID_HATCH, ClassStyle, class_styles, labels_in, overlay_labels
from tagseg.report.plots import GREY, MEDIUM, SMALL, cut, legend_name, plain_text
from tagseg.storage.images import VOID, resize_image, resize_mask

CELL, GAP = 2.5, 0.08  # width of a picture and of the gap between two, inches
BLOCK_GAP = 0.35  # between blocks side by side
HEAD, LABEL = 0.3, 0.3  # height of the titles and of the label of a line
LEGEND_LINE = 0.24
LONGEST_SIDE = 400  # pixels of a drawn picture

LegendEntry = tuple[tuple[Artist, ...], str]
"""Symbols side by side in a legend, and their name."""


@dataclass(frozen=True)
class Example:
    """A line of a grid: an image uint8 (H, W, 3), its masks uint8 (H, W) or None, and remarks."""

    name: str
    remarks: tuple[str, ...]
    image: np.ndarray
    masks: tuple[np.ndarray | None, ...]


def qualitative(
    rows: Sequence[Example], columns: Sequence[str], classes: Sequence[str], blocks: Sequence[str] = ("",)
) -> Figure:
    """Return a grid, a line per image, with its masks over it and a legend.

    `columns` are titles of the image and of each mask, `classes` the names of all classes. A mask None is an
    empty cell. The rows fill the `blocks`, with their titles, side by side. Raises ValueError without rows,
    or if the masks do not match the columns.
    """
    present = labels_in(mask for row in rows for mask in row.masks)
    styles = class_styles(present)
    entries = mask_entries(styles, classes, present)
    width = Grid.width_of(len(columns), len(blocks))
    grid = Grid.of(rows, columns, blocks, below=0.15 + legend_height(entries, width))
    figure = Figure(figsize=(grid.width, grid.height))
    grid.draw(figure, rows, styles)
    draw_legend(figure, entries)
    return figure


@dataclass(frozen=True)
class Grid:
    """The layout of a grid, in inches."""

    columns: tuple[str, ...]
    blocks: tuple[str, ...]
    lines: int  # per block
    height: float  # of the figure
    picture: float  # height of a picture

    @classmethod
    def of(
        cls, rows: Sequence[Example], columns: Sequence[str], blocks: Sequence[str] = ("",), below: float = 0
    ) -> "Grid":
        """Lay out a grid with some inches `below` it. Raises ValueError as `qualitative`."""
        if not rows or any(len(row.masks) != len(columns) - 1 for row in rows):
            raise ValueError(f"a grid needs rows, each with {len(columns) - 1} masks")
        aspects = [row.image.shape[0] / row.image.shape[1] for row in rows]
        picture = CELL * float(np.clip(np.median(aspects), 0.5, 1.2))
        lines = -(-len(rows) // len(blocks))
        height = (1 + any(blocks)) * HEAD + lines * (picture + LABEL) + below
        return cls(tuple(columns), tuple(blocks), lines, height, picture)

    @staticmethod
    def width_of(columns: int, blocks: int = 1) -> float:
        """Return the width of blocks with some columns each."""
        return blocks * (columns * (CELL + GAP) + GAP) + (blocks - 1) * BLOCK_GAP

    @property
    def width(self) -> float:
        """The width of the figure."""
        return self.width_of(len(self.columns), len(self.blocks))

    def draw(self, figure: Figure, rows: Sequence[Example], styles: Mapping[int, ClassStyle]) -> None:
        """Draw titles and rows."""
        for block, name in enumerate(self.blocks):
            self._draw_titles(figure, block, name)
        for number, row in enumerate(rows):
            block, line = divmod(number, self.lines)
            bottom = self.height - (1 + any(self.blocks)) * HEAD - (line + 1) * (self.picture + LABEL)
            letters = int(self.width_of(len(self.columns)) * 12.5)
            text = cut("  ·  ".join(filter(None, (row.name, *row.remarks))), letters)
            self._write(figure, self._left(block, 0), bottom + self.picture + 0.05, text, color="#222222")
            for column, image in enumerate(_pictures(row, styles)):
                left = self._left(block, column) / self.width
                size = (CELL / self.width, self.picture / self.height)
                _draw_picture(figure.add_axes((left, bottom / self.height, *size)), image)

    def _left(self, block: int, column: int) -> float:
        return GAP + block * (self.width_of(len(self.columns)) + BLOCK_GAP) + column * (CELL + GAP)

    def _draw_titles(self, figure: Figure, block: int, name: str) -> None:
        style = {"ha": "center", "va": "top", "weight": "bold"}
        middle = self._left(block, 0) + (self.width_of(len(self.columns)) - 2 * GAP) / 2
        top = self.height - 0.1
        if name:
            self._write(figure, middle, top, name, MEDIUM + 1, **style)
        for column, title in enumerate(self.columns):
            left = self._left(block, column) + CELL / 2
            self._write(figure, left, top - any(self.blocks) * HEAD, cut(title, 28), MEDIUM, **style)

    def _write(self, figure: Figure, x: float, y: float, text: str, size: float = SMALL + 0.5, **style: Any) -> None:
        write(figure, (x / self.width, y / self.height), text, size, **{"va": "bottom", **style})


def write(figure: Figure, position: tuple[float, float], text: str, size: float, **style: Any) -> None:
    """Write text that matplotlib does not read as a formula."""
    figure.text(*position, text, fontsize=size, parse_math=False, **style)


def _pictures(row: Example, styles: Mapping[int, ClassStyle]) -> list[np.ndarray | None]:
    """Return the image and its overlays, no larger than LONGEST_SIDE."""
    scale = min(1, LONGEST_SIDE / max(row.image.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in row.image.shape[:2])
    image = resize_image(row.image, height, width)
    small = [None if mask is None else resize_mask(mask, height, width) for mask in row.masks]
    return [image, *(None if mask is None else overlay_labels(image, mask, styles) for mask in small)]


def _draw_picture(axes: Axes, image: np.ndarray | None) -> None:
    axes.set_axis_off()
    if image is None:
        axes.text(0.5, 0.5, "no ground truth", ha="center", va="center", fontsize=SMALL, color=GREY)
    else:
        axes.imshow(image)


def mask_entries(
    styles: Mapping[int, ClassStyle], classes: Sequence[str], present: Collection[int]
) -> list[LegendEntry]:
    """Return the legend of the labels `present` in masks, void included."""
    entries: list[LegendEntry] = [
        ((patch(style),), classes[label]) for label, style in styles.items() if label in present
    ]
    if VOID in present:
        void = Patch(hatch=VOID_HATCH, facecolor="white", edgecolor=GREY, linewidth=0.6)
        entries.append(((void,), "void"))
    return entries


def patch(style: ClassStyle) -> Patch:
    """Return a patch; matplotlib draws a hatch in the colour of the edge."""
    edge = "#333333" if style.texture == "plain" else "white"
    return Patch(facecolor=style.colour, edgecolor=edge, hatch=HATCHES[style.texture], linewidth=0.6)


def legend_height(entries: Sequence[LegendEntry], width: float) -> float:
    """Return the height in inches of the legend of a figure with a width in inches."""
    return LEGEND_LINE * _legend_lines(entries, width)


def _legend_lines(entries: Sequence[LegendEntry], width: float) -> int:
    widest = 0.7 + 0.08 * max((len(legend_name(name)) for _, name in entries), default=0)
    return -(-len(entries) // max(1, int(width / widest)))


def draw_legend(figure: Figure, entries: Sequence[LegendEntry]) -> None:
    """Draw the legend, if it has entries, at the bottom of the figure."""
    if not entries:
        return
    columns = -(-len(entries) // _legend_lines(entries, figure.get_figwidth()))
    options: dict[str, Any] = {"loc": "lower center", "frameon": False, "fontsize": SMALL + 0.5}
    options |= {"handleheight": 0.9, "handler_map": {tuple: HandlerTuple(ndivide=None)}}
    handles: Any = [symbols for symbols, _ in entries]
    names = [legend_name(name) for _, name in entries]
    plain_text(figure.legend(handles, names, ncols=columns, **options))
