"""Comparison of two trees of results, except for what differs between any two runs."""

import json
import re
from collections.abc import Collection
from pathlib import Path

import torch

from tagseg.storage.images import read_mask

VOLATILE = re.compile(r"logs/|benchmarks/|report/(report\.html|training\.png)|.*\.snakemake_timestamp")
"""Files that hold the time, host or duration of a job."""

LAYER, NETWORK = "blocks.5.1", "blocks.5.1/efficientnet_lite0/round1"
SCORES = f"scores/val/{NETWORK}.json"
ONE_ROUND = (
    *("devkit", "index", "subsets", "classifier", "cam", "ground_truth/val", SCORES),
    *(f"{stage}/{LAYER}" for stage in ("features", "patterns", "seed_masks", "proxy_masks")),
    *(f"segmenter/{NETWORK}", f"logits/{NETWORK}/val", f"predictions/{NETWORK}/val"),
)
"""The results of the miniature that the scores of round 1 depend on."""


def differences(expected: Path, found: Path, parts: Collection[str] = (".",)) -> list[str]:
    names = {name for tree in (expected, found) for name in files_of(tree, parts)}
    return sorted(name for name in names if not _same(expected / name, found / name))


def files_of(tree: Path, parts: Collection[str] = (".",)) -> set[str]:
    """Return the files at or below parts of a tree, without the volatile ones."""
    roots = [tree / part for part in parts]
    files = [path for root in roots for path in (root, *root.rglob("*")) if path.is_file()]
    return {name for name in (str(path.relative_to(tree)) for path in files) if not VOLATILE.match(name)}


def changed_pixels(expected: Path, found: Path, part: str) -> float:
    """Return the fraction of pixels with another label, over the masks at or below `part`."""
    names = [name for name in sorted(files_of(expected, [part])) if name.endswith(".png")]
    pairs = [(read_mask(expected / name), read_mask(found / name)) for name in names]
    return sum((one != other).sum() for one, other in pairs) / sum(one.size for one, _ in pairs)


def _same(left: Path, right: Path) -> bool:
    """Compare bytes; of a checkpoint the tensors and the description; of a training log all but seconds."""
    if not (left.is_file() and right.is_file()):
        return False
    if left.suffix == ".pth":
        return _same_checkpoints(left, right)
    if left.name == "training.json":
        return _without_seconds(left) == _without_seconds(right)
    return left.read_bytes() == right.read_bytes()


def _same_checkpoints(left: Path, right: Path) -> bool:
    one, other = (torch.load(path, weights_only=True) for path in (left, right))
    if one["description"] != other["description"] or one["model"].keys() != other["model"].keys():
        return False
    pairs = ((tensor, other["model"][name]) for name, tensor in one["model"].items())
    return all(tensor.dtype == twin.dtype and torch.equal(tensor, twin) for tensor, twin in pairs)


def _without_seconds(path: Path) -> list[dict]:
    rows = json.loads(path.read_text(encoding="utf-8"))["epochs"]
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]
