"""Own images: a folder of images with a table of labels, or with one folder per class.

    image,labels,split
    holiday/beach 1.jpg,dog;person,train

The table is labels.csv, labels.tsv (tabs) or labels.jsonl, one object per line:

    {"image": "holiday/beach 1.jpg", "labels": ["dog", "person"], "split": "train"}

Its column `split` and the cells of it are optional. All problems of a folder are reported together.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tagseg.datasets.class_names import ClassNames
from tagseg.datasets.common import (
    CLASS_LIST,
    check_mask,
    collected,
    holds_masks,
    in_class_order,
    places_of,
    read_class_list,
)
from tagseg.datasets.folder.class_folders import read_class_folders
from tagseg.datasets.folder.image_files import check_folder, choose_ids, clashes, find_files, is_image, wrong_file
from tagseg.datasets.folder.labels_table import Row, read_rows
from tagseg.datasets.folder.splits import choose_splits
from tagseg.datasets.folder.table_formats import TABLE_REMEDY
from tagseg.datasets.image_checks import UNKNOWN, Reading
from tagseg.datasets.paths import is_present, shown, user_error
from tagseg.datasets.problems import DatasetProblems, Problem
from tagseg.runtime.errors import TagsegError
from tagseg.storage.images import IMAGE_SUFFIXES, MAX_PIXELS
from tagseg.storage.index import BACKGROUND, ImageRecord, Index, check_class_names

TABLES = ("labels.csv", "labels.tsv", "labels.jsonl")
FOLDERS = "folders"
_TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xls", ".xlsx")
_SET_FOLDERS = f"set dataset.labels to {FOLDERS}"


def index_photos(
    root: Path,
    *,
    random_seed: int,
    val_fraction: float,
    labels: str | None = None,
    class_list: str = CLASS_LIST,
    reading: Reading | None = None,
) -> Index:
    """Index a folder of images by its table of labels or by its folders.

    `labels` is the path of a table, relative to `root`, or "folders" for one folder per class; None: one of TABLES if
    it exists, else folders. The classes are those of `class_list`, if it exists, else the sorted labels.
    About `val_fraction` of each class's images without a split go to val. Every image is read once, as `reading` says;
    a skipped image still counts for the class list and the splits. Raises DatasetProblems with all problems of all
    images; TagsegError if there are no labels at all.
    """
    root = Path(root)
    check_folder(root)
    reading = reading or Reading()
    rows, problems = _read_labels(root, labels, reading)
    names, wrong_names = _class_names(root / class_list, rows)
    reading.notes += names.notes
    rows = [replace(row, tags=names.tags(row.tags)) for row in rows]
    splits = choose_splits(rows, random_seed, val_fraction)
    images, unreadable = _images(root, rows, names.names, splits, reading)
    problems = [*problems, *wrong_names, *unreadable]
    if problems:
        raise DatasetProblems(root, problems)
    return Index((BACKGROUND, *names.names), images)


def _read_labels(root: Path, labels: str | None, reading: Reading) -> tuple[list[Row], list[Problem]]:
    """Return the rows of the table or the folders, and their problems."""
    if labels is not None:
        if labels == FOLDERS:
            return read_class_folders(root, reading.results)
        return read_rows(root, labels, reading.notes)
    tables = [name for name in TABLES if is_present(root / name)]
    if len(tables) > 1:
        raise TagsegError(f"{root}: holds {' and '.join(tables)}. Name one of them in dataset.labels.")
    if tables:
        return read_rows(root, tables[0], reading.notes)
    _check_no_other_table(root)
    remedy = f"{TABLE_REMEDY[:1].upper()}{TABLE_REMEDY[1:]}, or put the images into one folder per class"
    missing = f"{root / TABLES[0]}: no such file. {remedy}"
    try:
        rows, problems = read_class_folders(root, reading.results)
    except TagsegError:
        raise TagsegError(f"{missing}.") from None
    # A forgotten table beside a folder `images` gives a single class.
    if len({tag for row in rows for tag in row.tags}) == 1 and not problems:
        raise TagsegError(f"{missing} (for a single class, {_SET_FOLDERS}).")
    return rows, problems


def _check_no_other_table(root: Path) -> None:
    """Raise TagsegError if there is a table of another name: folders would be taken for classes."""
    others = sorted(path.name for path in root.iterdir() if path.suffix.lower() in _TABLE_SUFFIXES)
    if others:
        remedy = f"Name it in dataset.labels, or {_SET_FOLDERS} if each folder is a class."
        raise TagsegError(f"{root}: {', '.join(others)} is not named {' or '.join(TABLES)}. {remedy}")


def _class_names(class_list: Path, rows: Sequence[Row]) -> tuple[ClassNames, list[Problem]]:
    """Return the classes with what each label stands for, and the problems of the class list and of the labels."""
    written = [tag for row in rows for tag in row.tags]
    try:
        listed = read_class_list(class_list)
        if listed is None and class_list.name != CLASS_LIST:
            raise user_error(class_list, "no such file", "correct dataset.class_list")
    except TagsegError as error:
        return ClassNames(written), [Problem(class_list.name, 0, str(error).removeprefix(f"{class_list}: "))]
    names = ClassNames(written, listed)
    wrong = {name: text for name in names.names if listed is None and (text := _wrong_names([name]))} | names.wrong
    first = {tag: row for row in reversed(rows) for tag in row.tags}
    if listed is None:
        problems = [first[tag].problem(text) for tag, text in sorted(wrong.items())]
    else:
        problems = [row.problem(wrong[tag]) for row in rows for tag in sorted(row.tags) if tag in wrong]
    text = "" if problems or listed is not None or not rows else _wrong_names(names.names)
    return names, [*problems, Problem("", 0, text)] if text else problems


def _wrong_names(names: Sequence[str]) -> str:
    """Return why the names cannot be those of classes, or ""."""
    try:
        check_class_names(names, "labels")
    except TagsegError as error:
        return str(error).removeprefix("labels: ")
    return ""


def _images(
    root: Path, rows: Sequence[Row], names: Sequence[str], splits: Sequence[str], reading: Reading
) -> tuple[tuple[ImageRecord, ...], list[Problem]]:
    """Return the images of the rows, sorted by id, and the problems of their files."""
    ids = choose_ids([row.image for row in rows])
    clashing = clashes(ids.values())
    texts = [wrong_file(root, row.image) or clashing.get(ids[row.image], "") for row in rows]
    problems = [row.problem(text) for row, text in zip(rows, texts, strict=True) if text]
    positions = places_of(names)
    listed, rows_by_id = [], {}
    for row, split, text in zip(rows, splits, texts, strict=True):
        if not text:
            name, tags = ids[row.image], in_class_order(row.tags, positions)
            listed.append(ImageRecord(name, str(root / row.image), *UNKNOWN, split, tags))
            rows_by_id[name] = row
    images = reading.readable(listed, problems, lambda one, text: rows_by_id[one.id].problem(text))
    return images, problems


def photos_ground_truth(folder: Path, index: Index, split: str) -> dict[str, str]:
    """Return the ground-truth mask of each image of a split that has one, by id.

    It is `folder`/<id>.png, or `folder`/<file name without suffix>.png if no other image of the index has that file
    name. Raises DatasetProblems with all masks that are not PNGs of their image's size; TagsegError if `folder` is
    not one.
    """
    stems = _unique_stems(index)
    masks: dict[str, str] = {}
    problems: list[Problem] = []
    for row in index.of_split(split) if holds_masks(folder) else ():
        for name in dict.fromkeys((row.id, stems.get(row.id, row.id))):
            path = folder / f"{name}.png"
            with collected(problems, path, shown(f"{folder.name}/{name}.png")):
                if row.id not in masks and is_present(path):
                    masks[row.id] = str(path)
                    check_mask(path, row.width, row.height)
    if problems:
        raise DatasetProblems(folder, problems)
    return masks


def _unique_stems(index: Index) -> dict[str, str]:
    """Return the file name without folder and suffix, by id, where it identifies the image."""
    stems = {row.id: PurePosixPath(row.path).stem for row in index.images}
    counts = Counter(stems.values())
    return {name: stem for name, stem in stems.items() if counts[stem] == 1 and stem not in stems}


def index_unlabelled(
    root: Path, classes: Sequence[str], results: Path | None = None, max_pixels: int = MAX_PIXELS
) -> tuple[Index, list[str]]:
    """Index new images, without tags, for a network of `classes` (background first); `results` is skipped.

    Returns the index and a message for each file that is skipped because it cannot be read. Raises TagsegError if
    no image remains.
    """
    root = Path(root)
    check_folder(root)
    files, problems = find_files(root, results)
    rows = [Row(file, frozenset(), "test") for file in files if is_image(file)]
    images, unreadable = _images(root, rows, (), ["test"] * len(rows), Reading(max_pixels=max_pixels))
    messages = [str(problem) for problem in sorted([*problems, *unreadable])]
    if not images:
        known = ", ".join(sorted(IMAGE_SUFFIXES))
        raise TagsegError(f"{root}: no readable image. {'; '.join(messages[:3]) or f'Put images there ({known}).'}")
    return Index(tuple(classes), images), messages
