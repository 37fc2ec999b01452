"""The adapter of the user's own images: a folder with a table of labels, or one folder per class."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from tagseg.datasets.base import Adapter, DataPath, DatasetSettings, below
from tagseg.datasets.common import CLASS_LIST, MASK_FOLDER
from tagseg.datasets.folder.reader import TABLES, index_photos, photos_ground_truth
from tagseg.storage.index import Index


class FolderSettings(DatasetSettings):
    """Keys of `dataset` where `kind` is photos; the folder is the key `photos`."""

    kind: Literal["photos"] = "photos"
    val_fraction: float = Field(0.2, gt=0, lt=1, description="fraction of val where the table has no split")
    labels: DataPath | None = Field(
        None,
        description="path of the table, relative to the folder or absolute; `folders`: one folder per class; null: "
        "labels.csv, .tsv or .jsonl if there is one, else folders",
    )
    class_list: DataPath = Field(CLASS_LIST, description="path of the class list, relative to the folder or absolute")
    masks: DataPath = Field(MASK_FOLDER, description="folder of ground-truth masks, relative to the folder or absolute")


class FolderAdapter(Adapter):
    """The folder that the key `photos` names."""

    settings_type = FolderSettings
    settings: FolderSettings
    read_index: ClassVar = staticmethod(index_photos)

    @property
    def root(self) -> str:
        return self.surroundings.photos or ""

    @staticmethod
    def read_ground_truth(
        root: Path, index: Index, split: str, folder: Path, masks: str = MASK_FOLDER, threads: int = 1
    ) -> dict[str, str]:
        return photos_ground_truth(root / masks, index, split)

    def folders(self) -> dict[str, str | None]:
        return {"photos": self.root}

    def image_paths(self) -> list[str]:
        named = [self.settings.labels] if self.settings.labels else []
        return [self.root, *below(self.root, self.settings.class_list, *TABLES, *named)]

    def ground_truth_paths(self) -> list[str]:
        return below(self.root, self.settings.masks)

    def ground_truth_options(self) -> dict[str, object]:
        return {"masks": self.settings.masks}

    def index_options(self) -> dict[str, object]:
        options = {key: getattr(self.settings, key) for key in ("val_fraction", "labels", "class_list")}
        return {**options, "random_seed": self.surroundings.random_seed}
