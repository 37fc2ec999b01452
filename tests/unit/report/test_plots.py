"""Figures are judged by their objects (texts, places, lengths of bars) and by the PNG that they become."""

import numpy as np
import pytest
from PIL import Image

from tagseg.patterns.layer_choice import Candidate
from tagseg.report.mask_grids import Example, qualitative
from tagseg.report.palettes import OKABE_ITO, OPACITY, ClassStyle, class_styles, overlay_labels
from tagseg.report.plots import (
    DPI,
    explained_variance,
    layer_choice,
    layer_title,
    per_class,
    seed_comparison,
    training_curves,
    write_figure,
)

CLASSES = ("background", "cat", "dog")


def legend_texts(figure):
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    return [text.get_text().strip() for legend in legends if legend for text in legend.get_texts()]


def texts(figure):
    return [text.get_text() for text in [*figure.texts, *(t for axes in figure.axes for t in axes.texts)]]


def size_of_picture(figure, path):
    write_figure(path, figure)
    with Image.open(path) as image:
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 20
        return image.size


def log(*losses):
    return [{"epoch": n, "loss": loss, "head_lr": 0.1, "seconds": 30.0} for n, loss in enumerate(losses, 1)]


def test_training_curves_keep_the_two_losses_apart(tmp_path):
    logs = {"classifier": log(0.6, 0.3), "round 1": log(2, 1.5, 1), "round 2": log(1.2, 1, 0.9)}
    figure = training_curves(logs)
    left, right = ([line.get_ydata().tolist() for line in axes.lines] for axes in figure.axes)
    assert left == [[0.6, 0.3]] and right == [[2, 1.5, 1], [1.2, 1, 0.9]]
    assert legend_texts(figure) == ["classifier (1 min 00 s)", "round 1 (1 min 30 s)", "round 2 (1 min 30 s)"]
    assert size_of_picture(figure, tmp_path / "curves.png") == (1300, 468)


def test_explained_variance_names_each_class_and_the_mean(tmp_path):
    figure = explained_variance({"$a^$ _c": np.array([0.3, 0.1]), "dog": np.array([0.5, 0.2, 0.1])})
    assert legend_texts(figure) == ["dog", "$a^$ _c", "mean (first: 40.0 %)"]
    dog, cat, mean = figure.axes[0].lines
    assert dog.get_ydata() == pytest.approx([50, 20, 10]) and cat.get_xdata().tolist() == [1, 2]
    assert mean.get_ydata() == pytest.approx([40, 15])
    size_of_picture(figure, tmp_path / "names_are_not_formulas.png")


def test_seeds_from_top_to_bottom_with_both_bars(tmp_path):
    figure = seed_comparison([("low", 50.0, 60.0), ("last", 40.0, 45.5), ("cam", 30.0, None)])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["low", "last", "cam"]
    before, after = ([bar.get_width() for bar in bars] for bars in axes.containers)
    assert axes.yaxis_inverted() and before == [50, 40, 30]
    assert after == pytest.approx([60, 45.5, np.nan], nan_ok=True)
    assert legend_texts(figure) == ["before CRF", "after CRF"] and "45.5" in texts(figure)
    size_of_picture(figure, tmp_path / "seeds.png")


def test_layers_by_their_two_numbers_with_the_chosen_one_marked(tmp_path):
    numbers = {"blocks.5.0": (0.4, 0.25), "$blocks_$": (0.5, 0.1), "stem": (0.05, 0.3)}
    layers = [Candidate(name, *pair) for name, pair in numbers.items()]
    figure = layer_choice(layers, layers[0])
    *points, needed = figure.axes[0].lines
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in points] == list(numbers.values())
    assert texts(figure) == ["blocks.5.0 (chosen)", "$blocks_$", "stem"]
    assert [line.get_marker() for line in points] == ["D", "o", "o"]
    assert list(needed.get_xdata()) == [0.25, 0.25], "half of the highest correlation"
    assert size_of_picture(figure, tmp_path / "layers.png") == (910, 546)
    names = {"layer4.0": "C41", "c42": "C42", "blocks.5.0": "blocks.5.0", "layer3": "layer3"}
    assert {name: layer_title(name) for name in names} == names


def test_classes_are_sorted_with_the_mean_as_a_line(tmp_path):
    figure = per_class({"background": 90.0, "$c_at$": 0.0, "dog": 60.0, "emu": None}, 50.0)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["background", "dog", "$c_at$"]
    assert [bar.get_width() for bar in axes.patches] == [90, 60, 0] and axes.lines[0].get_xdata() == [50, 50]
    assert legend_texts(figure) == ["mean 50.0"] and figure.get_supxlabel() == "do not occur: emu"
    assert {"90.0", "60.0", "0.0"} <= set(texts(figure))
    size_of_picture(figure, tmp_path / "classes.png")


def example(name="one", masks=None):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    mask = np.zeros((30, 40), np.uint8)
    mask[5:15, 5:20], mask[20:25] = 1, 255
    return Example(name, ("cat",), image, (mask, None) if masks is None else masks)


def test_a_grid_has_titles_and_the_classes_that_occur_and_its_parts_do_not_overlap(tmp_path):
    figure = qualitative([example("one"), example("$two_$")], ("image", "$p_$", "truth"), CLASSES)
    labels = {"image", "$p_$", "truth", "one  ·  cat", "$two_$  ·  cat", "no ground truth"}
    assert labels <= set(texts(figure)) and legend_texts(figure) == ["cat", "void"]
    width, height = size_of_picture(figure, tmp_path / "grid.png")
    assert (width, height) == pytest.approx(figure.get_size_inches() * DPI, abs=1)
    assert 900 < width < 1200 and 500 < height < 800
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 < box.y0 < box.y1 < 1 for box in boxes)
    assert not any(one.overlaps(two) for one in boxes for two in boxes if one is not two)


def test_the_legend_of_many_classes_fits(tmp_path):
    mask = np.arange(1200).reshape(30, 40) % 30
    names = ("background", *(f"a rather $long_ name {n}" for n in range(1, 30)))
    figure = qualitative([example(masks=(mask.astype(np.uint8),))], ("image", "mask"), names)
    write_figure(tmp_path / "grid.png", figure)
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and len(legend_texts(figure)) == 29
    assert box.y1 <= min(axes.get_window_extent().y0 for axes in figure.axes)


def test_a_grid_shows_the_image_and_the_mask_over_it():
    image, proxy, _ = qualitative([example()], ("image", "proxy", "truth"), CLASSES).axes
    pixels, overlay = example().image, proxy.images[0].get_array()
    assert np.array_equal(image.images[0].get_array(), pixels)
    assert np.array_equal(overlay[17, 30], pixels[17, 30])
    assert np.abs(overlay[10, 10] - (0.4 * pixels[10, 10] + 0.6 * np.array([0, 0x72, 0xB2]))).max() <= 0.5
    assert {tuple(pixel) for pixel in overlay[21:25].reshape(-1, 3)} == {(255,) * 3, (130,) * 3}


def test_beyond_seven_classes_the_colours_return_with_another_texture():
    styles = list(class_styles(range(1, 37)).values())
    assert [style.colour for style in styles[7:14]] == list(OKABE_ITO)
    assert {style.texture for style in styles[7:14]} == {"stripes"}
    assert len(set(styles)) == 35 and styles[35] == styles[0]


def test_each_label_is_overlaid_in_its_own_style():
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
