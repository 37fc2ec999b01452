"""Draw the paper's Figure 4 of this run: masks of train by layer, before the CRF.

`--masks` has all shards of the first layer, then all of the second, and so on. Tags and ids alone choose the
images.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from tagseg.report.examples import Masks, Truths, choose, example, grid, with_tags_of
from tagseg.report.plots import layer_title, message, write_both
from tagseg.report.settings import FigureSettings
from tagseg.runtime import commandline
from tagseg.storage.ground_truth import read_ground_truth
from tagseg.storage.index import Index, read_index
from tagseg.storage.mask_shards import read_mask_shards


@commandline.command
def main(index: Path, ground_truth: Path, masks: list[Path], settings: FigureSettings, png: Path, pdf: Path) -> None:
    by_layer = masks_by_layer(masks, settings.layers)
    write_both(png, pdf, draw(read_index(index), read_ground_truth(ground_truth), by_layer, settings))


def masks_by_layer(folders: Sequence[Path], layers: Sequence[str]) -> dict[str, Masks]:
    """Return the masks by layer; each layer has equally many of the folders."""
    shards = len(folders) // len(layers)
    return {layer: read_mask_shards(folders[n * shards :][:shards]) for n, layer in enumerate(layers)}


def draw(index: Index, truths: Truths, by_layer: Mapping[str, Masks], settings: FigureSettings) -> Figure:
    """Return the grid, a column per layer and the ground truth; or a message without masks."""
    rows = with_tags_of(index.of_split("train"), settings.classes, index)
    rows = [row for row in rows if all(row.id in masks for masks in by_layer.values())]
    chosen = choose(rows, settings.images, truths)
    if not chosen:
        return message("No image of train with one of `figures.classes` has masks to show.")
    lines = [example(row, "", index, truths, *by_layer.values()) for row in chosen]
    return grid(lines, ("image", *map(layer_title, by_layer), "ground truth"), index)


if __name__ == "__main__":
    commandline.run(main)
