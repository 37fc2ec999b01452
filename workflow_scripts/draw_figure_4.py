"""Draw the paper's Figure 4 of our own run: masks of train photographs by layer, before the CRF.

draw_figure_4.py --index FOLDER --settings JSON --true-masks FOLDER --masks FOLDER... --png FILE --pdf FILE

The settings are like {"layers": ["C41", "C42", "C43"], "classes": null, "photographs": 6}. The masks are all
shards of the first layer, then all of the second, and so on. The photographs are chosen by tags and ids
alone, never by how good a mask is; `classes` bounds the choice to those that carry one of them.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.examples import Masks, Truths, choose, example, grid, with_masks_first, with_tags_of
from tagseg.figures import layer_title, message, write_both
from tagseg.index import Index, read_index
from tagseg.mask_shards import read_mask_shards
from tagseg.true_masks import read_true_masks


def main() -> None:
    arguments = parse_arguments()
    index, truths = read_index(arguments.index), read_true_masks(arguments.true_masks)
    by_layer = masks_by_layer(arguments.masks, arguments.settings["layers"])
    figure = masks_of_layers(index, truths, by_layer, arguments.settings)
    write_both(arguments.png, arguments.pdf, figure)
    commandline.say(f"masks of {', '.join(by_layer)}")


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    parser.add_argument("--true-masks", required=True, metavar="FOLDER", help="of train")
    parser.add_argument(
        "--masks", required=True, nargs="+", metavar="FOLDER", help="all shards of each layer, in their order"
    )
    for name in ("--png", "--pdf"):
        parser.add_argument(name, required=True, metavar="FILE", help="output")
    return parser.parse_args()


def masks_by_layer(folders: Sequence[str], layers: Sequence[str]) -> dict[str, Masks]:
    """Return the masks by layer. Raises TagsegError where the layers have not equally many shards."""
    if len(folders) % len(layers):
        raise TagsegError(f"{len(folders)} shards for {len(layers)} layers: give equally many of each")
    parts = np.array_split(np.array(folders, dtype=object), len(layers))
    return {layer: read_mask_shards(list(part)) for layer, part in zip(layers, parts, strict=True)}


def masks_of_layers(index: Index, truths: Truths, by_layer: dict[str, Masks], settings: dict) -> Figure:
    """Return the grid: photographs of one class, then of several; a column a layer, and the true masks."""
    count = settings["photographs"]
    rows = with_tags_of(index.of_split("train"), settings["classes"], index)
    rows = [row for row in rows if all(row.id in masks for masks in by_layer.values())]
    chosen = choose(with_masks_first(rows, truths, count), count)
    if not chosen:
        return message("No photograph of train that carries one of `figures.classes` has masks to show.")
    lines = [example(row, (), index, truths, *by_layer.values()) for row in chosen]
    return grid(lines, ("photograph", *map(layer_title, by_layer), "true mask"), index)


if __name__ == "__main__":
    commandline.run(main)
