"""Curves and bars, drawn with matplotlib's objects: no global state, no display."""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import MaxNLocator

from tagseg.models.nodes import PAPER_NODES, canonical_node
from tagseg.patterns.layer_choice import Candidate, needed_correlation
from tagseg.report.palettes import BLUE, OKABE_ITO, ORANGE, VERMILION
from tagseg.report.templates import duration
from tagseg.storage.files import atomic_file

LINE_COLOURS = OKABE_ITO[:6]  # yellow is too pale for a thin line, black is the mean
GREY = "#767676"
DPI, PDF_DPI = 130, 150
SMALL, MEDIUM = 8.5, 10  # font sizes, points
NAMED_LINES = 20  # with more classes, the legend names the mean alone


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure as PNG, atomically; equal figures give equal bytes."""
    with atomic_file(path) as aside:
        figure.savefig(aside, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})


def write_both(png: str | Path, pdf: str | Path, figure: Figure) -> None:
    """Write a figure as PNG and as PDF without a date, each atomically; equal figures give equal bytes."""
    write_figure(png, figure)
    undated = dict.fromkeys(("CreationDate", "Creator", "Producer"))
    with atomic_file(pdf) as aside:
        figure.savefig(aside, format="pdf", dpi=PDF_DPI, facecolor="white", metadata=undated)


def message(text: str) -> Figure:
    """Return a figure with a text in place of a plot without data."""
    figure = Figure(figsize=(7, 2))
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": MEDIUM, "color": "#333333"}
    figure.text(0.5, 0.5, textwrap.fill(text, 70), parse_math=False, **style)
    return figure


def cut(text: str, length: int) -> str:
    """Return a text of at most `length` characters, with an ellipsis if it was longer."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def layer_title(name: str) -> str:
    """Return the paper's name of a layer (C41 for layer4.0), if it has one."""
    paper = {node: title for title, node in PAPER_NODES.items()}
    return paper.get(canonical_node(name), name)


def plain_text(legend: Legend) -> None:
    """Stop matplotlib from reading the names in a legend as formulas."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def legend_name(name: str) -> str:
    """Return the name of a class for a legend; matplotlib would hide one that starts with an underscore."""
    return cut(f" {name}" if name.startswith("_") else name, 22)


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Label the axes, with a light grid and without a frame."""
    axes.set_xlabel(x, fontsize=MEDIUM)
    axes.set_ylabel(y, fontsize=MEDIUM)
    axes.tick_params(labelsize=SMALL + 0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)


def training_curves(logs: Mapping[str, Sequence[Mapping]]) -> Figure:
    """Return the loss by epoch: one panel for the first log, the classifier's, one for all others.

    A log has rows with `epoch` (from 1), `loss` and `seconds`.
    """
    names = list(logs)
    groups = [group for group in (names[:1], names[1:]) if group]
    figure = Figure(figsize=(5 * len(groups), 3.6), layout="constrained")
    for axes, group in zip(np.atleast_1d(figure.subplots(1, len(groups))), groups, strict=True):
        for name in group:
            style = {"color": LINE_COLOURS[names.index(name) % 6], "marker": "os^DvP"[names.index(name) % 6]}
            epochs, losses = [row["epoch"] for row in logs[name]], [row["loss"] for row in logs[name]]
            label = f"{name} ({duration(sum(row['seconds'] for row in logs[name]))})"
            axes.plot(epochs, losses, markersize=4, linewidth=1.6, label=label, **style)
        label_axes(axes, "epoch", "mean loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        axes.set_xlim(0.5, max(len(logs[name]) for name in group) + 0.5)
        axes.set_ylim(bottom=0)
        plain_text(axes.legend(fontsize=SMALL, frameon=False))
    return figure


def explained_variance(fractions: Mapping[str, np.ndarray]) -> Figure:
    """Return the explained variance by component, a line per class and the mean (the paper's Figure 3).

    `fractions` maps a class to fractions of its variance, (<= 50,), in descending order. The components have
    a logarithmic axis, since the first ones matter.
    """
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    order = sorted(fractions, key=lambda name: -fractions[name][0])
    kinds = [(colour, dash) for dash in ("-", "--", ":", "-.") for colour in LINE_COLOURS]
    for name, (colour, dash) in zip(order, itertools.cycle(kinds), strict=False):
        label = legend_name(name) if len(order) <= NAMED_LINES else "_unnamed"
        values = 100 * fractions[name]
        axes.plot(np.arange(1, len(values) + 1), values, color=colour, linestyle=dash, linewidth=1.3, label=label)
    length = min(len(one) for one in fractions.values())
    mean = 100 * np.mean([one[:length] for one in fractions.values()], axis=0)
    label = f"mean (first: {mean[0]:.1f} %)"
    axes.plot(np.arange(1, length + 1), mean, color="black", linewidth=3, label=label)
    label_axes(axes, "component", "variance explained (%)")
    axes.set_ylim(bottom=0)
    axes.set_xscale("log")
    ticks = [tick for tick in (1, 2, 3, 5, 10, 20, 30, 50) if tick <= length]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    plain_text(axes.legend(fontsize=SMALL, frameon=False, ncols=2 if len(fractions) > 8 else 1))
    return figure


def seed_comparison(rows: Sequence[tuple[str, float | None, float | None]]) -> Figure:
    """Return bars of the mIoU in percent before and after the CRF; rows are (seed, before, after).

    None is no bar; without any number the figure is a message.
    """
    if all(before is None and after is None for _, before, after in rows):
        return message("No image has ground truth: there are no scores of the seeds to compare.")
    figure = Figure(figsize=(7, 1.1 + 0.62 * len(rows)), layout="constrained")
    axes, positions = figure.subplots(), np.arange(len(rows))
    values = np.array([pair for _, *pair in rows], float)
    for column, (label, colour) in enumerate((("before CRF", ORANGE), ("after CRF", BLUE))):
        heights = positions + 0.38 * (column - 0.5)
        bars = axes.barh(heights, values[:, column], 0.36, color=colour, label=label)
        texts = ["" if np.isnan(value) else f"{value:.1f}" for value in values[:, column]]
        axes.bar_label(bars, texts, padding=3, fontsize=SMALL)
    axes.set_yticks(positions, [cut(seed, 28) for seed, *_ in rows], parse_math=False)
    _finish_bars(axes, "mIoU on train (%)", len(rows))
    axes.legend(fontsize=SMALL, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure


def _finish_bars(axes: Axes, label: str, rows: int) -> None:
    label_axes(axes, label, "")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 100)
    axes.set_ylim(rows - 0.4, -0.6)


def layer_choice(candidates: Sequence[Candidate], chosen: Candidate) -> Figure:
    """Return a plot of the candidates for `layer: auto`: mask correlation against colour coefficient."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for one in candidates:
        colour, marker = (ORANGE, "D") if one is chosen else (BLUE, "o")
        position = (one.mask_correlation, one.colour_coefficient)
        axes.plot(*position, color=colour, marker=marker, markersize=8, linestyle="")
        text = f"{one.layer} (chosen)" if one is chosen else one.layer
        style: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": SMALL}
        axes.annotate(text, position, (0, 9), parse_math=False, **style)
    axes.axvline(needed_correlation(candidates), color=GREY, linestyle=":")
    axes.margins(0.15)
    x = "correlation of the masks with the CAM (dotted: needed)"
    label_axes(axes, x, "colour coefficient of the masks")
    return figure


def per_class(iou: Mapping[str, float | None], mean: float) -> Figure:
    """Return bars of the IoU in percent per class, the best on top, and a line at the mean.

    Classes that do not occur (None) are listed below.
    """
    known = {name: value for name, value in iou.items() if value is not None}
    if not known:
        return message("No image of val has ground truth: there is no IoU to draw.")
    order = sorted(known, key=lambda name: -known[name])
    absent = [name for name in iou if name not in known]
    figure = Figure(figsize=(7, 1.2 + 0.26 * len(order)), layout="constrained")
    axes = figure.subplots()
    axes.barh(np.arange(len(order)), [known[name] for name in order], 0.72, color=BLUE)
    for row, name in enumerate(order):  # beyond the axis, clear of the line of the mean
        axes.text(108, row, f"{known[name]:.1f}", ha="right", va="center", fontsize=SMALL)
    axes.axvline(mean, color=VERMILION, linestyle="--", linewidth=1.6, label=f"mean {mean:.1f}")
    axes.set_yticks(np.arange(len(order)), [cut(name, 28) for name in order], parse_math=False)
    _finish_bars(axes, "IoU on val (%)", len(order))
    axes.legend(fontsize=SMALL, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    if absent:
        note = textwrap.fill(f"do not occur: {', '.join(absent)}", 80)
        figure.supxlabel(note, fontsize=SMALL, color=GREY, parse_math=False)
    return figure
