"""SBD's lists and masks."""

import numpy as np
import pytest

from helpers import write_sbd
from mini_voc import mat
from tagseg.datasets.voc.sbd import MAX_MAT_BYTES, find_sbd, read_sbd_ids, read_sbd_mask, sbd_masks
from tagseg.runtime.errors import TagsegError


def random_labels(seed: int, height: int = 9, width: int = 13) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 21, (height, width), dtype=np.uint8)


@pytest.mark.parametrize("compressed", [True, False])
def test_a_mask(tmp_path, compressed):
    path, labels = tmp_path / "a.mat", random_labels(3)
    labels[0, 0] = 255
    path.write_bytes(mat(labels, compressed))
    np.testing.assert_array_equal(read_sbd_mask(path, 13, 9), labels)


@pytest.mark.parametrize(("content", "message"), [
    (b"", r"not a mask of SBD \("),
    (b"no mask", r"not a mask of SBD \(.*\). Restore it from the folder cls"),
    (b"\x89HDF\r\n\x1a\n" + bytes(200), r"not a mask of SBD \("),
    (mat(random_labels(0))[:-40], r"not a mask of SBD \("),
    (mat(random_labels(0)).replace(b"\x78\x9c", b"\x78\x00"), r"not a mask of SBD \("),
    (mat(random_labels(0), names=("GTinst", "Segmentation")), r"not a mask of SBD \('GTcls'\)"),
    (mat(random_labels(0), names=("GTcls", "Other")), r"not a mask of SBD \(.*Segmentation"),
    (mat(random_labels(0).astype(float)), "Segmentation is float64, not uint8"),
    (mat(random_labels(0, 13, 9)), "9x13 pixels, but the image has 13x9"),
    (mat(np.zeros((9, 13, 2), np.uint8)), "2x13x9 pixels"),
    (mat(np.zeros((0, 0), np.uint8)), "0x0 pixels"),
    (mat(np.full((9, 13), 21, np.uint8)), "label 21, but SBD's labels end at 20"),
    (bytes(MAX_MAT_BYTES + 1), "more than 1,000,000 bytes"),
])  # fmt: skip
def test_bad_masks(tmp_path, content, message):
    path = tmp_path / "2008_000003.mat"
    path.write_bytes(content)
    with pytest.raises(TagsegError, match=rf"2008_000003\.mat: .*{message}"):
        read_sbd_mask(path, 13, 9)


def test_both_lists_give_each_id_once(tmp_path):
    folder = write_sbd(tmp_path / "sbd", "a \r\n\r\nb\r\nb\n", "\ufeffc  \nb\n../d\n")
    problems = []
    assert read_sbd_ids(folder, problems) == {
        "a": (folder / "train.txt", 1), "b": (folder / "train.txt", 3), "c": (folder / "val.txt", 1),
    }  # fmt: skip
    first, second = problems
    assert first[:2] == (str(folder / "train.txt"), 4) and "'b' is already in line 3" in first.text
    assert second[:2] == (str(folder / "val.txt"), 3) and "'../d' is not an id" in second.text


def test_the_folder_is_found_from_above(tmp_path):
    with pytest.raises(TagsegError, match=r"not a folder of SBD. Unpack benchmark\.tgz there"):
        find_sbd(tmp_path)
    with pytest.raises(TagsegError, match="cls: no such folder. Unpack SBD again, or set dataset.sbd_masks: false"):
        sbd_masks(tmp_path)
    for root, place in (("a", "."), ("b", "dataset"), ("c", "benchmark_RELEASE/dataset")):
        assert write_sbd(tmp_path / root / place / ".", "", "") == find_sbd(tmp_path / root)
