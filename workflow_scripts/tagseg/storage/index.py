"""The index: one row per image. Every stage reads it instead of the data set's own layout."""

import csv
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_file, atomic_folder
from tagseg.storage.images import MAX_PIXELS, read_image, voc_palette

SPLITS = ("train", "val", "test")
INDEX_FILES = ("index.csv", "classes.csv", "source.txt")
"""The images, the classes, and a digest of the indexed files."""

COPIED = "images"
"""Folder of an index with copies of the images, for machines without a shared disk; paths are relative to it."""

BACKGROUND = "background"
SEPARATOR = ";"
MAX_CLASSES = 255  # labels are uint8 and 255 is void
MAX_NAME_BYTES = 200  # of a file name, without suffix

TAKEN_NAMES = frozenset({"patterns.json"})
"""Files of a run beside files that are named after a class."""

_COLUMNS = ("id", "path", "width", "height", "split", "tags")


@dataclass(frozen=True)
class ImageRecord:
    """One row: the file of an image, its size in pixels after EXIF rotation, and its tags.

    `id` is a unique relative file name without suffix (it may hold "/"). `tags` are class names in the order
    of the class list, without background. Ground truth is apart, in `tagseg.storage.ground_truth`.
    """

    id: str
    path: str
    width: int
    height: int
    split: str
    tags: tuple[str, ...]

    def read(self) -> np.ndarray:
        """Return the image as RGB, uint8 (height, width, 3).

        Raises TagsegError if it cannot be read (see `read_image`) or has another size now.
        """
        image = read_image(self.path, max(MAX_PIXELS, self.width * self.height))
        height, width = image.shape[:2]
        if (width, height) != (self.width, self.height):
            text = f"{width}x{height} pixels, but {self.width}x{self.height} in the index"
            raise TagsegError(f"{self.path}: {text}. Restore the old image, or run again to index the new one.")
        return image


@dataclass(frozen=True)
class Index:
    """The images of a data set, sorted by id, and its classes; class 0 is the background."""

    classes: tuple[str, ...]
    images: tuple[ImageRecord, ...]

    def of_split(self, split: str) -> tuple[ImageRecord, ...]:
        """Return the images of a split, in order of their id."""
        return tuple(row for row in self.images if row.split == split)

    def shard(self, split: str, number: int, shards: int) -> tuple[ImageRecord, ...]:
        """Return every `shards`-th image of a split, from index `number` (0-based).

        Raises TagsegError if there is no such shard.
        """
        if not 0 <= number < shards:
            text = f"not one of {shards} shards. Delete its file or folder, or increase `shards`."
            raise TagsegError(f"shard {number} of {split}: {text}")
        return self.of_split(split)[number::shards]

    def class_indices(self, image: ImageRecord) -> tuple[int, ...]:
        """Return the class indices (1-based; 0 is background) of an image's tags."""
        return tuple(self.classes.index(tag) for tag in image.tags)


def normal_form(name: str) -> str:
    """Return what the spellings of one class name have in common: NFC, small letters, single blanks."""
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def check_class_names(names: Sequence[str], source: str | Path) -> None:
    """Raise TagsegError if a name cannot be a class: empty, background, repeated, unfit for a file name."""
    for name in names:
        if problem := _problem_of_name(name):
            raise TagsegError(f"{source}: {problem}. Rename it.")
    first: dict[str, str] = {}
    for name in names:
        one = first.setdefault(normal_form(name), name)
        if one != name:
            text = f"class {name!r} differs from {one!r} in capitals, blanks or Unicode form alone"
            raise TagsegError(f"{source}: {text}. Remove one.")
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise TagsegError(f"{source}: class {repeated[0]!r} is listed twice. Remove one.")
    if not 1 <= len(names) < MAX_CLASSES:
        raise TagsegError(f"{source}: {len(names)} classes. Name 1 to {MAX_CLASSES - 1}.")


def _problem_of_name(name: str) -> str:
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        return f"class {name[:40]!r}... is longer than {MAX_NAME_BYTES} bytes"
    if name.casefold() in TAKEN_NAMES:
        return f"class {name!r} has the name of a result file"
    if not name or name != name.strip() or name.casefold() == BACKGROUND or name.startswith("."):
        return f"{name!r} is not allowed as a class name"
    if any(sign in name for sign in f"/\\{SEPARATOR}") or not name.isprintable():
        return f"class {name!r} has a character that is not allowed in file names"
    return ""


def write_index(folder: str | Path, index: Index, source: str = "") -> None:
    """Write INDEX_FILES into `folder`, each atomically; `source` is the digest of the indexed files."""
    folder, palette = Path(folder), voc_palette()
    with atomic_file(folder / "source.txt") as partial:
        partial.write_text(f"{source}\n")
    classes = ((number, name, *palette[number]) for number, name in enumerate(index.classes))
    write_rows(folder / "classes.csv", ("number", "name", "red", "green", "blue"), classes)
    images = sorted(index.images, key=lambda image: image.id)
    rows = ((one.id, one.path, one.width, one.height, one.split, SEPARATOR.join(one.tags)) for one in images)
    write_rows(folder / "index.csv", _COLUMNS, rows)


def copy_images(folder: str | Path, index: Index) -> Index:
    """Copy the images into COPIED in the folder of an index, atomically; return the index with the paths of the copies.

    Raises OSError if a file cannot be copied.
    """
    copies = []
    with atomic_folder(Path(folder, COPIED)) as aside:
        for number, row in enumerate(index.images):
            name = f"{number}{Path(row.path).suffix}"
            shutil.copyfile(row.path, aside / name)
            copies.append(replace(row, path=name))
    return replace(index, images=tuple(copies))


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as CSV in UTF-8, atomically."""
    with atomic_file(path) as partial, open(partial, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)


def read_index(folder: str | Path) -> Index:
    """Read what `write_index` wrote. Raises TagsegError if a file is missing or malformed."""
    folder = Path(folder)
    classes = tuple(row["name"] for row in read_rows(folder / "classes.csv", ("number", "name")))
    rows = read_rows(folder / "index.csv", _COLUMNS)
    try:
        images = (_image(row) for row in rows)
        if (copies := folder / COPIED).is_dir():
            images = (replace(one, path=str(copies / one.path)) for one in images)
        return Index(classes, tuple(images))
    except ValueError as error:
        text = f"malformed row ({error}). Run the stage `build_index` again."
        raise TagsegError(f"{folder / 'index.csv'}: {text}") from None


def read_rows(path: Path, columns: Sequence[str], stage: str = "build_index") -> list[dict[str, str]]:
    """Return the rows of a table of a stage.

    Raises TagsegError if it is missing, not a table in UTF-8, or without one of the columns.
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            if missing := set(columns) - set(reader.fieldnames or ()):
                raise ValueError(f"no column {min(missing)!r}")
            rows = list(reader)
            if broken := [row for row in rows if None in row or None in row.values()]:
                raise ValueError(f"malformed row {list(broken[0].values())[0]!r}")
            return rows
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such file. Run the stage `{stage}` first.") from None
    except (ValueError, csv.Error) as error:
        raise TagsegError(f"{path}: not a table of tagseg ({error}). Run the stage `{stage}` again.") from None


def _image(row: dict[str, str]) -> ImageRecord:
    tags = tuple(row["tags"].split(SEPARATOR)) if row["tags"] else ()
    size = (int(row["width"]), int(row["height"]))
    return ImageRecord(row["id"], row["path"], *size, row["split"], tags)
