"""Choose the layer (`layer: auto`) from tags and photographs alone; nothing here sees a true mask.

Copies the patterns of the chosen layer, and sets the candidates side by side: a table and a plot.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.figures import layer_choice, write_figure
from tagseg.files import atomic_folder
from tagseg.index import Photograph, read_index
from tagseg.layer_choice import Candidate, choose, colour_coefficient, mean_mask_correlation
from tagseg.mask_shards import mask_origin, read_mask_shards
from tagseg.origins import common_origin
from tagseg.patterns import patterns_classifier, patterns_digest, read_patterns
from tagseg.tables import Table, write_csv, write_markdown

MOST_PHOTOGRAPHS = 1000
"""So many photographs, evenly spread, tell the layers apart; more only take longer."""

NOTE = (
    "No true mask was looked at. Mask correlation: of the masks before the CRF with the classifier's CAM, "
    "mean over classes; a layer needs half of the highest. Colour coefficient: how much of the mask the "
    "colour of a pixel tells, mean over photographs; the highest decides."
)


def main() -> None:
    arguments = parse_arguments()
    rows = spread(read_index(arguments.index).of_split("train"), MOST_PHOTOGRAPHS)
    shards = np.array_split(np.array(arguments.masks, dtype=object), len(arguments.patterns))
    common_origin({folder: patterns_classifier(folder) for folder in arguments.patterns}, "classifier")
    candidates = [candidate(*pair, rows) for pair in zip(arguments.patterns, shards, strict=True)]
    chosen = choose(candidates)
    with atomic_folder(arguments.chosen) as aside:
        shutil.copytree(arguments.patterns[candidates.index(chosen)], aside, dirs_exist_ok=True)
    table = table_of(candidates, chosen)
    write_markdown(arguments.markdown, table)
    write_csv(arguments.csv, table)
    write_figure(arguments.plot, layer_choice(candidates, chosen))
    commandline.say(f"chose {chosen.layer}")


def parse_arguments():
    parser = commandline.parser(__doc__)
    parser.add_argument("--patterns", required=True, nargs="+", metavar="FOLDER", help="one a layer")
    parser.add_argument(
        "--masks", required=True, nargs="+", metavar="FOLDER", help="all shards of each layer, in their order"
    )
    parser.add_argument("--chosen", required=True, metavar="FOLDER", help="output: patterns")
    for name in ("--markdown", "--csv", "--plot"):
        parser.add_argument(name, required=True, metavar="FILE", help="output")
    return parser.parse_args()


def spread(rows: Sequence[Photograph], most: int) -> Sequence[Photograph]:
    """Return `most` of the photographs, evenly spread over their order, or all."""
    return [rows[place] for place in np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]


def candidate(patterns_folder: str, shards: Sequence[str], rows: Sequence[Photograph]) -> Candidate:
    """Return what tags and photographs say of a layer's patterns and seed masks."""
    patterns, node = read_patterns(patterns_folder)
    masks = read_mask_shards([Path(shard) for shard in shards])
    made_with = {patterns_folder: patterns_digest(patterns_folder)}
    common_origin(made_with | {shard: mask_origin(shard) for shard in shards}, "version of the patterns")
    missing = next((row.id for row in rows if row.id not in masks), None)
    if missing is not None:
        raise TagsegError(f"{', '.join(shards)}: no mask of {missing}; delete them and run again")
    coefficients = [
        colour_coefficient(row.read(), masks[row.id].read()) for row in commandline.progress(rows, node)
    ]
    correlation = mean_mask_correlation({tag: one.mask_correlation for tag, one in patterns.items()})
    return Candidate(node, correlation, float(np.mean(coefficients)))


def table_of(candidates: Sequence[Candidate], chosen: Candidate) -> Table:
    """Return the table of candidates, a row a layer."""
    header = ("layer", "mask correlation", "colour coefficient", "choice")
    rows = [
        (one.layer, one.mask_correlation, one.colour_coefficient, "chosen" if one is chosen else "")
        for one in candidates
    ]
    decimals = dict.fromkeys(header[1:3], 3)
    return Table("The choice of the layer", header, tuple(rows), decimals, frozenset(header[1:3]), (NOTE,))


if __name__ == "__main__":
    commandline.run(main)
