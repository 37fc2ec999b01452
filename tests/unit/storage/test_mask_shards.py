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
    return {name: rng.choice([0, 1, 20, 255], size=(7 + number, 9)).astype(np.uint8) for number, name in enumerate(IDS)}


def edit_manifest(folder, edit):
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(edit(content)))


def test_round_trip_is_exact(tmp_path, masks):
    assert write_mask_shard(tmp_path / "s", masks.items()) == 4
    read = read_mask_shards([tmp_path / "s"])
    assert tuple(read) == IDS
    for name, mask in masks.items():
        assert (read[name].height, read[name].width) == mask.shape
        assert read[name].read().dtype == np.uint8
        np.testing.assert_array_equal(read[name].read(), mask)


def test_manifest_counts_the_pixels_of_each_label(tmp_path, masks):
    write_mask_shard(tmp_path / "s", masks.items())
    for row in json.loads((tmp_path / "s" / MANIFEST).read_text())["masks"]:
        expected = {str(v): int((masks[row["id"]] == v).sum()) for v in (0, 1, 20, 255)}
        assert row["pixels"] == {label: count for label, count in expected.items() if count}
        assert row["sha256"] == hashlib.sha256((tmp_path / "s" / f"{row['id']}.png").read_bytes()).hexdigest()


def test_several_shards_make_one_mapping(tmp_path, masks):
    pairs = list(masks.items())
    write_mask_shard(tmp_path / "s0", pairs[::2])
    write_mask_shard(tmp_path / "s1", pairs[1::2])
    write_mask_shard(tmp_path / "s2", [])
    read = read_mask_shards([tmp_path / f"s{number}" for number in range(3)])
    assert {name: file.read().tolist() for name, file in read.items()} == {
        name: mask.tolist() for name, mask in masks.items()
    }


def test_vanished_mask_is_named_with_a_remedy(tmp_path, masks):
    write_mask_shard(tmp_path / "s", masks.items())
    file = read_mask_shards([tmp_path / "s"])["deep/er/a b"]
    file.path.unlink()
    with pytest.raises(TagsegError, match=rf"a b\.png: missing. Delete the folder {tmp_path}/s and run again"):
        file.read()


def test_altered_mask_is_named(tmp_path, masks):
    write_mask_shard(tmp_path / "s", masks.items())
    file = read_mask_shards([tmp_path / "s"])["2007_000032"]
    other = masks["2007_000032"].copy()
    other[0, 0] = 7
    file.path.write_bytes(encode_mask(other))
    with pytest.raises(TagsegError, match=r"2007_000032\.png: changed since .*and run again"):
        file.read()


def test_missing_manifest_is_named(tmp_path, masks):
    write_mask_shard(tmp_path / "s", masks.items())
    (tmp_path / "s" / MANIFEST).unlink()
    with pytest.raises(TagsegError, match=r"s/manifest\.json: no such file"):
        read_mask_shards([tmp_path / "s"])


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content["masks"],
        lambda content: {"mask": content["masks"]},
        lambda content: {"masks": [{"id": "a"}]},
        lambda content: {"masks": [{**content["masks"][0], "id": 7}]},
    ],
)
def test_malformed_manifest_is_named(tmp_path, masks, edit):
    write_mask_shard(tmp_path / "s", masks.items())
    edit_manifest(tmp_path / "s", edit)
    with pytest.raises(TagsegError, match=r"s/manifest\.json: not a manifest. Delete"):
        read_mask_shards([tmp_path / "s"])


def test_id_in_two_shards_is_an_error(tmp_path, masks):
    pairs = list(masks.items())
    write_mask_shard(tmp_path / "s0", pairs[:2])
    write_mask_shard(tmp_path / "s1", pairs[1:])
    with pytest.raises(TagsegError, match=r"s1: deep/er/a b is also in .*s0/deep/er/a b\.png"):
        read_mask_shards([tmp_path / "s0", tmp_path / "s1"])


def test_shards_of_two_origins_are_an_error_even_if_one_is_empty(tmp_path, masks):
    write_mask_shard(tmp_path / "s0", masks.items(), "5eed")
    write_mask_shard(tmp_path / "s1", [], "d1e5")
    message = r"s1: from another network or from other patterns than .*s0. Delete both and run again"
    with pytest.raises(TagsegError, match=message):
        read_mask_shards([tmp_path / "s0", tmp_path / "s1"])


@pytest.mark.parametrize("name", ["../outside", "{tmp}/outside"])
def test_manifest_does_not_lead_out_of_its_shard(tmp_path, masks, name):
    mask = masks["2007_000032"]
    (tmp_path / "outside.png").write_bytes(encode_mask(mask))
    write_mask_shard(tmp_path / "s", [("inside", mask)])
    row_id = name.format(tmp=tmp_path)
    edit_manifest(tmp_path / "s", lambda content: {"masks": [{**content["masks"][0], "id": row_id}]})
    with pytest.raises(TagsegError, match="leads out of the folder"):
        read_mask_shards([tmp_path / "s"])


@pytest.mark.parametrize("name", ["../outside", "{tmp}/outside"])
def test_masks_are_not_written_outside_their_shard(tmp_path, masks, name):
    with pytest.raises(TagsegError, match="s: the id .*outside' leads out of the folder"):
        write_mask_shard(tmp_path / "s", [(name.format(tmp=tmp_path), masks["2007_000032"])])
    assert not list(tmp_path.iterdir())


def test_failure_midway_keeps_the_old_shard(tmp_path, masks):
    def broken():
        yield "a", masks["2007_000032"]
        raise RuntimeError

    write_mask_shard(tmp_path / "s", masks.items())
    with pytest.raises(RuntimeError):
        write_mask_shard(tmp_path / "s", broken())
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert all(file.read().size for file in read_mask_shards([tmp_path / "s"]).values())
