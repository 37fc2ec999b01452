"""The layout of COCO 2017: tags and ground truth from the annotations of its instances.

T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.

    ROOT/annotations/instances_train2017.json, instances_val2017.json
    ROOT/train2017/*.jpg, ROOT/val2017/*.jpg

Sizes come from the annotations; an image of another size counts as unreadable.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tagseg.datasets.coco.annotations import Annotations, name_of, read_annotations
from tagseg.datasets.coco.layout import find_halves
from tagseg.datasets.common import collected
from tagseg.datasets.image_checks import Reading
from tagseg.datasets.problems import Problem, raise_any
from tagseg.storage.index import BACKGROUND, ImageRecord, Index, check_class_names

PUBLISHED = {"train": 118_287, "val": 5_000}
PUBLISHED_CLASSES = 80


def index_coco(
    root: Path, *, crowd: bool = True, counts_known: bool = False, reading: Reading | None = None, **named: str | None
) -> Index:
    """Index the images of train and val below `root`; `named` are the files that the user names (see `find_halves`).

    Tags are the categories of an image's instances, those of crowd regions only if `crowd`; the classes are the
    categories that occur, in ascending order of their ids, which have gaps. `counts_known` compares the numbers of
    images and classes with COCO 2017's. Where everything else is correct, every image is read as `reading` states
    (None: not read). Raises TagsegError where a file or folder is missing, else DatasetProblems.
    """
    root = Path(root)
    files = find_halves(root, named)
    names_of_files = {split: name_of(root, file.json) for split, file in files.items()}
    halves: dict[str, Annotations] = {}
    problems: list[Problem] = []
    for split, file in files.items():
        with collected(problems, file.json):
            halves[split] = read_annotations(root, file.json, segmentations=False)
    raise_any(root, problems)
    used = {one.category_id for half in halves.values() for one in half.annotations}
    categories = sorted(halves["train"].categories, key=lambda one: one.id)
    names = {one.id: one.name for one in categories if one.id in used}
    if reading and (unused := [one.name for one in categories if one.id not in used]):
        reading.notes.append(f"categories without any annotation are ignored: {', '.join(unused)}")
    for split, half in halves.items():
        problems += [Problem(names_of_files[split], 0, text) for text in _contradictions(half)]
        problems += _missing_files(files[split].images, half)
    problems += [Problem(names_of_files["val"], 0, text) for text in _common_problems(halves["train"], halves["val"])]
    with collected(problems, names_of_files["train"]):
        check_class_names(tuple(names.values()), names_of_files["train"])
    problems += _count_problems(halves) if counts_known else []
    raise_any(root, problems)
    rows = [row for split, half in halves.items() for row in _records(files[split].images, split, half, names, crowd)]
    if reading:
        rows = list(reading.readable(rows, problems))
        raise_any(root, problems)
    return Index((BACKGROUND, *names.values()), tuple(sorted(rows, key=lambda row: row.id)))


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


def _records(
    folder: Path, split: str, half: Annotations, names: Mapping[int, str], crowd: bool
) -> Iterator[ImageRecord]:
    """Yield the rows of the index."""
    categories: defaultdict[int, set[int]] = defaultdict(set)
    for one in half.annotations:
        if crowd or not one.iscrowd:
            categories[one.image_id].add(one.category_id)
    for image in half.images:
        tags = tuple(names[category] for category in sorted(categories.get(image.id, ())))
        path = str(folder / image.file_name)
        yield ImageRecord(image.stem, path, image.width, image.height, split, tags)


def _missing_files(folder: Path, half: Annotations) -> list[Problem]:
    text = "no such file. Restore it or remove it from the annotations."
    names = [image.file_name for image in half.images if not (folder / image.file_name).is_file()]
    return [Problem(f"{folder.name}/{name}", 0, text) for name in names]


def _common_problems(train: Annotations, val: Annotations) -> list[str]:
    """Return the problems of val beside train: other classes, and images of train, which would be scored."""
    texts = []
    if {*train.categories} != {*val.categories}:
        texts.append("its categories differ from train's. Take both files from one archive.")
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
