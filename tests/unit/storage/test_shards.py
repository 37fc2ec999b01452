"""Shards of feature maps and of CAMs: exact round trips, and damage is an error that names the file."""

import h5py
import numpy as np
import pytest

from shards import IDS, random_maps, write_shard
from tagseg.runtime.errors import TagsegError
from tagseg.storage.cam_shards import cam_provenance, fraction_of_maximum, read_cam, write_cam
from tagseg.storage.feature_shards import MapShard, View, single_of_half, write_maps

NOT_OURS = r"a\.h5: not a file of tagseg, or damaged .*\. Delete it and run again\."


@pytest.fixture
def maps():
    return random_maps()


def read_all(path):
    with MapShard(path) as shard:
        return [shard.maps(position) for position in range(len(shard))]


def test_maps_round_trip_exactly_in_float16(tmp_path, maps):
    smaller = maps[:, :, :2, :3]
    with write_maps(tmp_path / "a.h5", IDS, "blocks.5.0", "5eed") as writer:
        writer.write(View(8), 0, maps[:2])
        writer.write(View(4, mirrored=True), 0, smaller)
        writer.write(View(8), 2, maps[2:])
    with MapShard(tmp_path / "a.h5") as shard:
        assert (shard.ids, shard.node, shard.origin, len(shard)) == (IDS, "blocks.5.0", "5eed", 3)
        assert shard.views == ("4-mirrored", "8")
        for position in range(3):
            read = shard.maps(position)
            assert read["8"].dtype == np.float32
            np.testing.assert_array_equal(read["8"], maps[position].astype(np.float16))
            np.testing.assert_array_equal(read["4-mirrored"], smaller[position].astype(np.float16))


def test_every_finite_float16_becomes_its_float32():
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = values[np.isfinite(values)]
    found = single_of_half(finite)
    np.testing.assert_array_equal(found.view(np.uint32), finite.astype(np.float32).view(np.uint32))  # with -0


def test_maps_in_8_bits_are_within_half_a_step_of_their_channel(tmp_path, maps):
    maps[1, 0] = 3.25  # does not vary
    maps[:, 1] *= 100
    with write_maps(tmp_path / "a.h5", IDS, bits=8) as writer:
        writer.write(View(8), 0, maps[:2])
        writer.write(View(8), 2, maps[2:])
    for expected, read in zip(maps, read_all(tmp_path / "a.h5"), strict=True):
        assert list(read) == ["8"] and read["8"].dtype == np.float32
        for channel, found in zip(expected, read["8"], strict=True):
            half = (channel.max() - channel.min()) / 255 / 2
            np.testing.assert_allclose(found, channel, rtol=1e-6, atol=1.01 * half)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.create_dataset("ranges/16", (3, 2, 4), np.float32, chunks=(1, 2, 4))
    with pytest.raises(TagsegError, match=NOT_OURS):
        MapShard(tmp_path / "a.h5")


@pytest.mark.parametrize("value", [np.inf, np.nan, -7e4])
def test_a_value_beyond_float16_or_a_failure_midway_keeps_the_old_shard(tmp_path, maps, value):
    write_shard(tmp_path / "a.h5", maps)
    before = (tmp_path / "a.h5").read_bytes()
    with pytest.raises(RuntimeError), write_maps(tmp_path / "a.h5", ["other"]) as writer:
        writer.write(View(8), 0, maps[:1])
        raise RuntimeError
    wrong = maps.copy()
    wrong[1, 2, 3, 4] = value
    with pytest.raises(TagsegError, match="maps of 2007_000032: not finite or too large for float16"):
        write_shard(tmp_path / "a.h5", wrong)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    assert (tmp_path / "a.h5").read_bytes() == before


def test_shards_without_images_are_empty(tmp_path):
    with write_maps(tmp_path / "a.h5", []):
        pass
    write_cam(tmp_path / "cam.h5", [])
    assert read_all(tmp_path / "a.h5") == [] and read_cam(tmp_path / "cam.h5") == {}


def damage(path, maps, kind):
    """Damage a shard in the way that its kind says."""
    content = bytearray(path.read_bytes())
    with h5py.File(path, "r+") as file:
        shape, chunk = file["8"].shape, file["8"].id.get_chunk_info(1)
        if kind == "a chunk missing":  # HDF5 would return zeros for it
            file.create_dataset("16", shape, np.float16, chunks=(1, *shape[1:]))[0] = maps[0]
        if kind == "no node":
            del file.attrs["node"]
    if kind == "truncated":
        path.write_bytes(content[:700])
    if kind == "a changed chunk":
        content[chunk.byte_offset + chunk.size - 6] ^= 1
        path.write_bytes(content)
    if kind == "no maps":
        with write_maps(path, IDS):
            pass


@pytest.mark.parametrize("kind", ["no maps", "no node", "a chunk missing", "truncated", "a changed chunk"])
def test_a_damaged_shard_is_named(tmp_path, maps, kind):
    write_shard(tmp_path / "a.h5", maps)
    damage(tmp_path / "a.h5", maps, kind)
    with pytest.raises(TagsegError, match=NOT_OURS):
        read_all(tmp_path / "a.h5")


def test_a_missing_shard_is_named(tmp_path):
    for read in (MapShard, read_cam, cam_provenance):
        with pytest.raises(TagsegError, match=NOT_OURS):
            read(tmp_path / "a.h5")


def test_cams_round_trip_exactly(tmp_path, maps):
    triples = [("a b", 3, maps[0, 0]), ("Größe/1", 1, maps[0, 1]), ("a b", 20, maps[0, 2])]
    write_cam(tmp_path / "cam.h5", iter(triples), "5eed")
    read = read_cam(tmp_path / "cam.h5")
    assert {name: set(of_class) for name, of_class in read.items()} == {"a b": {3, 20}, "Größe/1": {1}}
    for name, class_index, cam in triples:
        np.testing.assert_array_equal(read[name][class_index], cam)
    assert cam_provenance(tmp_path / "cam.h5") == "5eed"


def test_the_fraction_of_the_maximum():
    cam = np.array([[4.0, -8.0], [0.0, 1.0]], np.float32)
    assert fraction_of_maximum(cam).tolist() == [[1, 0], [0, 0.25]] and cam[0, 1] == -8
    assert not any(fraction_of_maximum(np.full((2, 3), value, np.float32)).any() for value in (0.0, -3.0))
