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
    name = name.replace("\\", "/")  # of Windows
    parts = name.removeprefix("./").split("/")
    if not name.isprintable() or not all(
        is_plain_name(part) and not part.startswith(".") and len(part) <= 255 for part in parts
    ):
        raise ValueError("not a path inside the folder of images")
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
        """The path without suffix: the image's id."""
        return str(PurePosixPath(self.file_name).with_suffix(""))


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


def name_of(root: Path, path: Path) -> str:
    """Return the path of an annotation file for messages."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def read_annotations(root: Path, path: Path, segmentations: bool) -> Annotations:
    """Read an annotation file; without `segmentations` they are dropped while it is parsed.

    Raises TagsegError where the file is not JSON, DatasetProblems with every malformed entry.
    """
    content = _load(path, _with_arrays if segmentations else _without_segmentation)
    try:
        return Annotations.model_validate(content)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False)
        raise DatasetProblems(root, [Problem(name_of(root, path), 0, _text(one)) for one in errors]) from None


def _load(path: Path, hook: Callable[[dict], dict]) -> object:
    remedy = "unpack or export it again"
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
