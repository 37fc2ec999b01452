"""Figures are judged by their objects (texts, lengths of bars) and by the PNG that they become."""

import numpy as np
import pytest
from PIL import Image

from tagseg.patterns.layer_choice import Candidate
from tagseg.report.plots import (
    explained_variance,
    layer_choice,
    layer_title,
    per_class,
    seed_comparison,
    training_curves,
    write_figure,
)


def legend_texts(holder):
    legends = [one for one in [*getattr(holder, "legends", ()), *_axes_legends(holder)] if one]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def _axes_legends(figure):
    return [axes.get_legend() for axes in figure.axes]


def texts(figure):
    return [text.get_text() for text in [*figure.texts, *(t for axes in figure.axes for t in axes.texts)]]


def as_picture(figure, path):
    """Write the figure, and return its size and the number of its colours."""
    write_figure(path, figure)
    with Image.open(path) as image:
        assert image.format == "PNG"
        return image.size, len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0))


def log(*losses):
    return [{"epoch": n, "loss": loss, "head_lr": 0.1, "seconds": 30.0} for n, loss in enumerate(losses, 1)]


def test_names_are_not_formulas(tmp_path):
    odd = ("background", "$a^$ b$", "_c")
    bars = per_class(dict.fromkeys(odd, 50.0), 50.0)
    lines = explained_variance({name: np.array([0.5, 0.2, 0.1]) for name in odd[1:]})
    for number, figure in enumerate((bars, lines)):
        as_picture(figure, tmp_path / f"{number}.png")
    assert [text.strip() for text in legend_texts(lines)[:-1]] == ["$a^$ b$", "_c"]


def test_training_curves_keep_the_two_losses_apart(tmp_path):
    logs = {"classifier": log(0.6, 0.3), "round 1": log(2, 1.5, 1), "round 2": log(1.2, 1, 0.9)}
    figure = training_curves(logs)
    left, right = figure.axes
    assert [line.get_ydata().tolist() for line in left.lines] == [[0.6, 0.3]]
    assert [line.get_ydata().tolist() for line in right.lines] == [[2, 1.5, 1], [1.2, 1, 0.9]]
    assert legend_texts(figure) == ["classifier (1 min 00 s)", "round 1 (1 min 30 s)", "round 2 (1 min 30 s)"]
    size, colours = as_picture(figure, tmp_path / "curves.png")
    assert size == (1300, 468)
    assert colours > 20


def test_explained_variance_names_each_class_and_the_mean(tmp_path):
    figure = explained_variance({"cat": np.array([0.3, 0.1]), "dog": np.array([0.5, 0.2, 0.1])})
    assert legend_texts(figure) == ["dog", "cat", "mean (first: 40.0 %)"]
    dog, cat, mean = figure.axes[0].lines
    assert dog.get_ydata() == pytest.approx([50, 20, 10])
    assert cat.get_xdata().tolist() == [1, 2]
    assert mean.get_ydata() == pytest.approx([40, 15])
    assert mean.get_linewidth() > 2 * cat.get_linewidth()
    assert as_picture(figure, tmp_path / "variance.png")[1] > 20


def test_seeds_from_top_to_bottom_with_both_bars(tmp_path):
    figure = seed_comparison([("low", 50.0, 60.0), ("last", 40.0, 45.5), ("cam", 30.0, None)])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["low", "last", "cam"]
    assert axes.yaxis_inverted()
    before, after = ([bar.get_width() for bar in bars] for bars in axes.containers)
    assert before == [50, 40, 30]
    assert after == pytest.approx([60, 45.5, np.nan], nan_ok=True)
    assert legend_texts(figure) == ["before CRF", "after CRF"]
    assert "45.5" in texts(figure)
    assert as_picture(figure, tmp_path / "seeds.png")[1] > 20


LAYERS = (Candidate("blocks.5.0", 0.4, 0.25), Candidate("$blocks_$", 0.5, 0.1), Candidate("stem", 0.05, 0.3))


def test_layers_by_their_two_numbers_with_the_chosen_one_marked(tmp_path):
    figure = layer_choice(LAYERS, LAYERS[0])
    (axes,) = figure.axes
    *points, needed = axes.lines
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in points]
    assert places == [(one.mask_correlation, one.colour_coefficient) for one in LAYERS]
    assert texts(figure) == ["blocks.5.0 (chosen)", "$blocks_$", "stem"]
    styles = [(line.get_color(), line.get_marker()) for line in points]
    assert styles == [("#E69F00", "D"), ("#0072B2", "o"), ("#0072B2", "o")]
    assert list(needed.get_xdata()) == [0.25, 0.25], "half of the highest correlation"
    assert "CAM" in axes.get_xlabel()
    assert "colour" in axes.get_ylabel()
    size, colours = as_picture(figure, tmp_path / "layers.png")
    assert size == (910, 546)
    assert colours > 20


def test_classes_are_sorted_with_the_mean_as_a_line(tmp_path):
    figure = per_class({"background": 90.0, "cat": 0.0, "dog": 60.0, "emu": None}, 50.0)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["background", "dog", "cat"]
    assert [bar.get_width() for bar in axes.patches] == [90, 60, 0]
    assert axes.lines[0].get_xdata() == [50, 50]
    assert legend_texts(figure) == ["mean 50.0"]
    assert figure.get_supxlabel() == "do not occur: emu"
    assert {"90.0", "60.0", "0.0"} <= set(texts(figure))
    assert as_picture(figure, tmp_path / "classes.png")[1] > 20


@pytest.mark.parametrize(
    ("name", "title"),
    [("layer4.0", "C41"), ("c42", "C42"), ("blocks.5.0", "blocks.5.0"), ("layer3", "layer3")],
)
def test_layers_have_the_papers_names(name, title):
    assert layer_title(name) == title
