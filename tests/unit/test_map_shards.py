"""Shards of feature maps and of CAMs: exact round trips, and damage that is noticed."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from tagseg.cam_shards import cam_origin, read_cam, share_of_maximum, write_cam
from tagseg.errors import TagsegError
from tagseg.map_shards import MapShard, View, views, write_maps

IDS = ("2007_000032", "deep/Größe 1", "木")


@pytest.fixture
def maps():
    return np.random.default_rng(1).normal(50, 20, size=(3, 5, 4, 6)).astype(np.float32)


def write_shard(path, maps):
    with write_maps(path, IDS) as writer:
        writer.write(View(8), 0, maps)


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


def flipped(content, bit):
    """Return bytes with one of their bits flipped."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def content_of(path):
    """Return all that is in a shard of maps."""
    with MapShard(path) as shard:
        maps = [{view: one.tobytes() for view, one in shard.maps(p).items()} for p in range(len(shard))]
        return shard.node, shard.origin, shard.ids, maps


def content_of_cam(path):
    """Return all that is in a shard of CAMs."""
    cams = read_cam(path)
    return cam_origin(path), [(name, n, cam.tobytes()) for name, of in cams.items() for n, cam in of.items()]


@pytest.mark.parametrize("form", ["maps", "cam"])
def test_no_flipped_bit_is_read_as_if_it_were_nothing(tmp_path, maps, form):
    """Every 23rd bit of a file, flipped, is a TagsegError on reading, or lies where nothing is read."""
    path, read = tmp_path / "a.h5", content_of if form == "maps" else content_of_cam
    if form == "maps":
        with write_maps(path, IDS, "layer4", "5eed") as writer:
            writer.write(View(8), 0, maps)
    else:
        write_cam(path, [(name, 1 + place, maps[place, 0]) for place, name in enumerate(IDS)], "5eed")
    content, expected, noticed = path.read_bytes(), read(path), 0
    for bit in range(0, 8 * len(content), 23):
        path.write_bytes(flipped(content, bit))
        try:
            assert read(path) == expected, f"bit {bit}"
        except TagsegError as error:
            assert "a.h5" in str(error) and "delete it and run again" in str(error)
            noticed += 1
    assert noticed > 100


def test_checksum_is_named_where_it_fails(tmp_path, maps):
    write_shard(tmp_path / "a.h5", maps)
    with h5py.File(tmp_path / "a.h5") as file:
        chunk = file["8"].id.get_chunk_info(2)
    content = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(flipped(content, 8 * (chunk.byte_offset + chunk.size // 2)))
    with (
        MapShard(tmp_path / "a.h5") as shard,
        pytest.raises(
            TagsegError, match=r"a\.h5: damaged, its checksums do not fit .*; delete it and run again"
        ),
    ):
        shard.maps(2)


def test_same_maps_give_the_same_bytes(tmp_path, maps):
    for name in ("a.h5", "b.h5"):
        write_shard(tmp_path / name, maps)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_cams_name_their_classifier(tmp_path):
    write_cam(tmp_path / "cam.h5", [], "5eed")
    assert cam_origin(tmp_path / "cam.h5") == "5eed"


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


def test_cam_round_trip_is_exact(tmp_path, maps):
    triples = [("a b", 3, maps[0, 0]), ("Größe/1", 1, maps[0, 1]), ("a b", 20, maps[0, 2])]
    write_cam(tmp_path / "cam.h5", iter(triples))
    read = read_cam(tmp_path / "cam.h5")
    assert {name: set(of_class) for name, of_class in read.items()} == {"a b": {3, 20}, "Größe/1": {1}}
    for name, number, cam in triples:
        np.testing.assert_array_equal(read[name][number], cam)


def test_cam_shard_without_photographs(tmp_path):
    write_cam(tmp_path / "cam.h5", [])
    assert read_cam(tmp_path / "cam.h5") == {}


def test_cam_maps_of_two_sizes_leave_no_file(tmp_path):
    with pytest.raises(ValueError, match="shape"):
        write_cam(tmp_path / "cam.h5", [("a", 1, np.zeros((2, 2))), ("b", 1, np.zeros((3, 3)))])
    assert not list(tmp_path.iterdir())


def test_cam_shard_without_its_datasets_is_refused(tmp_path, maps):
    write_shard(tmp_path / "a.h5", maps)
    with pytest.raises(TagsegError, match=r"a\.h5: not a shard of CAMs"):
        read_cam(tmp_path / "a.h5")


def test_share_of_the_maximum():
    cam = np.array([[4.0, -8.0], [0.0, 1.0]], np.float32)
    assert share_of_maximum(cam).tolist() == [[1, 0], [0, 0.25]]
    assert cam[0, 1] == -8, "the CAM itself was changed"
    np.testing.assert_array_equal(share_of_maximum(1024 * cam), share_of_maximum(cam))


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_share_of_no_maximum_is_0(value):
    assert not share_of_maximum(np.full((2, 3), value, np.float32)).any()


# ------------------------------------------------------------------------------ made to mislead


def external_storage(file, name, dataset):
    """Put a dataset of the same form there whose values another file has."""
    other = Path(file.filename).with_name("other.bin")
    other.write_bytes(dataset[()].tobytes())
    form = {"dtype": dataset.dtype, "external": [(str(other), 0, dataset.nbytes)]}
    shape = dataset.shape
    del file[name]
    file.create_dataset(name, shape, **form)


def virtual(file, name, dataset):
    """Put a dataset of the same form there that is a view of another file's."""
    other = Path(file.filename).with_name("other.h5")
    with h5py.File(other, "w") as source:
        source[name] = dataset[()]
    layout = h5py.VirtualLayout(dataset.shape, dataset.dtype)
    layout[...] = h5py.VirtualSource(str(other), name, dataset.shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


def external_link(file, name, dataset):
    """Put a link there to a dataset of the same form in another file."""
    other = Path(file.filename).with_name("other.h5")
    with h5py.File(other, "w") as target:
        file.copy(name, target)
    del file[name]
    file[name] = h5py.ExternalLink(str(other), name)


def group(file, name, dataset):
    del file[name]
    file.create_group(name)


def never_written(file, name, dataset):
    """Put a dataset of terabytes there, of which no byte is in the file."""
    kind, shape = dataset.dtype, (10**7, *(10**4 for _ in dataset.shape[1:]))
    del file[name]
    file.create_dataset(name, shape, kind, chunks=(1, *(100 for _ in shape[1:])))


MISLEADING = {
    external_storage: "lies in another file",
    virtual: "lies in another file",
    external_link: "is a link",
    group: "is no dataset",
    never_written: "says that it holds more than it does|has shape",
}


def write_cams(path):
    write_cam(path, [(name, 1, np.ones((4, 6), np.float32)) for name in IDS])


@pytest.mark.parametrize("change", MISLEADING)
@pytest.mark.parametrize("name", ["ids", "8"])
def test_maps_that_are_not_in_the_file_are_refused(tmp_path, maps, name, change):
    write_shard(tmp_path / "a.h5", maps)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        change(file, name, file[name])
    with pytest.raises(TagsegError, match=rf"a\.h5: .*({MISLEADING[change]}).*; delete it and run again"):
        MapShard(tmp_path / "a.h5")


@pytest.mark.parametrize("change", MISLEADING)
@pytest.mark.parametrize("name", ["ids", "classes", "maps"])
def test_cams_that_are_not_in_the_file_are_refused(tmp_path, name, change):
    write_cams(tmp_path / "cam.h5")
    with h5py.File(tmp_path / "cam.h5", "r+") as file:
        change(file, name, file[name])
    answer = rf"cam\.h5: not a shard of CAMs \({name} ({MISLEADING[change]})\); delete it and run again"
    with pytest.raises(TagsegError, match=answer):
        read_cam(tmp_path / "cam.h5")


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


def test_a_class_twice_of_one_photograph_is_refused(tmp_path):
    cam = np.ones((4, 6), np.float32)
    write_cam(tmp_path / "cam.h5", [("a", 1, cam), ("b", 1, cam), ("a", 1, cam)])
    with pytest.raises(TagsegError, match="a photograph's class twice.; delete it and run again"):
        read_cam(tmp_path / "cam.h5")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("classes", np.full(3, np.nan)),
        ("classes", np.full(3, b"cat")),
        ("classes", np.zeros(3, np.int32)),
        ("classes", np.full((3, 1), 1, np.int32)),
        ("maps", np.full((3, 4, 6), b"cat")),
        ("maps", np.zeros((3, 4, 6), np.complex64)),
        ("maps", np.full((3, 4, 6), np.nan, np.float32)),
    ],
)
def test_cams_of_other_values_are_refused(tmp_path, name, values):
    write_cams(tmp_path / "cam.h5")
    with h5py.File(tmp_path / "cam.h5", "r+") as file:
        del file[name]
        file[name] = values
    with pytest.raises(TagsegError, match=r"cam\.h5: not a shard of CAMs .*; delete it and run again"):
        read_cam(tmp_path / "cam.h5")
