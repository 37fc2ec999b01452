"""The layout of PASCAL VOC: tags from the XML annotations, splits from the image sets.

M. Everingham et al., "The PASCAL Visual Object Classes Challenge 2012 (VOC2012) Development Kit".
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from pathlib import Path

from tagseg.datasets.common import (
    MASK_FOLDER,
    check_mask_size,
    in_class_order,
    read_class_list,
    read_text,
)
from tagseg.errors import TagsegError
from tagseg.images import PHOTOGRAPH_SUFFIXES, photograph_size
from tagseg.index import BACKGROUND, Index, Photograph, check_class_names

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip

MAX_ANNOTATION_BYTES = 1_000_000

_IMAGE_SETS = Path("ImageSets", "Segmentation")
_DECLARATION = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)


def index_voc(
    devkit: Path,
    *,
    train_list: str = "train",
    val_list: str | None = "val",
    test_list: str | None = None,
    difficult: bool = True,
) -> Index:
    """Index a VOC devkit, or the only one below a folder that holds VOCdevkit/VOC2012 or VOC2012.

    The lists are names of files in ImageSets/Segmentation, without ".txt". The tags are the names of
    the objects in Annotations, those marked difficult only if `difficult`; photographs of the test
    list may lack annotations. Masks are optional. Raises TagsegError, naming the file, where the
    layout, an id, a photograph's header, an annotation or a mask's size is not as it should be.
    """
    devkit = find_devkit(Path(devkit))
    splits = _read_splits(devkit, {"train": train_list, "val": val_list, "test": test_list})
    tags = {
        name: _read_tags(devkit, name, difficult, optional=split == "test") for name, split in splits.items()
    }
    names = _class_names(devkit, tags)
    rows = (
        _photograph(devkit, name, split, in_class_order(tags[name], names))
        for name, split in sorted(splits.items())
    )
    return Index((BACKGROUND, *names), tuple(rows))


def find_devkit(root: Path) -> Path:
    """Return `root`, or the VOC2012 below it, whichever holds JPEGImages and ImageSets/Segmentation.

    Raises TagsegError where none does, saying what to put where.
    """
    for folder in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (folder / "JPEGImages").is_dir() and (folder / _IMAGE_SETS).is_dir():
            return folder
    raise TagsegError(
        f"{root}: no VOC devkit; unpack VOCtrainval_11-May-2012.tar there, or name the folder that "
        f"holds JPEGImages, Annotations, {MASK_FOLDER} and {_IMAGE_SETS}"
    )


def _read_splits(devkit: Path, lists: Mapping[str, str | None]) -> dict[str, str]:
    """Return the split of each id. Raises TagsegError where an id is listed more than once."""
    splits: dict[str, str] = {}
    for split, list_name in lists.items():
        if not list_name:
            continue
        path = devkit / _IMAGE_SETS / f"{list_name}.txt"
        for name in _read_ids(path):
            if name in splits:
                raise TagsegError(
                    f"{path}: {name!r} is already in {splits[name]}; an id may be listed once: "
                    "remove the other line"
                )
            splits[name] = split
    return splits


def _read_ids(path: Path) -> list[str]:
    """Return the ids of an image set, one a line. Raises TagsegError where one is not a file name."""
    text = read_text(path, "put the list there or set the name of another one")
    ids = [line.strip() for line in text.splitlines() if line.strip()]
    for name in ids:
        if ".." in name or "/" in name or "\\" in name or "\0" in name:
            raise TagsegError(
                f"{path}: {name!r} is not an id; write the photograph's file name without folder and suffix"
            )
    return ids


def _read_tags(devkit: Path, name: str, difficult: bool, optional: bool) -> frozenset[str]:
    """Return the names of a photograph's objects; none where an `optional` annotation is missing."""
    path = devkit / "Annotations" / f"{name}.xml"
    if optional and not path.exists():
        return frozenset()
    objects = _parse_annotation(path).findall("object")
    return frozenset(_object_name(path, thing) for thing in objects if difficult or _is_easy(thing))


def _parse_annotation(path: Path) -> ElementTree.Element:
    """Return the root of an annotation. Raises TagsegError on malformed, huge or unsafe XML.

    The parser gets text, so that the encoding that the file declares cannot hide a document type,
    whose entities may expand to gigabytes.
    """
    if path.exists() and path.stat().st_size > MAX_ANNOTATION_BYTES:
        raise TagsegError(f"{path}: more than {MAX_ANNOTATION_BYTES:,} bytes for one annotation; replace it")
    text = read_text(path, "put the annotation there or take the id out of the list")
    if _DECLARATION.search(text):
        raise TagsegError(f"{path}: declares a DOCTYPE or ENTITY; remove the declaration")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise TagsegError(f"{path}: not valid XML ({error}); replace it") from None


def _is_easy(thing: ElementTree.Element) -> bool:
    return thing.findtext("difficult", "0").strip() != "1"


def _object_name(path: Path, thing: ElementTree.Element) -> str:
    """Return an object's class. Parts of a person have names too, which are not looked at."""
    name = thing.findtext("name", "").strip()
    if not name:
        raise TagsegError(f"{path}: an object without a name; add <name>class</name> to it")
    return name


def _class_names(devkit: Path, tags: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return the class list: the devkit's own, else VOC's where it covers all tags, else the tags."""
    found = set().union(*tags.values())
    names = read_class_list(devkit)
    if names is None:
        names = VOC_CLASSES if found <= set(VOC_CLASSES) else tuple(sorted(found))
        check_class_names(names, devkit / "Annotations")
    for name, own in sorted(tags.items()):
        unknown = sorted(set(own) - set(names))
        if unknown:
            raise TagsegError(
                f"{devkit / 'Annotations' / name}.xml: class {unknown[0]!r} is not in classes.txt; "
                "add it there or mend the annotation"
            )
    return names


def _photograph(devkit: Path, name: str, split: str, tags: tuple[str, ...]) -> Photograph:
    path = _find_image(devkit / "JPEGImages", name)
    width, height = photograph_size(path)
    mask = devkit / MASK_FOLDER / f"{name}.png"
    if not mask.is_file():
        return Photograph(name, str(path), width, height, split, tags)
    check_mask_size(mask, width, height)
    return Photograph(name, str(path), width, height, split, tags, str(mask))


def _find_image(folder: Path, name: str) -> Path:
    """Return the photograph of an id: VOC's .jpg, or a file of another suffix in a look-alike."""
    suffixes = (".jpg", *sorted(PHOTOGRAPH_SUFFIXES - {".jpg"}))
    candidates = [folder / f"{name}{suffix}" for suffix in suffixes]
    return next((path for path in candidates if path.is_file()), candidates[0])
