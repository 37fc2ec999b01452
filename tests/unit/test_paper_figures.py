"""The figures of the paper: by their objects, and their scripts as Snakemake runs them on tiny inputs."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

import draw_figure_1
import draw_figure_3
import draw_figure_4
import draw_figure_5
from helpers import photograph_rows
from tagseg import commandline
from tagseg.figures import write_figure
from tagseg.images import write_mask
from tagseg.index import Index, write_index
from tagseg.map_shards import View, write_maps
from tagseg.mask_grids import Example
from tagseg.mask_looks import BLUE, ORANGE
from tagseg.mask_shards import write_mask_shard
from tagseg.paper_figures import BACKGROUND, MOST_POINTS, NO_TRUTH, localization, variance_bars
from tagseg.patterns import ClassPattern, write_patterns
from tagseg.projection import Cloud
from tagseg.subsets import write_subsets
from tagseg.true_masks import write_true_masks

SCRIPTS = Path(draw_figure_1.__file__).parent
CLASSES = ("background", "cat", "dog", "emu")
LAYERS = ("C41", "C42")
SETTINGS = {"layers": list(LAYERS), "classes": None, "photographs": 4, "random_seed": 0}


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def words(figure):
    return [text.get_text() for text in figure.texts]


def row(label=1):
    mask = np.zeros((30, 40), np.uint8)
    mask[5:15] = label
    photograph = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return Example("one", ("cat",), photograph, (mask,))


def cloud(count=200, labels=(0, 1, 2), separation=0.913):
    rng = np.random.default_rng(0)
    places = rng.standard_normal((count, 2))
    drawn = None if labels is None else rng.choice(np.array(labels, np.uint8), count)
    return Cloud("$C_41$", places, drawn, None if labels is None else separation)


def located(*clouds, rows=None, classes=CLASSES, masks=1):
    rows = [replace(one, masks=one.masks * masks) for one in rows or [row()]]
    columns = ("photograph", *(["mask"] * masks))
    return localization(rows, columns, classes, clouds, "$c_at$", 0)


def points(axes):
    """Return (x, y, colour) of every point of a panel."""
    return [
        (*place, tuple(np.round(colour[:3] * 255).astype(int)))
        for dots in axes.collections
        for place, colour in zip(dots.get_offsets(), dots.get_facecolors(), strict=True)
    ]


def rgb(colour):
    return tuple(bytes.fromhex(colour[1:]))


def test_points_have_the_colour_of_their_class():
    one = cloud()
    *_, panel = located(one).axes
    colours = {0: rgb(BACKGROUND), 1: rgb(BLUE), 2: rgb(ORANGE)}
    expected = {(*place, colours[label]) for place, label in zip(one.places, one.labels, strict=True)}
    assert set(points(panel)) == expected
    assert all(dots.get_rasterized() for dots in panel.collections)


def test_many_points_are_thinned_and_always_alike():
    many = cloud(MOST_POINTS + 500)
    first, again = (points(located(many).axes[-1]) for _ in range(2))
    assert len(first) == MOST_POINTS
    assert first == again


def test_panels_bear_their_layer_and_how_well_they_separate(tmp_path):
    figure = located(cloud(), cloud(labels=None), cloud(), masks=3)
    write_figure(tmp_path / "figure.png", figure)
    titles = [axes.get_title() for axes in figure.axes[4:]]
    assert titles == ["$C_41$\n1st component: ROC area 91.3 %", "$C_41$"] + titles[:1]
    assert "features of $c_at$, by layer" in words(figure)
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(one.overlaps(two) for one in boxes for two in boxes if one is not two)
    legend = figure.legends[0].get_window_extent()
    assert legend.y1 < min(box.y0 for box in boxes)


def test_the_legend_names_what_is_in_masks_and_what_is_in_clouds():
    figure = located(cloud(labels=(0, 2)), rows=[row(1), row(255)])
    assert legend_texts(figure) == ["cat", "dog", "void", "background"]
    assert NO_TRUTH not in words(figure)


def test_classes_of_one_colour_have_markers_of_their_own():
    names = ("background", *(f"c{n}" for n in range(1, 10)))
    figure = located(cloud(labels=range(10)), rows=[row(0)], classes=names)
    shapes = {
        len(dots.get_paths()[0].vertices) for dots in figure.axes[-1].collections if len(dots.get_offsets())
    }
    assert len(shapes) == 2, "circles, and triangles for the eighth and ninth class"


def test_points_without_truth_have_one_colour_and_a_note():
    figure = located(cloud(labels=None))
    assert {colour for *_, colour in points(figure.axes[-1])} == {rgb(BACKGROUND)}
    assert NO_TRUTH in words(figure)
    assert legend_texts(figure) == ["cat"]


def shares(first, count=50):
    rest = np.linspace(first / 3, 0.001, count - 1)
    return np.array([first, *rest])


def test_bars_of_the_first_layer_and_lines_of_the_others(tmp_path):
    by_layer = {"C41": shares(0.12), "C42": shares(0.2), "$C_43$": shares(0.3, 7)}
    figure = variance_bars({"$d_og$": by_layer})
    (axes,) = figure.axes
    (bars,) = axes.containers
    assert [bar.get_height() for bar in bars] == pytest.approx(100 * by_layer["C41"])
    assert [len(line.get_xdata()) for line in axes.lines] == [50, 7]
    assert axes.lines[0].get_ydata() == pytest.approx(100 * by_layer["C42"])
    assert [text.get_text() for text in axes.texts] == ["12.0 %", "4.0 %"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(by_layer)
    assert axes.get_title() == "$d_og$"
    write_figure(tmp_path / "figure.png", figure)


@pytest.mark.parametrize(("count", "panels"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 6)])
def test_several_classes_have_a_panel_each(count, panels):
    figure = variance_bars({f"c{n}": {"C41": shares(0.1)} for n in range(count)})
    assert len(figure.axes) == panels
    assert [axes.get_title() for axes in figure.axes[:count]] == [f"c{n}" for n in range(count)]
    assert not any(axes.axison for axes in figure.axes[count:])
    assert [bool(axes.get_legend()) for axes in figure.axes] == [True] + [False] * (panels - 1)


def test_no_class_has_no_explained_variance():
    with pytest.raises(ValueError, match="no class"):
        variance_bars({})


def test_one_component_alone_is_drawn():
    assert [text.get_text() for text in variance_bars({"a": {"b": np.array([1.0])}}).axes[0].texts] == [
        "100.0 %"
    ]


def test_the_median_class_is_neither_best_nor_worst():
    patterns = {tag: pattern(first) for tag, first in (("a", 0.5), ("b", 0.1), ("c", 0.3))}
    assert draw_figure_3.median_class(patterns) == "c"
    assert draw_figure_3.median_class({"a": pattern(0.5)}) == "a"


def pattern(first):
    return ClassPattern(np.array([1.0, 0]), np.zeros(2), shares(first, 5), 9, 0.5)


TAGS = (("cat",), ("dog",), ("cat", "dog"), ("dog",), ("cat",), ("dog", "cat"))


@pytest.fixture
def finished(tmp_path):
    """Write what a run leaves for the figures; the true masks may be taken away."""
    rows = {}
    for split in ("train", "val"):
        made = photograph_rows(tmp_path / split, len(TAGS), 40, 30, split=split)
        rows[split] = [
            type(one)(f"{split}-{one.id}", one.path, 40, 30, split, tags)
            for one, tags in zip(made, TAGS, strict=True)
        ]
    write_index(tmp_path / "index", Index(CLASSES, (*rows["train"], *rows["val"])))
    for split in rows:
        write_masks(tmp_path, split, rows[split])
    ids = {tag: tuple(one.id for one in rows["train"] if tag in one.tags) for tag in CLASSES[1:]}
    write_subsets(tmp_path / "subsets", ids)
    for layer in LAYERS:
        write_layer(tmp_path, layer, rows["train"])
    return tmp_path


def square_of(one):
    mask = np.zeros((30, 40), np.uint8)
    mask[8:24, 5:30] = CLASSES.index(one.tags[0])
    return mask


def write_masks(folder, split, rows):
    truths = {one.id: folder / "truth" / f"{one.id}.png" for one in rows}
    for one in rows:
        write_mask(truths[one.id], square_of(one))
    write_true_masks(folder / "true" / split, {name: str(path) for name, path in truths.items()})
    write_true_masks(folder / "untrue" / split, {})
    for number in (0, 1):
        write_mask_shard(
            folder / f"masks-{split}-{number}", [(one.id, square_of(one)) for one in rows[number::2]]
        )


def write_layer(folder, layer, rows):
    node = {"C41": "layer4.0", "C42": "layer4.1"}[layer]
    maps = np.random.default_rng(0).standard_normal((len(rows), 5, 6, 8))
    for number in (0, 1):
        with write_maps(folder / f"{layer}-{number}.h5", [one.id for one in rows[number::2]], node) as writer:
            writer.write(View(48), 0, maps[number::2])
    patterns = {tag: pattern(first) for tag, first in zip(CLASSES[1:], (0.3, 0.2, 0.1), strict=True)}
    write_patterns(folder / "patterns" / layer, patterns, node)


def command(folder, figure, truth="true", **settings):
    """Return the command line of one of the four scripts on the finished run."""
    train, val = ([folder / f"masks-{split}-{n}" for n in (0, 1)] for split in ("train", "val"))
    features = [folder / f"{layer}-{n}.h5" for layer in LAYERS for n in (0, 1)]
    index = [
        "--index",
        folder / "index",
        "--true-masks",
        folder / truth / ("val" if figure == 5 else "train"),
    ]
    subsets = ["--subsets", folder / "subsets", "--features", *features]
    inputs = {
        1: [*index, "--cam-masks", *train, "--masks", *train, *subsets],
        3: ["--patterns", *(folder / "patterns" / layer for layer in LAYERS)],
        4: [*index, "--masks", *train, *train],
        5: [*index, "--predictions", *val],
    }
    outputs = ["--png", folder / "out" / "f.png", "--pdf", folder / "out" / "f.pdf"]
    return [*inputs[figure], "--settings", json.dumps(SETTINGS | settings), *outputs]


MAINS = {
    1: draw_figure_1.main,
    3: draw_figure_3.main,
    4: draw_figure_4.main,
    5: draw_figure_5.main,
}


def run(figure, arguments):
    """Call a script's main as a process of its own would; return what it says when it fails, or None."""
    with mock.patch.object(sys, "argv", ["script", *map(str, arguments)]):
        try:
            commandline.run(MAINS[figure])
        except SystemExit as end:
            return end.code
    return None


def outputs_of(folder, figure, **options):
    """Run a script well; return the size of its PNG and its two files' bytes."""
    assert run(figure, command(folder, figure, **options)) is None
    return contents(folder)


def contents(folder):
    png, pdf = folder / "out" / "f.png", folder / "out" / "f.pdf"
    with Image.open(png) as image:
        assert image.format == "PNG"
        return image.size, (png.read_bytes(), pdf.read_bytes())


WIDTHS = {1: (1352, 1016), 4: (1352, 1016), 5: (2078, 1406)}
"""Of the PNG with true masks and without: a column less, or one less in either block of two."""


@pytest.mark.parametrize("figure", [1, 3, 4, 5])
def test_each_script_writes_both_files_and_always_the_same(finished, figure):
    size, first = outputs_of(finished, figure)
    script = [sys.executable, str(SCRIPTS / f"draw_figure_{figure}.py"), *map(str, command(finished, figure))]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert first[1].startswith(b"%PDF") and b"CreationDate" not in first[1]
    assert contents(finished) == (size, first)
    assert {path.name for path in (finished / "out").iterdir()} == {"f.png", "f.pdf"}


@pytest.mark.parametrize("figure", [1, 4, 5])
def test_without_true_masks_their_column_is_missing(finished, figure):
    for truth, width in zip(("true", "untrue"), WIDTHS[figure], strict=True):
        assert outputs_of(finished, figure, truth=truth)[0][0] == pytest.approx(width, abs=2)


@pytest.mark.parametrize("figure", [1, 3, 4, 5])
def test_a_class_that_the_data_set_has_not_is_told(finished, figure):
    error = run(figure, command(finished, figure, classes=["gnu"]))
    assert error.startswith("error: figures.classes: ")
    assert error.endswith("'gnu'; name one of cat, dog, emu")
    assert not (finished / "out").exists()


@pytest.mark.parametrize("figure", [4, 5])
def test_a_class_without_photographs_gives_a_message(finished, figure):
    assert outputs_of(finished, figure, classes=["emu"])[0] == (910, 260)


def test_a_class_without_a_subset_is_told(finished):
    assert "figures.classes: no photograph of train carries 'emu'" in run(
        1, command(finished, 1, classes=["emu"])
    )
    assert not (finished / "out").exists()


def test_a_layer_without_features_is_told(finished):
    assert "figures.layers: no features of C43" in run(1, command(finished, 1, layers=["C41", "C43"]))
    assert not (finished / "out").exists()


def test_layers_with_unequal_shards_are_told(finished):
    assert "4 shards for 3 layers" in run(4, command(finished, 4, layers=["C41", "C42", "C43"]))
    assert not (finished / "out").exists()


def test_a_set_without_val_gives_a_message(finished):
    train = photograph_rows(finished / "other", 2, tags=("cat",))
    write_index(finished / "index", Index(CLASSES, tuple(train)))
    assert outputs_of(finished, 5)[0] == (910, 260)


@pytest.mark.parametrize(("photographs", "blocks"), [(3, 1), (4, 2)])
def test_more_than_three_photographs_stand_in_two_blocks(finished, photographs, blocks):
    width, _ = outputs_of(finished, 5, photographs=photographs)[0]
    assert width == pytest.approx({1: 1016, 2: 2078}[blocks], abs=2)


def test_the_true_mask_comes_before_ours():
    first, second = np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)
    line = Example("a", (), np.zeros((2, 2, 3), np.uint8), (first, second))
    assert draw_figure_5.truth_first(line).masks == (second, first)


def test_layers_of_figure_3_count_once_each(finished):
    folders = [finished / "patterns" / layer for layer in ("C42", "C41", "C42")]
    assert list(draw_figure_3.read_layers(folders)) == ["C42", "C41"]


def test_the_largest_subset_is_shown_and_of_two_the_one_with_its_class_alone(finished):
    index = draw_figure_1.read_index(finished / "index")
    # cat: 0, 2, 4, 5; dog: 1, 2, 3, 5. Two of either are of one class: the first one in the list wins.
    assert draw_figure_1.class_of(index, finished / "subsets", SETTINGS) == "cat"
    ids = {"cat": ("train-0", "train-2"), "dog": ("train-1", "train-3"), "emu": ()}
    write_subsets(finished / "subsets", ids)
    assert draw_figure_1.class_of(index, finished / "subsets", SETTINGS) == "dog"
    assert draw_figure_1.class_of(index, finished / "subsets", SETTINGS | {"classes": ["emu"]}) == "emu"


def test_the_sample_is_bounded_drawn_by_the_seed_and_prefers_true_masks():
    ids = [f"p{n:03d}" for n in range(100)]
    chosen = draw_figure_1.sample(ids, {}, 0)
    assert len(chosen) == draw_figure_1.SAMPLE
    assert chosen == draw_figure_1.sample(ids, {}, 0) != draw_figure_1.sample(ids, {}, 1)
    masked = dict.fromkeys(ids[::5])
    assert set(masked) <= set(draw_figure_1.sample(ids, masked, 0))
    assert draw_figure_1.sample(ids[:3], {}, 0) == ids[:3]


@pytest.mark.parametrize("tag", ["cat", "dog"])
def test_the_first_photograph_is_of_the_class_shown_below(finished, tag):
    rows = draw_figure_1.read_index(finished / "index").of_split("train")
    chosen = draw_figure_1.photographs(rows, tag, 6)
    assert chosen[0].tags == (tag,)
    assert len({row.id for row in chosen}) == draw_figure_1.EXAMPLES
    assert draw_figure_1.photographs(rows, tag, 1) == chosen[:1]
