"""Where the annotations and images of each split are: COCO's layout, an export's, or what the user names.

Exports without splits (CVAT's and Label Studio's default) are one annotation file for train and val.
"""

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

WHOLE_FORMS = (
    ("annotations/instances_default.json", ("images/default", "images", ".")),  # CVAT
    ("result.json", ("images", ".")),  # Label Studio, whose file names begin with "images/"
    ("result_coco.json", ("images", ".")),
    ("_annotations.coco.json", ("images", ".")),  # Roboflow
    ("annotations.json", ("images", ".")),
)
"""The annotation file of an export without splits, and the folders where its images may be."""

OTHER_NAMES = {"val": ("val", "valid", "validation")}


class Half(NamedTuple):
    """A split: its annotation file and its folder of images."""

    json: Path
    images: Path

    def image(self, name: str) -> Path:
        """Return the image of a `file_name`, which may begin with the folder's own name."""
        path = self.images / name
        return self.images.parent / name if name.startswith(f"{self.images.name}/") and not path.is_file() else path


def find_halves(root: Path, named: Mapping[str, str | None]) -> dict[str, Half]:
    """Return train and val of a data set.

    `named` has the keys train_json, train_images, val_json and val_images, relative to `root` or absolute; None: found
    by its form. Both are the same where there are no splits, or train alone is named. Raises TagsegError where a file
    or folder is missing.
    """
    halves = _whole(root, named) or {split: _find(root, split) for split in SPLITS}
    for split, half in halves.items():
        json, images = (named.get(f"{split}_{part}") for part in ("json", "images"))
        halves[split] = Half(root / json if json else half.json, root / images if images else half.images)
    missing = [half.json for half in halves.values() if not half.json.is_file()]
    missing += [half.images for half in halves.values() if not half.images.is_dir()]
    if missing:
        names = ", ".join(str(path.relative_to(root) if path.is_relative_to(root) else path) for path in missing)
        archives = "train2017.zip, val2017.zip and annotations_trainval2017.zip"
        keys = "dataset.train_json, train_images, val_json and val_images"
        raise user_error(root, f"{names} missing", f"unpack {archives} there, or name your files in {keys}")
    return halves


def _whole(root: Path, named: Mapping[str, str | None]) -> dict[str, Half]:
    """Return the same half for both splits where one annotation file has all images, else nothing."""
    json, images = named.get("train_json"), named.get("train_images")
    if named.get("val_json") or named.get("val_images") or any(_find(root, split).json.is_file() for split in SPLITS):
        return {}
    for file, folders in [(json, ("images", "."))] if json else WHOLE_FORMS:
        found = [root / folder for folder in ((images,) if images else folders) if (root / folder).is_dir()]
        if (root / file).is_file() and found:
            return dict.fromkeys(SPLITS, Half(root / file, found[0]))
    return {}


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
