"""Class subsets: the images from which a class pattern is computed (the paper's I^c)."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_folder
from tagseg.storage.index import ImageRecord


def sample_subset(images: Iterable[ImageRecord], tag: str, cap: int, random_seed: int) -> tuple[str, ...]:
    """Return the sorted ids of at most `cap` images with the tag, sampled at random.

    Images are ranked by a hash of seed, tag and id: their order does not matter, and a new image replaces at
    most one other.
    """

    def rank(name: str) -> bytes:
        return hashlib.sha256(f"{random_seed}\0{tag}\0{name}".encode()).digest()

    return tuple(sorted(sorted((image.id for image in images if tag in image.tags), key=rank)[:cap]))


def write_subsets(folder: str | Path, subsets: Mapping[str, Sequence[str]]) -> None:
    """Write `{class}.txt` per class, with one id per line, atomically."""
    with atomic_folder(folder) as aside:
        for tag, ids in subsets.items():
            (aside / f"{tag}.txt").write_bytes("".join(f"{name}\n" for name in ids).encode())


def read_subset(folder: str | Path, tag: str) -> tuple[str, ...]:
    """Return the ids of the subset of a class. Raises TagsegError if its file is missing."""
    path = Path(folder) / f"{tag}.txt"
    try:
        # Not `splitlines`: it also splits an id at a character such as U+2028.
        return tuple(name for name in path.read_bytes().decode().split("\n") if name)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such file. Delete {folder} and run again.") from None
