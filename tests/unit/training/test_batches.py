"""Images as inputs: squares, random views and their masks, tag vectors, batches."""

from pathlib import Path

import numpy as np
import pytest
import torch

import refine_masks
from helpers import image_rows, write_image
from tagseg.models.inputs import batches, square
from tagseg.report.examples import example
from tagseg.runtime.errors import TagsegError
from tagseg.segmentation.decision import decide_shard
from tagseg.segmentation.settings import DecideStage, ProxyCrfSettings, RefineStage
from tagseg.storage.feature_shards import MapShard, View, write_maps
from tagseg.storage.images import read_image, resize_image, resize_mask
from tagseg.storage.index import Index
from tagseg.storage.mask_shards import read_mask_shards, write_mask_shard
from tagseg.training.augmentation import Augmentation, TrainingSet, tag_vector

IMAGE = np.random.default_rng(0).integers(0, 100, (20, 30, 3), np.uint8)
MASK = np.random.default_rng(1).choice(np.array([0, 2, 7], np.uint8), (20, 30))


def views(count, scales=(1, 1), image=IMAGE, mask=MASK, size=16, **options):
    augment = Augmentation(size, scales, **options)
    return [augment(np.random.default_rng(seed), image, mask) for seed in range(count)]


def test_a_square_is_the_resized_image_channels_first_or_mirrored():
    tensor = square(IMAGE, 16)
    assert tensor.shape == (3, 16, 16) and tensor.dtype == torch.uint8 and tensor.is_contiguous()
    np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), resize_image(IMAGE, 16, 16))
    assert torch.equal(square(IMAGE, 16, mirrored=True), tensor.flip(-1))


def test_padding_is_grey_and_void_around_the_whole_smaller_view():
    for view, labels in views(20, (0.5, 0.5), flip=False):
        inside = labels != 255
        assert (view[~inside] == 127).all()
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        np.testing.assert_array_equal(view[box], resize_image(IMAGE, 8, 8))
        np.testing.assert_array_equal(labels[box], resize_mask(MASK, 8, 8))


def test_a_larger_view_is_cropped_at_random_positions():
    whole, places = resize_image(IMAGE, 20, 20), [(top, left) for top in range(5) for left in range(5)]
    windows = {whole[top : top + 16, left : left + 16].tobytes(): (top, left) for top, left in places}
    found = {windows[view.tobytes()] for view, _ in views(60, (1.25, 1.25), flip=False)}
    assert {top for top, _ in found} == {left for _, left in found} == set(range(5))


@pytest.mark.parametrize("scales", [(1, 1), (0.02, 0.1), (0.5, 0.8), (1.3, 1.9)])
def test_image_and_mask_stay_aligned(scales):
    """Left half 200 and class 1, right half 50 and class 2: any view must agree with itself."""
    image = np.full((40, 40, 3), 50, np.uint8)
    image[:, :20] = 200
    mask = np.where(image[..., 0] == 200, 1, 2).astype(np.uint8)
    for view, labels in views(20, scales, image, mask, size=32):
        assert view.shape == (32, 32, 3) and labels.shape == (32, 32)
        expected = np.select([labels == 1, labels == 2], [200, 50], 127)
        blended = np.abs(np.diff(labels.astype(int), axis=1)).astype(bool)  # one column at the edge
        edge = np.pad(blended, ((0, 0), (0, 1))) | np.pad(blended, ((0, 0), (1, 0)))
        np.testing.assert_array_equal(view[..., 0][~edge], expected[~edge])


def test_about_half_of_the_views_of_scale_1_are_mirrored_with_their_masks():
    plain = resize_image(IMAGE, 16, 16), resize_mask(MASK, 16, 16)
    mirrored = 0
    for pair in views(200):
        turned = not np.array_equal(pair[0], plain[0])
        for array, original in zip(pair, plain, strict=True):
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


def test_targets_are_masks_or_tag_vectors_without_an_element_for_the_background(tmp_path):
    rows = image_rows(tmp_path, 1)
    data = TrainingSet(rows, Augmentation(16), 0, lambda row: np.full((8, 12), 3, np.uint8))
    image, target = data[0, 0]
    assert image.shape == (3, 16, 16) and target.shape == (16, 16)
    assert target.dtype == torch.uint8 and (target == 3).all()
    for labels, expected in {(): [0, 0, 0], (1,): [1, 0, 0], (3, 1): [1, 0, 1], (2, 2): [0, 1, 0]}.items():
        vector = tag_vector(labels, 4)
        assert vector.dtype == np.float32 and vector.tolist() == expected


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
    assert len([next(coming), next(coming)]) == 2
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


def trained(row, masks):
    return TrainingSet([row], Augmentation(16), 0, lambda row: masks[row.id].read())[0, 0]


READERS = {
    "batches": lambda row, masks: list(batches([row], 1)),
    "batches read ahead": lambda row, masks: list(batches([row], 1, threads=2)),
    "training": trained,
    "CRF of proxy masks": refined,
    "masks from logits": from_logits,
    "figures": lambda row, masks: example(row, "", Index(("background", "cat"), (row,)), {}, masks),
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
