"""The layout of PASCAL VOC: tags from the XML annotations, splits from the image sets.

M. Everingham et al., "The PASCAL Visual Object Classes Challenge 2012 (VOC2012) Development Kit".
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from tagseg.datasets.common import (
    CLASS_LIST,
    MASK_FOLDER,
    check_mask,
    collected,
    holds_masks,
    in_class_order,
    places_of,
    read_class_list,
    read_ids,
)
from tagseg.datasets.places import check_file, check_inside, check_utf8, leads_out, lies_there
from tagseg.datasets.problems import DatasetProblems, Problem
from tagseg.datasets.reading import UNKNOWN, Reading
from tagseg.datasets.sbd import find_sbd, read_sbd_ids, read_sbd_mask, sbd_masks
from tagseg.datasets.voc_annotations import read_tags
from tagseg.errors import TagsegError
from tagseg.images import PHOTOGRAPH_SUFFIXES, VOID, write_mask
from tagseg.index import BACKGROUND, Index, Photograph, check_class_names

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip

TRAINAUG = "trainaug"
"""VOC 2012's train and what SBD adds to it."""

# The devkit's documentation, statistics of the segmentation task; trainaug: Hariharan et al. (2011) added.
PUBLISHED_PHOTOGRAPHS = {"train": 1464, "val": 1449, "trainval": 2913, "test": 1456, TRAINAUG: 10582}
# Over trainaug, objects marked difficult included: the label file that is published with the code of
# J. Ahn, S. Kwak, "Learning Pixel-level Semantic Affinity", CVPR 2018, and that the field uses.
PUBLISHED_MEAN_TAGS = "1.555"
PUBLISHED_SINGLE_CLASS = 6249


_IMAGE_SETS = Path("ImageSets", "Segmentation")
_FOLDERS = ("JPEGImages", "Annotations", "ImageSets", _IMAGE_SETS)
_ARCHIVE = "VOCtrainval_11-May-2012.tar"


class _Line(NamedTuple):
    """Where a photograph is named, and the devkit that has to have it."""

    list: Path
    number: int
    devkit: Path


_Listed = dict[str, _Line]  # by id


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
    """Index a VOC devkit, or the only one below a folder that holds VOCdevkit/VOC2012 or VOC2012.

    The lists are names of files in ImageSets/Segmentation, without ".txt"; that of test is of the devkit
    `test_root`, if given. The list "trainaug" is always built, whatever file of that name there is, since
    nothing says from what such a file was made: VOC's train and the two lists of `sbd`, less VOC's val.
    The tags are the names of the objects in Annotations, those marked difficult only if `difficult`;
    photographs of the test list may lack annotations, and those of `test_root` have no tags, because the
    annotations there are of other tasks and name persons alone. `counts_known` compares the lists and the
    tags of trainaug with the published data set's, before any photograph is left out. Every photograph is
    read once, as `reading` says.

    Raises DatasetProblems with all that is wrong; TagsegError where a devkit, a list or SBD is missing.
    """
    devkit = find_devkit(Path(root))
    problems: list[Problem] = []
    reader = _Lists(sbd, problems)
    splits = {"train": reader.read(devkit, train_list), "val": reader.read(devkit, val_list)}
    test_devkit = _test_devkit(devkit, test_list, test_root)
    splits["test"] = reader.read(test_devkit, test_list)
    splits = _one_split_each(splits, problems)
    tags = _read_all_tags(splits, difficult, test_devkit == devkit, problems)
    names = _class_names(devkit, tags, counts_known, problems)
    photographs = _photographs(splits, tags, names, reading or Reading(), problems)
    if counts_known:
        problems += _unusual_counts(reader.lists)
        if train_list == TRAINAUG and difficult and splits["train"].keys() <= tags.keys():
            problems += _unusual_tags([tags[name] for name in splits["train"]])
    if problems:
        raise DatasetProblems(devkit, problems)
    return Index((BACKGROUND, *names), photographs)


def find_devkit(root: Path) -> Path:
    """Return `root`, or the VOC2012 below it, whichever holds JPEGImages and ImageSets/Segmentation.

    Raises TagsegError where none does, saying what to put where, and where one of its folders is a link out.
    """
    check_utf8(root)
    for folder in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (folder / "JPEGImages").is_dir() and (folder / _IMAGE_SETS).is_dir():
            _check_folders(folder)
            return folder
    raise TagsegError(
        f"{root}: no VOC devkit; unpack {_ARCHIVE} there, or name the folder that "
        f"holds JPEGImages, Annotations, {MASK_FOLDER} and {_IMAGE_SETS}"
    )


def _check_folders(devkit: Path) -> None:
    """Raise TagsegError where a folder of the devkit is a link out of it, as each file in it would be."""
    for name in _FOLDERS:
        if leads_out(devkit, PurePosixPath(name)):
            raise TagsegError(f"{devkit / name}: a link out of the devkit; move or copy the folder there")


def _test_devkit(devkit: Path, test_list: str | None, test_root: Path | None) -> Path:
    """Return the devkit of the test list. Raises TagsegError where a test devkit comes without a list."""
    if not test_root:
        return devkit
    if not test_list:
        raise TagsegError("test_root: set, but no test_list; set test_list: test, or test_root: null")
    return find_devkit(Path(test_root))


# Image sets --------------------------------------------------------------------------------------


class _Lists:
    """The image sets of devkits, each read once."""

    def __init__(self, sbd: Path | None, problems: list[Problem]) -> None:
        self.lists: dict[Path, _Listed] = {}
        self._sbd, self._problems = sbd, problems

    def read(self, devkit: Path, name: str | None) -> _Listed:
        """Return the ids of a list, none without a name.

        Raises TagsegError where it is missing or lies elsewhere.
        """
        if not name:
            return {}
        if Path(name).name != name:
            raise TagsegError(f"{name!r} is no name of a list; name a file of {_IMAGE_SETS}, without .txt")
        path = devkit / _IMAGE_SETS / f"{name}.txt"
        if path not in self.lists:
            self.lists[path] = self._trainaug(devkit) if name == TRAINAUG else self._of_file(devkit, path)
        return self.lists[path]

    def _of_file(self, devkit: Path, path: Path) -> _Listed:
        check_inside(devkit, path)
        ids = read_ids(path, "put the list there or set the name of another one", self._problems)
        return {name: _Line(path, line, devkit) for name, line in ids.items()}

    def _trainaug(self, devkit: Path) -> _Listed:
        """Return VOC's train and both lists of SBD, less VOC's val: SBD has photographs of all splits."""
        if not self._sbd:
            raise TagsegError(
                f"{TRAINAUG}: made from VOC's train and SBD, which is not given; set sbd to its folder (the "
                "one that holds img, cls, train.txt and val.txt), or another train_list"
            )
        train, val = self.read(devkit, "train"), self.read(devkit, "val")
        added = read_sbd_ids(find_sbd(Path(self._sbd)), self._problems)
        return train | {
            name: _Line(*where, devkit)
            for name, where in added.items()
            if name not in train and name not in val
        }


def _one_split_each(splits: Mapping[str, _Listed], problems: list[Problem]) -> dict[str, _Listed]:
    """Return the splits without the ids that an earlier split has too; each of these is a problem."""
    seen: dict[str, str] = {}
    kept: dict[str, _Listed] = {}
    for split, listed in splits.items():
        for name in listed.keys() & seen.keys():
            text = f"{name!r} is already in {seen[name]}; an id may be listed once: remove one"
            problems.append(Problem(str(listed[name].list), listed[name].number, text))
        kept[split] = {name: line for name, line in listed.items() if name not in seen}
        seen |= dict.fromkeys(kept[split], split)
    return kept


def _unusual_counts(lists: Mapping[Path, _Listed]) -> list[Problem]:
    """Return a problem for each list that has not the published number of photographs."""
    return [
        _unusual(
            TRAINAUG if path.stem == TRAINAUG else path,
            f"{len(listed):,} photographs",
            f"{PUBLISHED_PHOTOGRAPHS[path.stem]:,}",
        )
        for path, listed in lists.items()
        if len(listed) != PUBLISHED_PHOTOGRAPHS.get(path.stem, len(listed))
    ]


def _unusual(place: str | Path, found: str, published: str) -> Problem:
    remedy = "unpack the data set again, or set dataset.counts_known: false"
    return Problem(str(place), 0, f"{found}, where the published set has {published}; {remedy}")


# Tags --------------------------------------------------------------------------------------------


def _read_all_tags(
    splits: Mapping[str, _Listed], difficult: bool, test_tags: bool, problems: list[Problem]
) -> dict[str, frozenset[str]]:
    """Return the tags of each id whose annotation can be read; test may lack it, and has none to tell."""
    tags = {}
    for split, listed in splits.items():
        for name, line in listed.items():
            path = _annotation(line.devkit, name)
            with collected(problems, path):
                told = split != "test" or (test_tags and lies_there(path))
                missing = f"put the annotation there or {_take_out(line)}"
                tags[name] = read_tags(path, line.devkit, missing, difficult) if told else frozenset()
    return tags


def _annotation(devkit: Path, name: str) -> Path:
    return devkit / "Annotations" / f"{name}.xml"


def _take_out(line: _Line) -> str:
    """Return the other remedy for a file that is missing: VOC's archive has all photographs of SBD."""
    if line.list.parent == line.devkit / _IMAGE_SETS:
        return f"take the id out of {line.list.name}, line {line.number}"
    return f"unpack {_ARCHIVE} again, which has all photographs of SBD's lists"


def _class_names(
    devkit: Path, tags: Mapping[str, frozenset[str]], vocs: bool, problems: list[Problem]
) -> tuple[str, ...]:
    """Return the class list: the devkit's own, else VOC's where it has any tag (or `vocs`), else the tags.

    Any, not all: one misspelt name must not make a list of its own, in which every mask is read by wrong
    numbers. Adds a problem for each tag that is not in the list, or that cannot be a class.
    """
    found = frozenset().union(*tags.values())
    names, remedy = read_class_list(devkit), f"not in {CLASS_LIST}; add it there or mend the annotation"
    if names is None:
        remedy = f"not in VOC's {len(VOC_CLASSES)} classes; mend the annotation, or list all in {CLASS_LIST}"
        names = VOC_CLASSES if vocs or found & set(VOC_CLASSES) else tuple(sorted(found))
        with collected(problems, devkit / "Annotations"):
            check_class_names(names, devkit / "Annotations")
    known = set(names)
    problems += [
        Problem(str(_annotation(devkit, name)), 0, f"class {tag!r} is {remedy}")
        for name, own in sorted(tags.items())
        for tag in sorted(own - known)
    ]
    return names


def _unusual_tags(tags: list[frozenset[str]]) -> list[Problem]:
    """Return a problem for each number of the tags of trainaug that is not the published one."""
    single = sum(len(own) == 1 for own in tags)
    mean = f"{sum(len(own) for own in tags) / max(1, len(tags)):.3f}"
    problems = []
    if mean != PUBLISHED_MEAN_TAGS:
        problems.append(_unusual(TRAINAUG, f"{mean} tags a photograph", PUBLISHED_MEAN_TAGS))
    if single != PUBLISHED_SINGLE_CLASS:
        found = f"{single:,} photographs of a single class"
        problems.append(_unusual(TRAINAUG, found, f"{PUBLISHED_SINGLE_CLASS:,}"))
    return problems


# Photographs -------------------------------------------------------------------------------------


def _photographs(
    splits: Mapping[str, _Listed],
    tags: Mapping[str, frozenset[str]],
    names: tuple[str, ...],
    reading: Reading,
    problems: list[Problem],
) -> tuple[Photograph, ...]:
    """Return a row for each photograph whose file can be read, sorted by id."""
    rows = []
    places = places_of(names)
    for split, listed in splits.items():
        for name, line in listed.items():
            own = in_class_order(tags.get(name, ()), places)
            path = _find_image(line.devkit / "JPEGImages", name)
            with collected(problems, path):
                _check_there(path, line)
                rows.append(Photograph(name, str(path), *UNKNOWN, split, own))
    return reading.readable(rows, problems)


def _find_image(folder: Path, name: str) -> Path:
    """Return the photograph of an id: VOC's .jpg, or a file of another suffix in a look-alike."""
    suffixes = (".jpg", *sorted(PHOTOGRAPH_SUFFIXES - {".jpg"}))
    candidates = (folder / f"{name}{suffix}" for suffix in suffixes)
    return next((path for path in candidates if path.is_file()), folder / f"{name}.jpg")


def _check_there(path: Path, line: _Line) -> None:
    """Raise TagsegError where a photograph is missing or a link out of the devkit."""
    check_inside(line.devkit, path)
    if not path.is_file():
        raise TagsegError(f"{path}: no such image; put it there or {_take_out(line)}")


# True masks --------------------------------------------------------------------------------------


def voc_true_masks(
    root: Path, index: Index, split: str, folder: Path, *, sbd: Path | None = None
) -> dict[str, str]:
    """Return the path of each true mask of a split by id; photographs without one are left out.

    Masks are the devkit's own; where it has none, those of `sbd`, if given, which are written as PNGs
    into `folder`/png ("png/<id>.png" in the answer). SBD's numbers are turned into the index's by the
    class's name; a class that the index has not becomes void: its pixels are neither right nor wrong.
    Only photographs of `root` have masks here, those of a test devkit have none.

    Raises DatasetProblems with all masks that are damaged, not of the photograph's size (of the devkit's
    PNGs the header is read alone), or links out; TagsegError where the devkit or SBD is missing.
    """
    devkit = find_devkit(Path(root))
    own = devkit / MASK_FOLDER if holds_masks(devkit) else None
    mats = sbd_masks(find_sbd(Path(sbd))) if sbd else None
    problems: list[Problem] = []
    masks = {}
    for row in index.of_split(split):
        png, mat = own and own / f"{row.id}.png", mats and mats / f"{row.id}.mat"
        with collected(problems, png or ""):
            if png and lies_there(png):
                masks[row.id] = str(png)
                check_mask(devkit, png, row.width, row.height)
        with collected(problems, mat or ""):
            if mat and row.id not in masks and lies_there(mat):
                check_file(mats.parent, mat)
                masks[row.id] = _convert(mat, row, index.classes, folder)
    if problems:
        raise DatasetProblems(devkit, problems)
    return masks


def _convert(mat: Path, row: Photograph, classes: tuple[str, ...], folder: Path) -> str:
    """Write a mask of SBD as a PNG in the numbers of `classes`; return its path relative to `folder`."""
    labels = read_sbd_mask(mat, row.width, row.height)
    write_mask(folder / "png" / f"{row.id}.png", _numbers_of_vocs(classes)[labels])
    return f"png/{row.id}.png"


def _numbers_of_vocs(classes: tuple[str, ...]) -> np.ndarray:
    """Return the label in `classes` of each of VOC's, uint8 (256,); void where it is not among them."""
    numbers = np.full(256, VOID, np.uint8)
    for label, name in enumerate((BACKGROUND, *VOC_CLASSES)):
        numbers[label] = classes.index(name) if name in classes else VOID
    return numbers
