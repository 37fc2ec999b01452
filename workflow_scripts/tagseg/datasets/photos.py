"""Anyone's photographs: a folder of images and a table `labels.csv` of what is on them.

    image,labels,split
    holiday/beach 1.jpg,dog;person,train

The column `split` and its cells are optional. All problems of a folder are told at once.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tagseg.datasets.common import (
    MASK_FOLDER,
    check_mask_size,
    in_class_order,
    read_class_list,
)
from tagseg.datasets.labels_table import Problem, Row, check_tags, choose_splits, read_rows
from tagseg.errors import TagsegError
from tagseg.images import PHOTOGRAPH_SUFFIXES, read_photograph
from tagseg.index import BACKGROUND, Index, Photograph, check_class_names

MAX_PROBLEMS_TOLD = 50

_LIST_REMEDY = "add it to classes.txt or mend the row"


def index_photos(folder: Path, *, random_seed: int, val_share: float, labels: Path | None = None) -> Index:
    """Index a folder of photographs by its labels.csv, or by the table `labels`.

    The classes are those of classes.txt, else the sorted names of the table. Photographs without a
    split are dealt to train and val, about `val_share` (0 <= share < 1) of each class to val.
    Masks, for scoring only, are SegmentationClass/<id>.png or SegmentationClass/<file name>.png.
    Every photograph is read once, so that damage shows now and not after hours of training.
    Raises TagsegError with all problems, each with its line number and the remedy.
    """
    folder = Path(folder)
    table = Path(labels) if labels else folder / "labels.csv"
    _check_folder(folder)
    if not 0 <= val_share < 1:
        raise TagsegError(f"val_share: {val_share} is not within 0 (all train) and 1, 1 excluded")
    listed = read_class_list(folder)
    rows, problems = read_rows(table)
    names = listed or tuple(sorted({tag for row in rows for tag in row.tags}))
    problems += check_tags(rows, names, _LIST_REMEDY)
    if listed is None and (names or not problems):
        problems += _problems_of_names(names, table)
    splits = choose_splits(rows, random_seed, val_share)
    photographs, more = _photographs(folder, rows, names, splits)
    _tell(table, problems + more)
    return Index((BACKGROUND, *names), photographs)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise TagsegError(f"{folder}: no such folder; name the one that holds your photographs")


def _problems_of_names(names: Sequence[str], table: Path) -> list[Problem]:
    try:
        check_class_names(names, table.name)
    except TagsegError as error:
        return [(0, str(error))]
    return []


def _tell(table: Path, problems: list[Problem]) -> None:
    """Raise TagsegError with the problems, (line number or 0, text), in the order of the table."""
    if not problems:
        return
    lines = [f"line {line}: {text}" if line else text for line, text in sorted(problems)]
    untold = len(lines) - MAX_PROBLEMS_TOLD
    rest = [f"and {untold} more problems"] if untold > 0 else []
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    told = "\n".join(f"  {line}" for line in lines[:MAX_PROBLEMS_TOLD] + rest)
    raise TagsegError(f"{table}: {count}\n{told}")


def _photographs(
    folder: Path, rows: Sequence[Row], names: Sequence[str], splits: Sequence[str]
) -> tuple[tuple[Photograph, ...], list[Problem]]:
    """Return the photographs of the rows, sorted by id, and the problems of their files."""
    ids = choose_ids([row.image for row in rows])
    masks = _Masks.of(folder, list(ids))
    photographs, problems = [], []
    for row, split in zip(rows, splits, strict=True):
        try:
            size = _read_size(folder, row.image)
            mask = masks.find(ids[row.image], row.image.stem, size)
        except TagsegError as error:
            problems.append((row.line, str(error)))
            continue
        path, tags = str(folder / row.image), in_class_order(row.tags, names)
        photographs.append(Photograph(ids[row.image], path, *size, split, tags, mask))
    return _sorted(photographs), problems


def _sorted(photographs: Sequence[Photograph]) -> tuple[Photograph, ...]:
    return tuple(sorted(photographs, key=lambda photograph: photograph.id))


def choose_ids(images: Sequence[PurePosixPath]) -> dict[PurePosixPath, str]:
    """Return each image's id: its path without suffix; with it where two ids would be the same."""
    counts = Counter(str(image.with_suffix("")) for image in images)
    whole = {str(image) for image in images}
    short = {image: str(image.with_suffix("")) for image in images}
    return {image: str(image) if counts[name] > 1 or name in whole else name for image, name in short.items()}


def _read_size(folder: Path, image: PurePosixPath) -> tuple[int, int]:
    """Return (width, height), all pixels read. Raises TagsegError where that fails or is unsafe."""
    if image.parts[0] == MASK_FOLDER:
        raise TagsegError(f"{image}: the folder {MASK_FOLDER} holds masks; remove the row")
    path = folder / image
    _check_name(image)
    _check_inside(folder, path)
    height, width = read_photograph(path).shape[:2]
    return width, height


def _check_name(image: PurePosixPath) -> None:
    """Raise TagsegError where the name on disk is not UTF-8: no table could hold it."""
    try:
        str(image).encode()
    except UnicodeEncodeError:
        raise TagsegError(f"{ascii(str(image))}: a file name that is not UTF-8; rename it") from None


def _check_inside(folder: Path, path: Path) -> None:
    """Raise TagsegError where symbolic links lead from `path` out of the folder."""
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(os.path.realpath(folder)):
        raise TagsegError(f"{path}: a link to {real}, outside the folder; copy the file into it")


@dataclass(frozen=True)
class _Masks:
    """Where masks may lie: their folder, and the stems that only one photograph has."""

    folder: Path
    unique_stems: frozenset[str]

    @classmethod
    def of(cls, folder: Path, images: Sequence[PurePosixPath]) -> "_Masks":
        counts = Counter(image.stem for image in images)
        unique = frozenset(stem for stem, count in counts.items() if count == 1)
        return cls(folder / MASK_FOLDER, unique)

    def find(self, name: str, stem: str, size: tuple[int, int]) -> str | None:
        """Return the mask of an id, if any. Raises TagsegError where its size (w, h) differs."""
        candidates = [name, stem] if stem in self.unique_stems else [name]
        for candidate in candidates:
            path = self.folder / f"{candidate}.png"
            if path.is_file():
                check_mask_size(path, *size)
                return str(path)
        return None


def list_photographs(folder: Path) -> tuple[Photograph, ...]:
    """Return all images below a folder, sorted by id, without tags, in the split "test".

    Hidden files and the folder SegmentationClass are left out. Raises TagsegError with all images
    that cannot be read and all links that lead out of the folder.
    """
    photographs, problems = _read_folder(Path(folder))
    _tell(Path(folder), [(0, text) for text in problems])
    return photographs


def index_unlabelled(folder: Path, classes: Sequence[str]) -> tuple[Index, list[str]]:
    """Index new photographs for a network of `classes` (background first).

    Returns the index and a message for each image that was left out, since it cannot be read or is
    a link out of the folder. Raises TagsegError where no image remains.
    """
    photographs, problems = _read_folder(Path(folder))
    if not photographs:
        reason = "; ".join(problems[:3]) or f"put images there ({_suffixes()})"
        raise TagsegError(f"{folder}: no photograph that can be read: {reason}")
    return Index(tuple(classes), photographs), problems


def _suffixes() -> str:
    return ", ".join(sorted(PHOTOGRAPH_SUFFIXES))


def _read_folder(folder: Path) -> tuple[tuple[Photograph, ...], list[str]]:
    """Return the photographs below a folder, sorted by id, and what is wrong with the others."""
    _check_folder(folder)
    images, problems = _find_images(folder)
    photographs = []
    for image, name in choose_ids(images).items():
        try:
            size = _read_size(folder, image)
        except TagsegError as error:
            problems.append(str(error))
            continue
        photographs.append(Photograph(name, str(folder / image), *size, "test", ()))
    return _sorted(photographs), sorted(problems)


def _find_images(folder: Path) -> tuple[list[PurePosixPath], list[str]]:
    """Return the relative paths of all images below a folder, and the folders left unread."""
    images: list[PurePosixPath] = []
    problems: list[str] = []
    walk = os.walk(folder, onerror=lambda error: problems.append(str(error)))
    for place, folders, files in walk:
        relative = PurePosixPath(Path(place).relative_to(folder).as_posix())
        skipped = {MASK_FOLDER} if Path(place) == folder else set()
        folders[:] = [name for name in folders if not name.startswith(".") and name not in skipped]
        problems += _linked_out(folder, [Path(place) / name for name in folders])
        images += [relative / name for name in files if _is_image_name(name)]
    return sorted(images), problems


def _is_image_name(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in PHOTOGRAPH_SUFFIXES


def _linked_out(folder: Path, places: Sequence[Path]) -> list[str]:
    """Return a problem for each link to a folder outside; the walk enters no linked folder.

    A link to a folder inside is no problem: the walk meets that folder at its own place.
    """
    problems = []
    for place in places:
        try:
            _check_inside(folder, place)
        except TagsegError as error:
            problems.append(str(error))
    return problems
