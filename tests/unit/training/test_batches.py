"""Images as inputs: squares, random views and their masks, tag vectors, batches."""

from pathlib import Path

import numpy as np
import pytest
import torch

import refine_masks
from helpers import image_rows, write_image
from tagseg.models.inputs import batches, square, to_tensor
from tagseg.report.examples import example
from tagseg.runtime.errors import TagsegError
from tagseg.segmentation.prediction import decide_shard
from tagseg.segmentation.settings import DecideStage, ProxyCrfSettings, RefineStage
from tagseg.storage.feature_shards import MapShard, View, write_maps
from tagseg.storage.images import read_image, resize_image, resize_mask
from tagseg.storage.index import Index
from tagseg.storage.mask_shards import read_mask_shards, write_mask_shard
from tagseg.training.augmentation import Augmentation, TrainingSet, tag_vector


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 100, (20, 30, 3), np.uint8)


@pytest.fixture
def mask():
    return np.random.default_rng(1).choice(np.array([0, 2, 7], np.uint8), (20, 30))


def generator(seed=0):
    return np.random.default_rng(seed)


def test_a_square_is_the_resized_image_channels_first(image):
    expected = resize_image(image, 16, 16)
    tensor = square(image, 16)
    assert tensor.shape == (3, 16, 16) and tensor.dtype == torch.uint8 and tensor.is_contiguous()
    np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), expected)


def test_a_mirrored_square_is_the_square_mirrored(image):
    assert torch.equal(square(image, 16, mirrored=True), square(image, 16).flip(-1))


def test_a_tensor_has_memory_of_its_own_order():
    turned = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)[:, ::-1]
    np.testing.assert_array_equal(to_tensor(turned).numpy(), turned.transpose(2, 0, 1))


def test_scale_1_without_flip_is_the_plain_resize(image, mask):
    view, labels = Augmentation(16, (1, 1), flip=False)(generator(), image, mask)
    np.testing.assert_array_equal(view, resize_image(image, 16, 16))
    np.testing.assert_array_equal(labels, resize_mask(mask, 16, 16))


@pytest.mark.parametrize("scales", [(0.02, 0.1), (0.5, 0.9), (0.5, 1.5), (1.2, 2.0)])
def test_a_view_is_a_square_whatever_its_scale(image, mask, scales):
    for seed in range(20):
        view, labels = Augmentation(16, scales)(generator(seed), image, mask)
        assert view.shape == (16, 16, 3) and view.dtype == np.uint8
        assert labels.shape == (16, 16) and labels.dtype == np.uint8


def test_padding_is_grey_and_void_around_the_whole_smaller_view(image, mask):
    for seed in range(20):
        view, labels = Augmentation(16, (0.5, 0.5), flip=False)(generator(seed), image, mask)
        inside = labels != 255
        assert (view[~inside] == 127).all()
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        np.testing.assert_array_equal(view[box], resize_image(image, 8, 8))
        np.testing.assert_array_equal(labels[box], resize_mask(mask, 8, 8))


def test_a_larger_view_is_cropped_at_random_positions(image):
    whole, positions = resize_image(image, 20, 20), set()
    windows = {
        whole[top : top + 16, left : left + 16].tobytes(): (top, left)
        for top in range(5)
        for left in range(5)
    }
    for seed in range(60):
        view, _ = Augmentation(16, (1.25, 1.25), flip=False)(generator(seed), image)
        positions.add(windows[view.tobytes()])
    assert {top for top, _ in positions} == {left for _, left in positions} == set(range(5))


@pytest.mark.parametrize("scales", [(1, 1), (0.5, 0.8), (1.3, 1.9)])
def test_image_and_mask_stay_aligned(scales):
    """Left half 200 and class 1, right half 50 and class 2: any view must agree with itself."""
    image = np.full((40, 40, 3), 50, np.uint8)
    image[:, :20] = 200
    mask = np.where(image[..., 0] == 200, 1, 2).astype(np.uint8)
    for seed in range(20):
        view, labels = Augmentation(32, scales)(generator(seed), image, mask)
        expected = np.select([labels == 1, labels == 2], [200, 50], 127)
        blended = np.abs(np.diff(labels.astype(int), axis=1)).astype(bool)  # one column at the edge
        edge = np.pad(blended, ((0, 0), (0, 1))) | np.pad(blended, ((0, 0), (1, 0)))
        np.testing.assert_array_equal(view[..., 0][~edge], expected[~edge])


def test_about_half_of_the_views_are_mirrored_with_their_masks(image, mask):
    plain = resize_image(image, 16, 16), resize_mask(mask, 16, 16)
    mirrored = 0
    for seed in range(200):
        view, labels = Augmentation(16)(generator(seed), image, mask)
        turned = not np.array_equal(view, plain[0])
        for array, original in zip((view, labels), plain, strict=True):
            np.testing.assert_array_equal(array, original[:, ::-1] if turned else original)
        mirrored += turned
    assert 70 < mirrored < 130  # 200 tosses: within 4 standard deviations


def test_a_view_depends_on_seed_epoch_and_position_only(tmp_path):
    rows = image_rows(tmp_path, 2, width=20, height=20)

    def view(seed, epoch, position):
        data = TrainingSet(rows, Augmentation(16, (0.5, 1.5)), seed, lambda row: tag_vector([1], 2))
        return data[epoch, position][0].numpy().tobytes()

    assert view(1, 2, 0) == view(1, 2, 0)
    assert len({view(1, 2, 0), view(2, 2, 0), view(1, 3, 0), view(1, 2, 1)}) == 4


def test_targets_are_masks_where_there_are_masks(tmp_path):
    rows = image_rows(tmp_path, 1)
    data = TrainingSet(rows, Augmentation(16), 0, lambda row: np.full((8, 12), 3, np.uint8))
    image, target = data[0, 0]
    assert image.shape == (3, 16, 16) and target.shape == (16, 16)
    assert target.dtype == torch.uint8 and (target == 3).all()


@pytest.mark.parametrize(
    ("labels", "expected"), [((), [0, 0, 0]), ((1,), [1, 0, 0]), ((3, 1), [1, 0, 1]), ((2, 2), [0, 1, 0])]
)
def test_a_tag_vector_has_no_element_for_the_background(labels, expected):
    vector = tag_vector(labels, 4)
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector, expected)


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 9])
def test_batches_are_all_images_in_order(tmp_path, threads, batch_size):
    rows = image_rows(tmp_path, 5)
    found = list(batches(rows, batch_size, threads))
    assert [start for start, _ in found] == list(range(0, 5, batch_size))
    assert all(len(images) == batch_size for _, images in found[:-1])
    for row, image in zip(rows, [image for _, images in found for image in images], strict=True):
        np.testing.assert_array_equal(image, read_image(row.path))


def test_an_image_that_cannot_be_read_ahead_raises_in_its_turn(tmp_path):
    rows = image_rows(tmp_path, 5)
    (tmp_path / "4.png").unlink()
    coming = batches(rows, 2, threads=2)
    next(coming)
    next(coming)
    with pytest.raises(TagsegError, match=r"4\.png: no such image"):
        next(coming)


def refined(row, masks):
    stage = RefineStage(crf=ProxyCrfSettings(iterations=1), longest_side=512)
    return refine_masks.refine((row, masks[row.id], stage))


def from_logits(row, masks):
    with write_maps(Path(row.path).parent / "logits.h5", [row.id], "head") as writer:
        writer.write(View(32), 0, np.zeros((1, 2, 4, 4), np.float16))
    with MapShard(Path(row.path).parent / "logits.h5") as shard:
        return list(decide_shard(shard, [row], [(0, 1)], DecideStage(longest_side=512), 1))


READERS = {
    "batches": lambda row, masks: list(batches([row], 1)),
    "batches read ahead": lambda row, masks: list(batches([row], 1, threads=2)),
    "training": lambda row, masks: TrainingSet([row], Augmentation(16), 0, lambda row: masks[row.id].read())[
        0, 0
    ],
    "CRF of proxy masks": refined,
    "masks from logits": from_logits,
    "figures and report": lambda row, masks: example(
        row, "", Index(("background", "cat"), (row,)), {}, masks
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_an_image_that_was_replaced_after_indexing_is_refused(tmp_path, name):
    (row,) = image_rows(tmp_path, 1, 40, 30, tags=("cat",))
    write_mask_shard(tmp_path / "masks", [(row.id, np.zeros((30, 40), np.uint8))])
    masks = read_mask_shards([tmp_path / "masks"])
    READERS[name](row, masks)
    write_image(tmp_path / "0.png", 300, 17)
    with pytest.raises(TagsegError, match=r"0\.png: 300x17 pixels, but 40x30 in the index. "):
        READERS[name](row, masks)
