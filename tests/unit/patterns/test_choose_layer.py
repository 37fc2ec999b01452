"""The choice of the layer: the colour coefficient against counting, the script, the masks of the chosen layer."""

from collections import Counter
from math import log

import numpy as np
import pytest
from PIL import Image

import choose_layer
import estimate_masks
from helpers import read_csv, run_script, write_image
from tagseg.patterns.class_patterns import ClassPattern, patterns_digest, write_patterns
from tagseg.patterns.layer_choice import SIDE, Candidate, choose, colour_coefficient
from tagseg.runtime.errors import TagsegError
from tagseg.storage.feature_shards import View, write_maps
from tagseg.storage.images import resize_mask, shrink_image, write_mask
from tagseg.storage.index import ImageRecord, Index, write_index
from tagseg.storage.mask_shards import read_mask_shards, write_mask_shard

CLASSES = ("background", "cat", "dog")
SIZE = (24, 36)
SHARDS = 2
LAYERS = {"blocks.5.0": (0.4, 0.5), "blocks.6": (0.8, 0.7)}  # mask correlation of cat and of dog
STARTS = {"blocks.5.0": 20, "blocks.6": 30}  # column at which a layer's masks begin; the objects do at 18


def image(position):
    pixels = np.random.default_rng(position).integers(0, 100, (*SIZE, 3), dtype=np.uint8)
    pixels[:, 18:, 0] += 120
    return pixels


def mask(position, start):
    made = np.zeros(SIZE, np.uint8)
    made[:, start:] = 1 + position % 2
    made[:2] = 255
    return made


@pytest.fixture
def made(tmp_path):
    """A folder with four images of train and one of val, patterns and shards of masks of two layers."""
    rows = []
    for position in range(5):
        path = tmp_path / f"p{position}.png"
        Image.fromarray(image(position)).save(path)
        split = "val" if position == 4 else "train"
        rows.append(ImageRecord(path.stem, str(path), SIZE[1], SIZE[0], split, (CLASSES[1 + position % 2],)))
    write_index(tmp_path / "index", Index(CLASSES, tuple(rows)))
    for layer, correlations in LAYERS.items():
        write_layer(tmp_path, layer, correlations)
    return tmp_path


def write_layer(folder, layer, correlations, masks=True):
    rng = np.random.default_rng(len(layer))
    vectors = rng.normal(size=3), rng.normal(size=3), np.array([0.5, 0.2])
    patterns = {
        tag: ClassPattern(*vectors, 9, 0.3, 2.0, mask_correlation=one)
        for tag, one in zip(CLASSES[1:], correlations, strict=True)
    }
    write_patterns(folder / "patterns" / layer, patterns, layer)
    for shard in range(SHARDS * masks):
        labels = [(f"p{n}", mask(n, STARTS[layer])) for n in range(4)[shard::SHARDS]]
        origin = patterns_digest(folder / "patterns" / layer)
        write_mask_shard(folder / "masks" / layer / str(shard), labels, origin)


def chosen_in(folder, layers=tuple(LAYERS)):
    out, shards = folder / "out", [folder / "masks" / one / str(n) for one in layers for n in range(SHARDS)]
    run_script(
        choose_layer,
        *("--index", folder / "index", "--patterns", *(folder / "patterns" / layer for layer in layers)),
        *("--masks", *shards, "--chosen", out / "auto", "--markdown", out / "t.md", "--csv", out / "t.csv"),
        *("--json", out / "t.json", "--plot", out / "t.png"),
    )
    return read_csv(out / "t.csv")


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("layers", [tuple(LAYERS), tuple(LAYERS)[::-1]])
def test_layer_whose_masks_follow_the_colours_is_chosen(made, layers):
    table = {row.pop("layer"): row for row in chosen_in(made, layers)}
    assert contents(made / "out" / "auto") == contents(made / "patterns" / "blocks.5.0")
    assert {path.name for path in (made / "out").iterdir()} == {"auto", "t.md", "t.csv", "t.json", "t.png"}
    for layer, correlation, choice in (("blocks.5.0", "0.450", "chosen"), ("blocks.6", "0.750", "")):
        coefficient = np.mean([colour_coefficient(image(n), mask(n, STARTS[layer])) for n in range(4)])
        numbers = {"mask correlation": correlation, "colour coefficient": f"{coefficient:.3f}"}
        assert table[layer] == {**numbers, "choice": choice}
    text = (made / "out" / "t.md").read_text(encoding="utf-8")
    assert "No ground truth was used." in text and "| blocks.6 | **0.750** |" in text


def test_layer_that_hardly_agrees_with_the_cam_is_not_chosen(made):
    write_layer(made, "blocks.5.0", (0.3, float("nan")))
    low, last = chosen_in(made)
    assert (low["choice"], low["mask correlation"], last["choice"]) == ("", "0.150", "chosen")
    assert contents(made / "out" / "auto") == contents(made / "patterns" / "blocks.6")


def forget_mask(folder):
    masks, patterns = folder / "masks/blocks.6/1", folder / "patterns/blocks.6"
    write_mask_shard(masks, [("p1", mask(1, 3))], patterns_digest(patterns))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda folder: write_mask(folder / "masks/blocks.6/1/p3.png", mask(0, 3)), r"p3\.png: changed"),
        (lambda folder: (folder / "p1.png").write_bytes(b"no"), r"p1\.png: not a readable image"),
        (lambda folder: write_image(folder / "p1.png", 9, 7), r"p1\.png: 9x7 pixels, but 36x24"),
        (forget_mask, r"blocks\.6/0, .*blocks\.6/1: no mask of p3\. Delete them and run again"),
        (
            lambda folder: write_layer(folder, "blocks.6", (0.8, 0.6), masks=False),
            r"masks/blocks\.6/0: from another version of the patterns than .*patterns/blocks\.6. Delete both",
        ),
    ],
)
def test_bad_input_is_reported_and_nothing_is_written(made, change, message):
    change(made)
    with pytest.raises(TagsegError, match=message):
        chosen_in(made)
    assert not (made / "out").exists()


FEATURES = {"blocks.5.0": 18, "blocks.6": 30}  # column at which a layer's features turn from -1 to 1


@pytest.fixture
def with_features(made):
    """The folder, with the features of both layers in two shards and patterns that read their sign."""
    for layer, start in FEATURES.items():
        maps = np.where(np.arange(SIZE[1]) < start, -1.0, 1.0) * np.ones((2, 1, *SIZE))
        for shard in range(SHARDS):
            with write_maps(made / f"{layer}-{shard}.h5", [f"p{n}" for n in (shard, shard + 2)], layer) as writer:
                writer.write(View(24), 0, maps)
        pattern = ClassPattern(np.ones(1), np.zeros(1), np.ones(1), 9)
        write_patterns(made / "patterns" / layer, dict.fromkeys(CLASSES[1:], pattern), layer)
    return made


def estimate(folder, layer, shard=1, order=tuple(FEATURES)):
    features = [folder / f"{one}-1.h5" for one in order]
    line = ["--index", folder / "index", "--features", *features, "--shard", shard, "--shards", SHARDS]
    masks = folder / "estimated"
    line += ["--settings", {"conflicts": "void", "least_correlation": 0.0}]
    run_script(estimate_masks, *line, "--cam", "--patterns", folder / "patterns" / layer, "--masks", masks)
    return {name: file.read() for name, file in read_mask_shards([masks]).items()}


@pytest.mark.parametrize("order", [tuple(FEATURES), tuple(FEATURES)[::-1]])
@pytest.mark.parametrize("layer", FEATURES)
def test_masks_come_from_the_layer_of_the_patterns_and_never_from_another_shard(with_features, layer, order):
    masks = estimate(with_features, layer, order=order)
    assert set(masks) == {"p1", "p3"}
    expected = np.where(np.arange(SIZE[1]) < FEATURES[layer], 0, 2) * np.ones((SIZE[0], 1))
    for one in masks.values():  # both are of dogs
        np.testing.assert_array_equal(one, expected)
    with pytest.raises(TagsegError, match=r"blocks\.6-1\.h5: its image ids differ from the index"):
        estimate(with_features, "blocks.6", shard=0)


VOID = 255


def coefficient_by_counting(image, mask):
    """I(mask; colour) / H(mask), term by term as Shannon wrote it; colours are bins of 32 grey values."""
    joint = Counter()
    for row, labels in zip(image.tolist(), mask.tolist(), strict=True):
        for (red, green, blue), label in zip(row, labels, strict=True):
            if label != VOID:
                joint[label > 0, (red // 32, green // 32, blue // 32)] += 1
    total = sum(joint.values())
    sides, colours = Counter(), Counter()
    for (side, colour), count in joint.items():
        sides[side] += count
        colours[colour] += count
    information = sum(
        count / total * log(count * total / (sides[side] * colours[colour])) for (side, colour), count in joint.items()
    )
    entropy = -sum(count / total * log(count / total) for count in sides.values())
    return information / entropy if entropy else 0.0


def random_image(seed, height=30, width=40, high=256):
    return np.random.default_rng(seed).integers(0, high, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("wrong", [0.1, 0.5, 1.0])
def test_coefficient_is_that_of_counting(seed, wrong):
    image = random_image(seed, 20 + seed, 33)
    rng = np.random.default_rng(seed)
    size = image.shape[:2]
    mask = np.where(rng.random(size) < wrong, rng.integers(0, 2, size), image[..., 0] >= 128)
    mask = np.where(mask > 0, rng.choice([1, 7, 254], mask.shape), 0).astype(np.uint8)
    mask[np.random.default_rng(seed).random(mask.shape) < 0.1] = VOID
    expected = coefficient_by_counting(image, mask)
    assert colour_coefficient(image, mask) == pytest.approx(expected, abs=1e-12)


def test_coefficient_without_object_or_background_is_0():
    for labels in [(0,), (5,), (VOID,), (0, VOID), (5, 7), (5, VOID)]:
        mask = np.random.default_rng(0).choice(np.array(labels, np.uint8), (30, 40))
        assert colour_coefficient(random_image(14), mask) == 0


@pytest.mark.parametrize("height, width", [(2 * SIDE, SIDE), (300, 700), (SIDE + 1, 40)])
def test_large_images_are_shrunk(height, width):
    image = random_image(15, height, width)
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2, : width // 3], mask[-20:] = 4, VOID
    image[mask == 4, 0] //= 2
    small = shrink_image(image, SIDE)
    assert max(small.shape) == SIDE
    expected = coefficient_by_counting(small, resize_mask(mask, *small.shape[:2]))
    assert colour_coefficient(image, mask) == pytest.approx(expected, abs=1e-12)
    assert abs(expected - coefficient_by_counting(image, mask)) > 0.001


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([(0.45, 0.2), (0.5, 0.3), (0.7, 0.1)], 1),  # the coarse masks of the last block lose
        ([(0.29, 0.9), (0.6, 0.2), (0.4, 0.3)], 2),  # masks that hardly correlate with the CAM cannot win
        ([(0.3, 0.9), (0.6, 0.2), (0.4, 0.3)], 0),  # half of the highest correlation is enough
        ([(0.5, 0.1), (0.5, 0.2), (0.5, 0.2)], 1),  # the first of equals
        ([(-0.3, 0.9), (-0.1, 0.1), (-0.2, 0.5)], 1),  # the highest correlation if none is positive
        ([(0.0, 0.0)], 0),
    ],
)
def test_choice_of_mask_correlation_and_colour_coefficient(candidates, chosen):
    layers = [Candidate(f"layer {position}", *pair) for position, pair in enumerate(candidates)]
    assert choose(layers) is layers[chosen]
