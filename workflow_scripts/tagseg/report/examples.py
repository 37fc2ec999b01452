"""Example images: which ones to show, and the grids of them."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tagseg.evaluation.metrics import Confusion, scores
from tagseg.report.mask_grids import Example, qualitative
from tagseg.report.plots import message
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.storage.ground_truth import read_ground_truth
from tagseg.storage.images import read_mask
from tagseg.storage.index import ImageRecord, Index
from tagseg.storage.mask_shards import MaskFile, read_mask_shards

EXAMPLES = 6  # images per figure
EXTREMES = 4  # best images, and worst images
SEVERAL_CLASSES = 1 / 3  # fraction of the examples with several classes, if there are such images
OF_VAL = ("image", "prediction", "ground truth")

Truths = Mapping[str, Path]
"""The file of the ground truth by image id."""

Masks = Mapping[str, MaskFile]
"""Our masks by image id."""

Ranked = Sequence[tuple[float, ImageRecord]]
"""Images with their own mIoU in percent, best first."""


def read_truths(folders: Sequence[str | Path]) -> Truths:
    """Return the ground truth of several splits. Raises TagsegError (see `read_ground_truth`)."""
    return {name: path for folder in folders for name, path in read_ground_truth(folder).items()}


def with_tags_of(rows: Sequence[ImageRecord], names: Sequence[str] | None, index: Index) -> list[ImageRecord]:
    """Return the images with one of the classes of `figures.classes`; None: any class.

    Raises TagsegError if the data set has no such class.
    """
    unknown = [name for name in names or () if name not in index.classes[1:]]
    if unknown:
        classes = ", ".join(index.classes[1:])
        raise TagsegError(f"figures.classes: no class {unknown[0]!r} in the data set. Use one of {classes}.")
    return [row for row in rows if row.tags and (names is None or set(names) & set(row.tags))]


def choose(rows: Sequence[ImageRecord], count: int, truths: Truths | None = None) -> list[ImageRecord]:
    """Return images spread over the classes, those with several classes last; the same every time.

    Uses tags and ids alone, never the quality of a mask. Images in `truths` are preferred if they suffice.
    """
    masked = [row for row in rows if row.id in (truths or {})]
    rows = masked if len(masked) >= count else rows
    shown: Counter[str] = Counter()
    several = [row for row in rows if len(row.tags) > 1]
    last = _spread(several, int(count * SEVERAL_CLASSES), shown)
    first = _spread([row for row in rows if len(row.tags) < 2], count - len(last), shown)
    rest = [row for row in several if row not in last]
    return [*first, *last, *_spread(rest, count - len(first) - len(last), shown)]


def _spread(rows: Sequence[ImageRecord], count: int, shown: Counter) -> list[ImageRecord]:
    """Take `count` times the image whose tags were shown least; ties go by the digest of the id.

    By the digest, since neighbours by id are often frames of one series.
    """
    rows, chosen = list(rows), list[ImageRecord]()

    def key(row: ImageRecord) -> tuple[float, bytes]:
        mean = sum(shown[tag] for tag in row.tags) / max(len(row.tags), 1)
        return mean, hashlib.sha256(row.id.encode()).digest()

    while rows and len(chosen) < count:
        chosen.append(min(rows, key=key))
        rows.remove(chosen[-1])
        shown.update(chosen[-1].tags)
    return chosen


def rank(rows: Sequence[ImageRecord], predictions: Masks, index: Index, truths: Truths) -> Ranked:
    """Return the images with ground truth by their own mIoU, best first.

    The mean is over the classes that are true or predicted in the image.
    """
    ranked = []
    for row in commandline.progress([row for row in rows if row.id in truths], "ranked"):
        confusion = Confusion(len(index.classes))
        confusion.add(read_mask(truths[row.id], len(index.classes)), predictions[row.id].read())
        ranked.append((scores(confusion, index.classes, 1).miou, row))
    return sorted(ranked, key=lambda pair: (-pair[0], pair[1].id))


def at_even_ranks(ranked: Ranked, count: int) -> dict[str, str]:
    """Return the ranks by id of images at even distances: the best, the worst, and some between."""
    positions = np.unique(np.linspace(0, len(ranked) - 1, count).round().astype(int))
    return _ranks(ranked, positions.tolist())


def best_and_worst(ranked: Ranked, count: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return the ranks by id of the `count` best, best first, and of the `count` worst, worst first.

    No image is both.
    """
    best = range(min(count, -(-len(ranked) // 2)))
    worst = range(len(ranked) - 1, max(len(ranked) - count, len(best)) - 1, -1)
    return _ranks(ranked, best), _ranks(ranked, worst)


def _ranks(ranked: Ranked, positions: Sequence[int]) -> dict[str, str]:
    return {ranked[n][1].id: f"mIoU {ranked[n][0]:.0f} %, rank {n + 1} of {len(ranked)}" for n in positions}


def example(row: ImageRecord, remark: str, index: Index, truths: Truths, *masks: Masks) -> Example:
    """Return a line of a grid: the image, its masks, and last its ground truth or None.

    Raises TagsegError if a file is missing or damaged.
    """
    truth = read_mask(truths[row.id], len(index.classes)) if row.id in truths else None
    shown = (*(files[row.id].read() for files in masks), truth)
    return Example(row.id, (", ".join(row.tags), remark), row.read(), shown)


def grid(lines: Sequence[Example], columns: Sequence[str], index: Index, blocks: Sequence[str] = ("",)) -> Figure:
    """Return the grid of the lines (see `qualitative`), without the columns that have no mask."""
    lines, columns = without_empty_columns(lines, columns)
    return qualitative(lines, columns, index.classes, blocks)


def without_empty_columns(lines: Sequence[Example], columns: Sequence[str]) -> tuple[list[Example], tuple[str, ...]]:
    """Return lines and titles without the columns that have no mask."""
    held = [n for n in range(len(columns) - 1) if any(line.masks[n] is not None for line in lines)]
    kept = [replace(line, masks=tuple(line.masks[n] for n in held)) for line in lines]
    return kept, (columns[0], *(columns[n + 1] for n in held))


def masks_of_train(index: Index, truths: Truths, seed_folders: Sequence[Path], proxy_folders: Sequence[Path]) -> Figure:
    """Return the grid of images of train with seed mask, proxy mask and ground truth."""
    seeds, proxies = read_mask_shards(seed_folders), read_mask_shards(proxy_folders)
    rows = [row for row in index.of_split("train") if row.tags and row.id in seeds and row.id in proxies]
    chosen = choose(rows, EXAMPLES, truths)
    if not chosen:
        return message("No image of train has masks to show.")
    lines = [example(row, "", index, truths, seeds, proxies) for row in chosen]
    return grid(lines, ("image", "Algorithm 1", "proxy mask (CRF)", "ground truth"), index)


def figures_of_val(index: Index, truths: Truths, folders: Sequence[Path]) -> dict[str, Figure]:
    """Return the grids of predictions on val: `examples_val`, from best to worst, and `best_worst`."""
    predictions = read_mask_shards(folders)
    rows = {row.id: row for row in index.of_split("val") if row.id in predictions}
    if not rows:
        none = message("The data set has no image of val: there are no predictions to show.")
        return {"examples_val": none, "best_worst": none}

    def lines(remarks: Mapping[str, str]) -> list[Example]:
        return [example(rows[name], text, index, truths, predictions) for name, text in remarks.items()]

    ranked = rank(list(rows.values()), predictions, index, truths)
    unranked = {row.id: "" for row in choose(list(rows.values()), EXAMPLES)}
    shown = grid(lines(at_even_ranks(ranked, EXAMPLES) if ranked else unranked), OF_VAL, index)
    if not ranked:
        none = message("No image of val has ground truth: there is no best and no worst one to show.")
        return {"examples_val": shown, "best_worst": none}
    best, worst = map(lines, best_and_worst(ranked, EXTREMES))
    blocks = ("best of val", "worst of val") if worst else ("best of val",)
    return {"examples_val": shown, "best_worst": grid([*best, *worst], OF_VAL, index, blocks)}
