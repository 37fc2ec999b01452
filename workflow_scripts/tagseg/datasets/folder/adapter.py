"""The adapter of the user's own images: a folder with a table of labels, or one folder per class."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tagseg.datasets.base import Adapter, DatasetSettings, below
from tagseg.datasets.common import CLASS_LIST, MASK_FOLDER
from tagseg.datasets.folder.reader import TABLES, index_photos, photos_ground_truth
from tagseg.storage.index import Index


class FolderSettings(DatasetSettings):
    """Keys of `dataset` where `kind` is photos; the folder is the key `photos`."""

    kind: Literal["photos"] = "photos"
    val_fraction: float = Field(0.2, gt=0, lt=1, description="fraction of val where the table has no split")
    labels: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="path of the table, relative to the folder or absolute; `folders`: one folder per class; null: "
        "labels.csv, .tsv or .jsonl if there is one, else folders",
    )


class FolderAdapter(Adapter):
    """The folder that the key `photos` names."""

    settings_type = FolderSettings
    settings: FolderSettings
    read_index: ClassVar = staticmethod(index_photos)

    @property
    def root(self) -> str:
        return self.surroundings.photos or ""

    @staticmethod
    def read_ground_truth(root: Path, index: Index, split: str, folder: Path, threads: int) -> dict[str, str]:
        return photos_ground_truth(root, index, split, folder)

    def folders(self) -> dict[str, str | None]:
        return {"photos": self.root}

    def image_paths(self) -> list[str]:
        named = [self.settings.labels] if self.settings.labels else []
        return [self.root, *below(self.root, CLASS_LIST, *TABLES, *named)]

    def ground_truth_paths(self) -> list[str]:
        return below(self.root, MASK_FOLDER)

    def index_options(self) -> dict[str, object]:
        options = {"val_fraction": self.settings.val_fraction, "labels": self.settings.labels}
        return {**options, "random_seed": self.surroundings.random_seed}
