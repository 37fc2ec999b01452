"""Shards of masks: exact round trips, and every loss or change since then noticed."""

import hashlib
import json

import numpy as np
import pytest

from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import encode_mask
from tagseg.storage.mask_shards import MANIFEST, read_mask_shards, write_mask_shard

IDS = ("2007_000032", "deep/er/a b", "Größe 木", "dotted.name")


@pytest.fixture
def masks():
    rng = np.random.default_rng(2)
    labels = np.array([0, 1, 20, 255], np.uint8)
    return {name: rng.choice(labels, size=(7 + number, 9)) for number, name in enumerate(IDS)}


def test_round_trip_of_several_shards_is_exact(tmp_path, masks):
    pairs = list(masks.items())
    counts = [write_mask_shard(tmp_path / f"s{number}", pairs[number::3]) for number in range(2)]
    assert counts == [2, 1] and write_mask_shard(tmp_path / "s2", []) == 0
    write_mask_shard(tmp_path / "s3", pairs[2::3])
    read = read_mask_shards([tmp_path / f"s{number}" for number in range(4)])
    assert set(read) == set(IDS)
    for name, mask in masks.items():
        assert (read[name].height, read[name].width) == mask.shape and read[name].read().dtype == np.uint8
        np.testing.assert_array_equal(read[name].read(), mask)


def test_manifest_counts_the_pixels_of_each_label(tmp_path, masks):
    write_mask_shard(tmp_path / "s", masks.items())
    for row in json.loads((tmp_path / "s" / MANIFEST).read_text())["masks"]:
        expected = {str(v): int((masks[row["id"]] == v).sum()) for v in (0, 1, 20, 255)}
        assert row["pixels"] == {label: count for label, count in expected.items() if count}
        assert row["sha256"] == hashlib.sha256((tmp_path / "s" / f"{row['id']}.png").read_bytes()).hexdigest()


def test_vanished_and_altered_masks_are_named_with_a_remedy(tmp_path, masks):
    write_mask_shard(tmp_path / "s", masks.items())
    read = read_mask_shards([tmp_path / "s"])
    read["deep/er/a b"].path.unlink()
    message = rf"a b\.png: missing. Delete the folder {tmp_path}/s and run again"
    with pytest.raises(TagsegError, match=message):
        read["deep/er/a b"].read()
    other = masks["2007_000032"].copy()
    other[0, 0] = 7
    read["2007_000032"].path.write_bytes(encode_mask(other))
    with pytest.raises(TagsegError, match=r"2007_000032\.png: changed since .*and run again"):
        read["2007_000032"].read()


@pytest.mark.parametrize(("edit", "message"), [
    (lambda content: content["masks"], "not a manifest. Delete"),
    (lambda content: {"mask": content["masks"]}, "not a manifest. Delete"),
    (lambda content: {"masks": [{"id": "a"}]}, "not a manifest. Delete"),
    (lambda content: {"masks": [{**content["masks"][0], "id": 7}]}, "not a manifest. Delete"),
    (lambda content: {"masks": [{**content["masks"][0], "id": "../outside"}]}, "is a path outside this folder"),
    (lambda content: {"masks": [{**content["masks"][0], "id": "/tmp/outside"}]}, "is a path outside this folder"),
    (None, "no such file"),
])  # fmt: skip
def test_malformed_manifest_is_named(tmp_path, masks, edit, message):
    write_mask_shard(tmp_path / "s", masks.items())
    manifest = tmp_path / "s" / MANIFEST
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(edit(content))) if edit else manifest.unlink()
    with pytest.raises(TagsegError, match=rf"/s(/manifest\.json)?: .*{message}"):
        read_mask_shards([tmp_path / "s"])
    for name in ("../outside", f"{tmp_path}/outside"):  # nor are masks written there
        with pytest.raises(TagsegError, match="new: the id .*outside' is a path outside this folder"):
            write_mask_shard(tmp_path / "new", [(name, masks["2007_000032"])])
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_shards_of_one_id_or_of_two_origins_even_if_one_is_empty_are_refused(tmp_path, masks):
    pairs = list(masks.items())
    write_mask_shard(tmp_path / "s0", pairs[:2], "5eed")
    write_mask_shard(tmp_path / "s1", pairs[1:], "5eed")
    with pytest.raises(TagsegError, match=r"s1: deep/er/a b is also in .*s0/deep/er/a b\.png"):
        read_mask_shards([tmp_path / "s0", tmp_path / "s1"])
    write_mask_shard(tmp_path / "s1", [], "d1e5")
    message = r"s1: from another network or from other patterns than .*s0. Delete both and run again"
    with pytest.raises(TagsegError, match=message):
        read_mask_shards([tmp_path / "s0", tmp_path / "s1"])
