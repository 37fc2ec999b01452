"""The adapter of PASCAL VOC devkits, with SBD where trainaug or its masks are asked for."""

import os
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tagseg.datasets.base import Adapter, DatasetSettings, Folder, PublishedArchive, below, is_by_hand
from tagseg.datasets.common import AUGMENTED, CLASS_LIST, MASK_FOLDER
from tagseg.datasets.voc.devkit import TRAINAUG, index_voc
from tagseg.datasets.voc.masks import voc_ground_truth
from tagseg.storage.images import IMAGE_SUFFIXES

DEVKIT, SBD = "VOCdevkit", "benchmark_RELEASE"
DEVKIT_PARENTS = ("", "VOC2012", "VOCdevkit/VOC2012")
SBD_PARENTS = ("", "dataset", "benchmark_RELEASE/dataset")
ListName = Annotated[str, Field(min_length=1)]


class VocSettings(DatasetSettings):
    """Keys of `dataset` where `kind` is voc."""

    kind: Literal["voc"] = "voc"
    root: Folder | None = Field(None, description="folder of your copy; null: fetched into fetch.folder")
    train_list: ListName = Field(
        "train", description="list in ImageSets/Segmentation; trainaug is built from the devkit and SBD"
    )
    val_list: ListName = "val"
    test_list: ListName | None = Field(None, description="images that are only predicted")
    test_root: Folder | None = Field(None, description="folder of the test devkit (with test_list: test)")
    sbd: Folder | None = Field(None, description="folder of SBD (img, cls, train.txt, val.txt); null: fetched")
    sbd_masks: bool = Field(False, description="SBD's masks are ground truth where the devkit has none")
    difficult: bool = Field(True, description="objects marked difficult give tags too")
    counts_known: bool = Field(False, description="fail unless the counts are those of the published set")


class VocAdapter(Adapter):
    """A devkit of the user, or the one that is fetched."""

    settings_type = VocSettings
    settings: VocSettings
    suffixes = frozenset(IMAGE_SUFFIXES) | {".xml", ".txt", ".mat"}
    read_index: ClassVar = staticmethod(index_voc)
    read_ground_truth: ClassVar = staticmethod(voc_ground_truth)
    archives = (
        PublishedArchive(
            "voc2012",
            "VOCtrainval_11-May-2012.tar",
            DEVKIT,
            "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            "6cd6e144f989b92b3379bac3b3de84fd",
        ),
        PublishedArchive(
            "sbd",
            "benchmark.tgz",
            SBD,
            "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
            "82b4d87ceb2ed10f6038a1cba92111cb",
        ),
    )

    @property
    def root(self) -> str:
        return self.settings.root or f"{self.surroundings.fetch_folder}/{DEVKIT}/VOC2012"

    @property
    def sbd(self) -> str:
        """Folder of SBD."""
        return self.settings.sbd or f"{self.surroundings.fetch_folder}/{SBD}/dataset"

    def folders(self) -> dict[str, str | None]:
        return {f"dataset.{key}": getattr(self.settings, key) for key in ("root", "test_root", "sbd")}

    def inputs(self) -> list[str]:
        return self._fetched_devkit() + self._fetched_sbd(self._lists_need_sbd())

    def ground_truth_inputs(self) -> list[str]:
        return self._fetched_devkit() + self._fetched_sbd(self.settings.sbd_masks)

    def image_paths(self) -> list[str]:
        names = ("JPEGImages", "Annotations", "ImageSets/Segmentation", "ImageSets/Main", CLASS_LIST)
        paths = [] if self._fetched_devkit() else below(self.root, *names, parents=DEVKIT_PARENTS)
        if self.settings.test_root:
            paths += below(self.settings.test_root, *names, parents=DEVKIT_PARENTS)
        return paths + self._sbd_paths(self._lists_need_sbd(), "train.txt", "val.txt")

    def ground_truth_paths(self) -> list[str]:
        masks = [] if self._fetched_devkit() else below(self.root, MASK_FOLDER, AUGMENTED, parents=DEVKIT_PARENTS)
        return masks + self._sbd_paths(self.settings.sbd_masks, "cls")

    def index_options(self) -> dict[str, object]:
        keys = ("train_list", "val_list", "test_list", "difficult", "test_root", "counts_known")
        options = {key: getattr(self.settings, key) for key in keys}
        return {**options, "sbd": self.sbd if self._lists_need_sbd() else None}

    def ground_truth_options(self) -> dict[str, object]:
        return {"sbd": self.sbd if self.settings.sbd_masks else None}

    def _lists_need_sbd(self) -> bool:
        lists = (self.settings.train_list, self.settings.val_list, self.settings.test_list)
        return TRAINAUG in lists and not self._has_own_trainaug()

    def _has_own_trainaug(self) -> bool:
        """Return whether the user's copy has a list of trainaug, and no SBD is named."""
        names = [f"ImageSets/Segmentation/{name}.txt" for name in (TRAINAUG, "train_aug")]
        paths = below(self.settings.root or "", *names, parents=DEVKIT_PARENTS) if self.settings.root else []
        return not self.settings.sbd and any(map(os.path.isfile, paths))

    def _fetched_devkit(self) -> list[str]:
        return [] if self.settings.root else self.fetched(DEVKIT)

    def _fetched_sbd(self, needed: bool) -> list[str]:
        return self.fetched(SBD) if needed and not self.settings.sbd else []

    def _sbd_paths(self, needed: bool, *names: str) -> list[str]:
        """Return paths in the user's own copy of SBD."""
        own = self.settings.sbd or is_by_hand(f"{self.surroundings.fetch_folder}/{SBD}")
        return below(self.sbd, *names, parents=SBD_PARENTS) if needed and own else []
