"""Figures are judged by their objects (texts, places, lengths of bars) and by the PNG that they become."""

import numpy as np
import pytest
from PIL import Image

from tagseg.patterns.layer_choice import Candidate
from tagseg.report import plots
from tagseg.report.mask_grids import Example, qualitative
from tagseg.report.palettes import OKABE_ITO, OPACITY, ClassStyle, class_styles, overlay_labels

CLASSES = ("background", "cat", "dog")


def texts(figure):
    """Return the texts of legends, and all others but titles and ticks."""
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    shown = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    legend = [text.get_text().strip() for one in legends if one for text in one.get_texts()]
    return legend, [text.get_text() for text in shown]


def size_of_picture(figure, path):
    plots.write_figure(path, figure)
    with Image.open(path) as image:
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 20
        return image.size


def drawn(figure, path):
    """Return the legend, the numbers of the first panel, its other texts and labels, of a figure that is not empty."""
    axes, (legend, shown) = figure.axes[0], texts(figure)
    size_of_picture(figure, path)
    bars = [[bar.get_width() for bar in bars] for bars in axes.containers]
    lines = [list(map(float, line.get_ydata())) for line in axes.lines]
    return legend, bars or lines, [*shown, *(label.get_text() for label in axes.get_yticklabels())]


def test_plots_have_their_numbers_and_names(tmp_path):
    logs = [{"epoch": n, "loss": 1 / n, "head_lr": 0.1, "seconds": 30.0} for n in (1, 2)]
    curves = plots.training_curves({"classifier": logs, "round 1": logs, "round 2": 2 * logs})
    names = ["classifier (1 min 00 s)", "round 1 (1 min 00 s)", "round 2 (2 min 00 s)"]
    assert drawn(curves, tmp_path / "1.png")[:2] == (names, [[1, 0.5]]) and len(curves.axes[1].lines) == 2
    variance = plots.explained_variance({"$a^$ _c": np.array([0.25, 0.125]), "dog": np.array([0.5, 0.25])})
    legend, lines, _ = drawn(variance, tmp_path / "2.png")
    assert legend == ["dog", "$a^$ _c", "mean (first: 37.5 %)"] and lines == [[50, 25], [25, 12.5], [37.5, 18.75]]
    seeds = plots.seed_comparison([("low", 50.0, 60.0), ("last", 40.0, 45.5), ("cam", 30.0, None)])
    legend, (before, after), shown = drawn(seeds, tmp_path / "3.png")
    assert legend == ["before CRF", "after CRF"] and {"low", "last", "cam", "45.5"} <= set(shown)
    assert before == [50, 40, 30] and after == pytest.approx([60, 45.5, np.nan], nan_ok=True)
    classes = plots.per_class({"background": 90.0, "$c_at$": 0.0, "dog": 60.0, "emu": None}, 50.0)
    legend, bars, shown = drawn(classes, tmp_path / "4.png")
    assert (legend, bars, shown[-3:]) == (["mean 50.0"], [[90, 60, 0]], ["background", "dog", "$c_at$"])
    assert classes.get_supxlabel() == "do not occur: emu"
    layers = [Candidate("blocks.5.0", 0.4, 0.25), Candidate("$blocks_$", 0.5, 0.1), Candidate("stem", 0.05, 0.3)]
    chosen = plots.layer_choice(layers, layers[0])
    _, lines, shown = drawn(chosen, tmp_path / "5.png")
    assert lines[:3] == [[0.25], [0.1], [0.3]] and shown[:3] == ["blocks.5.0 (chosen)", "$blocks_$", "stem"]
    assert list(chosen.axes[0].lines[-1].get_xdata()) == [0.25, 0.25], "half of the highest correlation"
    assert [plots.layer_title(name) for name in ("layer4.0", "c42", "layer3")] == ["C41", "C42", "layer3"]


def example(name="one", masks=None):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    mask = np.zeros((30, 40), np.uint8)
    mask[5:15, 5:20], mask[20:25] = 1, 255
    return Example(name, ("cat",), image, (mask, None) if masks is None else masks)


def test_a_grid_has_titles_and_the_classes_that_occur_and_its_parts_do_not_overlap(tmp_path):
    figure = qualitative([example("one"), example("$two_$")], ("image", "$p_$", "truth"), CLASSES)
    labels = {"image", "$p_$", "truth", "one  ·  cat", "$two_$  ·  cat", "no ground truth"}
    assert texts(figure)[0] == ["cat", "void"] and labels <= set(texts(figure)[1])
    width, height = size_of_picture(figure, tmp_path / "grid.png")
    assert (width, height) == pytest.approx(figure.get_size_inches() * plots.DPI, abs=1)
    assert 900 < width < 1200 and 500 < height < 800
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 < box.y0 < box.y1 < 1 for box in boxes)
    assert not any(one.overlaps(two) for one in boxes for two in boxes if one is not two)
    image, proxy, *_ = figure.axes
    pixels, overlay = example().image, proxy.images[0].get_array()
    assert np.array_equal(image.images[0].get_array(), pixels) and (overlay[17, 30] == pixels[17, 30]).all()
    assert np.abs(overlay[10, 10] - (0.4 * pixels[10, 10] + 0.6 * np.array([0, 0x72, 0xB2]))).max() <= 0.5
    assert {tuple(pixel) for pixel in overlay[21:25].reshape(-1, 3)} == {(255,) * 3, (130,) * 3}


def test_the_legend_of_many_classes_fits(tmp_path):
    mask = np.arange(1200).reshape(30, 40) % 30
    names = ("background", *(f"a rather $long_ name {n}" for n in range(1, 30)))
    figure = qualitative([example(masks=(mask.astype(np.uint8),))], ("image", "mask"), names)
    plots.write_figure(tmp_path / "grid.png", figure)
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and len(texts(figure)[0]) == 29
    assert box.y1 <= min(axes.get_window_extent().y0 for axes in figure.axes)


def test_each_label_is_overlaid_in_its_own_style():
    styles = list(class_styles(range(1, 37)).values())
    assert [style.colour for style in styles[7:14]] == list(OKABE_ITO)
    assert len(set(styles)) == 35 and styles[35] == styles[0], "another texture every seven classes"
    image = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    mask = np.repeat(np.arange(3, dtype=np.uint8), 40) * np.ones((80, 1), np.uint8)
    styles = {1: ClassStyle("#E69F00", "plain"), 2: ClassStyle("#0072B2", "stripes")}
    overlay = overlay_labels(image, mask, styles)
    assert np.array_equal(overlay[:, :40], image[:, :40])
    for left, colour, stripes in ((41, (0xE6, 0x9F, 0), 0), (81, (0, 0x72, 0xB2), 0.25)):
        area = np.s_[:, left : left + 39]
        blended = (1 - OPACITY) * image[area] + OPACITY * np.array(colour)
        near, white = np.abs(overlay[area] - blended).max(axis=-1) < 1, (overlay[area] == 255).all(axis=-1)
        assert (near | white).all() and white.mean() == pytest.approx(stripes, abs=0.1)
