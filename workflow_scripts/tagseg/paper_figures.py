"""The figures of the paper, of our own run: 1 (principal planes) and 3 (explained variance).

Figures 4 and 5 are grids (`tagseg.mask_grids`) of the examples that their scripts choose.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tagseg.figures import GREY, MEDIUM, SMALL, cut, label_axes, layer_title, legend_name, plain_text
from tagseg.images import VOID
from tagseg.mask_grids import (
    GAP,
    Example,
    Grid,
    LegendEntry,
    draw_legend,
    legend_height,
    mask_entries,
    patch,
    write,
)
from tagseg.mask_looks import (
    BLUE,
    GREEN,
    MARKERS,
    ORANGE,
    PURPLE,
    TEXTURES,
    VERMILION,
    Look,
    labels_in,
    looks_of,
)
from tagseg.projection import Cloud

MOST_POINTS = 4000
"""So many points a panel show a cloud's shape; more only hide each other."""

BACKGROUND = "#b9b4ad"
PANEL, PANEL_HEAD, PANEL_FOOT = 2.6, 0.9, 0.3  # height of a panel and what is above and below, inches
NOTE = 0.3  # height of the line below the panels
NO_TRUTH = "No true mask of these photographs is known: the points bear no colour."


def localization(
    rows: Sequence[Example], columns: Sequence[str], classes: Sequence[str], clouds: Sequence[Cloud],
    tag: str, random_seed: int,
) -> Figure:  # fmt: skip
    """Return Figure 1: photographs with their masks, and below them the principal planes of the layers.

    A point is a position of the feature maps of the class `tag`, in the look of its true class; at most
    MOST_POINTS a panel, drawn with `random_seed`. Raises ValueError where there is no row.
    """
    masks = labels_in(mask for row in rows for mask in row.masks)
    points = labels_in(cloud.labels for cloud in clouds)
    looks = looks_of(masks | points)
    entries = _entries(looks, classes, masks, points)
    foot = 0.2 + legend_height(entries, Grid.width_of(len(columns))) + (0 if points else NOTE)
    grid = Grid.of(rows, columns, below=PANEL_HEAD + PANEL + PANEL_FOOT + foot)
    figure = Figure(figsize=(grid.width, grid.height))
    grid.draw(figure, rows, looks)
    _write_middle(figure, foot + PANEL_FOOT + PANEL + 0.6, f"features of {tag}, by layer", weight="bold")
    for place, cloud in enumerate(clouds):
        _draw_cloud(_panel(figure, place, len(clouds), foot + PANEL_FOOT), cloud, looks, random_seed)
    if not points:
        _write_middle(figure, foot - NOTE, NO_TRUTH, color=GREY)
    draw_legend(figure, entries)
    return figure


def _write_middle(figure: Figure, height: float, text: str, **style) -> None:
    """Write a line in the middle of the figure, so many inches above its foot."""
    place = 0.5, height / figure.get_figheight()
    write(figure, place, text, MEDIUM, ha="center", va="bottom", **style)


def _entries(
    looks: Mapping[int, Look], classes: Sequence[str], masks: set[int], points: set[int]
) -> list[LegendEntry]:
    """Return the legend: of each class a patch if a mask holds it, and a marker if a cloud does."""
    entries = []
    for number, look in looks.items():
        drawn = ((patch, masks), (_marker, points))
        entries.append((tuple(draw(look) for draw, held in drawn if number in held), classes[number]))
    entries += mask_entries({}, classes, masks)  # void, if a mask holds it
    background = Look(BACKGROUND, "plain")
    return [*entries, ((_marker(background),), "background")] if 0 in points else entries


def _marker(look: Look) -> Line2D:
    style = {"linestyle": "", "markersize": 5, "markeredgewidth": 0}
    return Line2D([], [], marker=MARKERS[look.texture], color=look.colour, **style)


def _panel(figure: Figure, place: int, count: int, bottom: float) -> Axes:
    """Return the axes of one of `count` panels, `bottom` inches above the foot of the figure."""
    width, height = figure.get_size_inches()
    left, step = 0.35, (width - 0.35 - GAP) / count
    box = ((left + place * step) / width, bottom / height, (step - 0.3) / width, PANEL / height)
    return figure.add_axes(box)


def _draw_cloud(axes: Axes, cloud: Cloud, looks: Mapping[int, Look], random_seed: int) -> None:
    """Draw at most MOST_POINTS of a cloud, in random order, so that no class hides the others."""
    order = np.random.default_rng(random_seed).permutation(len(cloud.places))[:MOST_POINTS]
    places = cloud.places[order]
    labels = np.full(len(order), VOID) if cloud.labels is None else cloud.labels[order]
    shown = [looks.get(label, Look(BACKGROUND, "plain")) for label in labels.tolist()]
    for texture in TEXTURES:
        here = [place for place, look in enumerate(shown) if look.texture == texture]
        style = {"marker": MARKERS[texture], "s": 7, "linewidths": 0, "alpha": 0.6, "rasterized": True}
        if here:
            axes.scatter(*places[here].T, c=[shown[place].colour for place in here], **style)
    _finish_panel(axes, cloud)


def _finish_panel(axes: Axes, cloud: Cloud) -> None:
    """Title the panel, and mark the mean, at which the sign of the first component changes."""
    title = cut(layer_title(cloud.layer), 28)
    if cloud.separation is not None:
        title += f"\n1st component: ROC area {100 * cloud.separation:.1f} %"
    axes.set_title(title, fontsize=SMALL + 0.5, parse_math=False)
    axes.axvline(0, color="#222222", linewidth=0.8, linestyle="--")
    label_axes(axes, "first component", "second component")
    axes.set_xticks([])
    axes.set_yticks([])


BARS = 3  # panels in a line of Figure 3
OTHER_LAYERS = ((ORANGE, "o"), (VERMILION, "^"), (GREEN, "s"), (PURPLE, "D"))

BESIDE = {
    "textcoords": "offset points",
    "va": "center",
    "fontsize": SMALL,
    "arrowprops": {"arrowstyle": "-", "color": GREY, "linewidth": 0.7},
}


def variance_bars(shares: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Return Figure 3: the percentage of variance that each of the first 50 components explains.

    `shares` holds, by class and by layer, shares of the whole variance (<= 50,), in descending order. A
    panel a class: bars for the first layer, a line for each other; the first two bars have their numbers
    beside them. Raises ValueError where there is no class.
    """
    if not shares:
        raise ValueError("explained variance of no class")
    columns = 2 if len(shares) == 4 else min(BARS, len(shares))
    lines = -(-len(shares) // columns)
    figure = Figure(figsize=(max(6.0, 4 * columns), 3.6 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, (tag, by_layer) in zip(panels, shares.items(), strict=False):
        _draw_shares(axes, by_layer)
        axes.set_title(cut(tag, 40), fontsize=MEDIUM, weight="bold", parse_math=False)
    _name_layers(panels[0], next(iter(shares.values())))
    for axes in panels[len(shares) :]:
        axes.set_axis_off()
    return figure


def _draw_shares(axes: Axes, by_layer: Mapping[str, np.ndarray]) -> None:
    (layer, bars), *others = by_layer.items()
    numbers = np.arange(1, len(bars) + 1)
    axes.bar(numbers, 100 * bars, 0.8, color=BLUE, label=legend_name(layer))
    for number, share in zip(numbers[:2], bars[:2], strict=False):
        place = (number + 0.4, 100 * share)
        axes.annotate(f"{100 * share:.1f} %", place, (30, 22 - 8 * number), **BESIDE)
    for place, (name, line) in enumerate(others):
        colour, marker = OTHER_LAYERS[place % len(OTHER_LAYERS)]
        style = {"color": colour, "marker": marker, "markersize": 3, "linewidth": 1.1}
        axes.plot(np.arange(1, len(line) + 1), 100 * line, label=legend_name(name), **style)
    label_axes(axes, "component", "variance explained (%)")
    axes.margins(y=0.1)
    axes.set_ylim(bottom=0)


def _name_layers(axes: Axes, names: Iterable[str]) -> None:
    """Draw the legend in the order of the layers, where matplotlib would put lines before bars."""
    handles, labels = axes.get_legend_handles_labels()
    by_name = dict(zip(labels, handles, strict=True))
    in_order = [by_name[legend_name(name)] for name in names]
    plain_text(axes.legend(handles=in_order, fontsize=SMALL, frameon=False))
