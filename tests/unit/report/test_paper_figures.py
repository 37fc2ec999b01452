"""The figures of the paper: by their objects, and from their scripts on tiny inputs."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import draw_figure_1
import draw_figure_3
import draw_figure_4
import draw_figure_5
from helpers import image_rows
from tagseg.patterns.class_patterns import ClassPattern, write_patterns
from tagseg.patterns.projection import Cloud
from tagseg.patterns.subsets import write_subsets
from tagseg.report.mask_grids import Example
from tagseg.report.palettes import BLUE, ORANGE
from tagseg.report.paper_figures import BACKGROUND, NO_TRUTH, localization, variance_bars
from tagseg.report.plots import write_figure
from tagseg.runtime import commandline
from tagseg.storage.feature_shards import View, write_maps
from tagseg.storage.ground_truth import write_ground_truth
from tagseg.storage.images import write_mask
from tagseg.storage.index import Index, read_index, write_index
from tagseg.storage.mask_shards import write_mask_shard

CLASSES = ("background", "cat", "dog", "emu")
LAYERS = {"C41": "layer4.0", "C42": "layer4.1"}
SETTINGS = {"layers": list(LAYERS), "classes": None, "images": 4, "random_seed": 0}
SCRIPTS = {1: draw_figure_1, 3: draw_figure_3, 4: draw_figure_4, 5: draw_figure_5}
TAGS = (("cat",), ("dog",), ("cat", "dog"), ("dog",), ("cat",), ("dog", "cat"))


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def words(figure):
    return [text.get_text() for text in figure.texts]


def row(label=1):
    mask = np.zeros((30, 40), np.uint8)
    mask[5:15] = label
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return Example("one", ("cat",), image, (mask,))


def cloud(count=200, labels=(0, 1, 2), separation=0.913):
    rng = np.random.default_rng(0)
    places = rng.standard_normal((count, 2))
    chosen = None if labels is None else rng.choice(np.array(labels, np.uint8), count)
    return Cloud("$C_41$", places, chosen, None if labels is None else separation)


def located(*clouds, rows=None, classes=CLASSES, masks=1):
    rows = [replace(one, masks=one.masks * masks) for one in rows or [row()]]
    return localization(rows, ("image", *(["mask"] * masks)), classes, clouds, "$c_at$", 0)


def points(axes):
    """Return (x, y, colour) of each point of a panel."""
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
    colours = {0: rgb(BACKGROUND.colour), 1: rgb(BLUE), 2: rgb(ORANGE)}
    expected = {(*place, colours[label]) for place, label in zip(one.points, one.labels, strict=True)}
    assert set(points(panel)) == expected
    assert all(dots.get_rasterized() for dots in panel.collections)


def test_panels_have_titles_and_do_not_overlap(tmp_path):
    figure = located(cloud(), cloud(labels=None), cloud(), masks=3)
    write_figure(tmp_path / "figure.png", figure)
    titles = [axes.get_title() for axes in figure.axes[4:]]
    assert titles == ["$C_41$\n1st component: ROC area 91.3 %", "$C_41$"] + titles[:1]
    assert "features of $c_at$, by layer" in words(figure)
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(one.overlaps(two) for one in boxes for two in boxes if one is not two)
    assert figure.legends[0].get_window_extent().y1 < min(box.y0 for box in boxes)


def test_points_without_ground_truth_have_one_colour_and_a_note():
    figure = located(cloud(labels=None))
    assert {colour for *_, colour in points(figure.axes[-1])} == {rgb(BACKGROUND.colour)}
    assert NO_TRUTH in words(figure) and legend_texts(figure) == ["cat"]


def fractions(first, count=50):
    return np.array([first, *np.linspace(first / 3, 0.001, count - 1)])


def test_bars_of_the_first_layer_and_lines_of_the_others(tmp_path):
    by_layer = {"C41": fractions(0.12), "C42": fractions(0.2), "$C_43$": fractions(0.3, 7)}
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


def pattern(first):
    return ClassPattern(np.array([1.0, 0]), np.zeros(2), fractions(first, 5), 9, 0.5)


def square_of(one):
    mask = np.zeros((30, 40), np.uint8)
    mask[8:24, 5:30] = CLASSES.index(one.tags[0])
    return mask


@pytest.fixture
def finished(tmp_path):
    """Write what a run leaves for the figures, with ground truth in `true` and none in `untrue`."""
    rows = {}
    for split in ("train", "val"):
        made = image_rows(tmp_path / split, len(TAGS), 40, 30, split=split)
        rows[split] = [replace(one, id=f"{split}-{one.id}", tags=TAGS[n]) for n, one in enumerate(made)]
        truths = {one.id: tmp_path / "truth" / f"{one.id}.png" for one in rows[split]}
        for one in rows[split]:
            write_mask(truths[one.id], square_of(one))
        write_ground_truth(tmp_path / "true" / split, {name: str(path) for name, path in truths.items()})
        write_ground_truth(tmp_path / "untrue" / split, {})
        masks = [(one.id, square_of(one)) for one in rows[split]]
        for number in (0, 1):
            write_mask_shard(tmp_path / f"masks-{split}-{number}", masks[number::2])
    write_index(tmp_path / "index", Index(CLASSES, (*rows["train"], *rows["val"])))
    ids = {tag: tuple(one.id for one in rows["train"] if tag in one.tags) for tag in CLASSES[1:]}
    write_subsets(tmp_path / "subsets", ids)
    maps = np.random.default_rng(0).standard_normal((len(TAGS), 5, 6, 8))
    for layer, node in LAYERS.items():
        for number in (0, 1):
            names = [one.id for one in rows["train"][number::2]]
            with write_maps(tmp_path / f"{layer}-{number}.h5", names, node) as writer:
                writer.write(View(48), 0, maps[number::2])
        patterns = {tag: pattern(first) for tag, first in zip(CLASSES[1:], (0.3, 0.2, 0.1), strict=True)}
        write_patterns(tmp_path / "patterns" / layer, patterns, node)
    return tmp_path


def command(folder, figure, truth="true", **settings):
    """Return the command line of a script on the finished run."""
    train, val = ([folder / f"masks-{split}-{n}" for n in (0, 1)] for split in ("train", "val"))
    split = "val" if figure == 5 else "train"
    index = ["--index", folder / "index", "--ground-truth", folder / truth / split]
    features = [folder / f"{layer}-{n}.h5" for layer in LAYERS for n in (0, 1)]
    subsets = ["--subsets", folder / "subsets", "--features", *features]
    inputs = {
        1: [*index, "--cam-masks", *train, "--masks", *train, *subsets],
        3: ["--patterns", *(folder / "patterns" / layer for layer in LAYERS)],
        4: [*index, "--masks", *train, *train],
        5: [*index, "--predictions", *val],
    }
    outputs = ["--png", folder / "out" / "f.png", "--pdf", folder / "out" / "f.pdf"]
    return [*inputs[figure], "--settings", json.dumps(SETTINGS | settings), *outputs]


def run(folder, figure, **options):
    """Run a script in this process; return its error, None without one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["script", *map(str, command(folder, figure, **options))])
        try:
            return commandline.run(SCRIPTS[figure].main)
        except SystemExit as end:
            return end.code


def size_of(folder, figure, **options):
    """Run a script; return the size of its PNG."""
    assert run(folder, figure, **options) is None
    with Image.open(folder / "out" / "f.png") as image:
        return image.size


@pytest.mark.parametrize("figure", SCRIPTS)
def test_both_files_are_the_same_every_time(finished, figure):
    contents = []
    for _ in range(2):
        assert run(finished, figure) is None
        contents.append({path.name: path.read_bytes() for path in (finished / "out").iterdir()})
    assert contents[0] == contents[1] and set(contents[0]) == {"f.png", "f.pdf"}
    assert contents[0]["f.pdf"].startswith(b"%PDF") and b"CreationDate" not in contents[0]["f.pdf"]


@pytest.mark.parametrize(("figure", "widths"), [(1, (1352, 1016)), (4, (1352, 1016)), (5, (2078, 1406))])
def test_without_ground_truth_its_column_is_missing(finished, figure, widths):
    found = [size_of(finished, figure, truth=truth)[0] for truth in ("true", "untrue")]
    assert found == pytest.approx(widths, abs=2)


@pytest.mark.parametrize("figure", SCRIPTS)
def test_unknown_class_is_refused(finished, figure):
    error = run(finished, figure, classes=["gnu"])
    assert error.startswith("error: figures.classes: ")
    assert "'gnu'" in error and error.endswith("Use one of cat, dog, emu.")
    assert not (finished / "out").exists()


@pytest.mark.parametrize(
    ("figure", "settings", "message"),
    [
        (1, {"classes": ["emu"]}, "figures.classes: no image of train has the tag 'emu'"),
        (1, {"layers": ["C41", "C43"]}, "no features of this layer"),
    ],
)
def test_settings_without_data_are_refused(finished, figure, settings, message):
    assert message in run(finished, figure, **settings)
    assert not (finished / "out").exists()


def test_a_message_replaces_a_figure_without_images(finished):
    for figure in (4, 5):
        assert size_of(finished, figure, classes=["emu"]) == (910, 260)
    write_index(finished / "index", Index(CLASSES, tuple(image_rows(finished / "other", 2, tags=("cat",)))))
    assert size_of(finished, 5) == (910, 260), "no val"


def test_the_class_with_the_largest_subset_is_shown(finished):
    index, subsets = read_index(finished / "index"), finished / "subsets"
    # cat: 0, 2, 4, 5; dog: 1, 2, 3, 5. Two of either have one class: the first one in the list wins.
    assert draw_figure_1.shown_class(index, subsets, None) == "cat"
    write_subsets(subsets, {"cat": ("train-0", "train-2"), "dog": ("train-1", "train-3"), "emu": ()})
    assert draw_figure_1.shown_class(index, subsets, None) == "dog"
    assert draw_figure_1.shown_class(index, subsets, ["emu"]) == "emu"
