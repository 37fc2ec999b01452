"""From the settings of a data set to its index, its ground truth and all of its problems."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from tagseg.datasets.common import collected
from tagseg.datasets.image_checks import Reading, mask_problems
from tagseg.datasets.problems import Problem, raise_any
from tagseg.datasets.registry import ADAPTERS
from tagseg.runtime.settings import Settings
from tagseg.storage.ground_truth import read_ground_truth, write_ground_truth
from tagseg.storage.images import MAX_GIGABYTES, max_pixels
from tagseg.storage.index import Index


def _known(kind: str) -> str:
    if kind not in ADAPTERS:
        raise ValueError(f"not one of {', '.join(ADAPTERS)}")
    return kind


class SourceSettings(Settings):
    """A data set: its kind, its folder, and the options of its adapter's reader."""

    model_config = ConfigDict(extra="allow")

    kind: Annotated[str, AfterValidator(_known)]
    root: str
    max_unreadable_fraction: float | None = Field(None, ge=0, lt=1)
    max_image_memory: float = Field(MAX_GIGABYTES, gt=0)
    negatives: bool = False
    copy_images: bool = False

    @property
    def max_pixels(self) -> int:
        """Largest image that is read."""
        return max_pixels(self.max_image_memory)

    def read_index(self, reading: Reading) -> Index:
        """Read the whole data set. Raises DatasetProblems with all problems, TagsegError on a wrong setting."""
        return ADAPTERS[self.kind].read_index(Path(self.root), reading=reading, **self.model_extra or {})

    def for_training(self, index: Index) -> Index:
        """Return the index without the train images that carry no tag, unless they are `negatives`."""
        if self.negatives:
            return index
        return Index(index.classes, tuple(row for row in index.images if row.tags or row.split != "train"))

    def read_ground_truth(self, index: Index, split: str, folder: Path, threads: int) -> dict[str, str]:
        """Return the path of each mask of a split by id; masks that are not PNGs are converted below `folder`."""
        read = ADAPTERS[self.kind].read_ground_truth
        return read(Path(self.root), index, split, folder, threads=threads, **self.model_extra or {})


class CheckSettings(Settings):
    """Settings of the check: the readers of images and ground truth, and the splits whose masks are read."""

    images: SourceSettings
    ground_truth: SourceSettings
    splits: list[str]


def collect_ground_truth(
    settings: SourceSettings, index: Index, split: str, folder: Path, threads: int = 1
) -> dict[str, str]:
    """Return the path of each mask of a split by id; those that are not PNGs are converted below `folder`.

    All pixels of all masks are read. Raises DatasetProblems with all that are wrong.
    """
    masks = settings.read_ground_truth(index, split, folder, threads)
    write_ground_truth(folder, masks)
    raise_any(settings.root, mask_problems(read_ground_truth(folder), index, threads))
    return masks


def train_problems(index: Index) -> list[Problem]:
    """Return the problems of an empty train split and of classes without a train image."""
    train = index.of_split("train")
    if not train:
        return [Problem("", 0, "no image in train. Add some to the image sets or the table of labels.")]
    present = {tag for row in train for tag in row.tags}
    return [
        Problem("", 0, f"no train image of {name}. Add some, or list only the classes to learn in classes.txt.")
        for name in index.classes[1:]
        if name not in present
    ]


@dataclass(frozen=True)
class CheckResult:
    """Result of a check: the index (None where it cannot be built), ids with a mask, and the problems.

    Of the `read` images, `unreadable` ones are missing from the index and among the problems. `notes` says what the
    reader assumes.
    """

    index: Index | None
    masked: frozenset[str]
    problems: tuple[Problem, ...]
    read: int
    unreadable: int
    notes: tuple[str, ...] = ()


def check_data_set(settings: CheckSettings, folder: Path, processes: int, results: Path | None = None) -> CheckResult:
    """Read all images of a data set and, where the index can be built, all masks; keep all problems.

    Masks that are not PNGs are converted below `folder`. Images below `results` are ignored.
    """
    problems: list[Problem] = []
    # With no limit on unreadable images, the other problems are collected as well.
    reading = Reading(1.0, processes, results, settings.images.max_pixels)
    index: Index | None = None
    masks: dict[str, Path] = {}
    with collected(problems, "", ""):
        index = settings.images.read_index(reading)
    problems += [one.problem for one in reading.skipped]
    if index is not None:
        problems += train_problems(index)
        for split in settings.splits:
            with collected(problems, "", ""):
                masks |= _read_masks(
                    settings.ground_truth, settings.images.for_training(index), split, folder / split, processes
                )
        problems += mask_problems(masks, index, processes)
    counts = (reading.count, len(reading.skipped))
    return CheckResult(index, frozenset(masks), tuple(sorted(set(problems))), *counts, tuple(reading.notes))


def _read_masks(settings: SourceSettings, index: Index, split: str, folder: Path, processes: int) -> dict[str, Path]:
    """Return the mask files of a split, as the stage that collects ground truth finds them."""
    folder.mkdir(parents=True)
    masks = settings.read_ground_truth(index, split, folder, processes)
    write_ground_truth(folder, masks)
    return read_ground_truth(folder)
