"""HDF5 files of either kind: no flipped bit is read, and nothing that lies elsewhere."""

from pathlib import Path

import h5py
import pytest

from shards import IDS, random_maps, write_cams, write_shard
from tagseg.cam_shards import cam_origin, read_cam, write_cam
from tagseg.errors import TagsegError
from tagseg.map_shards import MapShard, View, write_maps


@pytest.fixture
def maps():
    return random_maps()


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
