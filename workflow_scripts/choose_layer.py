"""Choose the layer (`layer: auto`) from tags and images alone, without ground truth.

Copies the patterns of the chosen layer, and compares the candidates in a table and a plot.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np

from tagseg.evaluation.tables import Table, write_tables
from tagseg.patterns.class_patterns import patterns_classifier, patterns_digest, read_patterns
from tagseg.patterns.layer_choice import Candidate, choose, colour_coefficient, mean_mask_correlation
from tagseg.report.plots import layer_choice, write_figure
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_folder
from tagseg.storage.index import ImageRecord, read_index
from tagseg.storage.mask_shards import mask_provenance, read_mask_shards
from tagseg.storage.provenance import common_provenance

log = logging.getLogger(__name__)

MOST_IMAGES = 1000
"""Evenly spread images are enough to rank the layers; more only take longer."""

NOTE = (
    "No ground truth was used. Mask correlation: of the masks before the CRF with the CAM of the classifier, "
    "mean over classes; a layer needs half of the highest. Colour coefficient: how well the colour of a "
    "pixel predicts the mask, mean over images; the highest decides."
)


@commandline.command
def main(
    index: Path,
    patterns: list[Path],
    masks: list[Path],
    chosen: Path,
    markdown: Path,
    csv: Path,
    json: Path,
    plot: Path,
) -> None:
    rows = spread(read_index(index).of_split("train"), MOST_IMAGES)
    shards = len(masks) // len(patterns)
    common_provenance({folder: patterns_classifier(folder) for folder in patterns}, "classifier")
    candidates = [candidate(folder, masks[n * shards : (n + 1) * shards], rows) for n, folder in enumerate(patterns)]
    best = choose(candidates)
    with atomic_folder(chosen) as aside:
        shutil.copytree(patterns[candidates.index(best)], aside, dirs_exist_ok=True)
    write_tables(table_of(candidates, best), markdown=markdown, csv=csv, json=json)
    write_figure(plot, layer_choice(candidates, best))
    log.info("chose %s", best.layer)


def spread(rows: Sequence[ImageRecord], most: int) -> Sequence[ImageRecord]:
    """Return at most `most` of the images, evenly spread."""
    return [rows[position] for position in np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]


def candidate(folder: Path, shards: Sequence[Path], rows: Sequence[ImageRecord]) -> Candidate:
    """Return the mask correlation and the colour coefficient of the patterns and seed masks of a layer."""
    patterns, node = read_patterns(folder)
    masks = read_mask_shards(shards)
    provenance: dict[str | Path, str] = {folder: patterns_digest(folder)}
    provenance |= {shard: mask_provenance(shard) for shard in shards}
    common_provenance(provenance, "version of the patterns")
    if missing := {row.id for row in rows} - set(masks):
        raise TagsegError(f"{', '.join(map(str, shards))}: no mask of {min(missing)}. Delete them and run again.")
    pairs = ((row.read(), masks[row.id].read()) for row in commandline.progress(rows, node))
    coefficients = [colour_coefficient(image, mask) for image, mask in pairs]
    correlation = mean_mask_correlation({tag: one.mask_correlation for tag, one in patterns.items()})
    return Candidate(node, correlation, float(np.mean(coefficients)))


def table_of(candidates: Sequence[Candidate], chosen: Candidate) -> Table:
    """Return the table of candidates, one row per layer."""
    header = ("layer", "mask correlation", "colour coefficient", "choice")
    rows = tuple((*astuple(one), "chosen" if one is chosen else "") for one in candidates)
    decimals = dict.fromkeys(header[1:3], 3)
    return Table("The choice of the layer", header, rows, decimals, frozenset(header[1:3]), (NOTE,))


if __name__ == "__main__":
    commandline.run(main)
