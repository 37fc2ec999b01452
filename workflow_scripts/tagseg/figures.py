"""The figures of the report, drawn with matplotlib's objects: no global state, no display.

Lines and bars take the colours of Okabe and Ito, which the colour-blind tell apart; masks keep PASCAL
VOC's, in which the mask files are written.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from tagseg.files import atomic_file
from tagseg.images import VOID, overlay, resize_mask, resize_photograph, voc_palette
from tagseg.layer_choice import Candidate, needed_correlation

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
BLUE, ORANGE = OKABE_ITO[:2]
LINE_COLOURS = OKABE_ITO[:6]  # the yellow is too pale for a thin line, black is the mean
GREY = "#767676"
DPI = 130
SMALL, MEDIUM = 8.5, 10  # font sizes in points

NAMED_LINES = 20
"""So many classes a legend can name and a reader tell apart; beyond it only the extremes are named."""

CELL, GAP = 2.5, 0.08  # width of a picture in a grid and what lies between two, inches
HEAD, LABEL = 0.3, 0.3  # height of the titles and of a line's label
LEGEND_LINE = 0.24
STORED_SIDE = 500  # longest side, in pixels, at which a picture is drawn


@dataclass(frozen=True)
class Example:
    """A line of a grid: a photograph uint8 (H, W, 3), its masks uint8 (H, W) or None, and its words."""

    name: str
    remarks: tuple[str, ...]
    photograph: np.ndarray
    masks: tuple[np.ndarray | None, ...]


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure as PNG, atomically; equal figures give equal bytes."""
    with atomic_file(path) as aside:
        figure.savefig(aside, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})


def message(text: str) -> Figure:
    """Return a figure that says, in place of what would be drawn, why there is nothing to draw."""
    figure = Figure(figsize=(7, 2))
    wrapped = textwrap.fill(text, 70)
    figure.text(
        0.5, 0.5, wrapped, ha="center", va="center", fontsize=MEDIUM, color="#333333", parse_math=False
    )
    return figure


def qualitative(rows: Sequence[Example], columns: Sequence[str], classes: Sequence[str]) -> Figure:
    """Return a grid: a line a photograph, with its masks laid over; a legend of the classes that occur.

    `columns` are titles of the photograph and of each mask; `classes` are names by class number. None in
    place of a mask leaves its cell empty. Raises ValueError where there is no row, or one has not as
    many masks as the columns ask for.
    """
    if not rows or any(len(row.masks) != len(columns) - 1 for row in rows):
        raise ValueError(f"a grid needs rows, each with {len(columns) - 1} masks")
    handles = _mask_legend(rows, classes)
    grid = _Grid.of(rows, len(columns), handles)
    figure = Figure(figsize=(grid.width, grid.height))
    for column, title in enumerate(columns):
        _write(figure, grid.title(column), title, MEDIUM, weight="bold", ha="center", va="top")
    for line, row in enumerate(rows):
        _write_label(figure, grid.label(line), row, grid.width)
        for column, image in enumerate(_pictures(row)):
            _draw_picture(figure.add_axes(grid.cell(line, column)), image)
    if handles:
        options = {"loc": "lower center", "frameon": False, "fontsize": SMALL + 0.5}
        _plain_text(figure.legend(handles=handles, ncols=grid.legend_columns, **options))
    return figure


@dataclass(frozen=True)
class _Grid:
    """Where the parts of a grid lie; sizes in inches, places as shares of the figure, as matplotlib asks."""

    width: float
    height: float
    picture: float  # height of a picture
    legend_columns: int

    @classmethod
    def of(cls, rows: Sequence[Example], columns: int, legend: Sequence[Patch]) -> "_Grid":
        """Lay out a grid of so many columns, above its legend."""
        width = columns * (CELL + GAP) + GAP
        aspects = [row.photograph.shape[0] / row.photograph.shape[1] for row in rows]
        picture = CELL * float(np.clip(np.median(aspects), 0.5, 1.2))
        lines = -(-len(legend) // max(1, int(width / _entry_width(legend))))
        height = HEAD + len(rows) * (picture + LABEL) + 0.15 + LEGEND_LINE * lines
        return cls(width, height, picture, -(-len(legend) // max(1, lines)))

    def title(self, column: int) -> tuple[float, float]:
        """Return the middle of the upper edge of a column's title."""
        return (GAP + column * (CELL + GAP) + CELL / 2) / self.width, 1 - 0.1 / self.height

    def _bottom(self, line: int) -> float:
        return self.height - HEAD - (line + 1) * (self.picture + LABEL)

    def label(self, line: int) -> tuple[float, float]:
        """Return the lower left corner of a line's label, above its pictures."""
        return GAP / self.width, (self._bottom(line) + self.picture + 0.05) / self.height

    def cell(self, line: int, column: int) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height of a picture."""
        left = GAP + column * (CELL + GAP)
        bottom, height = self._bottom(line) / self.height, self.picture / self.height
        return left / self.width, bottom, CELL / self.width, height


def _entry_width(legend: Sequence[Patch]) -> float:
    """Return an estimate of a legend's widest entry in inches: its patch and its letters."""
    return 0.65 + 0.08 * max((len(patch.get_label()) for patch in legend), default=0)


def _pictures(row: Example) -> list[np.ndarray | None]:
    """Return the photograph and its overlays, no larger than they are drawn."""
    scale = min(1, STORED_SIDE / max(row.photograph.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in row.photograph.shape[:2])
    photograph = resize_photograph(row.photograph, *size)
    small = [None if mask is None else resize_mask(mask, *size) for mask in row.masks]
    return [photograph, *(None if mask is None else _laid_over(photograph, mask) for mask in small)]


def _laid_over(photograph: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the overlay with a white outline around labels and stripes on void.

    The palette's dark reds and blues drown on dark photographs, and its void on light ones.
    """
    image = overlay(photograph, mask, 0.6)
    edge = np.zeros(mask.shape, bool)
    edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    edge[1:] |= mask[1:] != mask[:-1]
    image[edge] = 255
    rows, columns = np.indices(mask.shape)
    stripe = (rows + columns) % 8 < 3
    image[mask == VOID] = 255
    image[(mask == VOID) & stripe] = 130
    return image


def _draw_picture(axes: Axes, image: np.ndarray | None) -> None:
    axes.set_axis_off()
    if image is None:
        axes.text(0.5, 0.5, "no true mask", ha="center", va="center", fontsize=SMALL, color=GREY)
    else:
        axes.imshow(image)


def _write(figure: Figure, place: tuple[float, float], text: str, size: float, **style) -> None:
    """Write text as it is: a name may hold signs that matplotlib would read as a formula."""
    figure.text(*place, text, fontsize=size, parse_math=False, **style)


def _write_label(figure: Figure, place: tuple[float, float], row: Example, width: float) -> None:
    """Write a photograph's name and remarks above its line, cut to the figure's width in inches."""
    text = _cut("  ·  ".join(filter(None, (row.name, *row.remarks))), int(width * 12.5))
    _write(figure, place, text, SMALL + 0.5, va="bottom", color="#222222")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _mask_legend(rows: Sequence[Example], classes: Sequence[str]) -> list[Patch]:
    """Return a patch for each class that a mask holds, and for void; background is left clear."""
    masks = [mask for row in rows for mask in row.masks if mask is not None]
    present = np.unique(np.concatenate([np.unique(mask) for mask in masks])) if masks else []
    colours = voc_palette() / 255
    handles = [
        Patch(
            facecolor=colours[label], edgecolor="#333333", linewidth=0.6, label=_legend_name(classes[label])
        )
        for label in present
        if label not in (0, VOID)
    ]
    if VOID in present:
        handles.append(Patch(facecolor="white", edgecolor=GREY, hatch="////", linewidth=0.6, label="void"))
    return handles


def _plain_text(legend) -> None:
    for text in legend.get_texts():
        text.set_parse_math(False)


def training_curves(logs: Mapping[str, Sequence[Mapping]]) -> Figure:
    """Return the loss by epoch: a panel for the first log, the classifier's, one for all rounds.

    A log is a sequence of rows with `epoch` (from 1), `loss` and `seconds`. The two losses are of
    different kinds, so that they share no axis.
    """
    names = list(logs)
    groups = [group for group in (names[:1], names[1:]) if group]
    figure = Figure(figsize=(5 * len(groups), 3.6), layout="constrained")
    styles = {name: (LINE_COLOURS[number % 6], "os^DvP"[number % 6]) for number, name in enumerate(names)}
    for axes, group in zip(np.atleast_1d(figure.subplots(1, len(groups))), groups, strict=True):
        for name in group:
            _draw_loss(axes, name, logs[name], *styles[name])
        _label(axes, "epoch", "mean loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        axes.set_xlim(0.5, max(len(logs[name]) for name in group) + 0.5)
        axes.set_ylim(bottom=0)
        _plain_text(axes.legend(fontsize=SMALL, frameon=False))
    return figure


def _draw_loss(axes: Axes, name: str, log: Sequence[Mapping], colour: str, marker: str) -> None:
    epochs, losses = [row["epoch"] for row in log], [row["loss"] for row in log]
    label = f"{name} ({_duration(sum(row['seconds'] for row in log))})"
    axes.plot(epochs, losses, color=colour, marker=marker, markersize=4, linewidth=1.6, label=label)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _label(axes: Axes, x: str, y: str) -> None:
    """Name the axes, and take away the lines that say nothing."""
    axes.set_xlabel(x, fontsize=MEDIUM)
    axes.set_ylabel(y, fontsize=MEDIUM)
    axes.tick_params(labelsize=SMALL + 0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)


def explained_variance(shares: Mapping[str, np.ndarray]) -> Figure:
    """Return the share of variance by component, a line a class and the mean (the paper's Figure 3).

    `shares` maps a class to shares of its whole variance, (<= 50,), in descending order. Components are
    on a logarithmic axis: what matters happens among the first.
    """
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    for name, style in _line_styles(shares).items():
        axes.plot(np.arange(1, len(shares[name]) + 1), 100 * shares[name], **style)
    length = min(len(one) for one in shares.values())
    mean = 100 * np.mean([one[:length] for one in shares.values()], axis=0)
    label = f"mean (first: {mean[0]:.1f} %)"
    axes.plot(np.arange(1, length + 1), mean, color="black", linewidth=3, label=label)
    _label(axes, "component", "variance explained (%)")
    axes.set_ylim(bottom=0)
    axes.set_xscale("log")
    ticks = [tick for tick in (1, 2, 3, 5, 10, 20, 30, 50) if tick <= length]
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    _plain_text(axes.legend(fontsize=SMALL, frameon=False, ncols=2 if len(shares) > 8 else 1))
    return figure


def _line_styles(shares: Mapping[str, np.ndarray]) -> dict[str, dict]:
    """Return each class's style, from the largest first share down; grey if it cannot be named.

    Where the classes are too many to name, the three largest and the three smallest are.
    """
    order = sorted(shares, key=lambda name: -shares[name][0])
    named = order if len(order) <= NAMED_LINES else [*order[:3], *order[-3:]]
    kinds = [(colour, dash) for dash in ("-", "--", ":", "-.") for colour in LINE_COLOURS]
    grey = {"color": "#c8c8c8", "linewidth": 0.8, "label": "_unnamed"}
    styles = {name: grey for name in order if name not in named}
    for name, (colour, dash) in zip(named, kinds, strict=False):
        styles[name] = {"color": colour, "linestyle": dash, "linewidth": 1.3, "label": _legend_name(name)}
    return styles


def _legend_name(name: str) -> str:
    """Return a class's name for a legend, which would leave out one that starts with an underscore."""
    return _cut(f" {name}" if name.startswith("_") else name, 22)


def seed_comparison(rows: Sequence[tuple[str, float | None, float | None]]) -> Figure:
    """Return bars of mIoU in percent before and after the CRF; rows are (seed, before, after), top down.

    None means that there was nothing to score against: no bar, or only a message where no row has one.
    """
    if all(value is None for row in rows for value in row[1:]):
        return message("No photograph has a true mask: there are no scores of the seeds to compare.")
    figure = Figure(figsize=(7, 1.1 + 0.62 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(rows))
    for column, label, colour in ((1, "before CRF", ORANGE), (2, "after CRF", BLUE)):
        values = [np.nan if row[column] is None else row[column] for row in rows]
        bars = axes.barh(places + 0.38 * (column - 1.5), values, 0.36, color=colour, label=label)
        texts = ["" if np.isnan(value) else f"{value:.1f}" for value in values]
        axes.bar_label(bars, texts, padding=3, fontsize=SMALL)
    axes.set_yticks(places, [_cut(row[0], 28) for row in rows], parse_math=False)
    _finish_bars(axes, "mIoU on train (%)", len(rows))
    axes.legend(fontsize=SMALL, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure


def layer_choice(candidates: Sequence[Candidate], chosen: Candidate) -> Figure:
    """Return a plot of the candidates for `layer: auto`: mask correlation against colour coefficient."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for one in candidates:
        colour, marker = (ORANGE, "D") if one is chosen else (BLUE, "o")
        place = (one.mask_correlation, one.colour_coefficient)
        axes.plot(*place, color=colour, marker=marker, markersize=8, linestyle="")
        text = f"{one.layer} (chosen)" if one is chosen else one.layer
        axes.annotate(
            text, place, (0, 9), textcoords="offset points", ha="center", fontsize=SMALL, parse_math=False
        )
    axes.axvline(needed_correlation(candidates), color=GREY, linestyle=":")
    axes.margins(0.15)
    _label(axes, "correlation of the masks with the CAM (dotted: needed)", "colour coefficient of the masks")
    return figure


def _finish_bars(axes: Axes, label: str, rows: int) -> None:
    _label(axes, label, "")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 100)
    axes.set_ylim(rows - 0.4, -0.6)


def per_class(iou: Mapping[str, float | None], mean: float) -> Figure:
    """Return bars of IoU in percent by class, the best on top, and the mean as a line.

    Classes without IoU (None: neither true nor predicted anywhere) are listed below, without a bar.
    """
    known = {name: value for name, value in iou.items() if value is not None}
    if not known:
        return message("No photograph of val has a true mask: there is no IoU to draw.")
    order = sorted(known, key=lambda name: -known[name])
    absent = [name for name in iou if name not in known]
    figure = Figure(figsize=(7, 1.2 + 0.26 * len(order)), layout="constrained")
    axes = figure.subplots()
    axes.barh(np.arange(len(order)), [known[name] for name in order], 0.72, color=BLUE)
    for place, name in enumerate(order):  # in a column of their own, clear of the line of the mean
        axes.text(108, place, f"{known[name]:.1f}", ha="right", va="center", fontsize=SMALL)
    axes.axvline(mean, color=OKABE_ITO[5], linestyle="--", linewidth=1.6, label=f"mean {mean:.1f}")
    axes.set_yticks(np.arange(len(order)), [_cut(name, 28) for name in order], parse_math=False)
    _finish_bars(axes, "IoU on val (%)", len(order))
    axes.legend(fontsize=SMALL, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    if absent:
        note = textwrap.fill(f"do not occur: {', '.join(absent)}", 80)
        figure.supxlabel(note, fontsize=SMALL, color=GREY, parse_math=False)
    return figure
