"""The adapter of the demo: a generated data set in the form of a VOC devkit."""

from functools import partial
from typing import ClassVar, Literal

from tagseg.datasets.base import Adapter, DatasetSettings
from tagseg.datasets.demo.settings import DemoSettings
from tagseg.datasets.voc.devkit import index_voc
from tagseg.datasets.voc.masks import voc_ground_truth


class DemoDatasetSettings(DatasetSettings):
    """Keys of `dataset` where `kind` is demo."""

    kind: Literal["demo"] = "demo"
    demo: DemoSettings = DemoSettings()


class DemoAdapter(Adapter):
    """The generated data set."""

    settings_type = DemoDatasetSettings
    read_index: ClassVar = partial(
        index_voc,
        train_list="train",
        val_list="val",
        test_list=None,
        difficult=True,
        test_root=None,
        sbd=None,
        counts_known=False,
    )
    read_ground_truth: ClassVar = staticmethod(voc_ground_truth)

    @property
    def root(self) -> str:
        return f"{self.surroundings.run}/devkit"

    def inputs(self) -> list[str]:
        return [self.root]
