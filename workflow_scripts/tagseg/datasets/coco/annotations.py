"""COCO's annotation files, checked: they come from anyone."""

import contextlib
import json
import reprlib
from array import array
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tagseg.datasets.paths import is_plain_name, user_error
from tagseg.datasets.problems import DatasetProblems, Problem
from tagseg.storage.images import IMAGE_SUFFIXES, MAX_PIXELS

Id = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Side = Annotated[int, Field(ge=1, le=MAX_PIXELS)]


def _check_file_name(name: str) -> str:
    if not is_plain_name(name) or name.startswith(".") or not name.isprintable() or len(name) > 255:
        raise ValueError("not a file name without folder")
    if PurePosixPath(name).suffix.lower() not in IMAGE_SUFFIXES:
        raise ValueError("not the suffix of an image (.jpg, .png, ...)")
    return name


class Entry(BaseModel):
    """An object of one of the lists; keys that we do not use are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)

    id: Id


class ImageEntry(Entry):
    file_name: Annotated[str, AfterValidator(_check_file_name)]
    width: Side
    height: Side

    @property
    def stem(self) -> str:
        return PurePosixPath(self.file_name).stem


class Category(Entry):
    name: str


class Annotation(Entry):
    """An instance or, with `iscrowd`, a region of a crowd; `segmentation` is checked where it is used."""

    image_id: Id
    category_id: Id
    iscrowd: Literal[0, 1] = 0
    segmentation: Any = None


class Annotations(BaseModel):
    """The three lists of an annotation file that are used."""

    model_config = ConfigDict(strict=True, frozen=True)

    images: list[ImageEntry]
    annotations: list[Annotation]
    categories: list[Category]


def annotation_file(root: Path, split: str) -> Path:
    """Return the file of a split's instances."""
    return root / "annotations" / f"instances_{split}2017.json"


def read_annotations(root: Path, split: str, segmentations: bool) -> Annotations:
    """Read a split's annotation file; without `segmentations` they are dropped while it is parsed.

    Raises TagsegError where the file is not JSON, DatasetProblems with every malformed entry.
    """
    path = annotation_file(root, split)
    content = _load(path, _with_arrays if segmentations else _without_segmentation)
    try:
        return Annotations.model_validate(content)
    except ValidationError as error:
        name, errors = (path.relative_to(root).as_posix(), error.errors(include_url=False, include_context=False))
        raise DatasetProblems(root, [Problem(name, 0, _text(one)) for one in errors]) from None


def _load(path: Path, hook: Callable[[dict], dict]) -> object:
    remedy = "unpack annotations_trainval2017.zip again"
    try:
        with open(path, encoding="utf-8-sig") as stream:
            return json.load(stream, object_hook=hook)
    except OSError as error:
        raise user_error(path, f"cannot be read ({error.strerror})", remedy) from None
    except (ValueError, RecursionError) as error:  # ValueError: malformed, not UTF-8 or an endless number
        raise user_error(path, f"not JSON ({error})", remedy) from None


def _without_segmentation(entry: dict) -> dict:
    entry.pop("segmentation", None)
    return entry


def _with_arrays(entry: dict) -> dict:
    """Store the polygons as arrays, a quarter of the memory of lists."""
    polygons = entry.get("segmentation")
    if isinstance(polygons, list):
        with contextlib.suppress(TypeError, OverflowError):  # `rasterise` reports it
            entry["segmentation"] = [array("d", polygon) for polygon in polygons]
    return entry


def _text(error: Any) -> str:
    """Return a validation error as one line: "images[3].width: ... (found 0). Correct the entry."."""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    value = "" if error["type"] == "missing" else f" (found {reprlib.repr(error['input'])})"
    return f"{where.removeprefix('.') or 'file'}: {message}{value}. Correct the entry."
