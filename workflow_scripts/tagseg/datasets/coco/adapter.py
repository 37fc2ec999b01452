"""The adapter of COCO 2017 and of data sets in its layout."""

import os
from typing import ClassVar, Literal

from pydantic import Field

from tagseg.datasets.base import Adapter, DataPath, DatasetSettings, Folder, PublishedArchive, below
from tagseg.datasets.coco.coco import index_coco
from tagseg.datasets.coco.layout import FORMS, OTHER_NAMES, SPLITS, WHOLE_FORMS
from tagseg.datasets.coco.masks import coco_ground_truth
from tagseg.datasets.common import CLASS_LIST

SITE = "http://images.cocodataset.org"
PARTS = ("train2017", "val2017", "annotations")


NAMED = tuple(f"{split}_{part}" for split in SPLITS for part in ("json", "images"))


class CocoSettings(DatasetSettings):
    """Keys of `dataset` where `kind` is coco."""

    kind: Literal["coco"] = "coco"
    root: Folder | None = Field(None, description="folder of your copy; null: fetched into fetch.folder")
    crowd: bool = Field(True, description="crowd regions give tags too")
    train_json: DataPath | None = Field(
        None,
        description="annotations of train, relative to root or absolute; null: found by the names of COCO, Roboflow, "
        "CVAT or Label Studio",
    )
    train_images: DataPath | None = Field(None, description="folder of the images of train")
    val_json: DataPath | None = Field(None, description="annotations of val")
    val_images: DataPath | None = Field(None, description="folder of the images of val")
    val_fraction: float = Field(0.2, gt=0, lt=1, description="fraction of val where one annotation file has all images")
    counts_known: bool = Field(False, description="fail unless the counts are those of the published set")


class CocoAdapter(Adapter):
    """A copy of the user, or the one that is fetched."""

    settings_type = CocoSettings
    settings: CocoSettings
    read_index: ClassVar = staticmethod(index_coco)
    read_ground_truth: ClassVar = staticmethod(coco_ground_truth)
    archives = tuple(
        PublishedArchive(name, f"{file}.zip", f"coco2017/{unpacked}", f"{SITE}/{folder}/{file}.zip", md5)
        for name, file, unpacked, folder, md5 in (
            ("coco_train", "train2017", "train2017", "zips", "cced6f7f71b7629ddf16f17bbcfab6b2"),
            ("coco_val", "val2017", "val2017", "zips", "442b8da7639aecaf257c1dceb8ba8c80"),
            ("coco_annotations", "annotations_trainval2017", "annotations", "annotations",
             "f4bbac642086de4f52a3fdda2de5fa2c"),
        )
    )  # fmt: skip

    @property
    def root(self) -> str:
        return self.settings.root or f"{self.surroundings.fetch_folder}/coco2017"

    def folders(self) -> dict[str, str | None]:
        return {"dataset.root": self.settings.root}

    def inputs(self) -> list[str]:
        return [] if self.settings.root else self.fetched(*(f"coco2017/{part}" for part in PARTS))

    def image_paths(self) -> list[str]:
        return self._own(*self._paths(1, "images"), *self._paths(0, "json"), CLASS_LIST)

    def ground_truth_paths(self) -> list[str]:
        return self._own(*self._paths(0, "json"))

    def index_options(self) -> dict[str, object]:
        keys = ("crowd", "counts_known", "val_fraction")
        options = {key: getattr(self.settings, key) for key in keys}
        return {**options, "random_seed": self.surroundings.random_seed, **self._named()}

    def ground_truth_options(self) -> dict[str, object]:
        return self._named()

    def _named(self) -> dict[str, object]:
        return {key: value for key in NAMED if (value := getattr(self.settings, key))}

    def _paths(self, part: int, key: str) -> list[str]:
        """Return where the annotations (0) or images (1) of the splits may be."""
        names = (
            [name for split in SPLITS for name in OTHER_NAMES.get(split, (split,))] if self.settings.root else SPLITS
        )
        forms = FORMS if self.settings.root else FORMS[:1]
        found = [form[part].format(split=name) for form in forms for name in names]
        if self.settings.root:
            whole = [form[0] for form in WHOLE_FORMS]
            in_root = any(map(os.path.isfile, below(self.root, *whole))) or self.settings.train_json
            found += whole if key == "json" else ["images", *([""] if in_root else [])]
        named = [value for split in SPLITS if (value := getattr(self.settings, f"{split}_{key}"))]
        return list(dict.fromkeys([*found, *named]))

    def _own(self, *names: str) -> list[str]:
        """Return paths in the user's own copy; what a job unpacks is tracked by its rule."""
        fetched = tuple(f"{path}/" for path in self.inputs())
        return [path for path in below(self.root, *names) if not f"{path}/".startswith(fetched)]
