"""Photographs to show in a figure: which ones, and how each becomes a line of a grid."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.images import read_mask
from tagseg.index import Index, Photograph
from tagseg.mask_grids import Example, qualitative
from tagseg.mask_shards import MaskFile
from tagseg.metrics import Confusion, scores
from tagseg.true_masks import read_true_masks

OF_SEVERAL_CLASSES = 1 / 3
"""This share of a figure's photographs carries several classes, where there are such photographs."""

Truths = Mapping[str, Path]
"""The file of each true mask by the id of its photograph."""

Masks = Mapping[str, MaskFile]
"""Masks of our own by the id of their photograph."""

Ranked = Sequence[tuple[float, Photograph]]
"""Photographs with their own mIoU in percent, the best first."""


def read_truths(folders: Sequence[str | Path]) -> Truths:
    """Return the true masks of several splits. Raises TagsegError (see `read_true_masks`)."""
    return {name: path for folder in folders for name, path in read_true_masks(folder).items()}


def with_tags_of(rows: Sequence[Photograph], names: Sequence[str] | None, index: Index) -> list[Photograph]:
    """Return the photographs that carry one of the classes named by `figures.classes`; None: any class.

    Raises TagsegError where the data set has no such class.
    """
    unknown = [name for name in names or () if name not in index.classes[1:]]
    if unknown:
        known = ", ".join(index.classes[1:])
        raise TagsegError(f"figures.classes: the data set has no class {unknown[0]!r}; name one of {known}")
    return [row for row in rows if row.tags and (names is None or set(names) & set(row.tags))]


def with_masks_first(rows: Sequence[Photograph], truths: Truths, count: int) -> Sequence[Photograph]:
    """Return the photographs with true masks if they are `count` or more, else all: truth tells most."""
    masked = [row for row in rows if row.id in truths]
    return masked if len(masked) >= count else rows


def choose(rows: Sequence[Photograph], count: int) -> list[Photograph]:
    """Return photographs spread over the classes, a third of several classes, last; the same every time.

    Looks at tags and ids alone, never at how good a mask is.
    """
    shown: Counter[str] = Counter()
    single = [row for row in rows if len(row.tags) < 2]
    several = [row for row in rows if len(row.tags) > 1]
    last = _spread(several, int(count * OF_SEVERAL_CLASSES), shown)
    first = _spread(single, count - len(last), shown)
    rest = [row for row in several if row not in last]
    return [*first, *last, *_spread(rest, count - len(first) - len(last), shown)]


def _spread(rows: Sequence[Photograph], count: int, shown: Counter) -> list[Photograph]:
    """Take the photograph whose tags were shown least, `count` times; ties go by the digest of the id.

    A digest, and not the id itself: neighbours by id are often of one series.
    """
    rows, chosen = list(rows), []
    while rows and len(chosen) < count:
        row = min(rows, key=lambda one: (_mean_shown(one, shown), hashlib.sha256(one.id.encode()).digest()))
        rows.remove(row)
        chosen.append(row)
        shown.update(row.tags)
    return chosen


def _mean_shown(row: Photograph, shown: Mapping[str, int]) -> float:
    return sum(shown[tag] for tag in row.tags) / max(len(row.tags), 1)


def rank(rows: Sequence[Photograph], predictions: Masks, index: Index, truths: Truths) -> Ranked:
    """Return the photographs with a true mask by their own mIoU in percent, best first.

    Raises TagsegError where a true mask does not fit its photograph.
    """
    masked = [row for row in rows if row.id in truths]
    pairs = [
        (_own_miou(truths[row.id], predictions[row.id], index), row)
        for row in commandline.progress(masked, "ranked")
    ]
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1].id))


def _own_miou(truth: Path, prediction: MaskFile, index: Index) -> float:
    """Return the mIoU over the classes that are true or predicted in one photograph."""
    confusion = Confusion(len(index.classes))
    try:
        confusion.add(read_mask(truth, len(index.classes)), prediction.read())
    except ValueError as error:
        raise TagsegError(f"{truth}: {error}; mend the mask") from None
    return scores(confusion, index.classes, 1).miou


def at_even_ranks(ranked: Ranked, count: int) -> dict[str, tuple[str]]:
    """Return remarks by id of photographs at even distances of rank: the best, the worst, and between."""
    places = np.unique(np.linspace(0, len(ranked) - 1, count).round().astype(int))
    return {ranked[place][1].id: _told(ranked, int(place)) for place in places}


def best_and_worst(ranked: Ranked, count: int) -> tuple[dict[str, tuple[str]], dict[str, tuple[str]]]:
    """Return remarks by id of the `count` best, best first, and of the `count` worst, worst first.

    Of fewer than twice as many photographs none is both.
    """
    best = range(min(count, -(-len(ranked) // 2)))
    worst = range(len(ranked) - 1, max(len(ranked) - count, len(best)) - 1, -1)
    return tuple({ranked[place][1].id: _told(ranked, place) for place in places} for places in (best, worst))


def _told(ranked: Ranked, place: int) -> tuple[str]:
    return (f"mIoU {ranked[place][0]:.0f} %, rank {place + 1} of {len(ranked)}",)


def example(
    row: Photograph, remarks: tuple[str, ...], index: Index, truths: Truths, *masks: Masks
) -> Example:
    """Return a line of a figure: the photograph, its masks, and last the true one or None.

    Raises TagsegError where a file is missing or damaged.
    """
    truth = read_mask(truths[row.id], len(index.classes)) if row.id in truths else None
    shown = (*(files[row.id].read() for files in masks), truth)
    return Example(row.id, (", ".join(row.tags), *remarks), row.read(), shown)


def grid(
    lines: Sequence[Example], columns: Sequence[str], index: Index, blocks: Sequence[str] = ("",)
) -> Figure:
    """Return the figure of the lines, without the columns in which no line has a mask.

    `columns` are titles of the photograph and of each mask; `blocks` as `qualitative` takes them.
    """
    lines, columns = without_empty_columns(lines, columns)
    return qualitative(lines, columns, index.classes, blocks)


def without_empty_columns(
    lines: Sequence[Example], columns: Sequence[str]
) -> tuple[list[Example], tuple[str, ...]]:
    """Return lines and titles without the columns of masks that are empty throughout."""
    held = [
        place for place in range(len(columns) - 1) if any(line.masks[place] is not None for line in lines)
    ]
    kept = [replace(line, masks=tuple(line.masks[place] for place in held)) for line in lines]
    return kept, (columns[0], *(columns[place + 1] for place in held))
