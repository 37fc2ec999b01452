"""Ground truth of anyone's images: which belongs to which, and what is wrong with them."""

from pathlib import Path

import pytest
from PIL import Image

from helpers import write_image, write_labels, write_zero_mask
from tagseg.datasets.folder.reader import index_photos, photos_ground_truth
from tagseg.datasets.problems import DatasetProblems
from tagseg.storage.index import SPLITS, Index


@pytest.fixture
def folder(tmp_path):
    """Images of one stem in two folders, of one with two suffixes, and one more."""
    folder = tmp_path / "my photos"
    for name in ("a/one.jpg", "b/one.jpg", "two.jpg", "two.png", "Große 犬 1.webp"):
        write_image(folder / name)
    write_labels(
        folder, "a/one.jpg,dog,train", "b/one.jpg,dog,val", "two.jpg,dog,train", "two.png,dog,train",
        "Große 犬 1.webp,dog,test",
    )  # fmt: skip
    return folder


def index(folder):
    return index_photos(folder, random_seed=0, val_fraction=0.25)


def ground_truth(folder, split=None, result=None):
    """Return the masks of one split or of all, as paths below SegmentationClass."""
    result = result or index(folder)
    found = {}
    for one in [split] if split else SPLITS:
        found |= photos_ground_truth(folder, result, one, folder / "unused")
    assert not (folder / "unused").exists()
    return {name: str(Path(path).relative_to(folder / "SegmentationClass")) for name, path in found.items()}


def test_masks_by_id_and_by_unique_stem(folder):
    assert ground_truth(folder) == {}
    for name in ("a/one.png", "one.png", "two.png", "two.jpg.png", "Große 犬 1.png"):
        write_zero_mask(folder / "SegmentationClass" / name)
    assert ground_truth(folder) == {  # two images have the stem "one", and two "two"
        "a/one": "a/one.png", "two.jpg": "two.jpg.png", "Große 犬 1": "Große 犬 1.png",
    }  # fmt: skip
    assert ground_truth(folder, "test") == {"Große 犬 1": "Große 犬 1.png"}


def test_stem_is_unique_in_the_whole_index_not_in_its_split(folder):
    write_zero_mask(folder / "SegmentationClass" / "one.png")
    assert ground_truth(folder, "val") == {}
    result = index(folder)
    alone = Index(result.classes, tuple(row for row in result.images if row.id != "a/one"))
    assert ground_truth(folder, "val", alone) == {"b/one": "one.png"}


def test_a_mask_of_another_images_id_is_not_taken(tmp_path):
    for name in ("a.jpg", "a.png", "b/a.jpg.png"):
        write_image(tmp_path / name)
    write_labels(tmp_path, "a.jpg,dog,train", "a.png,dog,train", "b/a.jpg.png,dog,train")
    write_zero_mask(tmp_path / "SegmentationClass" / "a.jpg.png")
    assert ground_truth(tmp_path) == {"a.jpg": "a.jpg.png"}


def test_mask_fits_the_image_after_exif_rotation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    write_image(tmp_path / "a.jpg", width=12, height=8, exif=exif)
    write_zero_mask(tmp_path / "SegmentationClass" / "a.png", width=8, height=12)
    write_labels(tmp_path, "a.jpg,dog,train")
    (row,) = index(tmp_path).images
    assert (row.width, row.height) == (8, 12) and ground_truth(tmp_path) == {"a": "a.png"}


def test_all_bad_masks_are_told(folder, tmp_path):
    masks = folder / "SegmentationClass"
    write_zero_mask(masks / "a" / "one.png", width=5, height=5)
    (masks / "two.jpg.png").write_bytes(b"no PNG")
    (masks / "two.png.png").symlink_to(write_zero_mask(tmp_path / "elsewhere.png"))
    (masks / "Große 犬 1.png").mkdir()
    with pytest.raises(DatasetProblems) as caught:
        ground_truth(folder, "train")
    a, b = caught.value.problems
    assert a == ("SegmentationClass/a/one.png", 0, a.text) and "5x5 pixels, but the image" in a.text
    assert b == ("SegmentationClass/two.jpg.png", 0, b.text) and "not a readable PNG" in b.text
    with pytest.raises(DatasetProblems, match="1 problem\n.*Große 犬 1.png: not a file"):
        ground_truth(folder, "test")
