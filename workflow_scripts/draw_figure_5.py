"""Draw the paper's Figure 5 of this run: images of val, their ground truth and our masks.

Tags and ids alone choose the images.
"""

from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from tagseg.report.examples import Masks, Truths, choose, example, grid, with_tags_of
from tagseg.report.plots import message, write_both
from tagseg.report.settings import FigureSettings
from tagseg.runtime import commandline
from tagseg.storage.ground_truth import read_ground_truth
from tagseg.storage.index import Index, read_index
from tagseg.storage.mask_shards import read_mask_shards

ONE_BLOCK = 3  # more images stand in two blocks side by side


@commandline.command
def main(
    index: Path, ground_truth: Path, predictions: list[Path], settings: FigureSettings, png: Path, pdf: Path
) -> None:
    ours = read_mask_shards(predictions)
    write_both(png, pdf, draw(read_index(index), read_ground_truth(ground_truth), ours, settings))


def draw(index: Index, truths: Truths, predictions: Masks, settings: FigureSettings) -> Figure:
    """Return the grid of image, ground truth and our mask, or a message without images."""
    rows = with_tags_of(index.of_split("val"), settings.classes, index)
    chosen = choose([row for row in rows if row.id in predictions], settings.images, truths)
    if not chosen:
        return message("No image of val with one of `figures.classes` has a mask to show.")
    lines = [example(row, "", index, truths, predictions) for row in chosen]
    truth_first = [replace(line, masks=line.masks[::-1]) for line in lines]  # as in the paper
    blocks = ("",) if len(chosen) <= ONE_BLOCK else ("", "")
    return grid(truth_first, ("image", "ground truth", "our mask"), index, blocks)


if __name__ == "__main__":
    commandline.run(main)
