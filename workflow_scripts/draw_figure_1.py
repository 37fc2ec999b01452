"""Draw the paper's Figure 1 of this run: CAM seeds beside our masks, and the features behind them.

Above, images of train with CAM seeds, proxy masks and ground truth, chosen by tags and ids alone. Below, a
panel per layer: the features of the subset of one class (the first of `classes`, or the one with the largest
subset) on their first two principal components. `--features` has all shards of all layers.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tagseg.models.nodes import canonical_node
from tagseg.patterns.projection import Cloud, cloud_of
from tagseg.patterns.subsets import read_subset
from tagseg.report.examples import Masks, Truths, choose, example, with_tags_of, without_empty_columns
from tagseg.report.paper_figures import localization
from tagseg.report.plots import message, write_both
from tagseg.report.settings import FigureSettings
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.storage.feature_shards import open_shards
from tagseg.storage.ground_truth import read_ground_truth
from tagseg.storage.images import read_mask, resize_mask
from tagseg.storage.index import ImageRecord, Index, read_index
from tagseg.storage.mask_shards import read_mask_shards

log = logging.getLogger(__name__)

EXAMPLES = 3  # images in the upper part at most
SAMPLE = 60  # images of the class in the lower part


@commandline.command
def main(
    index: Path,
    ground_truth: Path,
    subsets: Path,
    cam_masks: list[Path],
    masks: list[Path],
    features: list[Path],
    settings: FigureSettings,
    png: Path,
    pdf: Path,
) -> None:
    known, truths = read_index(index), read_ground_truth(ground_truth)
    cams, ours = read_mask_shards(cam_masks), read_mask_shards(masks)
    tag = shown_class(known, subsets, settings.classes)
    ids = sample(read_subset(subsets, tag), truths, settings.random_seed)
    if not ids:
        raise TagsegError(f"figures.classes: no image of train has the tag {tag!r}. Use another class.")
    clouds = clouds_of(tag, ids, known, truths, cams, settings.layers, features)
    write_both(png, pdf, draw(tag, clouds, known, truths, cams, ours, settings))
    log.info("features of %s in %s", tag, ", ".join(settings.layers))


def shown_class(index: Index, subsets: Path, classes: Sequence[str] | None) -> str:
    """Return the first of `classes`, else that with the largest subset; of two, the one more often alone.

    Raises TagsegError if the data set has no such class.
    """
    with_tags_of((), classes, index)
    if classes:
        return classes[0]
    tags = {row.id: row.tags for row in index.images}

    def size(tag: str) -> tuple[int, int]:
        ids = read_subset(subsets, tag)
        return len(ids), sum(tags.get(name) == (tag,) for name in ids)

    return max(index.classes[1:], key=size)


def clouds_of(
    tag: str, ids: Sequence[str], index: Index, truths: Truths, cams: Masks, layers: Sequence[str],
    features: Sequence[Path],
) -> list[Cloud]:  # fmt: skip
    """Return the features of a class over some images, by layer; `features` has all shards of all layers."""

    def truth(name: str, height: int, width: int) -> np.ndarray | None:
        mask = read_mask(truths[name], len(index.classes)) if name in truths else None
        return None if mask is None else resize_mask(mask, height, width)

    def seed(name: str, height: int, width: int) -> np.ndarray | None:
        return resize_mask(cams[name].read(), height, width) if name in cams else None

    clouds = []
    for layer in commandline.progress(layers, "layers"):
        with open_shards(features, canonical_node(layer)) as shards:
            clouds.append(cloud_of(layer, shards, ids, index.classes.index(tag), truth, seed))
    return clouds


def sample(ids: Sequence[str], truths: Truths, random_seed: int) -> list[str]:
    """Return at most SAMPLE random ids, sorted; those with ground truth go first."""
    lots = np.random.default_rng(random_seed).permutation(len(ids))
    order = sorted(zip(ids, lots, strict=True), key=lambda pair: (pair[0] not in truths, pair[1]))
    return sorted(name for name, _ in order[:SAMPLE])


def draw(
    tag: str, clouds: Sequence[Cloud], index: Index, truths: Truths, cams: Masks, ours: Masks,
    settings: FigureSettings,
) -> Figure:  # fmt: skip
    """Return the figure, or a message if no image has both masks."""
    rows = with_tags_of(index.of_split("train"), settings.classes, index)
    rows = [row for row in rows if row.id in cams and row.id in ours]
    chosen = chosen_images(rows, tag, settings.images, truths)
    if not chosen:
        return message("No image of train with one of `figures.classes` has masks to show.")
    lines = [example(row, "", index, truths, cams, ours) for row in chosen]
    lines, columns = without_empty_columns(lines, ("image", "CAM seeds", "our mask", "ground truth"))
    return localization(lines, columns, index.classes, clouds, tag, settings.random_seed)


def chosen_images(rows: Sequence[ImageRecord], tag: str, most: int, truths: Truths) -> list[ImageRecord]:
    """Return at most `most` and EXAMPLES images, the first one with the class `tag`."""
    masked = [row for row in rows if row.id in truths]
    rows = masked if len(masked) >= EXAMPLES else rows
    first = choose([row for row in rows if tag in row.tags], 1)
    others = [row for row in rows if row not in first]
    return [*first, *choose(others, min(EXAMPLES, most) - len(first))]


if __name__ == "__main__":
    commandline.run(main)
