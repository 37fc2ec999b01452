"""Fetch an archive of a data set, and check its checksum. An interrupted transfer is resumed.

fetch_archive.py --name voc2012 --url ADDRESS --md5 SUM --archive FILE
"""

import logging
from pathlib import Path

from tagseg.datasets.fetch.download import download
from tagseg.runtime import commandline

log = logging.getLogger(__name__)

OWN_COPY = {"sbd": "dataset.sbd"}
"""The setting for a copy of one's own, by archive; dataset.root for the others."""


@commandline.command
def main(name: str, url: str, md5: str, archive: Path) -> None:
    log.info("fetching %s", url)
    remedy = (
        f"set fetch.archives.{name}.url to another mirror, save the archive as {archive} (md5 {md5}), "
        f"or set {OWN_COPY.get(name, 'dataset.root')} to the folder of your copy"
    )
    download(url, md5, archive, remedy)
    log.info("%s: md5 is correct", archive)


if __name__ == "__main__":
    commandline.run(main)
