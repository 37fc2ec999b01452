"""Shards of masks: a folder of palette PNGs and a manifest by which the next stage checks them.

A shard appears with its manifest or not at all. Readers trust no listing of the folder: what counts is
the manifest, and a file that it names and that vanished or changed is an error that says so. Its `origin` is
the SHA-256 of what the masks were made with: of the summary of the patterns, or of a network's checkpoint.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from tagseg.errors import TagsegError
from tagseg.files import atomic_folder, read_json, write_json
from tagseg.images import encode_mask, read_mask
from tagseg.origins import common_origin

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class MaskFile:
    """One mask of a shard: its photograph's id, its file, (height, width) in pixels, SHA-256."""

    id: str
    path: Path
    height: int
    width: int
    sha256: str

    def read(self) -> np.ndarray:
        """Return the labels, uint8 (height, width). Raises TagsegError where the file has changed."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            raise TagsegError(f"{self.path}: gone since it was made; {_remedy(self.path)}") from None
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise TagsegError(f"{self.path}: altered since it was made; {_remedy(self.path)}")
        return read_mask(self.path)


def _remedy(path: Path) -> str:
    shard = next((parent for parent in path.parents if (parent / MANIFEST).exists()), path.parent)
    return f"delete the folder {shard} and run again"


def write_mask_shard(folder: str | Path, masks: Iterable[tuple[str, np.ndarray]], origin: str = "") -> int:
    """Write (photograph id, labels uint8 (H, W)) pairs as a shard; return how many there were.

    `origin` is the digest of the patterns or of the network that they were made with; of true masks, "".
    Raises TagsegError where an id leads out of the folder.
    """
    rows = []
    with atomic_folder(folder) as aside:
        for name, mask in masks:
            content = encode_mask(mask)
            file = aside / _file_name(name, folder)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            rows.append(_manifest_row(name, mask, content))
        write_json(aside / MANIFEST, {"origin": origin, "masks": rows})
    return len(rows)


def _file_name(name: str, folder: str | Path) -> str:
    """Return the path, within a shard, of a photograph's mask; an id must not lead out of the shard."""
    path = PurePath(name)
    if path.is_absolute() or ".." in path.parts:
        raise TagsegError(f"{folder}: the id {name!r} leads out of the folder; rename the photograph")
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
    """Return the masks of several shards by photograph id.

    Raises TagsegError where a manifest is missing or malformed, where an id leads out of its shard, where
    two shards hold one id, or where they differ in their origin.
    """
    common_origin({folder: mask_origin(folder) for folder in folders}, "network, or of other patterns,")
    masks: dict[str, MaskFile] = {}
    for folder in map(Path, folders):
        for file in _mask_files(folder):
            if file.id in masks:
                raise TagsegError(f"{folder}: {file.id} is in {masks[file.id].path} too; delete one shard")
            masks[file.id] = file
    return masks


def mask_origin(folder: str | Path) -> str:
    """Return the digest of what a shard's masks were made with; "" where there is none.

    Raises TagsegError where the manifest is missing or malformed.
    """
    manifest = read_json(Path(folder) / MANIFEST)
    try:
        return str(manifest.get("origin", ""))
    except AttributeError:
        raise _malformed(Path(folder)) from None


def _malformed(folder: Path) -> TagsegError:
    return TagsegError(f"{folder / MANIFEST}: not a manifest; delete {folder} and run again")


def _mask_files(folder: Path) -> list[MaskFile]:
    manifest = read_json(folder / MANIFEST)
    try:
        return [_mask_file(row, folder) for row in manifest["masks"]]
    except (KeyError, TypeError, ValueError):
        raise _malformed(folder) from None


def _mask_file(row: dict, folder: Path) -> MaskFile:
    """Return the mask of a manifest's row.

    Raises TagsegError where its id leads out of the folder; KeyError, TypeError, ValueError where it is none.
    """
    name, height, width, sha256 = (row[key] for key in ("id", "height", "width", "sha256"))
    path = folder / _file_name(name, folder)
    if b"\0" in name.encode() or not all(isinstance(side, int) and side > 0 for side in (height, width)):
        raise ValueError
    return MaskFile(name, path, height, width, sha256)
