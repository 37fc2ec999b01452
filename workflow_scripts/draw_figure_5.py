"""Draw the paper's Figure 5 of our own run: photographs of val, their true masks and ours.

draw_figure_5.py --index FOLDER --settings '{"classes": null, "photographs": 6}' --true-masks FOLDER
    --predictions FOLDER... --png FILE --pdf FILE

The photographs are chosen by tags and ids alone, never by how good our mask is: first some of a single
class, then some of several. `classes` bounds the choice to those that carry one of them.
"""

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from tagseg import commandline
from tagseg.examples import Masks, Truths, choose, example, grid, with_masks_first, with_tags_of
from tagseg.figures import message, write_both
from tagseg.index import Index, Photograph, read_index
from tagseg.mask_grids import Example
from tagseg.mask_shards import read_mask_shards
from tagseg.true_masks import read_true_masks

ONE_BLOCK = 3
"""Up to so many photographs stand below each other; more stand in two blocks side by side."""


def main() -> None:
    arguments = parse_arguments()
    index, truths = read_index(arguments.index), read_true_masks(arguments.true_masks)
    predictions = read_mask_shards(arguments.predictions)
    chosen = photographs(index, truths, predictions, arguments.settings)
    figure = segmented(chosen, index, truths, predictions)
    write_both(arguments.png, arguments.pdf, figure)
    commandline.say(f"{len(chosen)} photographs of val")


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    parser.add_argument("--true-masks", required=True, metavar="FOLDER", help="of val")
    parser.add_argument(
        "--predictions", required=True, nargs="+", metavar="FOLDER", help="of val, all shards"
    )
    for name in ("--png", "--pdf"):
        parser.add_argument(name, required=True, metavar="FILE", help="output")
    return parser.parse_args()


def photographs(index: Index, truths: Truths, predictions: Masks, settings: dict) -> list[Photograph]:
    """Return the photographs of val to show, those with true masks if they suffice."""
    rows = with_tags_of(index.of_split("val"), settings["classes"], index)
    rows = [row for row in rows if row.id in predictions]
    return choose(with_masks_first(rows, truths, settings["photographs"]), settings["photographs"])


def segmented(chosen: Sequence[Photograph], index: Index, truths: Truths, predictions: Masks) -> Figure:
    """Return the grid of photograph, true mask and our mask, or a message where nothing was chosen."""
    if not chosen:
        return message("No photograph of val that carries one of `figures.classes` has a mask to show.")
    lines = [truth_first(example(row, (), index, truths, predictions)) for row in chosen]
    blocks = ("",) if len(chosen) <= ONE_BLOCK else ("", "")
    return grid(lines, ("photograph", "true mask", "our mask"), index, blocks)


def truth_first(line: Example) -> Example:
    """Return a line with the true mask before our own, as the paper has them."""
    return replace(line, masks=line.masks[::-1])


if __name__ == "__main__":
    commandline.run(main)
