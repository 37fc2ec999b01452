"""Files of torch.save, read as data: damage is noticed, and none takes more memory than its size."""

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from helpers import MakesFolder
from tagseg.torch_files import NotData, read_data, state_dict

STATE = {"weight": torch.arange(12.0).reshape(3, 4), "count": torch.tensor(7)}


def saved(path: Path, content: object, **options) -> Path:
    torch.save(content, path, **options)
    return path


def rewritten(path: Path, compression: int = zipfile.ZIP_STORED, twice: bool = False) -> Path:
    """Write an archive again, compressed or with its records listed twice over."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
        archive.filelist += archive.filelist if twice else []
    return path


def legacy(path: Path, content: object) -> Path:
    """Write as torch did before version 1.6."""
    return saved(path, content, _use_new_zipfile_serialization=False)


def test_what_was_saved_comes_back(tmp_path):
    path = saved(tmp_path / "a.pth", STATE)
    torch.testing.assert_close(state_dict(read_data(path), path), STATE, rtol=0, atol=0)


def test_files_of_the_old_form_are_read_where_they_are_asked_for(tmp_path):
    path = legacy(tmp_path / "a.pth", STATE)
    torch.testing.assert_close(state_dict(read_data(path, old_form=True), path), STATE, rtol=0, atol=0)
    with pytest.raises(NotData, match="no archive of torch"):
        read_data(path)


def test_tensors_that_share_their_memory_are_counted_once(tmp_path):
    shared = torch.zeros(10_000)
    path = saved(tmp_path / "a.pth", {"a": shared, "b": shared, "c": shared[:5000].view(50, 100)})
    assert len(state_dict(read_data(path), path)) == 3


def test_no_flipped_bit_of_a_weight_is_read(tmp_path):
    """Torch alone takes flipped weights as they are."""
    path = saved(tmp_path / "a.pth", STATE)
    content = path.read_bytes()
    start = content.index(STATE["weight"].numpy().tobytes())
    for bit in range(8 * start, 8 * (start + 48), 13):
        path.write_bytes(flipped(content, bit))
        with pytest.raises(NotData, match="damaged, the checksum of a/data/0 does not fit"):
            read_data(path)


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_damage_anywhere_is_told_as_such(tmp_path):
    """Every 7th bit flipped, or everything from a place on cut off: sound after all, or NotData."""
    path = saved(tmp_path / "a.pth", STATE)
    content = path.read_bytes()
    damaged = [flipped(content, bit) for bit in range(0, 8 * len(content), 7)]
    noticed = 0
    for one in (*damaged, *(content[:length] for length in range(0, len(content), 50))):
        path.write_bytes(one)
        try:
            torch.testing.assert_close(read_data(path), STATE, rtol=0, atol=0)
        except NotData:
            noticed += 1
    assert noticed > len(damaged) / 2


def test_a_compressed_archive_is_refused_before_it_is_inflated(tmp_path):
    path = saved(tmp_path / "a.pth", {"weight": torch.zeros(1_000_000)})
    rewritten(path, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10_000
    with pytest.raises(NotData, match="compressed"):
        read_data(path, old_form=True)


def test_an_archive_that_lists_more_than_it_holds_is_refused(tmp_path):
    path = rewritten(saved(tmp_path / "a.pth", {"weight": torch.zeros(10_000)}), twice=True)
    with pytest.raises(NotData, match="says that it holds more than it does"):
        read_data(path)


@pytest.mark.parametrize("write", [saved, legacy])
@pytest.mark.parametrize("shape", [(1000, 1000), (4_000_000_000,)])
def test_one_number_that_says_it_is_billions_is_refused(tmp_path, write, shape):
    path = write(tmp_path / "a.pth", {"weight": torch.zeros(1).expand(shape)})
    content = read_data(path, old_form=True)
    with pytest.raises(NotData, match="weight is no plain tensor"):
        state_dict(content, path)


class MakesTensor:
    """Unpickled, it is a tensor that no record of the file holds."""

    def __reduce__(self):
        return torch.Tensor, (1_000_000,)


def test_a_tensor_that_the_file_does_not_hold_is_refused(tmp_path):
    path = saved(tmp_path / "a.pth", {"weight": MakesTensor()})
    content = read_data(path)
    assert content["weight"].shape == (1_000_000,)
    with pytest.raises(NotData, match="says that it holds more than it does"):
        state_dict(content, path)


@pytest.mark.parametrize(
    "tensor",
    [torch.eye(3).to_sparse(), torch.zeros(2, dtype=torch.complex64), torch.zeros(2, device="meta")],
    ids=["sparse", "complex", "without memory"],
)
def test_what_is_no_plain_tensor_is_refused(tmp_path, tensor):
    path = saved(tmp_path / "a.pth", {"weight": tensor})
    with pytest.raises(NotData, match="weight is no plain tensor"):
        state_dict(read_data(path), path)


@pytest.mark.parametrize("content", [[1], torch.zeros(2), {"a": 5}, {5: torch.zeros(2)}])
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    path = saved(tmp_path / "a.pth", content)
    with pytest.raises(NotData, match="no state dict"):
        state_dict(read_data(path), path)


@pytest.mark.parametrize("write", [saved, legacy])
def test_what_would_run_is_refused(tmp_path, write):
    path = write(tmp_path / "a.pth", {"weight": MakesFolder(tmp_path / "executed")})
    with pytest.raises(NotData, match="more than data"):
        read_data(path, old_form=True)
    assert not (tmp_path / "executed").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_alone_is_refused(tmp_path):
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"weight": 5}))
    with pytest.raises(NotData):
        read_data(tmp_path / "a.pth", old_form=True)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read_is_the_machines_matter(tmp_path):
    path = saved(tmp_path / "a.pth", STATE)
    path.chmod(0)
    with pytest.raises(PermissionError):
        read_data(path)


def test_a_file_that_is_not_there_is_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_data(tmp_path / "absent.pth")
