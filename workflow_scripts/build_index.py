"""Index a data set: one row a photograph, with its size, split, tags and mask.

    build_index.py --settings '{"kind": "voc", "root": "VOCdevkit/VOC2012"}' --index FOLDER

Kinds: "voc" and "demo" (root, train_list, val_list, test_list, difficult) and "photos" (root,
random_seed, val_share). Writes index.csv and classes.csv into FOLDER.
"""

import argparse
from pathlib import Path

from tagseg.commandline import run, say, settings
from tagseg.datasets.photos import index_photos
from tagseg.datasets.voc import index_voc
from tagseg.errors import TagsegError
from tagseg.index import SPLITS, Index, write_index

VOC_OPTIONS = ("train_list", "val_list", "test_list", "difficult")
READERS = {
    "demo": (index_voc, VOC_OPTIONS),
    "voc": (index_voc, VOC_OPTIONS),
    "photos": (index_photos, ("random_seed", "val_share")),
}


def main() -> None:
    arguments = parse_arguments()
    index = without_untagged(build_index(arguments.settings))
    check_train(index)
    write_index(arguments.index, index)
    say(summary(index))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--settings", type=settings, required=True, metavar="JSON")
    parser.add_argument("--index", type=Path, required=True, metavar="FOLDER")
    return parser.parse_args()


def build_index(content: dict) -> Index:
    """Read the data set that the settings describe. Raises TagsegError on a setting that is wrong."""
    kind = content.get("kind")
    if kind not in READERS:
        raise TagsegError(f"kind: {kind!r} is none of {', '.join(READERS)}")
    if not content.get("root"):
        raise TagsegError("root: missing; name the folder of the data set")
    reader, known = READERS[kind]
    options = {name: value for name, value in content.items() if name not in ("kind", "root")}
    for name in options:
        if name not in known:
            raise TagsegError(f"{name}: no setting of the kind {kind}; known are {', '.join(known)}")
    missing = [name for name in known if kind == "photos" and name not in options]
    if missing:
        raise TagsegError(f"{missing[0]}: missing; the kind {kind} needs it")
    return reader(Path(content["root"]), **options)


def without_untagged(index: Index) -> Index:
    """Return the index without the train photographs that carry no tag: nothing is learnt from them."""
    kept = tuple(row for row in index.photographs if row.tags or row.split != "train")
    if len(kept) < len(index.photographs):
        say(f"left out {len(index.photographs) - len(kept)} train photographs without a tag")
    return Index(index.classes, kept)


def check_train(index: Index) -> None:
    """Raise TagsegError where there is nothing to learn from, at all or of a class."""
    train = index.of_split("train")
    if not train:
        raise TagsegError("no photograph in train; put some there (image sets or labels.csv)")
    present = {tag for row in train for tag in row.tags}
    absent = [name for name in index.classes[1:] if name not in present]
    if absent:
        raise TagsegError(
            f"no train photograph of {', '.join(absent)}; add some, or list in classes.txt only the "
            "classes to be learnt"
        )


def summary(index: Index) -> str:
    """Return the numbers of an index in one line; those of tags are of train."""
    counts = ", ".join(f"{len(index.of_split(split))} {split}" for split in SPLITS)
    train = index.of_split("train")
    mean = sum(len(row.tags) for row in train) / len(train)
    single = sum(len(row.tags) == 1 for row in train)
    masks = sum(row.mask is not None for row in index.photographs)
    return (
        f"{counts} photographs, {len(index.classes) - 1} classes; train: {mean:.3f} tags a "
        f"photograph, {single} of a single class; {masks} with masks"
    )


if __name__ == "__main__":
    run(main)
