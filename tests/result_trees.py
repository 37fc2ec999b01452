"""What two result trees differ in, of that which is the same every time."""

import json
import re
from collections.abc import Collection
from pathlib import Path

import torch

from tagseg.images import read_mask

TOLD_ANEW = re.compile(
    r"logs/|benchmarks/|seals/|report/(report\.html|front\.rst|training\.png)|.*\.snakemake_timestamp"
)
"""Files that tell when and where a job ran, and how long it took; and the digests of those."""

LAYER, NETWORK = "blocks.5.1", "blocks.5.1/efficientnet_lite0/round1"
SCORES = f"scores/val/{NETWORK}.json"
ONE_ROUND = (
    *("devkit", "index", "subsets", "classifier", "cam", "true_masks/val", SCORES),
    *(f"{stage}/{LAYER}" for stage in ("features", "patterns", "seed_masks", "proxy_masks")),
    *(f"segmenter/{NETWORK}", f"logits/{NETWORK}/val", f"predictions/{NETWORK}/val"),
)
"""Of the miniature, what the scores of round 1 are made of, and nothing else."""

CLOCKS = ("seconds", "seconds_waiting_for_photographs")


def differences(expected: Path, found: Path, parts: Collection[str] = (".",)) -> list[str]:
    """Return the files, at or below `parts` of the trees, that are in one of them alone, or differ.

    Compared are bytes; of a checkpoint the tensors and the description, because torch promises nothing of
    the bytes of its archives; of a training log all but the time that it took.
    """
    names = {name for tree in (expected, found) for name in files_of(tree, parts)}
    return sorted(name for name in names if not same(expected / name, found / name))


def files_of(tree: Path, parts: Collection[str] = (".",)) -> set[str]:
    """Return the files at or below parts of a tree, hidden ones too; those that are told anew left out."""
    places = [tree / part for part in parts]
    files = [path for place in places for path in ([place] if place.is_file() else place.rglob("*"))]
    names = {str(path.relative_to(tree)) for path in files if path.is_file()}
    return {name for name in names if not TOLD_ANEW.match(name)}


def same(left: Path, right: Path) -> bool:
    """Say whether two files are there and hold the same."""
    if not (left.is_file() and right.is_file()):
        return False
    if left.suffix == ".pth":
        return same_checkpoints(left, right)
    if left.name == "training.json":
        return without_clocks(left) == without_clocks(right)
    return left.read_bytes() == right.read_bytes()


def share_of_other_pixels(expected: Path, found: Path, part: str) -> float:
    """Return the share of pixels whose label is another, over the masks at or below `part` of two trees."""
    names = [name for name in sorted(files_of(expected, [part])) if name.endswith(".png")]
    pairs = [(read_mask(expected / name), read_mask(found / name)) for name in names]
    return sum((one != other).sum() for one, other in pairs) / sum(one.size for one, _ in pairs)


def same_checkpoints(left: Path, right: Path) -> bool:
    """Say whether two checkpoints have one description and, to the bit, the same tensors."""
    one, other = (torch.load(path, weights_only=True) for path in (left, right))
    if one["description"] != other["description"] or one["model"].keys() != other["model"].keys():
        return False
    pairs = ((tensor, other["model"][name]) for name, tensor in one["model"].items())
    return all(tensor.dtype == twin.dtype and torch.equal(tensor, twin) for tensor, twin in pairs)


def without_clocks(path: Path) -> list[dict]:
    """Return the rows of a training log without the seconds that they took."""
    rows = json.loads(path.read_text(encoding="utf-8"))["epochs"]
    return [{key: value for key, value in row.items() if key not in CLOCKS} for row in rows]
