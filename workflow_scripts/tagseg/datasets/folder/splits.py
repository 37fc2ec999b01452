"""The random split of images into train and val: seeded, per class, independent of their order."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from tagseg.datasets.folder.labels_table import Row


def choose_splits(rows: Sequence[Row], random_seed: int, val_fraction: float) -> list[str]:
    """Return the split of each row: its own, else train or val.

    An image counts for the rarest of its classes. Of those that count for a class, the fraction `val_fraction` with
    the smallest hashes of (seed, path) goes to val. A class that train lacks gets an image back from val.
    """
    splits = {row.image: row.split for row in rows}
    for group in _by_rarest_tag([row for row in rows if not row.split]).values():
        group.sort(key=lambda row: _hash(random_seed, row.image))
        to_val = min(round(val_fraction * len(group)), len(group) - 1)
        for rank, row in enumerate(group):
            splits[row.image] = "val" if rank < to_val else "train"
    _fill_train(rows, splits, random_seed)
    return [splits[row.image] for row in rows]


def _by_rarest_tag(rows: Sequence[Row]) -> dict[str, list[Row]]:
    counts = Counter(tag for row in rows for tag in row.tags)
    groups = defaultdict(list)
    for row in rows:
        groups[min(row.tags, key=lambda tag: (counts[tag], tag), default="")].append(row)
    return groups


def _hash(random_seed: int, image: PurePosixPath) -> str:
    text = f"{random_seed}\n{image}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()


def _fill_train(rows: Sequence[Row], splits: dict[PurePosixPath, str], random_seed: int) -> None:
    """Move one image without a split of its own to train for each class that train lacks."""
    carriers = defaultdict(list)
    for row in rows:
        for tag in row.tags if not row.split else ():
            carriers[tag].append(row)
    present = {tag for row in rows if splits[row.image] == "train" for tag in row.tags}
    for tag in sorted(carriers):
        if tag not in present:
            moved = max(carriers[tag], key=lambda row: _hash(random_seed, row.image))
            splits[moved.image] = "train"
            present |= moved.tags
