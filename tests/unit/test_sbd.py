"""SBD's lists and masks, and MATLAB's files: what scipy writes and reads is what is read here."""

import io
import struct
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.sparse import csc_matrix

from tagseg.datasets.matlab import MAX_MATRIX_BYTES, MatlabError, read_uint8_field
from tagseg.datasets.sbd import MAX_MAT_BYTES, find_sbd, read_sbd_ids, read_sbd_mask, sbd_masks
from tagseg.errors import TagsegError


def mat(segmentation, compressed: bool = True, names: tuple[str, ...] = ("GTcls", "Segmentation")) -> bytes:
    """Return the bytes of a .mat in SBD's form: a boundary a class, the labels, the classes present."""
    labels = np.asarray(segmentation)
    boundaries = np.empty((20, 1), object)
    for label in range(1, 21):
        boundaries[label - 1, 0] = csc_matrix(labels.reshape(len(labels), labels[:1].size) == label)
    present = np.unique(labels)[np.unique(labels) > 0].astype(np.uint8)[:, None]
    record = {"Boundaries": boundaries, names[1]: labels, "CategoriesPresent": present}
    stream = io.BytesIO()
    savemat(stream, {"before": np.eye(3), names[0]: record}, do_compression=compressed)
    return stream.getvalue()


def random_labels(seed: int, height: int = 9, width: int = 13) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 21, (height, width), dtype=np.uint8)


@pytest.fixture
def write(tmp_path):
    def write(content: bytes):
        path = tmp_path / "2008_000003.mat"
        path.write_bytes(content)
        return path

    return write


# MATLAB's files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_a_field_is_what_scipy_reads(seed, compressed):
    shape = np.random.default_rng(seed).integers(1, 40, 2)
    content = mat(random_labels(seed, *shape), compressed)
    ours = read_uint8_field(content, "GTcls", "Segmentation")
    scipys = loadmat(io.BytesIO(content))["GTcls"][0]["Segmentation"][0]
    np.testing.assert_array_equal(ours, scipys)
    np.testing.assert_array_equal(ours, random_labels(seed, *shape))
    assert ours.dtype == np.uint8 and ours.flags.c_contiguous and ours.flags.writeable
    present = read_uint8_field(content, "GTcls", "CategoriesPresent")
    np.testing.assert_array_equal(present[:, 0], np.setdiff1d(ours, [0]))


def element(kind: int, data: bytes, order: str) -> bytes:
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind: int, shape: tuple[int, ...], name: str, rest: bytes, order: str) -> bytes:
    """Return an element of a matrix, by the book."""
    flags = element(6, struct.pack(f"{order}II", kind, 0), order)
    dimensions = element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    return element(14, flags + dimensions + element(1, name.encode(), order) + rest, order)


def by_the_book(order: str, shape=(2, 3), values=bytes(range(6)), step: int = 32) -> bytes:
    """Return a file with GTcls.Segmentation, in either order of bytes, without scipy."""
    array = matrix(9, shape, "", element(2, values, order), order)
    names = element(1, b"Segmentation".ljust(step, b"\0"), order)
    record = matrix(
        2, (1, 1), "GTcls", element(5, struct.pack(f"{order}i", step), order) + names + array, order
    )
    version = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    return b"MATLAB 5.0 MAT-file".ljust(124) + version + record


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_orders_of_bytes(order):
    expected = np.arange(6, dtype=np.uint8).reshape(3, 2).T
    np.testing.assert_array_equal(read_uint8_field(by_the_book(order), "GTcls", "Segmentation"), expected)
    np.testing.assert_array_equal(
        loadmat(io.BytesIO(by_the_book(order)))["GTcls"][0]["Segmentation"][0], expected
    )


def bomb() -> bytes:
    packed = zlib.compress(bytes(MAX_MATRIX_BYTES + 1))
    return by_the_book("<")[:128] + struct.pack("<II", 15, len(packed)) + packed


@pytest.mark.parametrize(("content", "message"), [
    (b"", "not a MATLAB file of level 5"),
    (b"\x89HDF\r\n\x1a\n" + bytes(200), "not a MATLAB file of level 5"),
    (mat(random_labels(0), names=("GTinst", "Segmentation")), "no variable GTcls"),
    (mat(random_labels(0), names=("GTcls", "Other")), "GTcls has no field Segmentation"),
    (mat(random_labels(0).astype(float)), "Segmentation is not an array of uint8"),
    (mat(random_labels(0), False)[:-40], "cut off within an element"),
    (mat(random_labels(0))[:-40], "cut off within an element"),
    (by_the_book("<")[:128] + b"\0\0\0", "cut off within a tag"),
    (bomb(), "compressed data are cut off, or of more than 20,000,000 bytes"),
    (mat(random_labels(0)).replace(b"\x78\x9c", b"\x78\x00"), "damaged compression"),
    (by_the_book("<", (3, 3)), r"Segmentation: 6 values for the dimensions \(3, 3\)"),
    (by_the_book("<", (-2, -3)), r"6 values for the dimensions \(-2, -3\)"),
    (by_the_book("<", ()), r"6 values for the dimensions \(\)"),
    (by_the_book("<", step=-1), "GTcls has no field"),
    (by_the_book("<", step=0), "GTcls has no field"),
    (by_the_book("<")[:128] + matrix(2, (1, 1), "GTcls", element(5, b"", "<"), "<"), "malformed field names"),
    (by_the_book("<")[:128] + matrix(2, (2, 1), "GTcls", b"", "<"), "GTcls is not a single struct"),
    (by_the_book("<")[:128] + matrix(2, (1, 1), "GTcls", b"", "<"), "of type 0, where type 5 is expected"),
    (by_the_book("<")[:128] + element(14, element(6, b"", "<") * 2, "<"), "of type 6, where type 5"),
])  # fmt: skip
def test_files_of_another_form(content, message):
    with pytest.raises(MatlabError, match=message):
        read_uint8_field(content, "GTcls", "Segmentation")


@pytest.mark.parametrize("compressed", [True, False])
def test_damaged_bytes_give_labels_or_an_error_and_nothing_else(compressed):
    rng, good = np.random.default_rng(0), mat(random_labels(0), compressed)
    refused = 0
    for _ in range(1500):
        content = bytearray(good[: rng.integers(len(good))] if rng.random() < 0.2 else good)
        for _ in range(rng.integers(1, 6)):
            if content:
                content[rng.integers(len(content))] = rng.integers(256)
        try:
            assert read_uint8_field(bytes(content), "GTcls", "Segmentation").dtype == np.uint8
        except MatlabError:
            refused += 1
    assert refused > 300


# Masks -------------------------------------------------------------------------------------------


def test_a_mask(write):
    labels = random_labels(3)
    labels[0, 0] = 255
    np.testing.assert_array_equal(read_sbd_mask(write(mat(labels)), 13, 9), labels)


@pytest.mark.parametrize(("content", "message"), [
    (b"no mask", r"no mask of SBD \(not a MATLAB file.*restore it from the folder cls"),
    (mat(random_labels(0, 13, 9)), "9x13 pixels, where the photograph has 13x9"),
    (mat(np.zeros((9, 13, 2), np.uint8)), "2x13x9 pixels"),
    (mat(np.zeros((0, 0), np.uint8)), "0x0 pixels"),
    (mat(np.full((9, 13), 21, np.uint8)), "label 21, where SBD's end at 20"),
    (bytes(MAX_MAT_BYTES + 1), "more than 1,000,000 bytes for one mask"),
])  # fmt: skip
def test_bad_masks(write, content, message):
    with pytest.raises(TagsegError, match=rf"2008_000003\.mat: .*{message}"):
        read_sbd_mask(write(content), 13, 9)


def test_mask_that_cannot_be_read(tmp_path):
    with pytest.raises(TagsegError, match=r"cannot be read \(.*restore it"):
        read_sbd_mask(tmp_path, 13, 9)


# Lists -------------------------------------------------------------------------------------------


def write_lists(folder, train: str, val: str):
    folder.mkdir(parents=True)
    (folder / "train.txt").write_bytes(train.encode())
    (folder / "val.txt").write_bytes(val.encode())
    return folder


def test_both_lists_each_id_once(tmp_path):
    folder = write_lists(tmp_path / "sbd", "a \r\n\r\nb\r\n", "\ufeffc  \nb\n")
    problems = []
    assert read_sbd_ids(folder, problems) == {
        "a": (folder / "train.txt", 1), "b": (folder / "train.txt", 3), "c": (folder / "val.txt", 1),
    }  # fmt: skip
    assert problems == []


def test_problems_of_lists(tmp_path):
    folder = write_lists(tmp_path / "sbd", "a\na\n", "../b\n")
    problems = []
    assert list(read_sbd_ids(folder, problems)) == ["a"]
    assert [(problem.place, problem.line) for problem in problems] == [
        (str(folder / "train.txt"), 2), (str(folder / "val.txt"), 1),
    ]  # fmt: skip
    assert "'a' is already in line 1" in problems[0].text and "'../b' is not an id" in problems[1].text


@pytest.mark.parametrize("place", [".", "dataset", "benchmark_RELEASE/dataset"])
def test_the_folder_is_found_from_above(tmp_path, place):
    folder = write_lists(tmp_path / "sbd" / place / "x", "", "").parent
    for name in ("train.txt", "val.txt"):
        (folder / "x" / name).rename(folder / name)
    assert find_sbd(tmp_path / "sbd") == folder


def test_no_sbd(tmp_path):
    with pytest.raises(TagsegError, match=r"no SBD; unpack benchmark\.tgz there, or name the folder that"):
        find_sbd(tmp_path)


def test_no_folder_of_masks(tmp_path):
    with pytest.raises(TagsegError, match="cls: no such folder; unpack SBD again, or set sbd_masks: false"):
        sbd_masks(tmp_path)
