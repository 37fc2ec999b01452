"""Anyone's photographs: a folder of images, and a table of labels or one folder a class.

    image,labels,split
    holiday/beach 1.jpg,dog;person,train

The table is labels.csv, labels.tsv (tabs) or labels.jsonl, one object a line:

    {"image": "holiday/beach 1.jpg", "labels": ["dog", "person"], "split": "train"}

Its column `split` and the cells of it are optional. All problems of a folder are told at once.
"""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tagseg.datasets.class_folders import other_images, read_class_folders
from tagseg.datasets.common import (
    CLASS_LIST,
    MASK_FOLDER,
    check_mask,
    collected,
    holds_masks,
    in_class_order,
    places_of,
    read_class_list,
)
from tagseg.datasets.image_files import check_folder, choose_ids, clashes, find_files, is_image, unfit
from tagseg.datasets.labels_table import Row, check_tags, read_rows
from tagseg.datasets.places import lies_there, shown
from tagseg.datasets.problems import DatasetProblems, Problem
from tagseg.datasets.reading import UNKNOWN, Reading
from tagseg.datasets.splits import choose_splits
from tagseg.datasets.table_formats import TABLE_REMEDY
from tagseg.errors import TagsegError
from tagseg.images import PHOTOGRAPH_SUFFIXES
from tagseg.index import BACKGROUND, Index, Photograph, check_class_names

TABLES = ("labels.csv", "labels.tsv", "labels.jsonl")
_TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xls", ".xlsx")
FOLDERS = "folders"

_LIST_REMEDY = f"add it to {CLASS_LIST} or mend the row"


def index_photos(
    root: Path,
    *,
    random_seed: int,
    val_share: float,
    labels: str | None = None,
    reading: Reading | None = None,
) -> Index:
    """Index a folder of photographs by its table of labels or by its folders.

    `labels` is the path of a table below `root` (.csv, .tsv, .jsonl, .ndjson), "folders" for one folder
    a class (see `read_class_folders`), or None for what is there: one of TABLES, else folders. The
    classes are those of classes.txt, else the sorted names of the labels. Photographs without a split
    are dealt to train and val, about `val_share` (0 <= share < 1) of each class to val. Every
    photograph is read once, as `reading` says, so that damage shows now and not after hours of training;
    one that it leaves out has its part in the class list and in the splits nevertheless. Raises
    DatasetProblems with all problems of all photographs, each with its line number or file and the
    remedy; TagsegError where there is nothing to go by.
    """
    root = Path(root)
    check_folder(root)
    if not 0 <= val_share < 1:
        raise TagsegError(f"val_share: {val_share} is not within 0 (all train) and 1, 1 excluded")
    reading = reading or Reading()
    rows, problems = _read_labels(root, labels, reading.results)
    names, unfit = _class_names(root, rows, bool(problems))
    splits = choose_splits(rows, random_seed, val_share)
    photographs, unreadable = _photographs(root, rows, names, splits, reading)
    _raise_any(root, [*problems, *unfit, *unreadable])
    return Index((BACKGROUND, *names), photographs)


def _read_labels(root: Path, labels: str | None, results: Path | None) -> tuple[list[Row], list[Problem]]:
    """Return the photographs and tags that the table or the folders name, and what is wrong with them."""
    if labels is not None:
        return read_class_folders(root, results) if labels == FOLDERS else read_rows(root, str(labels))
    tables = [name for name in TABLES if os.path.lexists(root / name)]
    if len(tables) > 1:
        raise TagsegError(f"{root}: {' and '.join(tables)} are there; name one of them in dataset.labels")
    if tables:
        return read_rows(root, tables[0])
    _check_no_table(root)
    missing = f"{root / TABLES[0]}: no such file; {TABLE_REMEDY}, or put the images into one folder a class"
    try:
        rows, problems = read_class_folders(root, results)
    except TagsegError:
        raise TagsegError(missing) from None
    # A table that was forgotten beside a folder `images` looks like that.
    if len({tag for row in rows for tag in row.tags}) == 1 and not problems:
        raise TagsegError(f"{missing} (one class alone: say `labels: {FOLDERS}` in the section dataset)")
    return rows, problems


def _check_no_table(root: Path) -> None:
    """Raise TagsegError where a table of another name lies there: folders would be taken for classes."""
    stray = sorted(path.name for path in root.iterdir() if path.suffix.lower() in _TABLE_SUFFIXES)
    if stray:
        raise TagsegError(
            f"{root}: {', '.join(stray)} is no {' or '.join(TABLES)}; name it in dataset.labels, or say "
            f"`labels: {FOLDERS}` there if each folder is a class"
        )


def _class_names(root: Path, rows: Sequence[Row], told: bool) -> tuple[tuple[str, ...], list[Problem]]:
    """Return the class list and the problems of it and of the tags; `told` of others already."""
    found = tuple(sorted({tag for row in rows for tag in row.tags}))
    try:
        listed = read_class_list(root)
    except TagsegError as error:
        return found, [Problem(CLASS_LIST, 0, str(error).removeprefix(f"{root / CLASS_LIST}: "))]
    if listed is not None:
        return listed, check_tags(rows, listed, _LIST_REMEDY)
    return found, [] if told and not found else _problems_of_names(found, rows)


def _problems_of_names(names: Sequence[str], rows: Sequence[Row]) -> list[Problem]:
    """Return a problem for each name that cannot be a class, at the first photograph that has it."""
    first = {tag: row for row in reversed(rows) for tag in row.tags}
    texts = {name: _wrong_names([name]) for name in names}
    problems = [first[name].problem(text) for name, text in texts.items() if text]
    text = "" if problems else _wrong_names(names)
    return [*problems, Problem("", 0, text)] if text else problems


def _wrong_names(names: Sequence[str]) -> str:
    """Return why the names cannot be those of classes, or "" for nothing."""
    try:
        check_class_names(names, "labels")
    except TagsegError as error:
        return str(error).removeprefix("labels: ")
    return ""


def _raise_any(root: Path, problems: Sequence[Problem]) -> None:
    if problems:
        raise DatasetProblems(root, problems)


def _photographs(
    root: Path, rows: Sequence[Row], names: Sequence[str], splits: Sequence[str], reading: Reading
) -> tuple[tuple[Photograph, ...], list[Problem]]:
    """Return the photographs of the rows, sorted by id, and the problems of their files."""
    ids = choose_ids([row.image for row in rows])
    clashing = clashes(ids.values())
    texts = [unfit(root, row.image) or clashing.get(ids[row.image], "") for row in rows]
    problems = [row.problem(text) for row, text in zip(rows, texts, strict=True) if text]
    fit = [(row, split) for row, split, text in zip(rows, splits, texts, strict=True) if not text]
    places = places_of(names)
    listed = [
        Photograph(ids[row.image], str(root / row.image), *UNKNOWN, split, in_class_order(row.tags, places))
        for row, split in fit
    ]
    rows_by_id = {ids[row.image]: row for row, _ in fit}
    photographs = reading.readable(listed, problems, lambda one, text: rows_by_id[one.id].problem(text))
    return photographs, problems


# True masks, for scoring alone -------------------------------------------------------------------


def photos_true_masks(root: Path, index: Index, split: str, folder: Path) -> dict[str, str]:
    """Return the true mask of each photograph of a split that has one, by id.

    It is SegmentationClass/<id>.png, or SegmentationClass/<file name without suffix>.png where no other
    photograph of the whole index has that name. They are PNGs already: nothing is written to `folder`.
    Raises DatasetProblems with all masks that are not PNGs of their photograph's size, or links out of
    the folder; TagsegError where SegmentationClass is no folder that can be read.
    """
    root = Path(root)
    stems = _unique_stems(index)
    masks: dict[str, str] = {}
    problems: list[Problem] = []
    for row in index.of_split(split) if holds_masks(root) else ():
        for name in dict.fromkeys((row.id, stems.get(row.id, row.id))):
            path = root / MASK_FOLDER / f"{name}.png"
            with collected(problems, path, shown(path.relative_to(root))):
                if row.id not in masks and lies_there(path):
                    masks[row.id] = str(path)
                    check_mask(root, path, row.width, row.height)
    _raise_any(root, problems)
    return masks


def _unique_stems(index: Index) -> dict[str, str]:
    """Return the file name without folder and suffix, by id, where it can only mean that photograph."""
    stems = {row.id: PurePosixPath(row.path).stem for row in index.photographs}
    counts = Counter(stems.values())
    return {name: stem for name, stem in stems.items() if counts[stem] == 1 and stem not in stems}


# Photographs without labels ----------------------------------------------------------------------


def list_photographs(root: Path) -> tuple[Photograph, ...]:
    """Return all images below a folder, sorted by id, without tags, in the split "test".

    Hidden files and the folder SegmentationClass are left out. Raises DatasetProblems with all images
    that cannot be read and all links that lead out of the folder.
    """
    photographs, problems = _read_folder(Path(root))
    _raise_any(root, problems)
    return photographs


def index_unlabelled(
    root: Path, classes: Sequence[str], results: Path | None = None
) -> tuple[Index, list[str]]:
    """Index new photographs for a network of `classes` (background first); the folder `results` has none.

    Returns the index and a message for each image that was left out, since it cannot be read, is of a
    kind that is not read, or is a link out of the folder. Raises TagsegError where no image remains.
    """
    photographs, problems = _read_folder(Path(root), results)
    messages = [str(problem) for problem in sorted(problems)]
    if not photographs:
        reason = "; ".join(messages[:3]) or f"put images there ({', '.join(sorted(PHOTOGRAPH_SUFFIXES))})"
        raise TagsegError(f"{root}: no photograph that can be read: {reason}")
    return Index(tuple(classes), photographs), messages


def _read_folder(root: Path, results: Path | None = None) -> tuple[tuple[Photograph, ...], list[Problem]]:
    """Return the photographs below a folder, sorted by id, and what is wrong with the others.

    A link to a folder inside is no problem: the walk meets that folder at its own place.
    """
    check_folder(root)
    found = find_files(root, results)
    rows = [Row(file, frozenset(), "test") for file in found.files if is_image(file)]
    photographs, problems = _photographs(root, rows, (), ["test"] * len(rows), Reading())
    return photographs, [*found.problems, *other_images(found.files), *problems]
