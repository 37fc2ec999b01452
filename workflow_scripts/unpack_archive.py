"""Check an archive of a data set, and unpack its folder `--members` (tar, tgz or zip).

unpack_archive.py --archive FILE --md5 SUM --members VOCdevkit --folder data/VOCdevkit
"""

import logging
from pathlib import Path

from tagseg.datasets.fetch.archives import unpack
from tagseg.datasets.fetch.download import check_md5
from tagseg.runtime import commandline

log = logging.getLogger(__name__)


@commandline.command
def main(archive: Path, md5: str, members: str, folder: Path) -> None:
    # The user may have put the archive there.
    check_md5(archive, md5, "Delete it and run again, or replace it by the right one.")
    log.info("%s: %d files", folder, unpack(archive, members, folder))


if __name__ == "__main__":
    commandline.run(main)
