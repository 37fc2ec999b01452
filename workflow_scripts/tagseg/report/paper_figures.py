"""The paper's figures of this run: 1 (principal planes) and 3 (explained variance)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tagseg.patterns.projection import Cloud
from tagseg.report import mask_grids
from tagseg.report.palettes import (
    BLUE,
    GREEN,
    MARKERS,
    ORANGE,
    PURPLE,
    TEXTURES,
    VERMILION,
    ClassStyle,
    class_styles,
    labels_in,
)
from tagseg.report.plots import GREY, MEDIUM, SMALL, cut, label_axes, layer_title, legend_name, plain_text
from tagseg.storage.images import VOID

MOST_POINTS = 4000  # per panel; more only hide each other
BACKGROUND = ClassStyle("#b9b4ad", "plain")
PANEL, PANEL_HEAD, PANEL_FOOT = 2.6, 0.9, 0.3  # height of a panel and of the space around it, inches
NOTE = 0.3  # height of the line below the panels
NO_TRUTH = "The ground truth of these images is unknown: the points have no colour."
OTHER_LAYERS = ((ORANGE, "o"), (VERMILION, "^"), (GREEN, "s"), (PURPLE, "D"))


def localization(
    rows: Sequence[mask_grids.Example], columns: Sequence[str], classes: Sequence[str],
    clouds: Sequence[Cloud], tag: str, random_seed: int,
) -> Figure:  # fmt: skip
    """Return Figure 1: images with their masks, and below them the principal planes of the layers.

    A point is a position of the feature maps of the class `tag`, in the style of its true class; at most
    MOST_POINTS random ones per panel. Raises ValueError without rows.
    """
    masks, points = labels_in(mask for row in rows for mask in row.masks), labels_in(c.labels for c in clouds)
    styles = class_styles(masks | points)
    entries = _entries(styles, classes, masks, points)
    foot = 0.2 + mask_grids.legend_height(entries, mask_grids.Grid.width_of(len(columns))) + (0 if points else NOTE)
    grid = mask_grids.Grid.of(rows, columns, below=PANEL_HEAD + PANEL + PANEL_FOOT + foot)
    figure = Figure(figsize=(grid.width, grid.height))
    grid.draw(figure, rows, styles)
    notes: list[tuple[float, str, dict[str, Any]]] = [
        (foot + PANEL_FOOT + PANEL + 0.6, f"features of {tag}, by layer", {"weight": "bold"})
    ]
    notes += [] if points else [(foot - NOTE, NO_TRUTH, {"color": GREY})]
    for height, text, style in notes:
        mask_grids.write(figure, (0.5, height / grid.height), text, MEDIUM, ha="center", va="bottom", **style)
    left, step = 0.35, (grid.width - 0.35 - mask_grids.GAP) / len(clouds)
    for number, cloud in enumerate(clouds):
        corner = ((left + number * step) / grid.width, (foot + PANEL_FOOT) / grid.height)
        axes = figure.add_axes((*corner, (step - 0.3) / grid.width, PANEL / grid.height))
        _draw_cloud(axes, cloud, styles, random_seed)
    mask_grids.draw_legend(figure, entries)
    return figure


def _entries(
    styles: Mapping[int, ClassStyle], classes: Sequence[str], masks: set[int], points: set[int]
) -> list[mask_grids.LegendEntry]:
    """Return the legend: a patch for a class in masks and a marker for a class in clouds."""
    entries: list[mask_grids.LegendEntry] = []
    for label, style in styles.items():
        patches = (mask_grids.patch(style),) if label in masks else ()
        markers = (_marker(style),) if label in points else ()
        entries.append(((*patches, *markers), classes[label]))
    entries += mask_grids.mask_entries({}, classes, masks)  # void
    return [*entries, ((_marker(BACKGROUND),), "background")] if 0 in points else entries


def _marker(style: ClassStyle) -> Line2D:
    options: dict[str, Any] = {"linestyle": "", "markersize": 5, "markeredgewidth": 0}
    return Line2D([], [], marker=MARKERS[style.texture], color=style.colour, **options)


def _draw_cloud(axes: Axes, cloud: Cloud, styles: Mapping[int, ClassStyle], random_seed: int) -> None:
    """Draw a panel: points in random order, so that no class hides the others, and a line at the mean."""
    order = np.random.default_rng(random_seed).permutation(len(cloud.points))[:MOST_POINTS]
    positions = cloud.points[order]
    labels = np.full(len(order), VOID) if cloud.labels is None else cloud.labels[order]
    shown = [styles.get(label, BACKGROUND) for label in labels.tolist()]
    options: dict[str, Any] = {"s": 7, "linewidths": 0, "alpha": 0.6, "rasterized": True}
    for texture in TEXTURES:
        here = [number for number, style in enumerate(shown) if style.texture == texture]
        if here:
            colours = [shown[number].colour for number in here]
            x, y = positions[here].T
            axes.scatter(x, y, c=colours, marker=MARKERS[texture], **options)
    title = cut(layer_title(cloud.layer), 28)
    if cloud.separation is not None:
        title += f"\n1st component: ROC area {100 * cloud.separation:.1f} %"
    axes.set_title(title, fontsize=SMALL + 0.5, parse_math=False)
    axes.axvline(0, color="#222222", linewidth=0.8, linestyle="--")
    label_axes(axes, "first component", "second component")
    axes.set_xticks([])
    axes.set_yticks([])


def variance_bars(fractions: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Return Figure 3: the percentage of variance that each of the first 50 components explains.

    `fractions` holds, by class and layer, fractions of the variance (<= 50,), in descending order. A panel
    per class: bars for the first layer, a line for each other layer.
    """
    columns = 2 if len(fractions) == 4 else min(3, len(fractions))
    lines = -(-len(fractions) // columns)
    figure = Figure(figsize=(max(6.0, 4 * columns), 3.6 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, (tag, by_layer) in zip(panels, fractions.items(), strict=False):
        _draw_variance(axes, by_layer)
        axes.set_title(cut(tag, 40), fontsize=MEDIUM, weight="bold", parse_math=False)
    _name_layers(panels[0], next(iter(fractions.values())))
    for axes in panels[len(fractions) :]:
        axes.set_axis_off()
    return figure


def _draw_variance(axes: Axes, by_layer: Mapping[str, np.ndarray]) -> None:
    (layer, bars), *others = by_layer.items()
    numbers = np.arange(1, len(bars) + 1)
    axes.bar(numbers, 100 * bars, 0.8, color=BLUE, label=legend_name(layer))
    beside: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": SMALL}
    beside["arrowprops"] = {"arrowstyle": "-", "color": GREY, "linewidth": 0.7}
    for number, value in zip(numbers[:2], 100 * bars[:2], strict=False):
        axes.annotate(f"{value:.1f} %", (number + 0.4, value), (30, 22 - 8 * number), **beside)
    for position, (name, line) in enumerate(others):
        colour, marker = OTHER_LAYERS[position % len(OTHER_LAYERS)]
        style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 3, "linewidth": 1.1}
        axes.plot(np.arange(1, len(line) + 1), 100 * line, label=legend_name(name), **style)
    label_axes(axes, "component", "variance explained (%)")
    axes.margins(y=0.1)
    axes.set_ylim(bottom=0)


def _name_layers(axes: Axes, names: Iterable[str]) -> None:
    """Draw the legend in the order of the layers; matplotlib would put lines before bars."""
    handles, labels = axes.get_legend_handles_labels()
    by_name = dict(zip(labels, handles, strict=True))
    in_order = [by_name[legend_name(name)] for name in names]
    plain_text(axes.legend(handles=in_order, fontsize=SMALL, frameon=False))
