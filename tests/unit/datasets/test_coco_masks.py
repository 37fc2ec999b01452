"""Ground truth of COCO's layout, against masks that are painted pixel by pixel."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_rle

from mini_coco import annotation_entry, code, compressed, edit, image_entry, run_lengths, write_half, write_mini_coco
from tagseg.datasets.coco.coco import index_coco
from tagseg.datasets.coco.layout import annotation_file
from tagseg.datasets.coco.masks import coco_ground_truth, rasterise, uncompress
from tagseg.datasets.problems import DatasetProblems
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import read_mask

WIDTH, HEIGHT = 40, 30


def data_set(root, *annotations):
    """Write one image of train, with these annotations, and one of val; return the index."""
    write_half(root, "train", [image_entry(9, WIDTH, HEIGHT)], annotations)
    write_half(root, "val", [image_entry(139)], [])
    return index_coco(root)


def mask_of(root, *annotations):
    index = data_set(root, *annotations)
    paths = coco_ground_truth(root, index, "train", root / "masks")
    assert paths == {"000000000009": "png/000000000009.png"}
    return read_mask(root / "masks" / paths["000000000009"], 4)


def decoded(segmentation):
    return coco_rle.decode(rasterise(segmentation, HEIGHT, WIDTH)).astype(bool)


def within(polygon):
    """Return which pixels' centres an outline encloses (even-odd), and which are 1 pixel from it at most.

    Pixel (row, column) has its centre at (column + 0.5, row + 0.5). One pixel at a time, by the book.
    """
    points = np.array(polygon, float).reshape(-1, 2)
    edges = list(zip(points, np.roll(points, -1, axis=0), strict=True))
    inside, near = np.zeros((2, HEIGHT, WIDTH), bool)
    for row, column in np.ndindex(inside.shape):
        x, y = column + 0.5, row + 0.5
        for (x1, y1), (x2, y2) in edges:
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
                inside[row, column] ^= True
            length = (x2 - x1) ** 2 + (y2 - y1) ** 2
            along = np.clip(((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / max(length, 1e-9), 0, 1)
            near[row, column] |= np.hypot(x1 + along * (x2 - x1) - x, y1 + along * (y2 - y1) - y) <= 1
    return inside, near


def code_of(counts, size=(HEIGHT, WIDTH)):
    return {"size": list(size) if isinstance(size, tuple) else size, "counts": counts}


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


@pytest.mark.parametrize("seed", range(12))
def test_polygons_cover_the_centres_that_they_enclose(seed):
    polygon = random_polygon(np.random.default_rng(seed))
    inside, near = within(polygon)
    found = decoded([polygon])
    assert (found == inside)[~near].all() and (found != inside).sum() <= 0.25 * near.sum()


def test_run_length_codes():
    rng = np.random.default_rng(0)
    for share in (0, 0.02, 0.5, 0.98, 1):
        mask = rng.random((HEIGHT, WIDTH)) < share
        assert (decoded(code(mask)) == mask).all() and (decoded(code(mask, compress=True)) == mask).all()
    for _ in range(50):
        mask = rng.random((rng.integers(1, 200), rng.integers(1, 200))) < rng.random() ** 3
        text = coco_rle.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()
        assert uncompress(text) == run_lengths(mask) and compressed(run_lengths(mask)) == text
    with pytest.raises(ValueError, match="more than 16,777,215 pixels. Scale it down"):
        rasterise([box(0, 0, 10, 10)], 4096, 4096)  # pycocotools' buffers are too short
    assert coco_rle.area(rasterise([box(0, 0, 4095, 4095)], 4095, 4095)) == 4095**2


@pytest.mark.parametrize("seed", range(8))
def test_overlaps(tmp_path, seed):
    rng = np.random.default_rng(seed)
    annotations, things = [], []
    for number in rng.permutation(7).tolist():
        form, category = rng.integers(4), int(rng.choice([2, 7, 44]))
        pixels = rng.random((HEIGHT, WIDTH)) < 0.3
        polygons = [random_polygon(rng) for _ in range(rng.integers(1, 3))]
        segmentation = polygons if form < 2 else code(pixels, compress=bool(form == 3))
        pixels = decoded(segmentation)
        crowd = bool(rng.random() < 0.3) and number > 0  # all of them would be read as objects
        annotations.append(annotation_entry(number, 9, category, segmentation, iscrowd=int(crowd)))
        things.append((pixels, category, crowd, number))
    labels = {category: label for label, category in enumerate(sorted({one[1] for one in things}), start=1)}
    things = [(pixels, labels[category], *rest) for pixels, category, *rest in things]
    assert (mask_of(tmp_path, *annotations) == painted(things)).all()


def test_every_image_of_the_split_has_a_mask_in_vocs_form(tmp_path):
    write_mini_coco(tmp_path, train=40)
    index = index_coco(tmp_path)
    for split, count in (("train", 40), ("val", 4)):
        paths = coco_ground_truth(tmp_path, index, split, tmp_path / "masks" / split)
        assert coco_ground_truth(str(tmp_path), index, split, str(tmp_path / "two"), threads=2) == paths
        assert list(paths) == [row.id for row in index.of_split(split)] and len(paths) == count
        for row in index.of_split(split):
            file = tmp_path / "masks" / split / paths[row.id]
            assert file.read_bytes() == (tmp_path / "two" / paths[row.id]).read_bytes()
            mask = read_mask(file, 4)
            assert mask.shape == (row.height, row.width) and Image.open(file).mode == "P"
            assert {*np.unique(mask)} - {0, 255} == {*index.class_indices(row)}
        assert not mask.any()  # the last image has no instance


POLYGON = "a polygon is not a list of finite numbers x1, y1, x2, y2, x3, y3"
NEITHER = "neither polygons nor a run-length code"
COUNTS = "run-length code whose counts are not numbers of pixels"
DAMAGED = "the compressed run-length code is damaged"


@pytest.mark.parametrize("segmentations, message", [
    (("x", 7, True), NEITHER),
    (([[]], [[1, 2, 3, 4, 5, 6, 7]], [[1, 2, 3, 4]], [box(1, 1, 5, 5), [1, 2]], box(1, 1, 5, 5)), POLYGON),
    (([[1, 2, 3, 4, 5, "6"]], [[1, 2, 3, 4, 5, None]], [[[1, 2], [3, 4], [5, 6]]], ["abcdef"]), POLYGON),
    (([{"size": [1, 1], "counts": [1]}], [[1, 2, 3, 4, 5, float("nan")]], [[1, 2, 3, 4, 5, 10**400]]), POLYGON),
    (([box(-6, 1, 5, 5)], [box(1, 1, 5, HEIGHT + 6)], [box(1, 1, 1e300, 5)]), "has 40x30 pixels. Move it inside"),
    (([[0, 0, WIDTH, 1] * 50_000],), "the outline is longer than 2,000,000 pixels. Simplify it"),
    (({}, code_of([1200], [40, 30]), code_of([1200], (30,)), code_of([1200], "30")), "but the image has [30, 40]"),
    ((code_of(None), code_of({"a": 1}), code_of([1000, 200.0]), code_of([1000, "200"])), COUNTS),
    ((code_of([1300, -100]), code_of([True, 1199]), code_of(compressed([1300, -100]))), COUNTS),
    ((code_of([]), code_of([1000, 100]), code_of([2**32, 1200]), code_of("")), "pixels, but the image has 1,200"),
    ((code_of("P"), code_of("PPPPPPPPPPPP1"), code_of("01é"), code_of("01\x00\x00"), code_of("oooooo?")), DAMAGED),
])  # fmt: skip
def test_malformed_segmentations(tmp_path, segmentations, message):
    index = data_set(tmp_path, annotation_entry(0, 9, 2))
    pairs = enumerate(segmentations)
    entries = [{**annotation_entry(number, 9, 2), "segmentation": one} for number, one in pairs]
    edit(tmp_path, "train", lambda content: content.update(annotations=entries))
    with pytest.raises(DatasetProblems) as caught:
        coco_ground_truth(tmp_path, index, "train", tmp_path / "masks")
    assert len(caught.value.problems) == len(segmentations)
    for number, problem in enumerate(caught.value.problems):
        assert problem.path == "annotations/instances_train2017.json" and message in problem.text
        assert problem.text.startswith(f"annotation {number} of 000000000009: ") and ". " in problem.text
    assert not (tmp_path / "masks").exists()


def test_files_that_changed_since_the_index(tmp_path):
    index = data_set(tmp_path, annotation_entry(31, 9, 2))

    def fails(message):
        with pytest.raises(TagsegError, match=message):
            coco_ground_truth(tmp_path, index, "train", tmp_path / "masks")

    edit(tmp_path, "train", lambda content: content["annotations"][0].update(iscrowd=3))
    fails(r"annotations\[0\].iscrowd: Input should be 0 or 1")
    edit(tmp_path, "train", lambda content: content.update(images=[], annotations=[]))
    fails(r"no image 000000000009\.\*, which is in the index. Build the index again")
    annotation_file(tmp_path, "train").unlink()
    fails("instances_train2017.json missing. Unpack")


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
        except ValueError:
            refused += 1
    assert refused > 1000 and rasterised > 100


def test_crowds_alone_are_objects_and_an_image_with_a_box_alone_has_no_mask(tmp_path, caplog):
    outline = [box(1, 1, 5, 5)]
    annotations = [annotation_entry(number, 9, 2, outline, iscrowd=1) for number in range(6)]
    assert np.unique(mask_of(tmp_path / "crowds", *annotations)).tolist() == [0, 1]
    assert "every object has iscrowd 1; read as objects" in caplog.text
    for segmentation in ([], None):
        root = tmp_path / f"box{segmentation}"
        index = data_set(
            root, annotation_entry(0, 9, 2, outline), annotation_entry(1, 9, 2) | {"segmentation": segmentation}
        )
        assert coco_ground_truth(root, index, "train", root / "masks") == {}


def test_categories_without_annotations_are_no_classes(tmp_path):
    assert len(data_set(tmp_path, annotation_entry(0, 9, 7)).classes) == 2
