"""Shards of class activation maps: exact round trips, and what is refused."""

import h5py
import numpy as np
import pytest

from shards import random_maps, write_cams, write_shard
from tagseg.cam_shards import cam_origin, read_cam, share_of_maximum, write_cam
from tagseg.errors import TagsegError


@pytest.fixture
def maps():
    return random_maps()


def test_cams_name_their_classifier(tmp_path):
    write_cam(tmp_path / "cam.h5", [], "5eed")
    assert cam_origin(tmp_path / "cam.h5") == "5eed"


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
