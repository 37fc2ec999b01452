"""The figures of the paper, by their objects and from their scripts on tiny inputs; which images are shown."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import draw_figure_1
import draw_figure_3
import draw_figure_4
import draw_figure_5
from helpers import image_rows, run_script
from tagseg.patterns.class_patterns import ClassPattern, write_patterns
from tagseg.patterns.projection import Cloud
from tagseg.patterns.subsets import write_subsets
from tagseg.report import examples
from tagseg.report.mask_grids import Example
from tagseg.report.palettes import BLUE, ORANGE
from tagseg.report.paper_figures import BACKGROUND, NO_TRUTH, localization, variance_bars
from tagseg.report.plots import write_figure
from tagseg.runtime.errors import TagsegError
from tagseg.storage.feature_shards import View, write_maps
from tagseg.storage.ground_truth import write_ground_truth
from tagseg.storage.images import write_mask
from tagseg.storage.index import ImageRecord, Index, read_index, write_index
from tagseg.storage.mask_shards import read_mask_shards, write_mask_shard

CLASSES = ("background", "cat", "dog", "emu")
LAYERS = {"C41": "layer4.0", "C42": "layer4.1"}
SETTINGS = {"layers": list(LAYERS), "classes": None, "images": 4, "random_seed": 0}
SCRIPTS = {1: draw_figure_1, 3: draw_figure_3, 4: draw_figure_4, 5: draw_figure_5}
TAGS = (("cat",), ("dog",), ("cat", "dog"), ("dog",), ("cat",), ("dog", "cat"))


def test_panels_have_titles_and_points_of_the_colour_of_their_class_and_do_not_overlap(tmp_path):
    rng = np.random.default_rng(0)
    one = Cloud("$C_41$", rng.standard_normal((200, 2)), rng.choice(np.array([0, 1, 2], np.uint8), 200), 0.913)
    grey, *others = (np.array([*bytes.fromhex(colour[1:])]) / 255 for colour in (BACKGROUND.colour, BLUE, ORANGE))
    row = Example("one", ("cat",), np.zeros((30, 40, 3), np.uint8), (np.ones((30, 40), np.uint8),) * 3)
    clouds = (one, replace(one, labels=None, separation=None), one)
    figure = localization([row], ("image", *["mask"] * 3), CLASSES, clouds, "$c_at$", 0)
    write_figure(tmp_path / "figure.png", figure)
    titles = [axes.get_title() for axes in figure.axes[4:]]
    assert titles == ["$C_41$\n1st component: ROC area 91.3 %", "$C_41$"] + titles[:1]
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert not any(one.overlaps(two) for one in boxes for two in boxes if one is not two)
    assert figure.legends[0].get_window_extent().y1 < min(box.y0 for box in boxes)
    for panel, known in zip(figure.axes[4:], (True, False, True), strict=True):
        places = np.concatenate([dots.get_offsets() for dots in panel.collections])
        colours = np.concatenate([dots.get_facecolors()[:, :3] for dots in panel.collections])
        for place, colour in zip(places, colours, strict=True):
            label = one.labels[(one.points == place).all(axis=1).argmax()] if known else 0
            assert colour == pytest.approx((grey, *others)[label])
    alone = localization([row], ("image", *["mask"] * 3), CLASSES, clouds[1:2], "$c_at$", 0)
    assert NO_TRUTH in [text.get_text() for text in alone.texts]


def test_bars_of_the_first_layer_and_lines_of_the_others():
    by_layer = {"C41": np.linspace(0.12, 0.01, 50), "C42": np.linspace(0.2, 0.01, 50), "$C_43$": np.ones(7)}
    (axes,) = variance_bars({"$d_og$": by_layer}).axes
    assert [bar.get_height() for bar in axes.containers[0]] == pytest.approx(100 * by_layer["C41"])
    assert [len(line.get_xdata()) for line in axes.lines] == [50, 7]
    assert axes.lines[0].get_ydata() == pytest.approx(100 * by_layer["C42"])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(by_layer)


def square_of(row):
    mask = np.zeros((30, 40), np.uint8)
    mask[8:24, 5:30] = CLASSES.index(row.tags[0])
    return mask


@pytest.fixture
def finished(tmp_path):
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
        pattern = ClassPattern(np.array([1.0, 0]), np.zeros(2), np.linspace(0.3, 0.01, 5), 9, 0.5)
        write_patterns(tmp_path / "patterns" / layer, dict.fromkeys(CLASSES[1:], pattern), node)
    return tmp_path


def draw(folder, figure, truth="true", **settings):
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
    run_script(SCRIPTS[figure], *inputs[figure], "--settings", SETTINGS | settings, *outputs)
    with Image.open(folder / "out" / "f.png") as image:
        return image.size


@pytest.mark.parametrize("figure", SCRIPTS)
def test_both_files_are_the_same_every_time(finished, figure):
    contents = []
    for _ in range(2):
        draw(finished, figure)
        contents.append({path.name: path.read_bytes() for path in (finished / "out").iterdir()})
    assert contents[0] == contents[1] and set(contents[0]) == {"f.png", "f.pdf"}
    assert contents[0]["f.pdf"].startswith(b"%PDF") and b"CreationDate" not in contents[0]["f.pdf"]


@pytest.mark.parametrize(("figure", "widths"), [(1, (1352, 1016)), (4, (1352, 1016)), (5, (2078, 1406))])
def test_without_ground_truth_its_column_is_missing(finished, figure, widths):
    found = [draw(finished, figure, truth=truth)[0] for truth in ("true", "untrue")]
    assert found == pytest.approx(widths, abs=2)


UNKNOWN = ({"classes": ["gnu"]}, "^figures.classes: .*'gnu'.*Use one of cat, dog, emu.$")
REFUSED = [(figure, *UNKNOWN) for figure in SCRIPTS]
REFUSED += [
    (1, {"classes": ["emu"]}, "figures.classes: no image of train has the tag 'emu'"),
    (1, {"layers": ["C41", "C43"]}, "no features of this layer"),
]


@pytest.mark.parametrize(("figure", "settings", "message"), REFUSED)
def test_unknown_classes_and_settings_without_data_are_refused(finished, figure, settings, message):
    with pytest.raises(TagsegError, match=message):
        draw(finished, figure, **settings)
    assert not (finished / "out").exists()


def test_a_message_replaces_a_figure_without_images(finished):
    assert draw(finished, 4, classes=["emu"]) == draw(finished, 5, classes=["emu"]) == (910, 260)
    write_index(finished / "index", Index(CLASSES, tuple(image_rows(finished / "other", 2, tags=("cat",)))))
    assert draw(finished, 5) == (910, 260), "no val"


def test_the_class_with_the_largest_subset_is_shown(finished):
    index, subsets = read_index(finished / "index"), finished / "subsets"
    # cat: 0, 2, 4, 5; dog: 1, 2, 3, 5. Two of either have one class: the first one in the list wins.
    assert draw_figure_1.shown_class(index, subsets, None) == "cat"
    write_subsets(subsets, {"cat": ("train-0", "train-2"), "dog": ("train-1", "train-3"), "emu": ()})
    assert draw_figure_1.shown_class(index, subsets, None) == "dog"
    assert draw_figure_1.shown_class(index, subsets, ["emu"]) == "emu"


PAIR = ("background", "cat", "dog")
CAT, DOG, BOTH = ("cat",), ("dog",), ("cat", "dog")


def rows_with(*tags):
    return [ImageRecord(f"p{n}", "", 1, 1, "train", one) for n, one in enumerate(tags)]


def test_examples_are_spread_over_the_classes_and_those_with_ground_truth_preferred_if_they_suffice():
    rows = rows_with(*[CAT] * 20, *[DOG] * 2, ("emu",), ("fox",), *[BOTH, ("emu", "fox")] * 3)
    assert examples.choose(rows, 6) == examples.choose(rows[::-1], 6)
    chosen = [row.tags for row in examples.choose(rows, 6)]
    assert sorted(chosen[:4]) == [CAT, DOG, ("emu",), ("fox",)]
    assert sorted(chosen[4:]) == [BOTH, ("emu", "fox")]
    rows = rows_with(*[CAT] * 4)
    truths = {row.id: Path("m.png") for row in rows[1:]}
    assert {row.id for row in examples.choose(rows, 3, truths)} == set(truths)
    assert len(examples.choose(rows, 4, truths)) == 4


def square_mask(label, corner):
    mask = np.zeros((30, 40), np.uint8)
    mask[corner : corner + 14, corner : corner + 20] = label
    return mask


@pytest.fixture
def val(tmp_path):
    """Three images of val: index, predictions and ground truth. The true square is at (8, 8)."""
    rows = image_rows(tmp_path / "images", 3, 40, 30, split="val", tags=CAT)
    truths = {row.id: tmp_path / "true" / f"{row.id}.png" for row in rows}
    for path in truths.values():
        write_mask(path, square_mask(1, 8))
    write_mask_shard(tmp_path / "masks", [(row.id, square_mask(1, 6 + n)) for n, row in enumerate(rows)])
    return Index(PAIR, tuple(rows)), read_mask_shards([tmp_path / "masks"]), truths


def test_images_are_ranked_by_their_own_miou(val):
    index, masks, truths = val
    ranked = examples.rank(index.images, masks, index, truths)
    # The predicted squares are at (6, 6), (7, 7) and (8, 8): the last one is exact.
    assert [row.id for _, row in ranked] == ["2", "1", "0"]
    # 1: 13 * 19 of 280 pixels in common, 313 in the union; background 1200 - 313 and 1200 - 247.
    assert ranked[1][0] == pytest.approx((100 * 247 / 313 + 100 * (1200 - 313) / (1200 - 247)) / 2)
    places = {"2": "mIoU 100 %, rank 1", "1": "mIoU 86 %, rank 2", "0": "mIoU 75 %, rank 3"}
    assert examples.at_even_ranks(ranked, 6) == {name: f"{place} of 3" for name, place in places.items()}


@pytest.mark.parametrize("count", range(12))
def test_no_image_is_best_and_worst(count):
    ranked, names = [(100.0 - n, row) for n, row in enumerate(rows_with(*[CAT] * count))], range(count)
    best, worst = ([int(name[1:]) for name in part] for part in examples.best_and_worst(ranked, 4))
    assert best == list(names[: len(best)]) and worst == list(names[::-1][: len(worst)])
    assert not set(best) & set(worst)
    assert len(best) + len(worst) == min(count, 8) and 0 <= len(best) - len(worst) <= 1


def test_configured_classes_limit_the_choice():
    rows, index = rows_with(CAT, DOG, BOTH, ()), Index(PAIR, ())
    assert [row.tags for row in examples.with_tags_of(rows, ["cat"], index)] == [CAT, BOTH]
    assert examples.with_tags_of(rows, None, index) == rows[:3]
    for name in ("emu", "background"):
        with pytest.raises(TagsegError, match=f"figures.classes: .* '{name}' .* Use one of cat, dog"):
            examples.with_tags_of([], ["cat", name], index)


def test_columns_without_masks_are_skipped(val):
    index, masks, truths = val
    lines = [examples.example(row, "x", index, {"1": truths["1"]}, masks) for row in index.images]
    assert [line.masks[1] is None for line in lines] == [True, False, True]
    assert lines[0].remarks == ("cat", "x")
    columns = ("image", "ours", "truth")
    assert examples.without_empty_columns(lines, columns) == (lines, columns)
    kept, some = examples.without_empty_columns(lines[:1], columns)
    assert some == columns[:2] and kept[0].masks == lines[0].masks[:1]
    assert len(examples.grid(lines[:1], columns, index).axes) == 2
