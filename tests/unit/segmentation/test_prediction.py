"""Multi-scale prediction against the obvious loop, with and without the CRF; its scripts; refined proxy masks."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

import compute_logits
import decide_masks
import refine_masks
from helpers import image_rows, run_script
from seeded_networks import CLASSES, SMALL, save_small_segmenter
from tagseg.models.deeplab import DeepLabLargeFov
from tagseg.models.inputs import batches, square
from tagseg.runtime.errors import TagsegError
from tagseg.segmentation.decision import decide_shard, mean_enlarged, softmax
from tagseg.segmentation.prediction import BATCH, load_segmenter, predict, view_scores
from tagseg.segmentation.settings import CrfSettings, InferenceSettings, SegmentStage
from tagseg.storage.feature_shards import MapShard, write_maps
from tagseg.storage.files import digest
from tagseg.storage.images import read_image, shrink_image
from tagseg.storage.index import ImageRecord, Index, write_index
from tagseg.storage.mask_shards import mask_provenance, read_mask_shards, write_mask_shard

CPU = torch.device("cpu")


def inference(*sizes, flip=False, precision="float32"):
    return InferenceSettings(sizes=list(sizes), flip=flip, precision=precision)


def stage(crf=None, longest_side=1024, settings=None):
    return SegmentStage(crf=crf, longest_side=longest_side, inference=settings or SETTINGS)


SETTINGS = inference(32, 49, 40)
CRF = CrfSettings(iterations=2, bilateral_srgb=13)
SIZES = ((20, 30), (3, 5), (41, 17), (1, 1))


class TinySegmenter(nn.Module):
    """Scores of four classes at stride 8, different left and right."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 4, 9, stride=8, padding=4)

    def forward(self, images):
        return self.convolution(images.float() / 64 - 2)


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


def multi_scale_scores(model, images, settings):
    """Return the mean of the enlarged scores of all views, (classes, H, W), of each image."""
    grids = [scores.numpy() for _, scores in view_scores(model, images, settings, CPU)]
    return [
        mean_enlarged([grid[position] for grid in grids], *image.shape[:2]) for position, image in enumerate(images)
    ]


@pytest.mark.parametrize("sizes", [(32,), (32, 49, 40)])
@pytest.mark.parametrize("flip", [False, True])
@torch.no_grad()
def test_scores_are_the_mean_of_the_enlarged_scores_of_each_view(images, sizes, flip):
    model = TinySegmenter().eval()
    large = [image for image in images if min(image.shape[:2]) > 6]  # where views shrink, ours averages pixels
    found = multi_scale_scores(model, large, inference(*sizes, flip=flip))
    assert [scores.shape for scores in found] == [(4, 20, 30), (4, 41, 17)]
    for image, scores in zip(large, found, strict=True):
        expected = obvious(model, image, sizes, flip)
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(softmax(scores), expected.softmax(dim=0), rtol=0, atol=1e-4)
        assert scores.dtype == softmax(scores).dtype == np.float32


def test_bfloat16_is_near_float32(images):
    exact, near = (
        multi_scale_scores(TinySegmenter().eval(), images, inference(32, 49, precision=one))[0]
        for one in ("float32", "bfloat16")
    )
    np.testing.assert_allclose(near, exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("crf", "processes"), [(None, 2), (CRF, 1), (CRF, 2)])
def test_predictions_come_in_order(tmp_path, crf, processes):
    rows = [image_rows(tmp_path / str(n), 1, 19 + n % 5, 16 + n % 4)[0] for n in range(BATCH + 3)]
    model, allowed = TinySegmenter().eval(), [(0, 1, 2, 3)] * (BATCH + 3)
    found = list(predict(model, rows, allowed, stage(crf), CPU, processes))
    assert len(found) == len(rows)
    for row, prediction in zip(rows, found, strict=True):
        image = read_image(row.path)
        np.testing.assert_array_equal(prediction.image, image)
        assert prediction.mask.shape == (row.height, row.width)
        expected = obvious(model, image, SETTINGS.sizes, False).argmax(dim=0).numpy()
        assert (prediction.mask == expected).mean() >= (0.5 if crf else 0.99)


@pytest.mark.parametrize("crf", [None, CRF])
@pytest.mark.parametrize(("width", "height"), [(5, 3), (1, 1), (1, 40)])
def test_image_smaller_than_the_stride_has_a_mask_and_a_missing_one_is_an_error(tmp_path, crf, width, height):
    rows = image_rows(tmp_path, 1, width, height)
    (prediction,) = predict(TinySegmenter().eval(), rows, [(0, 1, 2, 3)], stage(crf), CPU, 1)
    assert prediction.mask.shape == (height, width) and prediction.mask.max() <= 3
    (tmp_path / "0.png").unlink()
    with pytest.raises(TagsegError, match="no such image"):
        list(predict(TinySegmenter().eval(), rows, [(0, 1, 2, 3)], stage(crf), CPU, 1))


def write_logits(path, model, rows, settings=SETTINGS):
    with write_maps(path, [row.id for row in rows], "head") as writer:
        for start, images in batches(rows, BATCH):
            small = [shrink_image(image, 32) for image in images]
            for view, scores in view_scores(model, small, settings, CPU):
                writer.write(view, start, scores.numpy())
    return MapShard(path)


@pytest.mark.parametrize(("crf", "processes"), [(None, 1), (CRF, 1), (CRF, 2)])
@pytest.mark.parametrize("flip", [False, True])
def test_masks_from_logits_are_those_of_the_network_itself(tmp_path, crf, processes, flip):
    """But for pixels between two labels, where the logits' 16 bits decide: one in a hundred at most."""
    rows = image_rows(tmp_path, BATCH + 2, 37, 23)
    allowed = [(0, 1, 2, 3) if position % 3 else (0, 2) for position in range(len(rows))]
    settings = inference(32, 49, flip=flip)
    model = TinySegmenter().eval()
    expected = [one.mask for one in predict(model, rows, allowed, stage(crf, 32, settings), CPU, 1)]
    with write_logits(tmp_path / "logits.h5", model, rows, settings) as shard:
        found = list(decide_shard(shard, rows, allowed, stage(crf, 32), processes))
    assert [mask.shape for mask in found] == [(row.height, row.width) for row in rows]
    assert all(set(np.unique(mask)) <= set(labels) for mask, labels in zip(found, allowed, strict=True))
    assert np.mean([(a != b).mean() for a, b in zip(found, expected, strict=True)]) < 0.01


@pytest.mark.parametrize("classes", [CLASSES, CLASSES[:2], ("background", "dog", "cat")])
def test_a_segmenter_comes_back_from_its_checkpoint_for_its_own_classes(images, tmp_path, classes):
    save_small_segmenter(tmp_path / "segmenter.pt")
    if classes != CLASSES:
        with pytest.raises(TagsegError, match="not a segmenter of these classes"):
            load_segmenter(tmp_path / "segmenter.pt", classes)
        return
    torch.manual_seed(0)
    model, loaded = DeepLabLargeFov(SMALL, 3).eval(), load_segmenter(tmp_path / "segmenter.pt", classes)
    (ours, *_), (expected, *_) = (
        multi_scale_scores(one, images[:1], inference(32, flip=True)) for one in (loaded, model)
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
    assert not loaded.training


INFERENCE = {"sizes": [32, 48], "flip": True, "precision": "float32"}
LOGITS = {"inference": INFERENCE, "longest_side": 32, "deterministic": False}
MASKS = {"longest_side": 32, "restrict_to_tags": True, "crf": None}
CRF_SETTINGS = {
    "gaussian_sxy": 3,
    "gaussian_compat": 3,
    "bilateral_sxy": 50,
    "bilateral_srgb": 5,
    "bilateral_compat": 10,
}


@pytest.fixture
def folder(tmp_path):
    rows = image_rows(tmp_path / "images", 5, 20, 14, tags=("dog",))
    write_index(tmp_path / "index", Index(CLASSES, tuple(rows)))
    save_small_segmenter(tmp_path / "network.pth")
    return tmp_path


def call(script, folder, settings, shard, *arguments):
    line = ["--index", folder / "index", "--settings", settings, "--shard", shard, "--shards", 2, "--split"]
    run_script(script, *line, "train", "--checkpoint", folder / "network.pth", "--threads", 1, *arguments)


def forward(folder, shard=0):
    call(compute_logits, folder, LOGITS, shard, "--logits", folder / f"logits-{shard}.h5")
    return folder / f"logits-{shard}.h5"


def decide(folder, logits, **changes):
    call(decide_masks, folder, MASKS | changes, 0, "--logits", logits, "--masks", folder / "masks")
    return {name: file.read() for name, file in read_mask_shards([folder / "masks"]).items()}


def test_logits_are_the_networks_scores_of_every_view(folder):
    logits = forward(folder)
    with MapShard(logits) as shard:
        assert shard.node == "head" and shard.ids == ("0", "2", "4")
        sides = {"32": 2, "32-mirrored": 2, "48": 3, "48-mirrored": 3}
        shapes = {view: maps.shape for view, maps in shard.maps(1).items()}
        assert shapes == {view: (3, side, side) for view, side in sides.items()}
        decide(folder, logits)
        assert shard.origin == mask_provenance(folder / "masks") == digest(folder / "network.pth")


def test_masks_have_the_size_and_the_tags_of_the_image_or_every_class(folder):
    logits = forward(folder)
    masks = [decide(folder, logits, crf=crf) for crf in (None, CRF_SETTINGS | {"iterations": 2})]
    free = decide(folder, logits, restrict_to_tags=False)
    for made in masks:
        assert set(made) == {"0", "2", "4"}
        assert all(mask.shape == (14, 20) and set(np.unique(mask)) <= {0, 2} for mask in made.values())
    assert any((masks[0][name] != free[name]).any() for name in free)


def test_logits_of_another_shard_or_network_are_refused(folder):
    with pytest.raises(TagsegError, match=r"logits-1\.h5: its image ids differ from the index"):
        decide(folder, forward(folder, shard=1))
    logits = forward(folder)
    save_small_segmenter(folder / "network.pth", seed=1)
    with pytest.raises(TagsegError, match=r"logits-0\.h5: not computed with .*network\.pth\. Delete it"):
        decide(folder, logits)
    assert not (folder / "masks").exists()


@pytest.mark.parametrize(("images", "expected"), [("single_class", [0, 1]), ("all", [0, 0])])
def test_proxy_masks_of_a_single_class_or_of_all_images_are_refined(tmp_path, images, expected):
    rows = []
    for name, tags in (("0", ("cat",)), ("1", ("cat", "dog"))):
        Image.new("RGB", (12, 8), "grey").save(tmp_path / f"{name}.png")
        rows.append(ImageRecord(name, str(tmp_path / f"{name}.png"), 12, 8, "train", tags))
    write_index(tmp_path / "index", Index(CLASSES, tuple(rows)))
    dot = np.zeros((8, 12), np.uint8)
    dot[3, 3] = 1  # on a grey image: the CRF_SETTINGS removes it
    write_mask_shard(tmp_path / "masks", [(row.id, dot) for row in rows])
    crf = CRF_SETTINGS | {"iterations": 10, "confidence": 0.7}
    settings = {"crf": crf, "reference_side": None, "longest_side": 1024, "images": images}
    line = ["--index", tmp_path / "index", "--settings", settings, "--shard", 0, "--shards", 1]
    run_script(refine_masks, *line, "--masks", tmp_path / "masks", "--refined", tmp_path / "refined")
    refined = read_mask_shards([tmp_path / "refined"])
    assert [int(refined[row.id].read()[3, 3]) for row in rows] == expected
