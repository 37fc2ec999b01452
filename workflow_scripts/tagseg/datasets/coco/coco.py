"""The layout of COCO 2017: tags and ground truth from the annotations of its instances.

T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.

    ROOT/annotations/instances_train2017.json, instances_val2017.json
    ROOT/train2017/*.jpg, ROOT/val2017/*.jpg

Sizes come from the annotations; an image of another size counts as unreadable.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tagseg.datasets.coco.annotations import Annotations, name_of, read_annotations
from tagseg.datasets.coco.layout import Half, find_halves
from tagseg.datasets.common import CLASS_LIST, collected, in_class_order, places_of, read_class_list
from tagseg.datasets.folder.labels_table import Row
from tagseg.datasets.folder.splits import choose_splits
from tagseg.datasets.image_checks import Reading
from tagseg.datasets.problems import Problem, raise_any
from tagseg.storage.index import BACKGROUND, ImageRecord, Index, check_class_names, normal_form

PUBLISHED = {"train": 118_287, "val": 5_000}
PUBLISHED_CLASSES = 80


def index_coco(
    root: Path,
    *,
    crowd: bool = True,
    counts_known: bool = False,
    val_fraction: float = 0.2,
    random_seed: int = 0,
    reading: Reading | None = None,
    **named: str | None,
) -> Index:
    """Index the images of train and val below `root`; `named` are the files that the user names (see `find_halves`).

    Tags are the categories of an image's instances, those of crowd regions only if `crowd`; the classes are those of
    classes.txt, else the categories that occur, in ascending order of their ids, which have gaps. Where one annotation
    file has all images, about `val_fraction` of each class go to val (`choose_splits`). `counts_known` compares the
    numbers of images and classes with COCO 2017's. Where everything else is correct, every image is read as `reading`
    states (None: not read). Raises TagsegError where a file or folder is missing, else DatasetProblems.
    """
    root = Path(root)
    files = find_halves(root, named)
    if files["train"] == files["val"]:
        del files["val"]
    halves = _read_halves(root, files)
    problems = _problems_of(root, files, halves) + (_count_problems(halves) if counts_known else [])
    classes = CocoClasses(root, halves, problems)
    with collected(problems, name := name_of(root, files["train"].json)):
        check_class_names(classes.names, name)
    raise_any(root, problems)
    rows = [row for split, half in halves.items() for row in _records(files[split], split, half, classes, crowd)]
    if "val" not in halves:
        rows = _split(rows, random_seed, val_fraction)
    if reading:
        reading.notes += classes.notes
        rows = list(reading.readable(rows, problems))
        raise_any(root, problems)
    return Index((BACKGROUND, *classes.names), tuple(sorted(rows, key=lambda row: row.id)))


def _read_halves(root: Path, files: Mapping[str, Half]) -> dict[str, Annotations]:
    halves: dict[str, Annotations] = {}
    problems: list[Problem] = []
    for split, file in files.items():
        with collected(problems, file.json):
            halves[split] = read_annotations(root, file.json, segmentations=False)
    raise_any(root, problems)
    return halves


def _problems_of(root: Path, files: Mapping[str, Half], halves: Mapping[str, Annotations]) -> list[Problem]:
    """Return contradictions in the annotation files and between them, and missing images."""
    problems: list[Problem] = []
    for split, half in halves.items():
        texts = [*_contradictions(half)]
        if split == "val":
            texts += _common_problems(halves["train"], half)
        problems += [Problem(name_of(root, files[split].json), 0, text) for text in texts]
        problems += _missing_files(files[split], half)
    return problems


class CocoClasses:
    """The class of each category: `names` are the classes in order, `of_category` the class by category id.

    Categories whose names differ in capitals or blanks only are one class. Those without any annotation, or not in
    classes.txt, are none; `notes` says so. A listed name that is no category goes to `problems`.
    """

    def __init__(self, root: Path, halves: Mapping[str, Annotations], problems: list[Problem]) -> None:
        counts = Counter(one.category_id for half in halves.values() for one in half.annotations)
        categories = {one.id: one.name for one in halves["train"].categories}
        listed = read_class_list(root / CLASS_LIST)
        used = {id: categories[id] for id in sorted(categories) if counts[id]}
        spelling = {normal_form(name): name for name in listed or ()}
        for id in sorted(used, key=lambda id: (-counts[id], id)) if listed is None else ():
            spelling.setdefault(normal_form(used[id]), used[id])
        self.of_category = {id: spelling[form] for id, name in used.items() if (form := normal_form(name)) in spelling}
        self.names = listed or tuple(dict.fromkeys(self.of_category.values()))
        unknown = sorted({*(listed or ())} - {*self.of_category.values()})
        text = "no annotation has this category. Correct the name or remove it."
        problems += [Problem(CLASS_LIST, 0, f"{name}: {text}") for name in unknown]
        read = [
            f"category {name!r} is read as {own!r}"
            for id, name in used.items()
            if (own := self.of_category.get(id, name)) != name
        ]
        self.notes = read + [
            f"categories {what} are ignored: {', '.join(names)}"
            for what, names in (
                ("without any annotation", [name for id, name in categories.items() if id not in used]),
                (f"that are not in {CLASS_LIST}", [name for id, name in used.items() if id not in self.of_category]),
            )
            if names
        ]


def _split(rows: Sequence[ImageRecord], random_seed: int, val_fraction: float) -> list[ImageRecord]:
    """Return the rows with train or val for each."""
    listed = [Row(PurePosixPath(row.id), frozenset(row.tags), "") for row in rows]
    splits = choose_splits(listed, random_seed, val_fraction)
    return [replace(row, split=split) for row, split in zip(rows, splits, strict=True)]


def _contradictions(half: Annotations) -> Iterator[str]:
    """Yield repeated ids and names, and references to unknown ids (one annotation for each)."""
    for what, values in (
        ("images: id", Counter[object](one.id for one in half.images)),
        ("images: file_name without suffix", Counter[object](one.stem for one in half.images)),
        ("categories: id", Counter[object](one.id for one in half.categories)),
    ):
        yield from (f"{what} {value!r} occurs twice. Remove one." for value in values if values[value] > 1)
    known = {("image", one.id) for one in half.images} | {("category", one.id) for one in half.categories}
    for one in half.annotations:
        for key in (("image", one.image_id), ("category", one.category_id)):
            if key not in known:
                known.add(key)
                yield f"annotation {one.id}: no {key[0]} has the id {key[1]}. Add it or remove the annotation."


def _records(file: Half, split: str, half: Annotations, classes: CocoClasses, crowd: bool) -> Iterator[ImageRecord]:
    """Yield the rows of the index."""
    tags: defaultdict[int, set[str]] = defaultdict(set)
    for one in half.annotations:
        if (crowd or not one.iscrowd) and one.category_id in classes.of_category:
            tags[one.image_id].add(classes.of_category[one.category_id])
    positions = places_of(classes.names)
    for image in half.images:
        own = in_class_order(tags.get(image.id, ()), positions)
        yield ImageRecord(image.stem, str(file.image(image.file_name)), image.width, image.height, split, own)


def _missing_files(file: Half, half: Annotations) -> list[Problem]:
    text = "no such file. Restore it or remove it from the annotations."
    names = [image.file_name for image in half.images if not file.image(image.file_name).is_file()]
    return [Problem(f"{file.images.name}/{name}", 0, text) for name in names]


def _common_problems(train: Annotations, val: Annotations) -> list[str]:
    """Return the problems of val beside train: other classes, and images of train, which would be scored."""
    texts = []
    if {*train.categories} != {*val.categories}:
        texts.append("its categories differ from train's. Export both with the same categories.")
    stems = {image.stem for image in train.images}
    names = [image.file_name for image in val.images if image.stem in stems]
    texts += [f"images: {name} is in train too. Remove it from one." for name in names]
    return texts


def _count_problems(halves: Mapping[str, Annotations]) -> list[Problem]:
    """Return a problem for each count that differs from COCO 2017's."""
    counts = [(f"images in {split}", len(half.images), PUBLISHED[split]) for split, half in halves.items()]
    counts.append(("classes", len(halves["train"].categories), PUBLISHED_CLASSES))
    remedy = "Complete the copy, or set dataset.counts_known: false for another data set."
    return [
        Problem("", 0, f"{count:,} {what}, but COCO 2017 has {published:,}. {remedy}")
        for what, count, published in counts
        if count != published
    ]
