"""The interface of an adapter: what a kind of data set gives to the workflow and to its jobs."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from tagseg.runtime.settings import Distinct, Settings
from tagseg.storage.images import IMAGE_SUFFIXES, MAX_GIGABYTES
from tagseg.storage.index import Index

Split = Literal["train", "val", "test"]

UNPACKED_MARK = ".tagseg_unpacked"
"""File in a folder that our own job has unpacked; a folder without it was put there by the user."""


def tidy_folder(folder: str) -> str:
    """Return one spelling of a folder's path: relative below the working folder, else absolute."""
    path = os.path.abspath(os.path.expanduser(folder))
    inside = os.path.relpath(path)
    return path if inside.startswith(os.pardir) else inside


Folder = Annotated[str, Field(min_length=1), AfterValidator(tidy_folder)]
DataPath = Annotated[str, Field(min_length=1), AfterValidator(os.path.expanduser)]
"""A path relative to the data set's folder, or absolute."""


class DatasetSettings(Settings):
    """Keys of the section `dataset` that every kind has."""

    kind: str
    max_unreadable_fraction: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="fraction of images that may be unreadable: they are skipped and listed in index/skipped.csv; "
        "above it the index stage fails, before any training",
    )
    max_image_memory: float = Field(
        MAX_GIGABYTES, gt=0, description="GB that reading one image may take, 14 bytes per pixel; larger: unreadable"
    )
    negatives: bool = Field(
        False,
        description="images of train without a tag show none of the classes and are learnt as background; "
        "false: skipped",
    )
    ground_truth: Annotated[list[Split], Distinct] = Field(
        ["train", "val"], description="splits whose ground truth is collected, for scores and the upper bound"
    )


@dataclass(frozen=True)
class PublishedArchive:
    """An archive that can be fetched: its name in `fetch.archives`, its file, the folder that it unpacks to."""

    name: str
    file: str
    unpacked: str
    url: str
    md5: str


@dataclass(frozen=True)
class Surroundings:
    """What an adapter needs to know of the run: `run` is its folder of results."""

    run: str
    fetch_folder: str
    photos: str | None
    random_seed: int


class Adapter(ABC):
    """A data set of one kind. A new kind is a folder with a subclass, and a line in `datasets.registry`.

    `read_index(root, reading=..., **options)` returns the Index, `read_ground_truth(root, index, split, folder,
    threads, **options)` the path of each mask by image id, "png/..." below `folder` where it is made there. Both
    raise DatasetProblems with all problems.
    """

    settings_type: ClassVar[type[DatasetSettings]]
    suffixes: ClassVar[frozenset[str]] = frozenset(IMAGE_SUFFIXES)
    archives: ClassVar[tuple[PublishedArchive, ...]] = ()
    read_index: ClassVar[Callable[..., Index]]
    read_ground_truth: ClassVar[Callable[..., dict[str, str]]]

    def __init__(self, settings: DatasetSettings, surroundings: Surroundings) -> None:
        self.settings, self.surroundings = settings, surroundings

    @property
    @abstractmethod
    def root(self) -> str:
        """Folder of the data set."""

    def folders(self) -> dict[str, str | None]:
        """Return the folders that the user names, by dotted key; they must exist."""
        return {}

    def inputs(self) -> list[str]:
        """Return what other rules make of the data set, for the index; [] where the user has a copy."""
        return []

    def ground_truth_inputs(self) -> list[str]:
        """Return what other rules make of the ground truth."""
        return self.inputs()

    def image_paths(self) -> list[str]:
        """Return the files and folders of the user's copy that the index depends on."""
        return []

    def ground_truth_paths(self) -> list[str]:
        """Return the files and folders of the user's copy that the ground truth depends on."""
        return []

    def index_options(self) -> dict[str, object]:
        """Return the options of `read_index`."""
        return {}

    def ground_truth_options(self) -> dict[str, object]:
        """Return the options of `read_ground_truth`."""
        return {}

    def fetched(self, *folders: str) -> list[str]:
        """Return those of the unpacked archives that a job makes; one put there by hand is the user's copy."""
        paths = [f"{self.surroundings.fetch_folder}/{folder}" for folder in folders]
        return [path for path in paths if not is_by_hand(path)]


def is_by_hand(folder: str) -> bool:
    """Return whether a folder exists that no job of ours has unpacked."""
    return os.path.isdir(folder) and not os.path.exists(f"{folder}/{UNPACKED_MARK}")


def below(folder: str, *names: str, parents: tuple[str, ...] = ("",)) -> list[str]:
    """Return paths below a folder, or below one of its subfolders `parents`."""
    return [os.path.join(folder, parent, name) for parent in parents for name in names]
