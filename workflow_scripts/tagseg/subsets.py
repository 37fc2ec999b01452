"""Class subsets: the photographs from which a class pattern is found (the paper's I^c)."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tagseg.errors import TagsegError
from tagseg.files import atomic_folder
from tagseg.index import Photograph


def draw_subset(photographs: Iterable[Photograph], tag: str, cap: int, random_seed: int) -> tuple[str, ...]:
    """Return the ids, sorted, of at most `cap` photographs that carry `tag`, drawn at random.

    A photograph's lot is a hash of seed, tag and id. So the draw is the same in whatever order the
    photographs come, and adding one photograph changes at most one other's place in the subset.
    """
    ids = (photograph.id for photograph in photographs if tag in photograph.tags)
    return tuple(sorted(sorted(ids, key=lambda name: _lot(random_seed, tag, name))[:cap]))


def _lot(random_seed: int, tag: str, name: str) -> bytes:
    return hashlib.sha256(f"{random_seed}\0{tag}\0{name}".encode()).digest()


def write_subsets(folder: str | Path, subsets: dict[str, tuple[str, ...]]) -> None:
    """Write one list a class, `{class}.txt` with an id a line, all of them or none."""
    with atomic_folder(folder) as aside:
        for tag, ids in subsets.items():
            (aside / f"{tag}.txt").write_bytes("".join(f"{name}\n" for name in ids).encode())


def read_subset(folder: str | Path, tag: str) -> tuple[str, ...]:
    """Return the ids of a class's subset. Raises TagsegError where its list is missing."""
    path = Path(folder) / f"{tag}.txt"
    try:
        # Not `splitlines`: it would also break an id at a sign such as U+2028.
        return tuple(name for name in path.read_bytes().decode().split("\n") if name)
    except FileNotFoundError:
        raise TagsegError(f"{path}: gone since it was made; delete {folder} and run again") from None
