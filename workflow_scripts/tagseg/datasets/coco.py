"""The layout of COCO 2017: tags and true masks from the annotations of its instances.

T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.

    ROOT/annotations/instances_train2017.json, instances_val2017.json
    ROOT/train2017/*.jpg, ROOT/val2017/*.jpg

Sizes are taken from the annotations; a photograph that has another one counts as one that cannot be read.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tagseg.datasets.coco_annotations import (
    Findings,
    annotation_file,
    entries,
    is_crowd,
    is_whole,
    leads_out,
    shown,
)
from tagseg.datasets.coco_masks import coco_true_masks
from tagseg.datasets.problems import DatasetProblems, Problem
from tagseg.datasets.reading import Reading
from tagseg.errors import TagsegError
from tagseg.images import MAX_PIXELS, PHOTOGRAPH_SUFFIXES
from tagseg.index import BACKGROUND, MAX_CLASSES, Index, Photograph, check_class_names

__all__ = ["coco_true_masks", "index_coco"]

SPLITS = ("train", "val")

PUBLISHED = {"train": 118_287, "val": 5_000}
PUBLISHED_CLASSES = 80


def index_coco(
    root: Path, *, crowd: bool = True, counts_known: bool = False, reading: Reading | None = None
) -> Index:
    """Index the photographs of COCO's train and val below `root`.

    The tags are the categories of a photograph's instances, those of crowd regions only if `crowd`; the
    classes are all categories in ascending order of their ids, which have gaps. With `counts_known` the
    numbers of photographs and classes have to be those of COCO 2017. Once all that is in order, every
    photograph is read as `reading` says; without it, none. Raises TagsegError where the layout or an
    annotation file cannot be read, DatasetProblems with all else that is wrong.
    """
    root = Path(root)
    _check_layout(root)
    halves = [_Half.read(root, split, crowd) for split in SPLITS]
    names, problems = _class_names(halves)
    for half in halves:
        problems += half.problems(root, names)
    problems += _shared(*halves)
    problems += _count_problems(halves, names) if counts_known else []
    _raise_any(root, problems)
    rows = [row for half in halves for row in half.photographs(root, names)]
    if reading:
        rows = reading.readable(rows, problems)
        _raise_any(root, problems)
    return Index((BACKGROUND, *names.values()), tuple(sorted(rows, key=lambda row: row.id)))


def _raise_any(root: Path, problems: list[Problem]) -> None:
    if problems:
        raise DatasetProblems(root, problems)


def _check_layout(root: Path) -> None:
    """Raise TagsegError where a folder or an annotation file is missing or lies outside."""
    files = [annotation_file(root, split) for split in SPLITS]
    folders = [root / f"{split}2017" for split in SPLITS]
    missing = [path for path in files if not path.is_file()] + [path for path in folders if not path.is_dir()]
    if missing:
        raise TagsegError(
            f"{root}: no {', '.join(str(path.relative_to(root)) for path in missing)}; unpack train2017.zip, "
            "val2017.zip and annotations_trainval2017.zip there"
        )
    for path in (*files, *folders):
        if real := leads_out(root, path):
            raise TagsegError(f"{path}: a link to {real}, outside the data set; move the data to that place")


@dataclass(frozen=True)
class _Image:
    file_name: str
    width: int
    height: int


@dataclass
class _Half:
    """What one annotation file says. Ids are those of its images, categories and annotations."""

    split: str
    images: dict[int, _Image] = field(default_factory=dict)
    categories: dict[int, str] = field(default_factory=dict)
    tags: dict[int, dict[int, int | None]] = field(default_factory=dict)
    """Of each image: its categories, and one annotation of each, to name it in a message."""
    refused: set[tuple[str, int]] = field(default_factory=set)
    """List and id of the entries with a problem: what refers to them is no second one."""
    findings: Findings = field(default_factory=lambda: Findings(""))

    @classmethod
    def read(cls, root: Path, split: str, crowd: bool) -> "_Half":
        """Read a split's annotation file. Raises TagsegError where it is not JSON of COCO's form."""
        path = annotation_file(root, split)
        half = cls(split, findings=Findings(path.relative_to(root).as_posix()))
        stems: set[str] = set()
        for key, entry in entries(path):
            try:
                half._add(key, entry, stems, crowd)
            except ValueError as error:
                half.findings.add(f"{key}: {_name_of(entry)}: {error}")
        return half

    def _add(self, key: str, entry: object, stems: set[str], crowd: bool) -> None:
        """Take in an entry of the list `key`. Raises ValueError where it is unfit."""
        if not isinstance(entry, dict):
            raise ValueError("not an object; mend it")
        if key == "annotations":
            self._add_annotation(entry, crowd)
            return
        number = _id(entry, "id")
        self.refused.add((key, number))
        if key == "images":
            self._add_image(number, entry, stems)
        else:
            self._add_category(number, entry)
        self.refused.discard((key, number))

    def _add_image(self, number: int, entry: dict, stems: set[str]) -> None:
        name, width, height = _file_name(entry), _side(entry, "width"), _side(entry, "height")
        if width * height > MAX_PIXELS:
            raise ValueError(f"{width}x{height} exceeds {MAX_PIXELS:,} pixels; scale it down")
        if number in self.images:
            raise ValueError("a second image of this id; remove one")
        if PurePosixPath(name).stem in stems:
            raise ValueError(f"a second image {shown(name)}; remove one")
        stems.add(PurePosixPath(name).stem)
        self.images[number] = _Image(name, width, height)

    def _add_category(self, number: int, entry: dict) -> None:
        name = entry.get("name")
        if not isinstance(name, str):
            raise ValueError(f"`name` is {shown(name)}; make it a text")
        if number in self.categories:
            raise ValueError("a second category of this id; remove one")
        self.categories[number] = name

    def _add_annotation(self, entry: dict, crowd: bool) -> None:
        image, category = _id(entry, "image_id"), _id(entry, "category_id")
        if is_crowd(entry) and not crowd:
            return
        number = entry.get("id")
        own = self.tags.setdefault(image, {})
        own.setdefault(category, number if is_whole(number) else None)

    def problems(self, root: Path, names: Mapping[int, str]) -> list[Problem]:
        """Return what is wrong with the entries, with what they refer to, and with the image files."""
        files = _file_problems(root, f"{self.split}2017", self.images)
        return [*self.findings.all(), *self._dangling(names), *files]

    def _dangling(self, names: Mapping[int, str]) -> list[Problem]:
        """Return a problem for each unknown image or category, naming one annotation of it."""
        findings = Findings(self.findings.place)
        unknown: dict[int, int | None] = {}
        for image, own in self.tags.items():
            if image not in self.images and ("images", image) not in self.refused:
                example = next(iter(own.values()))
                findings.add(f"annotation {example}: no image has the id {image}; add it or remove both")
            for category in own.keys() - names.keys():
                unknown.setdefault(category, own[category])
        for category, example in unknown.items():
            if ("categories", category) not in self.refused:
                findings.add(f"annotation {example}: no category has the id {category}; add it to the list")
        return findings.all()

    def photographs(self, root: Path, names: Mapping[int, str]) -> Iterator[Photograph]:
        """Yield the rows of the index."""
        folder = str(root / f"{self.split}2017")
        for number, image in self.images.items():
            tags = tuple(names[category] for category in sorted(self.tags.get(number, ())))
            stem = PurePosixPath(image.file_name).stem
            path = f"{folder}/{image.file_name}"
            yield Photograph(stem, path, image.width, image.height, self.split, tags)


def _name_of(entry: object) -> str:
    return f"id {shown(entry.get('id'))}" if isinstance(entry, dict) else shown(entry)


def _id(entry: dict, key: str) -> int:
    """Return an id of an entry. Raises ValueError where it is missing or no whole number."""
    if not is_whole(entry.get(key)):
        raise ValueError(f"`{key}` is {shown(entry.get(key))}; make it a whole number")
    return entry[key]


def _side(entry: dict, key: str) -> int:
    if not is_whole(entry.get(key), least=1):
        raise ValueError(f"`{key}` is {shown(entry.get(key))}; make it the number of pixels")
    return entry[key]


def _file_name(entry: dict) -> str:
    """Return the name of an image's file. Raises ValueError where it could lead out of its folder."""
    name = entry.get("file_name")
    if not isinstance(name, str) or not name:
        raise ValueError(f"`file_name` is {shown(name)}; make it the name of the image's file")
    unsafe = name.startswith(".") or ".." in name or "/" in name or "\\" in name or not name.isprintable()
    if unsafe or len(name) > 255:
        raise ValueError(f"`file_name` is {shown(name)}; make it a plain name without a folder")
    if PurePosixPath(name).suffix.lower() not in PHOTOGRAPH_SUFFIXES:
        raise ValueError(f"`file_name` is {shown(name)}; photographs end in .jpg, .png, ...: rename it")
    return name


def _file_problems(root: Path, folder: str, images: Mapping[int, _Image]) -> Iterator[Problem]:
    """Yield a problem for each image whose file is missing, is none, or is a link out of the root."""
    with os.scandir(root / folder) as place:
        found = {entry.name: entry for entry in place}
    for image in images.values():
        entry = found.get(image.file_name)
        where = f"{folder}/{image.file_name}"
        if entry is not None and entry.is_symlink() and (real := leads_out(root, Path(entry.path))):
            yield Problem(where, 0, f"a link to {real}, outside the data set; copy the file into it")
        elif entry is None or not os.path.isfile(entry.path):
            yield Problem(where, 0, "no such file; restore it or take it out of the annotations")


def _class_names(halves: list[_Half]) -> tuple[dict[int, str], list[Problem]]:
    """Return the names of train's categories in ascending order of id, and what is wrong with them."""
    train, val = halves
    names = dict(sorted(train.categories.items()))
    place = f"{annotation_file(Path(), train.split)}"
    if len(names) >= MAX_CLASSES:
        return names, [Problem(place, 0, f"{len(names):,} categories, where {MAX_CLASSES - 1} are possible")]
    problems = []
    if train.categories != val.categories:
        text = "its categories are not those of train; take both files from one archive"
        problems.append(Problem(f"{annotation_file(Path(), val.split)}", 0, text))
    try:
        check_class_names(tuple(names.values()), "categories")
    except TagsegError as error:
        problems.append(Problem(place, 0, str(error)))
    return names, problems


def _shared(train: _Half, val: _Half) -> list[Problem]:
    """Return a problem for each photograph that is in train and in val: it would be learnt and scored."""
    stems = {PurePosixPath(image.file_name).stem for image in train.images.values()}
    findings = Findings(f"{annotation_file(Path(), val.split)}")
    for number, image in val.images.items():
        if PurePosixPath(image.file_name).stem in stems:
            findings.add(f"images: id {number}: {image.file_name} is in train too; remove it from one")
    return findings.all()


def _count_problems(halves: list[_Half], names: Mapping[int, str]) -> list[Problem]:
    """Return where the numbers are not those of COCO 2017."""
    counts = [(f"photographs in {half.split}", len(half.images), PUBLISHED[half.split]) for half in halves]
    counts.append(("classes", len(names), PUBLISHED_CLASSES))
    return [
        Problem(
            "",
            0,
            f"{count:,} {what}, where COCO 2017 has {published:,}; complete the copy, or set "
            "dataset.counts_known: false for another data set",
        )
        for what, count, published in counts
        if count != published
    ]
