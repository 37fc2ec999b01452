"""Grids are judged by their objects (texts, places, pictures) and by the PNG that they become."""

import numpy as np
import pytest
from PIL import Image

from tagseg.report.mask_grids import Example, qualitative
from tagseg.report.plots import DPI, write_figure

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
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[5:15, 5:20], mask[20:25] = 1, 255
    return Example(name, ("cat",), image, (mask, None) if masks is None else masks)


def test_grid_has_titles_labels_and_the_classes_that_occur(tmp_path):
    figure = qualitative([example("one"), example("two", seed=1)], ("image", "proxy", "truth"), CLASSES)
    assert {"image", "proxy", "truth", "one  ·  cat", "two  ·  cat", "no ground truth"} <= set(texts(figure))
    assert legend_texts(figure) == ["cat", "void"]
    (width, height), colours = as_picture(figure, tmp_path / "grid.png")
    assert (width, height) == pytest.approx(figure.get_size_inches() * DPI, abs=1)
    assert 900 < width < 1200
    assert 500 < height < 800
    assert colours > 1000


def test_grid_shows_the_image_and_the_mask_over_it():
    image, proxy, _ = qualitative([example()], ("image", "proxy", "truth"), CLASSES).axes
    assert np.array_equal(image.images[0].get_array(), example().image)
    overlay_labels = proxy.images[0].get_array()
    assert np.array_equal(overlay_labels[17, 30], example().image[17, 30])
    expected = 0.4 * example().image[10, 10] + 0.6 * np.array([0x00, 0x72, 0xB2])
    assert np.abs(overlay_labels[10, 10] - expected).max() <= 0.5
    assert {tuple(pixel) for pixel in overlay_labels[21:25].reshape(-1, 3)} == {(255,) * 3, (130,) * 3}


def test_parts_of_a_grid_do_not_overlap():
    figure = qualitative([example(str(n)) for n in range(4)], ("image", "proxy", "truth"), CLASSES)
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 < box.y0 < box.y1 < 1 for box in boxes)
    assert not any(one.overlaps(two) for one in boxes for two in boxes if one is not two)


def test_names_in_a_grid_are_not_formulas(tmp_path):
    odd = ("background", "$a^$ b$", "_c")
    mask = np.repeat(np.array([0, 1, 2], np.uint8), 400).reshape(30, 40)
    grid = qualitative([example("$x_$", masks=(mask,))], ("image", "$p_$"), odd, ("$b_$",))
    as_picture(grid, tmp_path / "grid.png")
    assert [text.strip() for text in legend_texts(grid)] == ["$a^$ b$", "_c"]


def test_the_legend_of_many_classes_fits(tmp_path):
    mask = np.arange(1200, dtype=np.uint8).reshape(30, 40) % 30
    names = ("background", *(f"a rather long name {n}" for n in range(1, 30)))
    figure = qualitative([example(masks=(mask.astype(np.uint8),))], ("image", "mask"), names)
    write_figure(tmp_path / "grid.png", figure)
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
    assert box.y1 <= min(axes.get_window_extent().y0 for axes in figure.axes)
    assert len(legend_texts(figure)) == 29
