"""Where the annotations and images of each split are: COCO's layout, an export's, or what the user names."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tagseg.datasets.paths import user_error

SPLITS = ("train", "val")

FORMS = (
    ("annotations/instances_{split}2017.json", "{split}2017"),  # COCO
    ("{split}/_annotations.coco.json", "{split}"),  # Roboflow
    ("annotations/instances_{split}.json", "images/{split}"),  # CVAT
    ("annotations/instances_{split}.json", "{split}"),
    ("{split}.json", "{split}"),
)
"""The annotation file and the folder of images of a split, below the root."""

OTHER_NAMES = {"val": ("val", "valid", "validation")}


class Half(NamedTuple):
    """A split: its annotation file and its folder of images."""

    json: Path
    images: Path


def find_halves(root: Path, named: Mapping[str, str | None]) -> dict[str, Half]:
    """Return train and val of a data set.

    `named` has the keys train_json, train_images, val_json and val_images, relative to `root` or absolute; None: found
    by its form. Raises TagsegError where a file or folder is missing.
    """
    halves = {split: _find(root, split) for split in SPLITS}
    for split, half in halves.items():
        json, images = (named.get(f"{split}_{part}") for part in ("json", "images"))
        halves[split] = Half(root / json if json else half.json, root / images if images else half.images)
    missing = [half.json for half in halves.values() if not half.json.is_file()]
    missing += [half.images for half in halves.values() if not half.images.is_dir()]
    if missing:
        names = ", ".join(str(path.relative_to(root) if path.is_relative_to(root) else path) for path in missing)
        archives = "train2017.zip, val2017.zip and annotations_trainval2017.zip"
        keys = "dataset.train_json, train_images, val_json and val_images"
        raise user_error(root, f"{names} missing", f"unpack {archives} there, or name the files in {keys}")
    return halves


def _find(root: Path, split: str) -> Half:
    """Return the first form that exists, else COCO's."""
    for name in OTHER_NAMES.get(split, (split,)):
        for json, images in FORMS:
            half = Half(root / json.format(split=name), root / images.format(split=name))
            if half.json.is_file() and half.images.is_dir():
                return half
    json, images = FORMS[0]
    return Half(root / json.format(split=split), root / images.format(split=split))


def annotation_file(root: Path, split: str) -> Path:
    """Return COCO's own file of a split's instances."""
    return root / FORMS[0][0].format(split=split)
