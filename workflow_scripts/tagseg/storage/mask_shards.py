"""Shards of masks: a folder of palette PNGs and a manifest with their digests.

Readers trust the manifest, not the folder: a listed file that is missing or changed is an error. `origin` is
the SHA-256 of what made the masks: the summary of the patterns, or a network's checkpoint.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_folder, digest, read_json, write_json
from tagseg.storage.images import encode_mask, read_mask
from tagseg.storage.provenance import common_provenance

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class MaskFile:
    """One mask of a shard: image id, its file, (height, width) in pixels, SHA-256."""

    id: str
    path: Path
    height: int
    width: int
    sha256: str

    def read(self) -> np.ndarray:
        """Return the labels, uint8 (height, width). Raises TagsegError if the file is missing or changed."""
        shard = self.path.parents[self.id.count("/")]
        if not self.path.is_file():
            raise TagsegError(f"{self.path}: missing. Delete the folder {shard} and run again.")
        if digest(self.path) != self.sha256:
            text = f"changed since it was written. Delete the folder {shard} and run again."
            raise TagsegError(f"{self.path}: {text}")
        return read_mask(self.path)


def write_mask_shard(folder: str | Path, masks: Iterable[tuple[str, np.ndarray]], origin: str = "") -> int:
    """Write (image id, labels uint8 (H, W)) pairs as a shard; return their number.

    `origin` is the digest of the patterns or of the network that made them, "" for ground truth.
    Raises TagsegError if an id leads out of the folder.
    """
    rows = []
    with atomic_folder(folder) as partial:
        for name, mask in masks:
            content = encode_mask(mask)
            file = partial / _file_name(name, folder)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            rows.append(_manifest_row(name, mask, content))
        write_json(partial / MANIFEST, {"origin": origin, "masks": rows})
    return len(rows)


def _file_name(name: str, folder: str | Path) -> str:
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts:
        raise TagsegError(f"{folder}: the id {name!r} is a path outside this folder. Rename the image.")
    return f"{name}.png"


def _manifest_row(name: str, mask: np.ndarray, content: bytes) -> dict:
    labels, counts = np.unique(mask, return_counts=True)
    return {
        "id": name,
        "height": mask.shape[0],
        "width": mask.shape[1],
        "sha256": hashlib.sha256(content).hexdigest(),
        "pixels": {str(label): int(count) for label, count in zip(labels, counts, strict=True)},
    }


def read_mask_shards(folders: Sequence[str | Path]) -> dict[str, MaskFile]:
    """Return the masks of several shards by image id.

    Raises TagsegError if a manifest is missing or malformed, two shards hold one id, or their origins differ.
    """
    manifests = {Path(folder): _manifest(folder) for folder in folders}
    common_provenance({folder: origin for folder, (origin, _) in manifests.items()}, "network or from other patterns")
    masks: dict[str, MaskFile] = {}
    for folder, (_, files) in manifests.items():
        for file in files:
            if file.id in masks:
                raise TagsegError(f"{folder}: {file.id} is also in {masks[file.id].path}. Delete one shard.")
            masks[file.id] = file
    return masks


def mask_provenance(folder: str | Path) -> str:
    """Return the digest of what made a shard's masks, or "". Raises TagsegError if the manifest is damaged."""
    return _manifest(folder)[0]


def _manifest(folder: str | Path) -> tuple[str, list[MaskFile]]:
    """Return the origin and the masks that the manifest of a shard lists."""
    folder = Path(folder)
    content = read_json(folder / MANIFEST)
    try:
        files = [_mask_file(folder, **row) for row in content["masks"]]
        return str(content.get("origin", "")), files
    except (KeyError, TypeError, ValueError, AttributeError):
        raise TagsegError(f"{folder / MANIFEST}: not a manifest. Delete {folder} and run again.") from None


def _mask_file(folder: Path, id: str, height: int, width: int, sha256: str, **_: object) -> MaskFile:
    return MaskFile(id, folder / _file_name(id, folder), height, width, sha256)
