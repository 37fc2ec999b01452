"""True masks of COCO's layout, against masks that are painted pixel by pixel."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_rle

from mini_coco import (
    annotation_entry,
    code,
    compressed,
    edit,
    image_entry,
    run_lengths,
    write_half,
    write_mini_coco,
)
from tagseg.datasets.coco import coco_true_masks, index_coco
from tagseg.datasets.coco_annotations import annotation_file
from tagseg.datasets.coco_masks import rasterise, uncompress
from tagseg.datasets.problems import DatasetProblems
from tagseg.errors import TagsegError
from tagseg.images import read_mask
from tagseg.index import Index

WIDTH, HEIGHT = 40, 30


def data_set(root, *annotations, width=WIDTH, height=HEIGHT):
    """Write one photograph of train, with these annotations, and one of val; return the index."""
    write_half(root, "train", [image_entry(9, width, height)], annotations)
    write_half(root, "val", [image_entry(139)], [])
    return index_coco(root)


def mask_of(root, *annotations):
    index = data_set(root, *annotations)
    paths = coco_true_masks(root, index, "train", root / "masks")
    assert paths == {"000000000009": "png/000000000009.png"}
    return read_mask(root / "masks" / paths["000000000009"], 4)


def decoded(segmentation):
    return coco_rle.decode(rasterise(segmentation, HEIGHT, WIDTH)).astype(bool)


def within(polygon, height=HEIGHT, width=WIDTH):
    """Return which pixels' centres an outline encloses (even-odd), and which are 1 pixel from it at most.

    Pixel (row, column) has its centre at (column + 0.5, row + 0.5). One pixel at a time, by the book.
    """
    points = np.array(polygon, float).reshape(-1, 2)
    edges = list(zip(points, np.roll(points, -1, axis=0), strict=True))
    inside, near = np.zeros((height, width), bool), np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            x, y = column + 0.5, row + 0.5
            for (x1, y1), (x2, y2) in edges:
                if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                    inside[row, column] ^= True
                length = (x2 - x1) ** 2 + (y2 - y1) ** 2
                along = np.clip(((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / max(length, 1e-9), 0, 1)
                near[row, column] |= np.hypot(x1 + along * (x2 - x1) - x, y1 + along * (y2 - y1) - y) <= 1
    return inside, near


def painted(things):
    """Return the mask of (pixels, label, crowd, annotation id): the rule of overlaps, pixel by pixel."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for place in np.ndindex(mask.shape):
        own = [thing for thing in things if thing[0][place]]
        solid = [(pixels.sum(), -number, label) for pixels, label, crowd, number in own if not crowd]
        if solid:
            mask[place] = min(solid)[2]
        elif own:
            mask[place] = 255
    return mask


def random_polygon(rng, points=7):
    angles = np.sort(rng.uniform(0, 2 * np.pi, points))
    radii = rng.uniform(3, 14, points)
    x = (rng.uniform(0, WIDTH) + radii * np.cos(angles)).clip(0, WIDTH)
    y = (rng.uniform(0, HEIGHT) + radii * np.sin(angles)).clip(0, HEIGHT)
    return np.stack([x, y], axis=1).round(2).ravel().tolist()


def box(x, y, x2, y2):
    return [x, y, x2, y, x2, y2, x, y2]


# Rasterising ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_polygons_cover_the_centres_that_they_enclose(seed):
    polygon = random_polygon(np.random.default_rng(seed))
    inside, near = within(polygon)
    found = decoded([polygon])
    assert (found == inside)[~near].all() and (found != inside).sum() <= 0.25 * near.sum()


def test_whole_pixels_are_exact():
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[4:20, 3:11] = True
    assert (decoded([box(3, 4, 11, 20)]) == expected).all()
    assert decoded([box(0, 0, WIDTH, HEIGHT)]).all()


def test_polygons_of_an_instance_are_united():
    rng = np.random.default_rng(5)
    parts = [random_polygon(rng) for _ in range(3)]
    assert (decoded(parts) == np.any([decoded([part]) for part in parts], axis=0)).all()
    assert (decoded([box(2, 2, 30, 25), box(10, 10, 15, 15)]) == decoded([box(2, 2, 30, 25)])).all()


def test_an_outline_that_returns_leaves_a_hole():
    outline = [2, 2, 30, 2, 30, 25, 2, 25, 2, 2, 10, 10, 10, 15, 15, 15, 15, 10, 10, 10]
    expected = decoded([box(2, 2, 30, 25)]) & ~decoded([box(10, 10, 15, 15)])
    found = decoded([outline])
    _, near = within(outline)
    assert (found == expected)[~near].all() and not found[12, 12]


@pytest.mark.parametrize("compress", [False, True])
def test_run_length_codes(compress):
    rng = np.random.default_rng(0)
    for share in (0, 0.02, 0.5, 0.98, 1):
        mask = rng.random((HEIGHT, WIDTH)) < share
        assert (decoded(code(mask, compress)) == mask).all()


def test_compressed_code_is_pycocotools():
    rng = np.random.default_rng(1)
    for _ in range(50):
        mask = rng.random((rng.integers(1, 200), rng.integers(1, 200))) < rng.random() ** 3
        text = coco_rle.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
        assert uncompress(text) == run_lengths(mask) and compressed(run_lengths(mask)) == text


def test_polygons_are_cut_at_the_border():
    found = decoded([box(-4, -4.5, 10, HEIGHT + 5)])
    assert found[:, :10].all() and not found[:, 10:].any()


def test_points_that_are_the_same():
    assert not decoded([[5.0, 5, 5, 5, 5, 5]]).any()
    twice = [2, 2, 2, 2, 9, 2, 9, 2, 9, 8, 9, 8, 2, 8, 2, 8]
    assert (decoded([twice]) == decoded([box(2, 2, 9, 8)])).all()


# Masks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_overlaps(tmp_path, seed):
    rng = np.random.default_rng(seed)
    labels = {2: 1, 7: 2, 44: 3}
    annotations, things = [], []
    for number in rng.permutation(7).tolist():
        form, category = rng.integers(4), int(rng.choice(list(labels)))
        pixels = rng.random((HEIGHT, WIDTH)) < 0.3
        polygons = [random_polygon(rng) for _ in range(rng.integers(1, 3))]
        segmentation = polygons if form < 2 else code(pixels, compress=bool(form == 3))
        pixels = decoded(segmentation)
        crowd = bool(rng.random() < 0.3)
        annotations.append(annotation_entry(number, 9, category, segmentation, iscrowd=int(crowd)))
        things.append((pixels, labels[category], crowd, number))
    assert (mask_of(tmp_path, *annotations) == painted(things)).all()


def test_smaller_things_lie_over_larger_ones_whatever_their_order(tmp_path):
    small = annotation_entry(1, 9, 2, [box(5, 5, 10, 10)], area=9e9)  # the file's own area does not count
    large = annotation_entry(2, 9, 44, [box(2, 2, 20, 20)], area=0)
    for order in ([small, large], [large, small]):
        mask = mask_of(tmp_path, *order)
        assert (mask[5:10, 5:10] == 1).all() and mask[3, 3] == 3 and mask[25, 25] == 0


def test_of_equal_things_the_later_id_wins(tmp_path):
    for first, second, label in ((1, 2, 3), (2, 1, 1)):
        one = annotation_entry(first, 9, 2, [box(5, 5, 10, 10)])
        other = annotation_entry(second, 9, 44, [box(5, 5, 10, 10)])
        assert mask_of(tmp_path, one, other)[7, 7] == label


def test_things_lie_over_crowds_that_are_smaller(tmp_path):
    crowd = np.zeros((HEIGHT, WIDTH), bool)
    crowd[4:8, 3:9] = crowd[20:, 30:] = True
    thing = annotation_entry(1, 9, 7, [box(2, 2, 25, 19)])
    mask = mask_of(tmp_path, thing, annotation_entry(2, 9, 2, code(crowd), iscrowd=1))
    assert (mask[4:8, 3:9] == 2).all() and (mask[20:, 30:] == 255).all() and mask[25, 5] == 0


def test_every_photograph_of_the_split_has_a_mask_in_vocs_form(tmp_path):
    write_mini_coco(tmp_path)
    index = index_coco(tmp_path)
    for split, count in (("train", 8), ("val", 4)):
        paths = coco_true_masks(tmp_path, index, split, tmp_path / "masks" / split)
        assert list(paths) == [row.id for row in index.of_split(split)] and len(paths) == count
        for row in index.of_split(split):
            file = tmp_path / "masks" / split / paths[row.id]
            mask = read_mask(file, 4)
            assert mask.shape == (row.height, row.width) and Image.open(file).mode == "P"
            assert {*np.unique(mask)} - {0, 255} == {*index.numbers(row)}
        assert not mask.any()  # the last photograph has no instance


def test_processes_write_the_same(tmp_path):
    write_mini_coco(tmp_path, train=40)
    index = index_coco(tmp_path)
    one = coco_true_masks(tmp_path, index, "train", tmp_path / "one")
    assert coco_true_masks(str(tmp_path), index, "train", str(tmp_path / "two"), threads=2) == one
    for path in one.values():
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


def test_photographs_that_the_index_leaves_out(tmp_path):
    write_mini_coco(tmp_path)
    index = index_coco(tmp_path)
    fewer = Index(index.classes, tuple(row for row in index.photographs if row.tags))
    paths = coco_true_masks(tmp_path, fewer, "train", tmp_path / "masks")
    assert len(paths) == 7 == len(list((tmp_path / "masks" / "png").iterdir()))


def test_a_split_without_photographs(tmp_path):
    write_mini_coco(tmp_path)
    assert coco_true_masks(tmp_path, index_coco(tmp_path), "test", tmp_path / "masks") == {}


# Problems ---------------------------------------------------------------------------------------


def code_of(counts, size=(HEIGHT, WIDTH)):
    return {"size": list(size) if isinstance(size, tuple) else size, "counts": counts}


NO_POLYGON = "give a list of numbers x1, y1, x2, y2"
NO_COUNTS = "run-length code with counts that are no numbers of pixels; mend it"


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (None, "`segmentation` is None; give polygons or a run-length code"),
        ("x", "`segmentation` is 'x'; give polygons"),
        (7, "`segmentation` is 7; give polygons"),
        ([], "no polygon; draw one or remove the annotation"),
        ([[]], "polygon of 0 numbers; give x and y of three points at least"),
        ([[1, 2, 3, 4, 5, 6, 7]], "polygon of 7 numbers; give x and y of three points"),
        ([[1, 2, 3, 4]], "polygon of 4 numbers; give x and y of three points"),
        ([box(1, 1, 5, 5), [1, 2]], "polygon of 2 numbers"),
        (box(1, 1, 5, 5), f"polygon 1; {NO_POLYGON}"),
        ([[1, 2, 3, 4, 5, "6"]], NO_POLYGON),
        ([[1, 2, 3, 4, 5, None]], NO_POLYGON),
        ([[1, 2, 3, 4, 5, True]], NO_POLYGON),
        ([[[1, 2], [3, 4], [5, 6]]], NO_POLYGON),
        ([{"size": [1, 1], "counts": [1]}], NO_POLYGON),
        ([[1, 2, 3, 4, 5, float("nan")]], "polygon with NaN or infinity; mend it"),
        ([[1, 2, 3, 4, 5, float("-inf")]], "polygon with NaN or infinity; mend it"),
        ([[1, 2, 3, 4, 5, 10**400]], "polygon with an absurdly long number; mend it"),
        ([box(-6, 1, 5, 5)], r"polygon from \(-6.0, 1.0\) to \(5.0, 5.0\) in 40x30 pixels; bring it inside"),
        ([box(1, 1, 5, HEIGHT + 6)], "in 40x30 pixels; bring it inside"),
        ([box(1, 1, 1e300, 5)], "bring it inside"),
        ([box(1, 1, 2**40, 5)], "bring it inside"),
        ([[0, 0, WIDTH, 1] * 50_000], "outline of more than 2,000,000 pixels; simplify it"),
        ({}, r"run-length code of size None, where \[30, 40\] is expected; mend it"),
        (code_of([1200], [40, 30]), r"run-length code of size \[40, 30\], where \[30, 40\] is expected"),
        (code_of([1200], (30,)), r"size \[30\], where"),
        (code_of([1200], "30"), "size '30', where"),
        (code_of([10**12], [10**6, 10**6]), r"size \[1000000, 1000000\], where"),
        (code_of(None), NO_COUNTS),
        (code_of({"a": 1}), NO_COUNTS),
        (code_of([1000, 200.0]), NO_COUNTS),
        (code_of([1000, "200"]), NO_COUNTS),
        (code_of([1300, -100]), NO_COUNTS),
        (code_of([True, 1199]), NO_COUNTS),
        (code_of([2**32, 1200]), NO_COUNTS),
        (code_of([]), "run-length code of 0 pixels, where 1,200 are expected; mend it"),
        (code_of([1000, 100]), "run-length code of 1,100 pixels, where 1,200 are expected"),
        (code_of([1000, 1000]), "run-length code of 2,000 pixels, where 1,200 are expected"),
        (code_of(""), "run-length code of 0 pixels"),
        (code_of(compressed([1000, 100])), "run-length code of 1,100 pixels"),
        (code_of(compressed([1300, -100])), NO_COUNTS),
        (code_of("P"), "compressed run-length code that is cut off; mend it"),
        (code_of("PPPPPPPPPPPP1"), "compressed run-length code that is damaged; mend it"),
        (code_of("01é"), "compressed run-length code that is damaged; mend it"),
        (code_of("01\x00\x00"), "compressed run-length code that is damaged; mend it"),
        (code_of("oooooo?"), NO_COUNTS),
    ],
)  # fmt: skip
def test_malformed_segmentations(tmp_path, segmentation, message):
    index = data_set(tmp_path, annotation_entry(31, 9, 2))
    edit(tmp_path, "train", lambda content: content["annotations"][0].update(segmentation=segmentation))
    place = r"annotations/instances_train2017\.json: annotation 31 of 000000000009: "
    with pytest.raises(DatasetProblems, match=f"{place}.*{message}"):
        coco_true_masks(tmp_path, index, "train", tmp_path / "masks")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": None}, "annotation None of 000000000009: `id` is no whole number; give it one"),
        ({"category_id": 3}, "`category_id` is 3, no class of the index; build the index again"),
        ({"category_id": {}}, "`category_id` is {}, no class of the index"),
        ({"iscrowd": 3}, "`iscrowd` is 3; make it 0 or 1"),
    ],
)
def test_malformed_annotations(tmp_path, changes, message):
    index = data_set(tmp_path, annotation_entry(31, 9, 2))
    edit(tmp_path, "train", lambda content: content["annotations"][0].update(changes))
    with pytest.raises(DatasetProblems, match=message):
        coco_true_masks(tmp_path, index, "train", tmp_path / "masks")


def test_all_problems_are_told_at_once_and_nothing_is_written(tmp_path):
    bad = [annotation_entry(number, 9, 2, [[1, 2]]) for number in range(60)]
    index = data_set(tmp_path, *bad, annotation_entry(60, 9, 2))
    with pytest.raises(DatasetProblems, match="60 problems") as caught:
        coco_true_masks(tmp_path, index, "train", tmp_path / "masks")
    assert len(caught.value.problems) == 60 and not (tmp_path / "masks").exists()


def test_photograph_that_is_no_longer_in_the_file(tmp_path):
    index = data_set(tmp_path, annotation_entry(31, 9, 2))
    edit(tmp_path, "train", lambda content: content["images"].clear())
    with pytest.raises(DatasetProblems, match=r"no image 000000000009\.\*, which is in the index"):
        coco_true_masks(tmp_path, index, "train", tmp_path / "masks")


def test_missing_file(tmp_path):
    index = data_set(tmp_path, annotation_entry(31, 9, 2))
    annotation_file(tmp_path, "train").unlink()
    with pytest.raises(TagsegError, match="instances_train2017.json: no such file; unpack"):
        coco_true_masks(tmp_path, index, "train", tmp_path / "masks")


def test_photographs_for_which_pycocotools_buffers_are_too_short():
    with pytest.raises(ValueError, match="photograph of more than 16,777,215 pixels; scale it down"):
        rasterise([box(0, 0, 10, 10)], 4096, 4096)
    side = 4095
    assert coco_rle.area(rasterise([box(0, 0, side, side)], side, side)) == side**2


def test_damaged_segmentations_never_crash():
    """A crash of pycocotools' C code would end the tests themselves."""
    rng = np.random.default_rng(0)
    mask = rng.random((HEIGHT, WIDTH)) < 0.4
    wholes = [code(mask), code(mask, compress=True), [random_polygon(rng), random_polygon(rng)]]
    junk = ["0", "-1", "1e999", "99999999999", "[", "]", "{}", '"', "o", "null", ",", "4", "NaN", "P"]
    refused = rasterised = 0
    for _ in range(6000):
        text = json.dumps(wholes[rng.integers(3)])
        start = int(rng.integers(len(text)))
        damaged = text[:start] + str(rng.choice(junk)) + text[start + int(rng.integers(4)) :]
        try:
            segmentation = json.loads(damaged)
        except ValueError:
            continue
        try:
            assert decoded(segmentation).shape == (HEIGHT, WIDTH)
            rasterised += 1
        except ValueError as error:
            assert str(error).count(";") == 1 or "damaged" in str(error), error
            refused += 1
    assert refused > 1000 and rasterised > 100
