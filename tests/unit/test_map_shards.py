"""Shards of feature maps: exact round trips, and damage that is noticed."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from shards import IDS, random_maps, write_shard
from tagseg.errors import TagsegError
from tagseg.map_shards import MapShard, View, views, write_maps


@pytest.fixture
def maps():
    return random_maps()


def test_views_are_every_size_and_its_mirror():
    assert [view.name for view in views((241, 328), flip=True)] == [
        "241",
        "241-mirrored",
        "328",
        "328-mirrored",
    ]
    assert views((241, 328), flip=False) == (View(241), View(328))


def test_round_trip_is_exact_in_float16(tmp_path, maps):
    smaller = maps[:, :, :2, :3]
    with write_maps(tmp_path / "a.h5", IDS) as writer:
        writer.write(View(8), 0, maps[:2])
        writer.write(View(4, mirrored=True), 0, smaller)
        writer.write(View(8), 2, maps[2:])
    with MapShard(tmp_path / "a.h5") as shard:
        assert shard.ids == IDS
        assert len(shard) == 3
        for position in range(3):
            read = shard.maps(position)
            assert read["8"].dtype == np.float16
            np.testing.assert_array_equal(read["8"], maps[position].astype(np.float16))
            np.testing.assert_array_equal(read["4-mirrored"], smaller[position].astype(np.float16))


@pytest.mark.parametrize("node", ["", "blocks.5.0", "layer4.0"])
def test_node_and_origin_are_kept(tmp_path, maps, node):
    with write_maps(tmp_path / "a.h5", IDS, node, "5eed") as writer:
        writer.write(View(8), 0, maps)
    with MapShard(tmp_path / "a.h5") as shard:
        assert (shard.node, shard.origin, shard.views) == (node, "5eed", ("8",))
        assert isinstance(shard.node, str)


@pytest.mark.parametrize("name", ["node", "origin"])
def test_shard_that_does_not_tell_its_node_or_origin_is_refused(tmp_path, maps, name):
    write_shard(tmp_path / "a.h5", maps)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file.attrs[name]
    with pytest.raises(TagsegError, match=r"a\.h5: not a shard of feature maps .*run again"):
        MapShard(tmp_path / "a.h5")


def test_closed_shard_lets_its_file_go(tmp_path, maps):
    write_shard(tmp_path / "a.h5", maps)
    shard = MapShard(tmp_path / "a.h5")
    assert open_handles(tmp_path / "a.h5") == 1
    shard.close()
    shard.close()
    assert open_handles(tmp_path / "a.h5") == 0


def open_handles(path):
    """Return how many handles this process has on a file (Linux)."""
    return sum(link.resolve() == path.resolve() for link in Path("/proc/self/fd").iterdir())


def test_views_come_in_one_order_however_they_were_written(tmp_path, maps):
    names = []
    for file, sizes in (("a.h5", (8, 4, 16)), ("b.h5", (16, 8, 4))):
        with write_maps(tmp_path / file, IDS) as writer:
            for size in sizes:
                writer.write(View(size), 0, maps)
        with MapShard(tmp_path / file) as shard:
            assert shard.views == tuple(shard.maps(0))
            names.append(shard.views)
    assert names[0] == names[1] == ("16", "4", "8")


def test_largest_float16_is_still_written(tmp_path, maps):
    maps[0, 0, 0, 0] = -65504
    write_shard(tmp_path / "a.h5", maps)
    with MapShard(tmp_path / "a.h5") as shard:
        assert shard.maps(0)["8"][0, 0, 0] == -65504


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 65520.0, -7e4])
def test_values_beyond_float16_are_refused_and_leave_no_file(tmp_path, maps, value):
    maps[1, 2, 3, 4] = value
    with pytest.raises(TagsegError, match="maps of 2007_000032 and on: not finite or beyond float16"):
        write_shard(tmp_path / "a.h5", maps)
    assert not list(tmp_path.iterdir())


def test_failure_midway_keeps_the_old_shard_and_leaves_nothing(tmp_path, maps):
    write_shard(tmp_path / "a.h5", maps)
    before = (tmp_path / "a.h5").read_bytes()
    with pytest.raises(RuntimeError), write_maps(tmp_path / "a.h5", ["other"]) as writer:
        writer.write(View(8), 0, maps[:1])
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    assert (tmp_path / "a.h5").read_bytes() == before


def test_shard_without_photographs_is_empty_not_broken(tmp_path):
    with write_maps(tmp_path / "a.h5", []):
        pass
    with MapShard(tmp_path / "a.h5") as shard:
        assert (len(shard), shard.ids) == (0, ())


def test_missing_file_is_named(tmp_path):
    with pytest.raises(TagsegError, match=r"none\.h5: not a shard of feature maps"):
        MapShard(tmp_path / "none.h5")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_file_is_named(tmp_path, maps, share):
    write_shard(tmp_path / "a.h5", maps)
    content = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(content[: int(share * len(content))])
    with pytest.raises(TagsegError, match=r"a\.h5: not a shard of feature maps .*run again"):
        MapShard(tmp_path / "a.h5")


def test_damaged_chunk_is_named(tmp_path, maps):
    write_shard(tmp_path / "a.h5", maps)
    with h5py.File(tmp_path / "a.h5") as file:
        chunk = file["8"].id.get_chunk_info(1)
    content = bytearray((tmp_path / "a.h5").read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xff" * chunk.size
    (tmp_path / "a.h5").write_bytes(content)
    with MapShard(tmp_path / "a.h5") as shard:
        shard.maps(0)
        with pytest.raises(TagsegError, match=r"a\.h5: damaged"):
            shard.maps(1)


def test_same_maps_give_the_same_bytes(tmp_path, maps):
    for name in ("a.h5", "b.h5"):
        write_shard(tmp_path / name, maps)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_shard_without_ids_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["8"] = np.zeros((1, 2, 3, 3), np.float16)
    with pytest.raises(TagsegError, match=r"a\.h5: not a shard of feature maps"):
        MapShard(tmp_path / "a.h5")


def test_shard_without_features_is_refused(tmp_path):
    with write_maps(tmp_path / "a.h5", IDS):
        pass
    with pytest.raises(TagsegError, match=r"a\.h5: no maps"):
        MapShard(tmp_path / "a.h5")


@pytest.mark.parametrize("shape", [(3, 5, 4), (2, 5, 4, 6), ()])
def test_features_of_a_wrong_shape_are_refused(tmp_path, maps, shape):
    write_shard(tmp_path / "a.h5", maps)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["16"] = np.zeros(shape, np.float16)
    with pytest.raises(TagsegError, match=r"a\.h5: view 16 has shape .* for 3 photographs"):
        MapShard(tmp_path / "a.h5")


def test_maps_that_were_never_written_are_refused(tmp_path, maps):
    """HDF5 would give zeros for them."""
    write_shard(tmp_path / "a.h5", maps)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        shape = file["8"].shape
        file.create_dataset("16", shape, np.float16, chunks=(1, *shape[1:]))[0] = maps[0]
    with pytest.raises(TagsegError, match=r"a\.h5: view 16 has not a chunk a photograph; delete it"):
        MapShard(tmp_path / "a.h5")


@pytest.mark.parametrize("kind", [np.float32, np.int16, np.complex64, "S4"])
def test_maps_of_another_type_are_refused(tmp_path, maps, kind):
    write_shard(tmp_path / "a.h5", maps)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        shape = file["8"].shape
        del file["8"]
        file.create_dataset("8", data=np.zeros(shape, kind), chunks=(1, *shape[1:]))
    with pytest.raises(TagsegError, match=r"a\.h5: view 8 is .*, not float16; delete it and run again"):
        MapShard(tmp_path / "a.h5")


def test_a_photograph_twice_in_a_shard_is_refused(tmp_path, maps):
    with write_maps(tmp_path / "a.h5", ("a", "b", "a")) as writer:
        writer.write(View(8), 0, maps)
    with pytest.raises(TagsegError, match=r"a\.h5: a photograph twice in the shard; delete it and run again"):
        MapShard(tmp_path / "a.h5")
