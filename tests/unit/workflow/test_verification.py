"""`verify` passes sound results and lists every damaged file with its remedy."""

import sys

import h5py
import numpy as np
import pytest

import verify_results
from small_results import write_results
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import write_mask


def overwrite(path, start):
    with open(path, "r+b") as stream:
        stream.seek(start)
        stream.write(b"\xff\xfe\xfd\xfc")


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path, name):
    """Change bytes in the middle of a dataset's first chunk."""
    with h5py.File(path) as file:
        chunk = file[name].id.get_chunk_info(0)
    overwrite(path, chunk.byte_offset + chunk.size // 2)


def verify(monkeypatch, capsys, results, threads=1):
    """Return the lines that are printed, and whether the script fails."""
    arguments = ["verify_results.py", "--results", str(results), "--threads", str(threads)]
    monkeypatch.setattr(sys, "argv", arguments)
    try:
        verify_results.main()
    except TagsegError:
        return capsys.readouterr().out.splitlines(), True
    return capsys.readouterr().out.splitlines(), False


DAMAGES = [
    ("proxy_masks/blocks.6/shard-0/2.png", lambda path: path.unlink()),
    ("proxy_masks/blocks.6/shard-1/1.png", lambda path: write_mask(path, np.ones((8, 12), np.uint8))),
    ("predictions/net/net/round1/val/shard-0/4.png", halve),
    ("seed_masks/blocks.6/shard-0/manifest.json", lambda path: path.unlink()),
    ("features/blocks.6/shard-1.h5", lambda path: flip(path, "8")),
    ("cam/shard-0.h5", lambda path: flip(path, "maps")),
    ("cam/shard-1.h5", halve),
    ("logits/net/net/round1/val/shard-1.h5", halve),
    ("classifier/checkpoint.pth", halve),
    ("segmenter/net/net/round1/checkpoint.pth", lambda path: overwrite(path, path.stat().st_size // 2)),
    ("index/index.csv", lambda path: path.write_bytes(b"\xff\xfe")),
    ("ground_truth/val/masks.csv", lambda path: path.write_text("id\n1\n")),
]


@pytest.mark.parametrize("threads", [1, 2])
def test_sound_results_pass(tmp_path, monkeypatch, capsys, threads):
    results = write_results(tmp_path)
    lines, failed = verify(monkeypatch, capsys, results, threads)
    assert not failed and lines == ["17 outputs verified, 0 problems"]
    assert verify(monkeypatch, capsys, results / "none") == ([], True)


def test_damaged_files_are_reported_together_with_their_remedies(tmp_path, monkeypatch, capsys):
    results = write_results(tmp_path)
    for name, damage in DAMAGES:
        damage(results / name)
    (*lines, last), failed = verify(monkeypatch, capsys, results, threads=2)
    assert failed and last == f"17 outputs verified, {len(DAMAGES)} problems" and len(lines) == len(DAMAGES)
    assert {line.split(": ")[0] for line in lines} == {str(results / name) for name, _ in DAMAGES}
    assert all((". Delete " in line or ". Run " in line) and line.endswith(".") for line in lines)
