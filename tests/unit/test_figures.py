"""Figures are judged by their objects (texts, lengths of bars) and by the PNG that they become."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tagseg.figures import (
    NAMED_LINES,
    explained_variance,
    layer_choice,
    layer_title,
    message,
    per_class,
    seed_comparison,
    training_curves,
    write_both,
    write_figure,
    write_pdf,
)
from tagseg.layer_choice import Candidate


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


def shares(count, components=50):
    rng = np.random.default_rng(0)
    rows = np.sort(rng.random((count, components)), axis=1)[:, ::-1]
    return {f"class {number}": row / row.sum() for number, row in enumerate(rows)}


def test_names_are_no_formulas(tmp_path):
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
    assert legend_texts(figure) == ["classifier (60 s)", "round 1 (90 s)", "round 2 (90 s)"]
    size, colours = as_picture(figure, tmp_path / "curves.png")
    assert size == (1300, 468)
    assert colours > 20


def test_times_are_told_in_units_a_person_reads():
    logs = {"a": log(1), "b": [log(1)[0] | {"seconds": 600}], "c": [log(1)[0] | {"seconds": 9000}]}
    assert legend_texts(training_curves(logs)) == ["a (30 s)", "b (10 min)", "c (2.5 h)"]


def test_explained_variance_names_each_class_and_the_mean(tmp_path):
    figure = explained_variance({"cat": np.array([0.3, 0.1]), "dog": np.array([0.5, 0.2, 0.1])})
    assert legend_texts(figure) == ["dog", "cat", "mean (first: 40.0 %)"]
    dog, cat, mean = figure.axes[0].lines
    assert dog.get_ydata() == pytest.approx([50, 20, 10])
    assert cat.get_xdata().tolist() == [1, 2]
    assert mean.get_ydata() == pytest.approx([40, 15])
    assert mean.get_linewidth() > 2 * cat.get_linewidth()
    assert as_picture(figure, tmp_path / "variance.png")[1] > 20


def test_lines_that_are_named_look_different():
    lines = explained_variance(shares(NAMED_LINES)).axes[0].lines[:-1]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == NAMED_LINES


def test_of_many_classes_the_extremes_are_named():
    many = shares(NAMED_LINES + 1)
    order = sorted(many, key=lambda name: -many[name][0])
    figure = explained_variance(many)
    assert legend_texts(figure)[:-1] == [*order[:3], *order[-3:]]
    assert len(figure.axes[0].lines) == NAMED_LINES + 2


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


def test_seeds_without_scores_say_so():
    figure = seed_comparison([("low", None, None), ("cam", None, None)])
    assert figure.axes == []
    assert "No photograph has a true mask" in texts(figure)[0]


LAYERS = (
    Candidate("blocks.5.0", 0.4, 0.25),
    Candidate("$blocks_$", 0.5, 0.1),
    Candidate("stem", 0.05, 0.3),
)


def test_layers_lie_at_their_two_numbers_and_the_chosen_one_stands_out(tmp_path):
    figure = layer_choice(LAYERS, LAYERS[0])
    (axes,) = figure.axes
    *points, needed = axes.lines
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in points]
    assert places == [(one.mask_correlation, one.colour_coefficient) for one in LAYERS]
    assert texts(figure) == ["blocks.5.0 (chosen)", "$blocks_$", "stem"]
    looks = [(line.get_color(), line.get_marker()) for line in points]
    assert looks == [("#E69F00", "D"), ("#0072B2", "o"), ("#0072B2", "o")]
    assert list(needed.get_xdata()) == [0.25, 0.25], "half of the highest correlation"
    assert "CAM" in axes.get_xlabel()
    assert "colour" in axes.get_ylabel()
    size, colours = as_picture(figure, tmp_path / "layers.png")
    assert size == (910, 546)
    assert colours > 20


def test_names_of_layers_lie_within_the_plot(tmp_path):
    figure = layer_choice(LAYERS, LAYERS[0])
    write_figure(tmp_path / "layers.png", figure)
    frame = figure.axes[0].get_window_extent()
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert frame.y0 < box.y0 < box.y1 < frame.y1
        assert figure.bbox.x0 < box.x0 < box.x1 < figure.bbox.x1


def test_one_layer_alone_is_drawn_too(tmp_path):
    only = [Candidate("a", 0.0, 0.0)]
    assert as_picture(layer_choice(only, only[0]), tmp_path / "layer.png")[1] > 20


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


def test_bars_grow_with_the_classes():
    heights = [per_class({f"c{n}": 1.0 for n in range(count)}, 1.0).get_figheight() for count in (3, 81)]
    assert heights[1] - heights[0] == pytest.approx(78 * 0.26)


def test_no_iou_says_so():
    assert "no IoU to draw" in texts(per_class({"background": None}, 0.0))[0]


@pytest.mark.parametrize(
    ("name", "title"),
    [("layer4.0", "C41"), ("c42", "C42"), ("blocks.5.0", "blocks.5.0"), ("layer3", "layer3")],
)
def test_layers_bear_the_papers_names_where_they_have_one(name, title):
    assert layer_title(name) == title


def test_messages_are_pictures_too(tmp_path):
    (width, height), colours = as_picture(message("There is nothing to show."), tmp_path / "message.png")
    assert (width, height) == (910, 260)
    assert colours > 5


def test_equal_figures_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_figure(tmp_path / f"{name}.png", per_class({"cat": 3.0}, 3.0))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_pdfs_of_equal_figures_are_equal_and_bear_no_date(tmp_path):
    for name in ("a", "b"):
        write_both(tmp_path / f"{name}.png", tmp_path / f"{name}.pdf", per_class({"cat": 3.0}, 3.0))
    content = (tmp_path / "a.pdf").read_bytes()
    assert content == (tmp_path / "b.pdf").read_bytes()
    assert content.startswith(b"%PDF") and b"CreationDate" not in content
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_no_part_of_a_figure_is_left_after_an_error(tmp_path, monkeypatch):
    def half(self, path, **_):
        path.write_bytes(b"half")
        raise OSError("full")

    monkeypatch.setattr(Figure, "savefig", half)
    for write in (write_figure, write_pdf):
        with pytest.raises(OSError, match="full"):
            write(tmp_path / "a", message("x"))
    assert list(tmp_path.iterdir()) == []
