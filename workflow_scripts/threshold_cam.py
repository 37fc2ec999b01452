"""Make the masks of one shard from class activation maps, the usual seed, for comparison."""

from pathlib import Path

from tagseg.patterns.algorithm_1 import cam_seed
from tagseg.patterns.settings import CamSettings
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError
from tagseg.storage.cam_shards import cam_provenance, read_cam
from tagseg.storage.index import read_index
from tagseg.storage.mask_shards import write_mask_shard


@commandline.command
def main(index: Path, settings: CamSettings, shard: int, shards: int, cam: Path, masks: Path) -> None:
    rows, cams = read_index(index).shard("train", shard, shards), read_cam(cam)
    if missing := {row.id for row in rows if row.tags} - set(cams):
        raise TagsegError(f"{cam}: no CAM of {min(missing)}. Delete it and run again.")
    seeds = (
        (row.id, cam_seed(cams.get(row.id, {}), row.height, row.width, settings.background_threshold))
        for row in commandline.progress(rows, "masks")
    )
    write_mask_shard(masks, seeds, cam_provenance(cam))


if __name__ == "__main__":
    commandline.run(main)
