"""The archive for the test server, read back with tarfile and Pillow."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from tagseg.datasets.voc.devkit import VOC_CLASSES
from tagseg.datasets.voc.submission import pack_submission
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import voc_palette
from tagseg.storage.index import ImageRecord, Index
from tagseg.storage.mask_shards import read_mask_shards, write_mask_shard

CLASSES = ("background", *VOC_CLASSES)
SIZES = {"2008_000006": (9, 5), "2007_000033": (12, 8), "2010_000003": (7, 11)}
ZERO = np.zeros((2, 2), np.uint8)


def make_index(split="test", sizes=SIZES) -> Index:
    rows = [ImageRecord(name, f"{name}.jpg", *size, split, ()) for name, size in sorted(sizes.items())]
    rows.append(ImageRecord("2009_999999", "t.jpg", 3, 3, "train", ("cat",)))
    return Index(CLASSES, tuple(rows))


@pytest.fixture
def masks():
    rng = np.random.default_rng(1)
    return {name: rng.integers(0, 21, size[::-1], dtype=np.uint8) for name, size in SIZES.items()}


def pack(folder, masks, index=None, split="test", competition="comp6"):
    path, shards, pairs = (folder / "deep" / "a.tgz", (folder / "shard-0", folder / "shard-1"), list(masks.items()))
    for number, shard in enumerate(shards):
        write_mask_shard(shard, pairs[number::2])
    pack_submission(path, index or make_index(), split, competition, read_mask_shards(shards))
    return path


@pytest.mark.parametrize("split, competition", [("test", "comp6"), ("val", "comp5")])
def test_members_are_the_masks_and_nothing_else(tmp_path, masks, split, competition):
    path = pack(tmp_path, masks, make_index(split), split, competition)
    with tarfile.open(path, "r:gz") as archive:
        members = archive.getmembers()
        folder = f"results/VOC2012/Segmentation/{competition}_{split}_cls"
        assert [member.name for member in members] == [f"{folder}/{name}.png" for name in sorted(SIZES)]
        for member, name in zip(members, sorted(SIZES), strict=True):
            assert member.isreg() and member.mode == 0o644 and member.mtime == 0
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            with Image.open(io.BytesIO(archive.extractfile(member).read())) as image:
                assert (image.format, image.mode, image.size) == ("PNG", "P", SIZES[name])
                assert image.getpalette() == voc_palette().ravel().tolist()
                np.testing.assert_array_equal(np.array(image), masks[name])
    again = pack(tmp_path / "again", dict(reversed(masks.items())), make_index(split), split, competition)
    assert path.read_bytes() == again.read_bytes()
    assert path.read_bytes()[3:8] == bytes(5), "the header names a file or a time"


@pytest.mark.parametrize(("change", "message"), [
    (lambda masks: masks.pop("2010_000003"), r"1 images of test have no prediction \('2010_000003'\)"),
    (lambda masks: masks.update(dict.fromkeys("abcdefg", ZERO)), r"7 predictions belong to no image .*\.\.\."),
    (lambda masks: masks["2007_000033"].fill(21), r"2007_000033\.png: label 21, but a prediction has 0 to 20"),
    (lambda masks: masks["2007_000033"].fill(255), r"2007_000033\.png: label 255, but"),
    (lambda masks: masks.update({"2007_000033": ZERO}), r"2x2 pixels, but the image has 12x8"),
])  # fmt: skip
def test_masks_that_the_server_would_refuse(tmp_path, masks, change, message):
    change(masks)
    with pytest.raises(TagsegError, match=message):
        pack(tmp_path, masks)
    assert not (tmp_path / "deep" / "a.tgz").exists()


@pytest.mark.parametrize("name", ["a/b", ".hidden", "-r", " a", "a\nb", "a\\b"])
def test_ids_that_are_not_file_names_and_an_empty_split(tmp_path, name):
    with pytest.raises(TagsegError, match="not plain file names, as the test server requires"):
        pack(tmp_path, {name: ZERO}, make_index(sizes={name: (2, 2)}))
    with pytest.raises(TagsegError, match="no image. Set dataset.test_list and dataset.test_root"):
        pack(tmp_path / "empty", {}, make_index("val"))
