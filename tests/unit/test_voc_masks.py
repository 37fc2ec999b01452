"""True masks of a devkit and of SBD, on devkits of a few photographs."""

import io

import numpy as np
import pytest
from scipy.io import savemat

from helpers import write_small_devkit, write_small_sbd, write_zero_mask
from tagseg.datasets.voc import VOC_CLASSES, index_voc, voc_true_masks
from tagseg.errors import TagsegError
from tagseg.images import encode_mask, read_mask
from tagseg.index import Index, Photograph


@pytest.fixture
def devkit(tmp_path):
    return write_small_devkit(tmp_path / "VOCdevkit" / "VOC2012")


@pytest.fixture
def sbd(devkit, tmp_path):
    return write_small_sbd(tmp_path / "sbd", devkit)


def write_mat(folder, name: str, labels: np.ndarray):
    stream = io.BytesIO()
    record = {"Boundaries": np.zeros((20, 1)), "Segmentation": labels, "CategoriesPresent": np.unique(labels)}
    savemat(stream, {"GTcls": record}, do_compression=True)
    (folder / "cls" / f"{name}.mat").write_bytes(stream.getvalue())


def labels_of(*values: int) -> np.ndarray:
    """Return a mask of 12x8 pixels whose first row begins with the values."""
    mask = np.zeros((8, 12), np.uint8)
    mask[0, : len(values)] = values
    return mask


def test_masks_of_the_devkit(devkit, tmp_path):
    index, masks = index_voc(devkit), devkit / "SegmentationClass"
    expected = {name: str(masks / f"{name}.png") for name in ("2007_000032", "2007_000039")}
    assert voc_true_masks(devkit.parent, index, "train", tmp_path / "made") == expected
    assert set(voc_true_masks(devkit, index, "val", tmp_path)) == {"2007_000033", "2007_000042"}
    assert voc_true_masks(devkit, index, "test", tmp_path) == {}
    assert not (tmp_path / "made").exists()


def test_masks_of_sbd_fill_the_gaps(devkit, sbd, tmp_path):
    index = index_voc(devkit, train_list="trainaug", sbd=sbd)
    for name in ("2007_000032", "2008_000001", "2009_000001"):
        write_mat(sbd, name, labels_of(20, 1, 0, 12))
    made = tmp_path / "made"
    masks = voc_true_masks(devkit, index, "train", made, sbd=sbd)
    assert masks["2007_000032"] == str(devkit / "SegmentationClass" / "2007_000032.png")  # not SBD's
    assert masks["2008_000001"] == "png/2008_000001.png"
    assert set(masks) == {"2007_000032", "2007_000039", "2008_000001", "2009_000001"}
    mask = made / masks["2009_000001"]
    np.testing.assert_array_equal(read_mask(mask, 21), labels_of(20, 1, 0, 12))
    assert mask.read_bytes() == encode_mask(labels_of(20, 1, 0, 12))
    assert sorted(path.name for path in (made / "png").iterdir()) == ["2008_000001.png", "2009_000001.png"]


def test_classes_of_sbd_go_by_name(devkit, sbd, tmp_path):
    row = Photograph("2008_000001", "x.jpg", 12, 8, "train", ("dog",))
    index = Index(("background", "zebra", "dog", "aeroplane"), (row,))
    write_mat(sbd, row.id, np.arange(96, dtype=np.uint8).reshape(8, 12) % 21)
    voc_true_masks(devkit, index, "train", tmp_path, sbd=sbd)
    expected = np.full(21, 255)
    expected[[0, 1 + VOC_CLASSES.index("dog"), 1 + VOC_CLASSES.index("aeroplane")]] = (0, 2, 3)
    mask = read_mask(tmp_path / "png" / "2008_000001.png", 4)
    np.testing.assert_array_equal(mask.ravel(), expected[np.arange(96) % 21])


def masks_fail(devkit, message, tmp_path, **options):
    with pytest.raises(TagsegError, match=message) as caught:
        voc_true_masks(devkit, index_voc(devkit), "train", tmp_path, **options)
    return getattr(caught.value, "problems", ())


def test_bad_masks_are_told_at_once(devkit, sbd, tmp_path):
    write_zero_mask(devkit / "SegmentationClass" / "2007_000032.png", width=8, height=12)
    (devkit / "SegmentationClass" / "2007_000039.png").write_bytes(b"GIF89a")
    write_mat(sbd, "2008_000001", labels_of(1)[:4])
    problems = masks_fail(devkit, "3 problems", tmp_path, sbd=sbd)
    assert [problem.place.rsplit("/", 1)[1] for problem in problems] == [
        "2007_000032.png", "2007_000039.png", "2008_000001.mat",
    ]  # fmt: skip
    for problem, text in zip(
        problems, ("8x12 pixels, where", "not a PNG", "12x4 pixels, where"), strict=True
    ):
        assert problem.text.startswith(text)


def test_masks_of_an_sbd_without_masks(devkit, sbd, tmp_path):
    (sbd / "cls").rmdir()
    masks_fail(devkit, "cls: no such folder; unpack SBD again, or set sbd_masks: false", tmp_path, sbd=sbd)


def test_nothing_of_sbd_may_be_a_link_out_of_it(devkit, sbd, tmp_path):
    write_mat(sbd, "2008_000001", labels_of(1))
    (sbd / "cls/2008_000001.mat").rename(tmp_path / "x.mat")
    (sbd / "cls/2008_000001.mat").symlink_to(tmp_path / "x.mat")
    (problem,) = masks_fail(devkit, "1 problem", tmp_path, sbd=sbd)
    assert problem.place.endswith("2008_000001.mat") and "outside the folder; copy" in problem.text
    (sbd / "train.txt").rename(tmp_path / "train.txt")
    (sbd / "train.txt").symlink_to(tmp_path / "train.txt")
    with pytest.raises(TagsegError, match=r"train\.txt: a link to .*, outside the folder; copy the file"):
        index_voc(devkit, train_list="trainaug", sbd=sbd)


def test_a_devkit_that_is_a_link_as_a_whole_is_read(devkit, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/VOC2012").symlink_to(devkit)
    index = index_voc(tmp_path / "elsewhere")
    assert len(index.photographs) == 5
    assert set(voc_true_masks(tmp_path / "elsewhere", index, "val", tmp_path)) == {
        "2007_000033", "2007_000042",
    }  # fmt: skip
