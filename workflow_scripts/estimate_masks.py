"""Estimate the masks of one shard from features and class patterns: Algorithm 1 of the paper.

If the shard's CAM is given, it decides between the classes that claim a pixel, and stands in for weak patterns.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tagseg.patterns.algorithm_1 import pattern_seed
from tagseg.patterns.class_patterns import ClassPattern, patterns_classifier, patterns_digest, read_patterns
from tagseg.patterns.settings import SeedStage
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.storage.cam_shards import CamMaps, cam_provenance, read_cam
from tagseg.storage.feature_shards import MapShard, open_shards
from tagseg.storage.index import ImageRecord, Index, read_index
from tagseg.storage.mask_shards import write_mask_shard
from tagseg.storage.provenance import common_provenance

log = logging.getLogger(__name__)


@commandline.command
def main(
    index: Path,
    settings: SeedStage,
    shard: int,
    shards: int,
    features: list[Path],
    patterns: Path,
    cam: list[Path],
    masks: Path,
) -> None:
    known = read_index(index)
    rows = known.shard("train", shard, shards)
    by_class, node = read_patterns(patterns)
    if weak := [tag for tag, one in by_class.items() if one.mask_correlation < settings.least_correlation]:
        log.info("weak patterns, the CAM stands in for them: %s", ", ".join(weak))
    with open_shards(features, node) as (maps,):
        if maps.ids != tuple(row.id for row in rows):
            raise TagsegError(f"{maps.path}: its image ids differ from the index. Delete it and run again.")
        origins: dict[str | Path, str] = {patterns: patterns_classifier(patterns), maps.path: maps.origin}
        common_provenance(origins | {path: cam_provenance(path) for path in cam}, "classifier")
        cams = read_cam(cam[0]) if cam else None
        seeds = masks_of(rows, known, maps, by_class, settings, cams)
        write_mask_shard(masks, seeds, patterns_digest(patterns))


def masks_of(
    rows: Sequence[ImageRecord],
    index: Index,
    shard: MapShard,
    patterns: Mapping[str, ClassPattern],
    settings: SeedStage,
    cams: CamMaps | None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the id and the labels uint8 (height, width) of each image of the shard."""
    for position, row in enumerate(commandline.progress(rows, "masks")):
        of_tags = {index.classes.index(tag): patterns[tag] for tag in row.tags}
        own = cams.get(row.id, {}) if cams is not None else None
        yield row.id, pattern_seed(of_tags, shard.maps(position).values(), row.height, row.width, settings, own)


if __name__ == "__main__":
    commandline.run(main)
