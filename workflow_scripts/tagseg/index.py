"""The index: one row a photograph. Every stage reads it, and none a data set's own layout."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tagseg.errors import TagsegError
from tagseg.files import atomic_file
from tagseg.images import read_photograph, voc_palette
from tagseg.seals import check_seal

SPLITS = ("train", "val", "test")
INDEX_FILES = ("index.csv", "classes.csv", "source.txt")
"""The photographs, the classes, and a digest of the files that were indexed, which changes with them."""

BACKGROUND = "background"
SEPARATOR = ";"
MAX_CLASSES = 255  # labels are uint8 and 255 is void

MAX_NAME_BYTES = 200
"""What a file system takes as a name, less room for suffixes."""

TAKEN_NAMES = frozenset({"patterns.json"})
"""Files of ours that lie beside what is named by a class."""

_COLUMNS = ("id", "path", "width", "height", "split", "tags")


@dataclass(frozen=True)
class Photograph:
    """One row: where a photograph lies, its size in pixels after EXIF rotation, and what is on it.

    `id` is unique in the index and safe as a relative file name without suffix (it may hold "/").
    `tags` are class names in the order of the class list, without background. Where its true labels
    are is no part of it: what learns from the index cannot even see them (see `tagseg.true_masks`).
    """

    id: str
    path: str
    width: int
    height: int
    split: str
    tags: tuple[str, ...]

    def read(self) -> np.ndarray:
        """Return the photograph as RGB, uint8 (height, width, 3).

        Raises TagsegError where it cannot be read (see `read_photograph`), or is none of its size any more:
        masks made for the old one would be stretched over the new.
        """
        image = read_photograph(self.path)
        height, width = image.shape[:2]
        if (width, height) != (self.width, self.height):
            raise TagsegError(
                f"{self.path}: {width}x{height} pixels, where it had {self.width}x{self.height} when it was "
                "indexed; bring the old one back, or run again, which indexes the new one"
            )
        return image


@dataclass(frozen=True)
class Index:
    """The photographs of a data set, sorted by id, and its classes; class 0 is the background."""

    classes: tuple[str, ...]
    photographs: tuple[Photograph, ...]

    def of_split(self, split: str) -> tuple[Photograph, ...]:
        """Return the photographs of a split, in order of their id."""
        return tuple(row for row in self.photographs if row.split == split)

    def shard(self, split: str, number: int, shards: int) -> tuple[Photograph, ...]:
        """Return every `shards`-th photograph of a split, from the `number`-th on (0-based).

        Raises TagsegError where there is no such shard.
        """
        if not 0 <= number < shards:
            raise TagsegError(
                f"shard {number} of {split}: there are {shards} shards, from 0 on; delete the file or folder "
                f"of shard {number}, which an earlier run has left, or set `shards` to more"
            )
        return self.of_split(split)[number::shards]

    def numbers(self, photograph: Photograph) -> tuple[int, ...]:
        """Return the class numbers (1-based; 0 is background) of a photograph's tags."""
        return tuple(self.classes.index(tag) for tag in photograph.tags)


def check_class_names(names: Sequence[str], source: str | Path) -> None:
    """Raise TagsegError where a name cannot be a class: empty, background, doubled, unfit for a path."""
    for name in names:
        if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
            text = f"class {name[:40]!r}... is of more than {MAX_NAME_BYTES} bytes"
            raise TagsegError(f"{source}: {text}, too long for the name of a file; shorten it")
        if name.casefold() in TAKEN_NAMES:
            raise TagsegError(f"{source}: class {name!r} has the name of a file of ours; rename it")
        if not name or name != name.strip() or name.casefold() == BACKGROUND or name.startswith("."):
            raise TagsegError(f"{source}: {name!r} cannot be the name of a class; rename it")
        if any(sign in name for sign in f"/\\{SEPARATOR}") or not name.isprintable():
            raise TagsegError(f"{source}: class {name!r} holds a sign that file names cannot; rename it")
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise TagsegError(f"{source}: class {doubled[0]!r} is listed twice; remove one")
    if not 1 <= len(names) < MAX_CLASSES:
        raise TagsegError(f"{source}: {len(names)} classes, where 1 to {MAX_CLASSES - 1} are possible")


def write_index(folder: str | Path, index: Index, source: str = "") -> None:
    """Write INDEX_FILES into `folder`, each atomically; `source` is the digest of what was indexed."""
    folder = Path(folder)
    with atomic_file(folder / "source.txt") as aside:
        aside.write_text(f"{source}\n")
    with (
        atomic_file(folder / "classes.csv") as aside,
        open(aside, "w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(("number", "name", "red", "green", "blue"))
        for number, name in enumerate(index.classes):
            writer.writerow((number, name, *voc_palette()[number]))
    with atomic_file(folder / "index.csv") as aside, open(aside, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        for row in sorted(index.photographs, key=lambda photograph: photograph.id):
            tags = SEPARATOR.join(row.tags)
            writer.writerow((row.id, row.path, row.width, row.height, row.split, tags))


def read_index(folder: str | Path) -> Index:
    """Read what `write_index` wrote. Raises TagsegError where a file is missing, malformed or altered."""
    folder = Path(folder)
    check_seal(folder)
    classes = tuple(row["name"] for row in read_rows(folder / "classes.csv", ("number", "name")))
    rows = read_rows(folder / "index.csv", _COLUMNS)
    try:
        return Index(classes, tuple(_photograph(row) for row in rows))
    except (TypeError, ValueError) as error:
        raise TagsegError(
            f"{folder / 'index.csv'}: malformed row ({error}); run the stage `build_index` again"
        ) from None


def read_rows(path: Path, columns: Sequence[str], stage: str = "build_index") -> list[dict[str, str]]:
    """Return the rows of a table that a stage wrote.

    Raises TagsegError where it is missing, no table in UTF-8, or lacks one of the columns.
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            missing = set(columns) - set(reader.fieldnames or ())
            if missing:
                raise TagsegError(f"{path}: no column {sorted(missing)[0]!r}; run the stage `{stage}` again")
            return list(reader)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such file; run the stage `{stage}` first") from None
    except (ValueError, csv.Error) as error:
        raise TagsegError(f"{path}: not a table in UTF-8 ({error}); run the stage `{stage}` again") from None


def _photograph(row: dict[str, str]) -> Photograph:
    if None in row or None in row.values():
        raise ValueError(f"{row['id']} has cells too many or too few")
    tags = tuple(row["tags"].split(SEPARATOR)) if row["tags"] else ()
    size = (int(row["width"]), int(row["height"]))
    return Photograph(row["id"], row["path"], *size, row["split"], tags)
