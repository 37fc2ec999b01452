"""Multi-scale prediction: against the obvious loop, with and without the CRF, on odd photographs."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from helpers import photograph_rows, write_photograph
from tagseg.checkpoints import save_checkpoint
from tagseg.crf import CrfSettings
from tagseg.deeplab import DeepLabLargeFov, SegmenterSettings, without_weights
from tagseg.errors import TagsegError
from tagseg.images import read_photograph, resize_map, shrink_photograph
from tagseg.index import Photograph
from tagseg.inference import (
    BATCH,
    InferenceSettings,
    Scored,
    decide_shard,
    load_segmenter,
    multi_scale_scores,
    predict,
    probabilities,
    view_scores,
)
from tagseg.map_shards import MapShard, write_maps
from tagseg.photographs import batches, square

CPU = torch.device("cpu")
SETTINGS = InferenceSettings((16, 33, 24), False, "float32")
CRF = CrfSettings(2, 3, 3, 80, 13, 10)
SIZES = ((20, 30), (3, 5), (41, 17), (1, 1))


class TinySegmenter(nn.Module):
    """Scores of four classes at stride 8, different left and right."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 4, 9, stride=8, padding=4)

    def forward(self, images):
        return self.convolution(images.float() / 64 - 2)


class ByColour(nn.Module):
    """Class 0, 1 or 2 by the strongest of red, green and blue, at stride 8."""

    def forward(self, images):
        return F.avg_pool2d(images.float(), 8, ceil_mode=True) / 20


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in SIZES]


def obvious(model, image, sizes, flip):
    total = []
    for size in sizes:
        for mirrored in (False, True)[: 1 + flip]:
            scores = model(square(image, size, mirrored)[None])
            scores = scores[..., range(scores.shape[-1])[::-1]] if mirrored else scores
            total.append(F.interpolate(scores, image.shape[:2], mode="bilinear", align_corners=False)[0])
    return sum(total) / len(total)


@pytest.mark.parametrize("sizes", [(16,), (16, 33, 24)])
@pytest.mark.parametrize("flip", [False, True])
@torch.no_grad()
def test_scores_are_the_mean_of_the_enlarged_scores_of_each_view(images, sizes, flip):
    model = TinySegmenter().eval()
    found = list(multi_scale_scores(model, images, InferenceSettings(sizes, flip, "float32"), CPU))
    assert [tuple(scores.shape) for scores in found] == [(4, *size) for size in SIZES]
    for image, scores in zip(images, found, strict=True):
        torch.testing.assert_close(scores, obvious(model, image, sizes, flip), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_photograph_and_its_mirror_image_score_alike_with_flips(images):
    settings = InferenceSettings((24,), True, "float32")
    pair = [images[0], images[0][:, ::-1].copy()]
    straight, mirrored = multi_scale_scores(TinySegmenter().eval(), pair, settings, CPU)
    torch.testing.assert_close(mirrored.flip(-1), straight, rtol=1e-4, atol=1e-4)


def test_scores_carry_no_gradient(images):
    scores = next(multi_scale_scores(TinySegmenter(), images[:1], SETTINGS, CPU))
    assert not scores.requires_grad and scores.dtype == torch.float32


def test_bfloat16_is_near_float32(images):
    model = TinySegmenter().eval()
    halves = dataclasses.replace(SETTINGS, precision="bfloat16")
    exact = next(multi_scale_scores(model, images[:1], SETTINGS, CPU))
    near = next(multi_scale_scores(model, images[:1], halves, CPU))
    assert near.dtype == torch.float32
    torch.testing.assert_close(near, exact, rtol=0.05, atol=0.05)


# ------------------------------------------------------------------------- probabilities and labels


def test_probabilities_are_the_softmax():
    scores = torch.randn(4, 3, 5)
    found = probabilities(scores)
    expected = np.exp(scores.numpy()) / np.exp(scores.numpy()).sum(0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found.dtype == np.float32


def test_probabilities_of_allowed_labels_share_all_the_mass():
    scores = torch.randn(4, 3, 5)
    found, whole = probabilities(scores, (0, 3)), probabilities(scores)
    assert found.shape == (2, 3, 5)
    np.testing.assert_allclose(found.sum(0), 1, rtol=1e-6)
    np.testing.assert_allclose(found, whole[[0, 3]] / whole[[0, 3]].sum(0), rtol=1e-5)


def test_the_decision_names_the_allowed_labels():
    probable = np.array([[[0.9, 0.2]], [[0.1, 0.8]]], np.float32)
    mask = Scored(np.zeros((1, 2, 3), np.uint8), probable, (0, 17), None, (1, 2)).decide()
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, [[0, 17]])


def test_a_single_label_needs_no_crf():
    scored = Scored(np.zeros((2, 2, 3), np.uint8), np.ones((1, 2, 2), np.float32), (0,), CRF, (2, 2))
    assert (scored.decide() == 0).all()


# ------------------------------------------------------------------------------------- predictions


def coloured_rows(folder, count):
    """Write photographs of one strong colour each, of different sizes; its channel is the class."""
    rows = []
    for number in range(count):
        pixels = np.full((6 + number % 4, 9 + number % 5, 3), 40, np.uint8)
        pixels[..., number % 3] = 200
        path = folder / f"{number:03}.png"
        Image.fromarray(pixels).save(path)
        height, width = pixels.shape[:2]
        rows.append(Photograph(path.stem, str(path), width, height, "test", ()))
    return rows


@pytest.mark.parametrize(("crf", "processes"), [(None, 2), (CRF, 1), (CRF, 2)])
def test_predictions_come_in_order(tmp_path, crf, processes):
    rows = coloured_rows(tmp_path, BATCH + 3)
    allowed = [(0, 1, 2)] * len(rows)
    found = list(predict(ByColour(), rows, allowed, SETTINGS, crf, 1024, CPU, processes))
    assert len(found) == len(rows)
    for number, (row, prediction) in enumerate(zip(rows, found, strict=True)):
        np.testing.assert_array_equal(prediction.photograph, read_photograph(row.path))
        assert prediction.mask.shape == (row.height, row.width)
        assert (prediction.mask == number % 3).all()


def test_labels_are_restricted_photograph_by_photograph(tmp_path):
    rows = coloured_rows(tmp_path, BATCH + 2)
    allowed = [(0, 1) if number % 2 else (0, 2) for number in range(len(rows))]
    for labels, prediction in zip(
        allowed, predict(ByColour(), rows, allowed, SETTINGS, None, 1024, CPU, 1), strict=True
    ):
        assert set(np.unique(prediction.mask)) <= set(labels)


@pytest.mark.parametrize("crf", [None, CRF])
@pytest.mark.parametrize(("width", "height"), [(5, 3), (1, 1), (1, 40)])
def test_a_photograph_smaller_than_the_stride_gets_its_mask(tmp_path, crf, width, height):
    rows = photograph_rows(tmp_path, 1, width, height)
    (prediction,) = predict(TinySegmenter().eval(), rows, [(0, 1, 2, 3)], SETTINGS, crf, 1024, CPU, 1)
    assert prediction.mask.shape == (height, width)
    assert prediction.mask.max() <= 3


def test_no_photographs_have_no_predictions():
    assert list(predict(ByColour(), [], [], SETTINGS, CRF, 1024, CPU, 2)) == []


def test_a_photograph_that_vanished_is_told(tmp_path):
    rows = photograph_rows(tmp_path, 1)
    (tmp_path / "0.png").unlink()
    with pytest.raises(TagsegError, match="no such image"):
        list(predict(ByColour(), rows, [(0, 1, 2)], SETTINGS, None, 1024, CPU, 1))


# ------------------------------------------------------------------------------------- from logits


def write_logits(path, model, rows, settings=SETTINGS):
    with write_maps(path, [row.id for row in rows], "head") as writer:
        for start, images in batches(rows, BATCH):
            small = [shrink_photograph(image, 30) for image in images]
            for view, scores in view_scores(model, small, settings, CPU):
                writer.write(view, start, scores.numpy())
    return MapShard(path)


@pytest.mark.parametrize(("crf", "processes"), [(None, 1), (CRF, 1), (CRF, 2)])
@pytest.mark.parametrize("flip", [False, True])
def test_masks_from_logits_are_those_of_the_network_itself(tmp_path, crf, processes, flip):
    """But for pixels between two labels, where the logits' 16 bits decide: one in a hundred at most."""
    rows = photograph_rows(tmp_path, BATCH + 2, 37, 23)
    allowed = [(0, 1, 2, 3) if number % 3 else (0, 2) for number in range(len(rows))]
    settings = InferenceSettings((16, 33), flip, "float32")
    model = TinySegmenter().eval()
    expected = [one.mask for one in predict(model, rows, allowed, settings, crf, 30, CPU, 1)]
    with write_logits(tmp_path / "logits.h5", model, rows, settings) as shard:
        found = list(decide_shard(shard, rows, allowed, crf, 30, processes))
    assert [mask.shape for mask in found] == [(row.height, row.width) for row in rows]
    assert all(set(np.unique(mask)) <= set(labels) for mask, labels in zip(found, allowed, strict=True))
    assert np.mean([(a != b).mean() for a, b in zip(found, expected, strict=True)]) < 0.01


def test_an_empty_shard_of_logits_has_no_masks(tmp_path):
    with write_logits(tmp_path / "logits.h5", TinySegmenter(), []) as shard:
        assert list(decide_shard(shard, [], [], CRF, 1024, 2)) == []


# -------------------------------------------------------------------------------------- checkpoints

CLASSES = ("background", "cat", "dog")
NETWORK = SegmenterSettings("timm:resnet10t", None, 16, 8, 2)


@pytest.fixture
def segmenter(tmp_path):
    torch.manual_seed(0)
    model = DeepLabLargeFov(NETWORK, 3).eval()
    description = {"kind": "segmenter", "classes": list(CLASSES), "settings": without_weights(NETWORK)}
    save_checkpoint(tmp_path / "segmenter.pt", model, description)
    return model, str(tmp_path / "segmenter.pt")


def test_a_segmenter_comes_back_from_its_checkpoint(segmenter, tmp_path):
    model, path = segmenter
    loaded = load_segmenter(path, CLASSES)
    image = [read_photograph(write_photograph(tmp_path / "a.png", 20, 12))]
    settings = InferenceSettings((32,), True, "float32")
    expected = next(multi_scale_scores(model, image, settings, CPU))
    torch.testing.assert_close(next(multi_scale_scores(loaded, image, settings, CPU)), expected)
    assert not loaded.training


@pytest.mark.parametrize("classes", [CLASSES[:2], ("background", "dog", "cat")])
def test_a_segmenter_of_other_classes_is_refused(segmenter, classes):
    with pytest.raises(TagsegError, match="not a segmenter of these classes"):
        load_segmenter(segmenter[1], classes)


def test_a_large_photograph_is_scored_small_and_its_mask_has_its_own_size():
    rng = np.random.default_rng(5)
    image = np.kron(rng.integers(0, 256, (3, 4, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    maps = rng.random((3, 12, 16), np.float32)
    scored = Scored(shrink_photograph(image, 16), maps, (0, 2, 5), None, image.shape[:2])
    enlarged = np.stack([resize_map(one, 48, 64) for one in maps])
    np.testing.assert_array_equal(scored.decide(), np.array((0, 2, 5))[enlarged.argmax(axis=0)])
