"""Pack the predictions of a split into an archive for PASCAL VOC's test server."""

import logging
from pathlib import Path
from typing import Literal

from tagseg.datasets.voc.devkit import VOC_CLASSES
from tagseg.datasets.voc.submission import pack_submission
from tagseg.runtime import commandline
from tagseg.storage.index import BACKGROUND, read_index
from tagseg.storage.mask_shards import read_mask_shards

log = logging.getLogger(__name__)


@commandline.command
def main(
    index: Path, split: Literal["val", "test"], competition: Literal["comp5", "comp6"], masks: list[Path], archive: Path
) -> None:
    known = read_index(index)
    if known.classes != (BACKGROUND, *VOC_CLASSES):
        log.warning("The classes are not VOC's 20. The test server will refuse this archive.")
    count = pack_submission(archive, known, split, competition, read_mask_shards(masks))
    log.info("%s: %d predictions", archive, count)


if __name__ == "__main__":
    commandline.run(main)
