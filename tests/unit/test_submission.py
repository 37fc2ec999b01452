"""The archive for the test server, read back with tarfile and Pillow."""

import hashlib
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from tagseg.datasets.voc import VOC_CLASSES
from tagseg.errors import TagsegError
from tagseg.index import Index, Photograph
from tagseg.mask_shards import MaskFile, read_mask_shards, write_mask_shard
from tagseg.submission import pack_submission

CLASSES = ("background", *VOC_CLASSES)
SIZES = {"2008_000006": (9, 5), "2007_000033": (12, 8), "2010_000003": (7, 11)}
FOLDER = "results/VOC2012/Segmentation"


def make_index(split="test", sizes=SIZES) -> Index:
    rows = [Photograph(name, f"{name}.jpg", *size, split, ()) for name, size in sorted(sizes.items())]
    rows.append(Photograph("2009_999999", "t.jpg", 3, 3, "train", ("cat",)))
    return Index(CLASSES, tuple(rows))


@pytest.fixture
def masks():
    rng = np.random.default_rng(1)
    return {
        name: rng.integers(0, 21, (height, width), dtype=np.uint8) for name, (width, height) in SIZES.items()
    }


def write_shards(folder, masks, shards=2):
    pairs = list(masks.items())
    folders = [folder / f"shard-{number}" for number in range(shards)]
    for number, shard in enumerate(folders):
        write_mask_shard(shard, pairs[number::shards])
    return read_mask_shards(folders)


def pack(folder, masks, index=None, split="test", competition="comp6"):
    path = folder / "deep" / "a.tgz"
    pack_submission(path, index or make_index(), split, competition, write_shards(folder, masks))
    return path


def own_palette() -> list[int]:
    """VOC's colour map by its definition, a bit at a time."""
    colours = []
    for label in range(256):
        rgb = [0, 0, 0]
        for place in range(8):
            for channel in range(3):
                rgb[channel] |= ((label >> (3 * place + channel)) & 1) << (7 - place)
        colours += rgb
    return colours


@pytest.mark.parametrize("split, competition", [("test", "comp6"), ("val", "comp5")])
def test_members_are_the_masks_and_nothing_else(tmp_path, masks, split, competition):
    path = pack(tmp_path, masks, make_index(split), split, competition)
    with tarfile.open(path, "r:gz") as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == [
            f"{FOLDER}/{competition}_{split}_cls/{name}.png" for name in sorted(SIZES)
        ]
        for member, name in zip(members, sorted(SIZES), strict=True):
            assert member.isreg() and member.mode == 0o644 and member.mtime == 0
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            with Image.open(io.BytesIO(archive.extractfile(member).read())) as image:
                assert (image.format, image.mode, image.size) == ("PNG", "P", SIZES[name])
                assert image.getpalette() == own_palette()
                np.testing.assert_array_equal(np.array(image), masks[name])


def test_the_same_masks_give_the_same_bytes(tmp_path, masks):
    first = pack(tmp_path / "one", masks)
    second = pack(tmp_path / "two", dict(reversed(masks.items())))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes()[3:8] == bytes(5), "the header names a file or a time"


def test_grey_masks_become_palette_images(tmp_path, masks):
    files = {}
    for name, mask in masks.items():
        path = tmp_path / f"{name}.png"
        Image.fromarray(mask).save(path)
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        files[name] = MaskFile(name, path, *mask.shape, sha)
    pack_submission(tmp_path / "a.tgz", make_index(), "test", "comp6", files)
    with tarfile.open(tmp_path / "a.tgz") as archive:
        for member in archive:
            with Image.open(archive.extractfile(member)) as image:
                assert image.mode == "P"


def refused(tmp_path, masks, message, **options):
    with pytest.raises(TagsegError, match=message):
        pack(tmp_path, masks, **options)
    assert not (tmp_path / "deep" / "a.tgz").exists()


def test_a_missing_prediction_is_told(tmp_path, masks):
    del masks["2010_000003"]
    refused(tmp_path, masks, r"1 photographs of test have no prediction \('2010_000003'\)")


def test_a_prediction_too_many_is_told(tmp_path, masks):
    masks |= {f"more{number}": np.zeros((2, 2), np.uint8) for number in range(7)}
    refused(tmp_path, masks, r"7 predictions are of no photograph of test \('more0', .*'more4', \.\.\.\)")


@pytest.mark.parametrize("label", [21, 254, 255])
def test_labels_that_are_no_class_are_told(tmp_path, masks, label):
    masks["2007_000033"][0, 0] = label
    refused(tmp_path, masks, rf"2007_000033\.png: label {label}, where a prediction has 0 to 20")


def test_another_size_is_told(tmp_path, masks):
    masks["2007_000033"] = masks["2007_000033"].T
    refused(tmp_path, masks, r"2007_000033\.png: 8x12 pixels, where the photograph has 12x8")


def test_colours_instead_of_labels_are_told(tmp_path, masks):
    files = write_shards(tmp_path, masks)
    path = tmp_path / "rgb.png"
    Image.new("RGB", (12, 8)).save(path)
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    files["2007_000033"] = MaskFile("2007_000033", path, 8, 12, sha)
    with pytest.raises(TagsegError, match=r"rgb\.png: mode RGB, where a mask has one label a pixel"):
        pack_submission(tmp_path / "a.tgz", make_index(), "test", "comp6", files)
    assert not (tmp_path / "a.tgz").exists()


@pytest.mark.parametrize("name", ["a/b", ".hidden", "-r", " a", "a\nb", "a\\b"])
def test_ids_that_are_no_file_names_are_told(tmp_path, name):
    masks = {name: np.zeros((2, 2), np.uint8)}
    index = make_index(sizes={name: (2, 2)})
    refused(tmp_path, masks, "not a plain file name, as the test server wants it", index=index)


def test_an_empty_split_is_told_with_what_to_set(tmp_path):
    message = "no photograph in test: set dataset.test_list and dataset.test_root"
    refused(tmp_path, {}, message, index=make_index("val"))
    refused(tmp_path, {}, "no photograph in val$", index=make_index("test"), split="val")
