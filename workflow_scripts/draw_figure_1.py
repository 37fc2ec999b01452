"""Draw the paper's Figure 1 of our own run: CAM's seeds beside our masks, and the features behind them.

draw_figure_1.py --index FOLDER --settings JSON --true-masks FOLDER --cam-masks FOLDER... --masks FOLDER...
    --subsets FOLDER --features FILE... --png FILE --pdf FILE

The settings are {"layers": names from low to last, "classes": names or null, "photographs": number,
"random_seed": number}. Above, photographs of train with the seeds of CAM, our proxy masks and the true ones
where they are known; they are chosen by tags and ids alone, first one of the class shown below. Below, a
panel a layer: the features of a class's subset (of the first of `classes`, or else of the largest subset) on
their first two principal components. The title says what share of (object, background) pairs of positions
the first component orders rightly.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.examples import (
    Masks,
    Truths,
    choose,
    example,
    with_masks_first,
    with_tags_of,
    without_empty_columns,
)
from tagseg.figures import message, write_both
from tagseg.images import read_mask, resize_mask
from tagseg.index import Index, Photograph, read_index
from tagseg.mask_shards import read_mask_shards
from tagseg.paper_figures import localization
from tagseg.projection import Cloud, LabelsOf, cloud_of, shards_of
from tagseg.subsets import read_subset
from tagseg.true_masks import read_true_masks

EXAMPLES = 3  # photographs in the upper part, or fewer if `photographs` says so
SAMPLE = 60  # photographs of the class from which the plane is found
COLUMNS = ("photograph", "seeds of CAM", "our mask", "true mask")


def main() -> None:
    arguments = parse_arguments()
    index, truths = read_index(arguments.index), read_true_masks(arguments.true_masks)
    cams, ours = read_mask_shards(arguments.cam_masks), read_mask_shards(arguments.masks)
    tag = class_of(index, arguments.subsets, arguments.settings)
    clouds = clouds_of(tag, index, truths, cams, arguments)
    figure = drawn(tag, clouds, index, (truths, cams, ours), arguments.settings)
    write_both(arguments.png, arguments.pdf, figure)
    commandline.say(f"features of {tag} in {', '.join(arguments.settings['layers'])}")


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    parser.add_argument("--true-masks", required=True, metavar="FOLDER", help="of train")
    parser.add_argument("--cam-masks", required=True, nargs="+", metavar="FOLDER", help="CAM's, all shards")
    parser.add_argument("--masks", required=True, nargs="+", metavar="FOLDER", help="proxy masks, all shards")
    parser.add_argument("--subsets", required=True, metavar="FOLDER")
    parser.add_argument(
        "--features", required=True, nargs="+", metavar="FILE", help="HDF5, all shards of all layers"
    )
    for name in ("--png", "--pdf"):
        parser.add_argument(name, required=True, metavar="FILE", help="output")
    return parser.parse_args()


def class_of(index: Index, subsets: str, settings: Mapping) -> str:
    """Return the class whose features are shown. Raises TagsegError where it is no class of the set."""
    with_tags_of((), settings["classes"], index)
    if settings["classes"]:
        return settings["classes"][0]
    sizes = {tag: subset_size(index, tag, read_subset(subsets, tag)) for tag in index.classes[1:]}
    return max(sizes, key=sizes.get)


def subset_size(index: Index, tag: str, ids: Sequence[str]) -> tuple[int, int]:
    """Return how many photographs a subset has, and in how many of them its class is alone."""
    tags = {row.id: row.tags for row in index.photographs}
    return len(ids), sum(tags.get(name) == (tag,) for name in ids)


def clouds_of(tag: str, index: Index, truths: Truths, cams: Masks, arguments) -> list[Cloud]:
    """Return the features of a class in each layer, over a sample of its subset.

    Raises TagsegError where the subset is empty.
    """
    ids = sample(read_subset(arguments.subsets, tag), truths, arguments.settings["random_seed"])
    if not ids:
        raise TagsegError(f"figures.classes: no photograph of train carries {tag!r}; name another class")
    number = index.classes.index(tag)
    labels = true_labels(truths, len(index.classes)), seed_labels(cams)
    clouds = []
    for layer in commandline.progress(arguments.settings["layers"], "layers"):
        with shards_of(layer, arguments.features) as shards:
            clouds.append(cloud_of(layer, shards, ids, number, *labels))
    return clouds


def sample(ids: Sequence[str], truths: Truths, random_seed: int) -> list[str]:
    """Return at most SAMPLE of the ids, drawn at random, sorted; those with a true mask go first."""
    lots = np.random.default_rng(random_seed).permutation(len(ids))
    order = sorted(zip(ids, lots, strict=True), key=lambda pair: (pair[0] not in truths, pair[1]))
    return sorted(name for name, _ in order[:SAMPLE])


def true_labels(truths: Mapping[str, Path], classes: int) -> LabelsOf:
    """Return what gives the true labels at a map's size."""

    def labels(name: str, height: int, width: int) -> np.ndarray | None:
        return resize_mask(read_mask(truths[name], classes), height, width) if name in truths else None

    return labels


def seed_labels(masks: Masks) -> LabelsOf:
    """Return what gives the labels of masks of ours at a map's size."""

    def labels(name: str, height: int, width: int) -> np.ndarray | None:
        return resize_mask(masks[name].read(), height, width) if name in masks else None

    return labels


def drawn(
    tag: str, clouds: Sequence[Cloud], index: Index, masks: tuple[Truths, Masks, Masks], settings: Mapping
) -> Figure:
    """Return the figure, or a message where no photograph has both masks."""
    truths, cams, ours = masks
    rows = with_tags_of(index.of_split("train"), settings["classes"], index)
    rows = [row for row in rows if row.id in cams and row.id in ours]
    chosen = photographs(with_masks_first(rows, truths, EXAMPLES), tag, settings["photographs"])
    if not chosen:
        return message("No photograph of train that carries one of `figures.classes` has masks to show.")
    lines = [example(row, (), index, truths, cams, ours) for row in chosen]
    lines, columns = without_empty_columns(lines, COLUMNS)
    return localization(lines, columns, index.classes, clouds, tag, settings["random_seed"])


def photographs(rows: Sequence[Photograph], tag: str, most: int) -> list[Photograph]:
    """Return at most `most` and EXAMPLES photographs: one of the class shown below, then others."""
    first = choose([row for row in rows if tag in row.tags], 1)
    others = [row for row in rows if row not in first]
    return [*first, *choose(others, min(EXAMPLES, most) - len(first))]


if __name__ == "__main__":
    commandline.run(main)
