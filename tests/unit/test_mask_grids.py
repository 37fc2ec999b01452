"""Grids are judged by their objects (texts, places, pictures) and by the PNG that they become."""

import numpy as np
import pytest
from PIL import Image

from tagseg.figures import DPI, write_figure
from tagseg.mask_grids import CELL, Example, Grid, qualitative

CLASSES = ("background", "cat", "dog")


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def texts(figure):
    return [text.get_text() for text in [*figure.texts, *(t for axes in figure.axes for t in axes.texts)]]


def as_picture(figure, path):
    """Write the figure, and return its size and the number of its colours."""
    write_figure(path, figure)
    with Image.open(path) as image:
        return image.size, len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0))


def example(name="one", masks=None, seed=0, height=30, width=40):
    photograph = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[5:15, 5:20], mask[20:25] = 1, 255
    return Example(name, ("cat",), photograph, (mask, None) if masks is None else masks)


def test_grid_has_titles_labels_and_the_classes_that_occur(tmp_path):
    figure = qualitative([example("one"), example("two", seed=1)], ("photo", "proxy", "truth"), CLASSES)
    assert {"photo", "proxy", "truth", "one  ·  cat", "two  ·  cat", "no true mask"} <= set(texts(figure))
    assert legend_texts(figure) == ["cat", "void"]
    (width, height), colours = as_picture(figure, tmp_path / "grid.png")
    assert (width, height) == pytest.approx(figure.get_size_inches() * DPI, abs=1)
    assert 900 < width < 1200
    assert 500 < height < 800
    assert colours > 1000


def test_grid_shows_the_photograph_and_the_mask_over_it():
    photo, proxy, _ = qualitative([example()], ("photo", "proxy", "truth"), CLASSES).axes
    assert np.array_equal(photo.images[0].get_array(), example().photograph)
    laid_over = proxy.images[0].get_array()
    assert np.array_equal(laid_over[17, 30], example().photograph[17, 30])
    expected = 0.4 * example().photograph[10, 10] + 0.6 * np.array([0x00, 0x72, 0xB2])
    assert np.abs(laid_over[10, 10] - expected).max() <= 0.5
    assert {tuple(pixel) for pixel in laid_over[21:25].reshape(-1, 3)} == {(255,) * 3, (130,) * 3}


def test_parts_of_a_grid_lie_within_it_and_apart():
    figure = qualitative([example(str(n)) for n in range(4)], ("photo", "proxy", "truth"), CLASSES)
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 < box.y0 < box.y1 < 1 for box in boxes)
    assert not any(one.overlaps(two) for one in boxes for two in boxes if one is not two)


def test_large_photographs_are_shrunk_before_they_are_drawn():
    large = example(masks=(np.ones((1200, 1600), np.uint8),), height=1200, width=1600)
    figure = qualitative([large], ("photo", "proxy"), CLASSES)
    assert [axes.images[0].get_array().shape for axes in figure.axes] == [(300, 400, 3)] * 2


def test_grid_without_labels_has_no_legend():
    empty = example(masks=(np.zeros((30, 40), np.uint8),))
    assert legend_texts(qualitative([empty], ("photo", "proxy"), CLASSES)) == []


def test_grid_of_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="1 masks"):
        qualitative([example()], ("photo", "proxy"), CLASSES)
    with pytest.raises(ValueError, match="rows"):
        qualitative([], ("photo", "proxy"), CLASSES)


def test_names_in_a_grid_are_no_formulas(tmp_path):
    odd = ("background", "$a^$ b$", "_c")
    mask = np.repeat(np.array([0, 1, 2], np.uint8), 400).reshape(30, 40)
    grid = qualitative([example("$x_$", masks=(mask,))], ("photo", "$p_$"), odd, ("$b_$",))
    as_picture(grid, tmp_path / "grid.png")
    assert [text.strip() for text in legend_texts(grid)] == ["$a^$ b$", "_c"]


def test_blocks_stand_side_by_side_and_bear_their_names():
    rows = [example(f"row {n}", masks=(np.zeros((30, 40), np.uint8),)) for n in range(5)]
    figure = qualitative(rows, ("photo", "mask"), CLASSES, ("best", "worst"))
    width, height = figure.get_size_inches()
    lefts = [round(axes.get_position().x0 * width / CELL, 2) for axes in figure.axes]
    tops = [round(axes.get_position().y1 * height, 6) for axes in figure.axes]
    assert lefts[::2] == [lefts[0]] * 3 + [lefts[6]] * 2, "three rows at the left, two at the right"
    assert lefts[6] > lefts[1] > lefts[0]
    assert tops[:4:2] == tops[6::2]
    assert texts(figure).count("photo") == 2
    assert {"best", "worst"} <= set(texts(figure))


def test_a_name_of_a_block_stands_above_the_titles_of_its_columns():
    figure = qualitative([example(), example()], ("photo", "a", "b"), CLASSES, ("best", "worst"))
    places = {text.get_text(): text.get_position() for text in figure.texts}
    assert places["best"][1] > places["a"][1] > figure.axes[0].get_position().y1
    assert places["best"][0] < 0.5 < places["worst"][0]


def test_long_labels_end_within_their_block():
    long = example("x" * 500, masks=(np.zeros((30, 40), np.uint8),))
    figure = qualitative([long, long], ("photo", "mask"), CLASSES, ("", ""))
    labels = [text for text in texts(figure) if text.startswith("x")]
    assert all(text.endswith("…") for text in labels)
    assert len(labels[0]) <= Grid.width_of(2) * 12.5


def test_what_is_below_a_grid_has_its_inches():
    rows = [example()]
    plain, more = (Grid.of(rows, ("a", "b", "c"), below=inches) for inches in (0, 3))
    assert more.height - plain.height == pytest.approx(3)


def test_many_classes_stand_in_lines_that_fit(tmp_path):
    mask = np.arange(1200, dtype=np.uint8).reshape(30, 40) % 30
    names = ("background", *(f"a rather long name {n}" for n in range(1, 30)))
    figure = qualitative([example(masks=(mask.astype(np.uint8),))], ("photo", "mask"), names)
    write_figure(tmp_path / "grid.png", figure)
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
    assert box.y1 <= min(axes.get_window_extent().y0 for axes in figure.axes)
    assert len(legend_texts(figure)) == 29
