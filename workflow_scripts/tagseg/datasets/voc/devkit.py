"""The layout of PASCAL VOC: tags from the XML annotations, splits from the image sets.

M. Everingham et al., "The PASCAL Visual Object Classes Challenge 2012 (VOC2012) Development Kit".
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tagseg.datasets.class_names import ClassNames
from tagseg.datasets.common import (
    CLASS_LIST,
    MASK_FOLDER,
    collected,
    in_class_order,
    places_of,
    read_class_list,
    read_ids,
)
from tagseg.datasets.image_checks import UNKNOWN, Reading
from tagseg.datasets.paths import is_plain_name, is_present, user_error
from tagseg.datasets.problems import Problem, raise_any
from tagseg.datasets.voc.annotations import read_tags
from tagseg.datasets.voc.sbd import find_sbd, read_sbd_ids
from tagseg.storage.images import IMAGE_SUFFIXES
from tagseg.storage.index import BACKGROUND, ImageRecord, Index, check_class_names, normal_form

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip

TRAINAUG = "trainaug"
"""VOC 2012's train plus SBD's images."""

# The devkit's documentation, statistics of the segmentation task; trainaug: Hariharan et al. (2011) added.
PUBLISHED_IMAGES = {"train": 1464, "val": 1449, "trainval": 2913, "test": 1456, TRAINAUG: 10582}
# Over trainaug with difficult objects: the label file of J. Ahn, S. Kwak, "Learning Pixel-level Semantic
# Affinity", CVPR 2018, which the field uses.
PUBLISHED_MEAN_TAGS = "1.555"
PUBLISHED_SINGLE_CLASS = 6249

_IMAGE_SETS = Path("ImageSets", "Segmentation")
_MAIN_SETS = Path("ImageSets", "Main")
_ARCHIVE = "VOCtrainval_11-May-2012.tar"


class _Entry(NamedTuple):
    """An id with the list and line that name it, the devkit that contains it, and its split."""

    name: str
    list: Path
    line: int
    devkit: Path
    split: str

    @property
    def annotation(self) -> Path:
        return self.devkit / "Annotations" / f"{self.name}.xml"

    @property
    def image(self) -> Path:
        """The image: VOC's .jpg, or a file of another suffix in a devkit of one's own."""
        suffixes = (".jpg", *sorted(IMAGE_SUFFIXES - {".jpg"}))
        paths = [self.devkit / "JPEGImages" / f"{self.name}{suffix}" for suffix in suffixes]
        return next((path for path in paths if path.is_file()), paths[0])

    @property
    def remedy(self) -> str:
        """The remedy for a missing file: VOC's archive has all images of SBD."""
        if self.list.parent == image_sets(self.devkit):
            return f"put it there or remove the id from {self.list.name}, line {self.line}"
        return f"put it there or unpack {_ARCHIVE} again, which has all images of SBD's lists"


def index_voc(
    root: Path,
    *,
    train_list: str = "train",
    val_list: str | None = "val",
    test_list: str | None = None,
    test_root: Path | None = None,
    sbd: Path | None = None,
    difficult: bool = True,
    counts_known: bool = False,
    reading: Reading | None = None,
) -> Index:
    """Index a VOC devkit: `root` itself, or VOC2012 or VOCdevkit/VOC2012 below it.

    A list is a file in ImageSets/Segmentation, without ".txt"; that of test is in `test_root` if given. The list
    "trainaug" is built (see `read_list`). Tags are the names of the annotated objects, those marked difficult only
    if `difficult`; images of `test_root` have none. `counts_known` compares the lists and trainaug's tags with the
    published ones. Raises DatasetProblems with all problems, TagsegError where a part is missing.
    """
    if test_root and not test_list:
        raise user_error(
            "dataset.test_root", "set without dataset.test_list", "set test_list: test, or test_root: null in dataset"
        )
    devkit = find_devkit(Path(root))
    test_devkit = find_devkit(Path(test_root)) if test_root else devkit
    problems: list[Problem] = []
    counts: dict[Path, int] = {}
    named = (("train", devkit, train_list), ("val", devkit, val_list), ("test", test_devkit, test_list))
    entries = _entries(named, sbd, problems, counts)
    reading = reading or Reading()
    written = _read_all_tags(entries, difficult, test_devkit == devkit, problems)
    names = _class_names(devkit, written, counts_known, problems)
    reading.notes += names.notes
    tags = {name: names.tags(own) for name, own in written.items()}
    classes = _with_train_images(devkit, names.names, entries, tags, reading.notes)
    images = _images(entries, tags, classes, reading, problems)
    if counts_known:
        train = [tags.get(one.name) for one in entries if one.split == "train"]
        problems += _unusual_counts(counts, train if train_list == TRAINAUG and difficult else [])
    raise_any(devkit, problems)
    return Index((BACKGROUND, *classes), images)


def find_devkit(root: Path) -> Path:
    """Return the devkit at `root` or below it. Raises TagsegError where there is none."""
    for folder in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (folder / "JPEGImages").is_dir() and image_sets(folder).is_dir():
            return folder
    folders = f"JPEGImages, Annotations, {MASK_FOLDER} and {_IMAGE_SETS}"
    raise user_error(root, "not a VOC devkit", f"unpack {_ARCHIVE} there, or name the folder with {folders}")


def image_sets(devkit: Path) -> Path:
    """Return the folder of the lists: ImageSets/Segmentation, or ImageSets/Main where there is no other."""
    return devkit / (_IMAGE_SETS if (devkit / _IMAGE_SETS).is_dir() else _MAIN_SETS)


def read_list(
    devkit: Path, name: str, sbd: Path | None, problems: list[Problem], counts: dict[Path, int]
) -> dict[str, tuple[Path, int]]:
    """Return the file and line of each id of an image set.

    With `sbd`, trainaug is VOC's train and both lists of SBD, minus VOC's val: SBD has images of all splits;
    without it, the user's own trainaug.txt or train_aug.txt. Invalid lines go to `problems`, the number of ids to
    `counts`. Raises TagsegError where a list is missing.
    """
    if not is_plain_name(name):
        raise user_error(repr(name), "not the name of a list", f"name a file in {_IMAGE_SETS}")
    path = image_sets(devkit) / f"{name}.txt"
    own = own_trainaug(devkit) if name == TRAINAUG and not sbd else None
    if name == TRAINAUG and own is None:
        if not sbd:
            remedy = "set it to the folder with img, cls, train.txt and val.txt, or use another train_list"
            raise user_error("dataset.sbd", f"not set, but the list {TRAINAUG} requires it", remedy)
        train = read_list(devkit, "train", None, problems, counts)
        val = read_list(devkit, "val", None, [], counts)
        added = read_sbd_ids(find_sbd(Path(sbd)), problems)
        ids = train | {one: where for one, where in added.items() if one not in train and one not in val}
    else:
        path = own or path
        lines = read_ids(path, "put the list there or set the name of another one", problems)
        ids = {one: (path, line) for one, line in lines.items()}
    counts[path] = len(ids)
    return ids


def own_trainaug(devkit: Path) -> Path | None:
    """Return a user's own list of trainaug, or None."""
    paths = (image_sets(devkit) / f"{name}.txt" for name in (TRAINAUG, "train_aug"))
    return next((path for path in paths if path.is_file()), None)


def _entries(
    named: Sequence[tuple[str, Path, str | None]], sbd: Path | None, problems: list[Problem], counts: dict[Path, int]
) -> list[_Entry]:
    """Return the entries of the lists, given as (split, devkit, name); each id is in one split."""
    entries: list[_Entry] = []
    for split, kit, name in named:
        ids = read_list(kit, name, sbd, problems, counts) if name else {}
        entries += [_Entry(one, *where, kit, split) for one, where in ids.items()]
    return _one_split_each(entries, problems)


def _one_split_each(entries: list[_Entry], problems: list[Problem]) -> list[_Entry]:
    """Return the entries without the ids of an earlier split; each of those is a problem."""
    kept: dict[str, _Entry] = {}
    for one in entries:
        if kept.setdefault(one.name, one) is not one:
            text = f"{one.name!r} is already in {kept[one.name].split}. Remove one."
            problems.append(Problem(str(one.list), one.line, text))
    return list(kept.values())


def _unusual_counts(images: Mapping[Path, int], train: Sequence[frozenset[str] | None]) -> list[Problem]:
    """Compare the images of each list, and the tags of each image of trainaug if known, with the published ones."""
    counts = [
        (TRAINAUG if path.stem == TRAINAUG else str(path), "images", f"{count:,}", f"{published:,}")
        for path, count in images.items()
        if (published := PUBLISHED_IMAGES.get(path.stem))
    ]
    if train and all(train):
        tags = [len(own) for own in train if own]
        single = ("single-class images", f"{tags.count(1):,}", f"{PUBLISHED_SINGLE_CLASS:,}")
        mean = ("tags per image", f"{sum(tags) / len(tags):.3f}", PUBLISHED_MEAN_TAGS)
        counts += [(TRAINAUG, *single), (TRAINAUG, *mean)]
    remedy = "Unpack the data set again, or set dataset.counts_known: false."
    return [
        Problem(name, 0, f"{ours} {what}, but the published set has {published}. {remedy}")
        for name, what, ours, published in counts
        if ours != published
    ]


def _read_all_tags(
    entries: list[_Entry], difficult: bool, test_tags: bool, problems: list[Problem]
) -> dict[str, frozenset[str]]:
    """Return the tags of each id whose annotation is valid; `test_tags`: whether test images have any."""
    tags: dict[str, frozenset[str]] = {}
    for one in entries:
        with collected(problems, one.annotation):
            annotated = one.split != "test" or (test_tags and is_present(one.annotation))
            tags[one.name] = read_tags(one.annotation, one.remedy, difficult) if annotated else frozenset()
    return tags


def _class_names(devkit: Path, tags: Mapping[str, frozenset[str]], vocs: bool, problems: list[Problem]) -> ClassNames:
    """Return the classes: the devkit's own list, else VOC's where any tag is VOC's (or `vocs`), else all tags.

    One VOC tag is enough: a misspelt name must not create a new list, which would change the masks' labels.
    """
    written = [tag for own in tags.values() for tag in own]
    listed, remedy = read_class_list(devkit / CLASS_LIST), ""
    known = {normal_form(name) for name in VOC_CLASSES}
    if listed is None and (vocs or known & {normal_form(tag) for tag in written}):
        listed = VOC_CLASSES
        remedy = f"not one of VOC's classes. Correct the annotation, or list all classes in {CLASS_LIST}."
    names = ClassNames(written, listed, remedy)
    if listed is None and (written or not problems):  # else no tag could be read, which has its own messages
        with collected(problems, devkit / "Annotations"):
            check_class_names(names.names, devkit / "Annotations")
    problems += [
        Problem(str(devkit / "Annotations" / f"{name}.xml"), 0, names.wrong[tag])
        for name, own in sorted(tags.items())
        for tag in sorted(own)
        if tag in names.wrong
    ]
    return names


def _with_train_images(
    devkit: Path,
    names: tuple[str, ...],
    entries: Sequence[_Entry],
    tags: Mapping[str, frozenset[str]],
    notes: list[str],
) -> tuple[str, ...]:
    """Return the classes that train has, where they are VOC's own list: a part of VOC may lack some."""
    train = {tag for one in entries if one.split == "train" for tag in tags.get(one.name, ())}
    missing = [name for name in names if name not in train]
    if names != VOC_CLASSES or not train or not missing or read_class_list(devkit / CLASS_LIST):
        return names
    notes.append(f"classes of VOC without a train image are left out, void in masks: {', '.join(missing)}")
    return tuple(name for name in names if name in train)


def _images(
    entries: list[_Entry],
    tags: Mapping[str, frozenset[str]],
    names: tuple[str, ...],
    reading: Reading,
    problems: list[Problem],
) -> tuple[ImageRecord, ...]:
    """Return a row for each readable image, sorted by id."""
    rows = []
    positions = places_of(names)
    for one in entries:
        path = one.image
        with collected(problems, path):
            if not path.is_file():
                raise user_error(path, "no such image", one.remedy)
            own = in_class_order(tags.get(one.name, ()), positions)
            rows.append(ImageRecord(one.name, str(path), *UNKNOWN, one.split, own))
    return reading.readable(rows, problems)
