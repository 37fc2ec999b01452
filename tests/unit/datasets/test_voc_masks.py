"""Ground truth of a devkit and of SBD, on devkits of a few images."""

import numpy as np
import pytest

from helpers import write_small_devkit, write_small_sbd, write_zero_mask
from mini_voc import mat
from tagseg.datasets.voc.devkit import VOC_CLASSES, index_voc, voc_ground_truth
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import encode_mask, read_mask
from tagseg.storage.index import ImageRecord, Index


@pytest.fixture
def devkit(tmp_path):
    return write_small_devkit(tmp_path / "VOCdevkit" / "VOC2012")


@pytest.fixture
def sbd(devkit, tmp_path):
    return write_small_sbd(tmp_path / "sbd", devkit)


def write_mat(sbd, name: str, labels: np.ndarray):
    (sbd / "cls" / f"{name}.mat").write_bytes(mat(labels))


def labels_of(*values: int) -> np.ndarray:
    """Return a mask of 12x8 pixels whose first row begins with the values."""
    mask = np.zeros((8, 12), np.uint8)
    mask[0, : len(values)] = values
    return mask


def test_masks_of_the_devkit(devkit, tmp_path):
    index, masks = index_voc(devkit), devkit / "SegmentationClass"
    expected = {name: str(masks / f"{name}.png") for name in ("2007_000032", "2007_000039")}
    assert voc_ground_truth(devkit.parent, index, "train", tmp_path / "made") == expected
    assert set(voc_ground_truth(devkit, index, "val", tmp_path)) == {"2007_000033", "2007_000042"}
    assert voc_ground_truth(devkit, index, "test", tmp_path) == {}
    assert not (tmp_path / "made").exists()


def test_masks_of_sbd_fill_the_gaps(devkit, sbd, tmp_path):
    index = index_voc(devkit, train_list="trainaug", sbd=sbd)
    for name in ("2007_000032", "2008_000001", "2009_000001"):
        write_mat(sbd, name, labels_of(20, 1, 0, 12))
    made = tmp_path / "made"
    masks = voc_ground_truth(devkit, index, "train", made, sbd=sbd)
    assert masks["2007_000032"] == str(devkit / "SegmentationClass" / "2007_000032.png")  # not SBD's
    assert masks["2008_000001"] == "png/2008_000001.png"
    assert set(masks) == {"2007_000032", "2007_000039", "2008_000001", "2009_000001"}
    assert (made / masks["2009_000001"]).read_bytes() == encode_mask(labels_of(20, 1, 0, 12))
    assert sorted(path.name for path in (made / "png").iterdir()) == ["2008_000001.png", "2009_000001.png"]


def test_labels_of_sbd_are_mapped_by_class_name(devkit, sbd, tmp_path):
    row = ImageRecord("2008_000001", "x.jpg", 12, 8, "train", ("dog",))
    index = Index(("background", "zebra", "dog", "aeroplane"), (row,))
    write_mat(sbd, row.id, np.arange(96, dtype=np.uint8).reshape(8, 12) % 21)
    voc_ground_truth(devkit, index, "train", tmp_path, sbd=sbd)
    expected = np.full(21, 255)
    expected[[0, 1 + VOC_CLASSES.index("dog"), 1 + VOC_CLASSES.index("aeroplane")]] = (0, 2, 3)
    mask = read_mask(tmp_path / "png" / "2008_000001.png", 4)
    np.testing.assert_array_equal(mask.ravel(), expected[np.arange(96) % 21])


def test_bad_masks_are_reported_together(devkit, sbd, tmp_path):
    write_zero_mask(devkit / "SegmentationClass" / "2007_000032.png", width=8, height=12)
    (devkit / "SegmentationClass" / "2007_000039.png").write_bytes(b"GIF89a")
    write_mat(sbd, "2008_000001", labels_of(1)[:4])
    with pytest.raises(TagsegError, match="3 problems") as caught:
        voc_ground_truth(devkit, index_voc(devkit), "train", tmp_path, sbd=sbd)
    found = [(problem.path.rsplit("/", 1)[1], problem.text[:8]) for problem in caught.value.problems]
    assert found == [
        ("2007_000032.png", "8x12 pix"), ("2007_000039.png", "not a re"), ("2008_000001.mat", "12x4 pix"),
    ]  # fmt: skip
