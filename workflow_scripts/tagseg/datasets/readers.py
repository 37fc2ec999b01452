"""Which adapter reads which kind of data set, and the checks that all kinds share.

The settings of a data set are a mapping: `kind`, `root` (its folder), and the options that its adapter takes.
Those of its photographs have an `unreadable_share`, too (see `Reading`); without it there may be none.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tagseg.commandline import progress
from tagseg.datasets.coco import coco_true_masks, index_coco
from tagseg.datasets.mask_reading import mask_problems
from tagseg.datasets.photos import index_photos, photos_true_masks
from tagseg.datasets.places import check_utf8
from tagseg.datasets.problems import DatasetProblems, Problem
from tagseg.datasets.reading import Reading
from tagseg.datasets.voc import index_voc, voc_true_masks
from tagseg.errors import TagsegError
from tagseg.index import Index
from tagseg.true_masks import MADE


class Kind(NamedTuple):
    """A kind of data set: the readers of its photographs and true masks, and the options of each."""

    index: Callable[..., Index]
    options: tuple[str, ...]
    true_masks: Callable[..., dict[str, str]]
    mask_options: tuple[str, ...]


SHARE = "unreadable_share"
_OF_ALL = ("kind", "root", SHARE)
_LISTS = ("train_list", "val_list", "test_list", "difficult")

KINDS = {
    "demo": Kind(
        partial(index_voc, test_root=None, sbd=None, counts_known=False),
        _LISTS,
        partial(voc_true_masks, sbd=None),
        (),
    ),
    "voc": Kind(index_voc, (*_LISTS, "test_root", "sbd", "counts_known"), voc_true_masks, ("sbd",)),
    "coco": Kind(index_coco, ("crowd", "counts_known"), coco_true_masks, ("threads",)),
    "photos": Kind(index_photos, ("random_seed", "val_share", "labels"), photos_true_masks, ()),
}


def new_reading(settings: Mapping[str, object], processes: int, results: Path | None = None) -> Reading:
    """Return how the photographs are to be read, given the folder of our `results`, which has none of them.

    Raises TagsegError on a wrong setting.
    """
    share = settings.get(SHARE)
    if share is not None and not (isinstance(share, int | float) and 0 <= share < 1):
        raise TagsegError(f"{SHARE}: {share!r} is not within 0 (none) and 1, 1 excluded")
    return Reading(share, processes, progress, results)


def read_photographs(settings: Mapping[str, object], reading: Reading) -> Index:
    """Read the data set that the settings describe, all photographs of it, as `reading` says.

    Raises DatasetProblems with all that is wrong with the data set, TagsegError on a wrong setting.
    """
    kind, root = _kind(settings)
    return kind.index(root, reading=reading, **_options(settings, kind.options))


def collect_true_masks(
    settings: Mapping[str, object], index: Index, split: str, folder: Path, threads: int = 1
) -> dict[str, str]:
    """Return the path by id of the true masks of a split; those that are no PNGs are made below `folder`.

    Those that are there already are read, all of them. Raises DatasetProblems with all masks that are wrong,
    TagsegError on a wrong setting.
    """
    masks = find_true_masks(settings, index, split, folder, threads)
    theirs = {name: Path(path) for name, path in masks.items() if not _is_made(folder, path)}
    if problems := mask_problems(theirs, index, threads):
        raise DatasetProblems(str(settings["root"]), problems)
    return masks


def _is_made(folder: Path, path: str) -> bool:
    """Return whether the path of a mask is of one that was made below `folder`."""
    return path.startswith(MADE) and (folder / path).is_file()


def find_true_masks(
    settings: Mapping[str, object], index: Index, split: str, folder: Path, threads: int = 1
) -> dict[str, str]:
    """Do as `collect_true_masks`, but leave unread what is inside of the masks that are there already."""
    kind, root = _kind(settings)
    options = {"threads": threads} if "threads" in kind.mask_options else {}
    wanted = tuple(name for name in kind.mask_options if name != "threads")
    return kind.true_masks(root, index, split, folder, **_options(settings, wanted), **options)


def _kind(settings: Mapping[str, object]) -> tuple[Kind, Path]:
    """Return the kind and the folder of a data set. Raises TagsegError where one of them is no good."""
    name = settings.get("kind")
    if name not in KINDS:
        raise TagsegError(f"kind: {name!r} is none of {', '.join(KINDS)}")
    if not settings.get("root"):
        raise TagsegError("root: missing; name the folder of the data set")
    root = Path(str(settings["root"]))
    check_utf8(root)
    return KINDS[name], root


def _options(settings: Mapping[str, object], known: tuple[str, ...]) -> dict[str, object]:
    """Return the options among the settings. Raises TagsegError where one is missing or unknown."""
    options = {name: value for name, value in settings.items() if name not in _OF_ALL}
    unknown = [name for name in options if name not in known]
    if unknown:
        kind = settings["kind"]
        raise TagsegError(
            f"{unknown[0]}: no setting of the kind {kind}; known are {', '.join(known) or 'none'}"
        )
    missing = [name for name in known if name not in options]
    if missing:
        raise TagsegError(f"{missing[0]}: missing; the kind {settings['kind']} needs it")
    return options


def without_untagged(index: Index) -> Index:
    """Return the index without the train photographs that carry no tag: nothing is learnt from them."""
    return Index(index.classes, tuple(row for row in index.photographs if row.tags or row.split != "train"))


def train_problems(index: Index) -> list[Problem]:
    """Return what keeps a network from learning: no photograph in train at all, or none of a class."""
    train = index.of_split("train")
    if not train:
        return [Problem("", 0, "no photograph in train; put some there (image sets or the table of labels)")]
    present = {tag for row in train for tag in row.tags}
    return [
        Problem("", 0, f"no train photograph of {name}; add some, or list in classes.txt only those to learn")
        for name in index.classes[1:]
        if name not in present
    ]


def check_train(index: Index, root: str | Path) -> None:
    """Raise DatasetProblems with what `train_problems` finds."""
    problems = train_problems(index)
    if problems:
        raise DatasetProblems(root, problems)
