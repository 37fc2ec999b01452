"""Curves and bars of the report, drawn with matplotlib's objects: no global state, no display.

They take the colours of Okabe and Ito, which the colour-blind tell apart, as the masks do in
`tagseg.mask_grids`; so do the figures of the paper, in `tagseg.paper_figures`.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tagseg.files import atomic_file
from tagseg.layer_choice import Candidate, needed_correlation
from tagseg.mask_looks import BLUE, OKABE_ITO, ORANGE, VERMILION
from tagseg.nodes import PAPER_NODES, canonical_node

LINE_COLOURS = OKABE_ITO[:6]  # the yellow is too pale for a thin line, black is the mean
GREY = "#767676"
DPI = 130
PDF_DPI = 150  # of what a PDF holds as pixels
SMALL, MEDIUM = 8.5, 10  # font sizes in points

NAMED_LINES = 20
"""So many classes a legend can name and a reader tell apart; beyond it only the extremes are named."""


def write_figure(path: str | Path, figure: Figure) -> None:
    """Write a figure as PNG, atomically; equal figures give equal bytes."""
    with atomic_file(path) as aside:
        figure.savefig(aside, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})


def write_pdf(path: str | Path, figure: Figure) -> None:
    """Write a figure as PDF, atomically; equal figures give equal bytes, since it bears no date."""
    undated = dict.fromkeys(("CreationDate", "Creator", "Producer"))
    with atomic_file(path) as aside:
        figure.savefig(aside, format="pdf", dpi=PDF_DPI, facecolor="white", metadata=undated)


def write_both(png: str | Path, pdf: str | Path, figure: Figure) -> None:
    """Write a figure as PNG and as PDF, each atomically."""
    write_figure(png, figure)
    write_pdf(pdf, figure)


def message(text: str) -> Figure:
    """Return a figure that says, in place of what would be drawn, why there is nothing to draw."""
    figure = Figure(figsize=(7, 2))
    wrapped = textwrap.fill(text, 70)
    figure.text(
        0.5, 0.5, wrapped, ha="center", va="center", fontsize=MEDIUM, color="#333333", parse_math=False
    )
    return figure


def cut(text: str, length: int) -> str:
    """Return a text of at most so many letters; an ellipsis ends one that was longer."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def layer_title(name: str) -> str:
    """Return a layer's name for a figure: the paper's, C41 of layer4.0, where it has one."""
    paper = {node: title for title, node in PAPER_NODES.items()}
    return paper.get(canonical_node(name), name)


def plain_text(legend) -> None:
    """Keep the signs of the names in a legend from being read as formulas."""
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
        label_axes(axes, "epoch", "mean loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        axes.set_xlim(0.5, max(len(logs[name]) for name in group) + 0.5)
        axes.set_ylim(bottom=0)
        plain_text(axes.legend(fontsize=SMALL, frameon=False))
    return figure


def _draw_loss(axes: Axes, name: str, log: Sequence[Mapping], colour: str, marker: str) -> None:
    epochs, losses = [row["epoch"] for row in log], [row["loss"] for row in log]
    label = f"{name} ({_duration(sum(row['seconds'] for row in log))})"
    axes.plot(epochs, losses, color=colour, marker=marker, markersize=4, linewidth=1.6, label=label)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def label_axes(axes: Axes, x: str, y: str) -> None:
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
    label_axes(axes, "component", "variance explained (%)")
    axes.set_ylim(bottom=0)
    axes.set_xscale("log")
    ticks = [tick for tick in (1, 2, 3, 5, 10, 20, 30, 50) if tick <= length]
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    plain_text(axes.legend(fontsize=SMALL, frameon=False, ncols=2 if len(shares) > 8 else 1))
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
        styles[name] = {"color": colour, "linestyle": dash, "linewidth": 1.3, "label": legend_name(name)}
    return styles


def legend_name(name: str) -> str:
    """Return a class's name for a legend, which would leave out one that starts with an underscore."""
    return cut(f" {name}" if name.startswith("_") else name, 22)


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
    axes.set_yticks(places, [cut(row[0], 28) for row in rows], parse_math=False)
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
    label_axes(
        axes, "correlation of the masks with the CAM (dotted: needed)", "colour coefficient of the masks"
    )
    return figure


def _finish_bars(axes: Axes, label: str, rows: int) -> None:
    label_axes(axes, label, "")
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
    axes.axvline(mean, color=VERMILION, linestyle="--", linewidth=1.6, label=f"mean {mean:.1f}")
    axes.set_yticks(np.arange(len(order)), [cut(name, 28) for name in order], parse_math=False)
    _finish_bars(axes, "IoU on val (%)", len(order))
    axes.legend(fontsize=SMALL, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    if absent:
        note = textwrap.fill(f"do not occur: {', '.join(absent)}", 80)
        figure.supxlabel(note, fontsize=SMALL, color=GREY, parse_math=False)
    return figure
