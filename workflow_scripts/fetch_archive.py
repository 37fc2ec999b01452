"""Fetch an archive of a data set, and check its checksum. An interrupted transfer is resumed.

fetch_archive.py --name voc2012 --url ADDRESS --md5 SUM --archive FILE
"""

import argparse
import logging

from tagseg.datasets.fetch.download import download
from tagseg.runtime import commandline

log = logging.getLogger(__name__)

OWN_COPY = {"sbd": "dataset.sbd"}
"""The setting for a copy of one's own, by archive; dataset.root for the others."""


def main() -> None:
    arguments = parse_arguments()
    log.info("fetching %s", arguments.url)
    download(arguments.url, arguments.md5, arguments.archive, remedy_of(arguments))
    log.info("%s: md5 is correct", arguments.archive)


def remedy_of(arguments: argparse.Namespace) -> str:
    """Return what a user can do if an archive cannot be fetched."""
    return (
        f"set fetch.archives.{arguments.name}.url to another mirror, save the archive as {arguments.archive} "
        f"(md5 {arguments.md5}), or set {OWN_COPY.get(arguments.name, 'dataset.root')} to the folder of your copy"
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, metavar="KEY", help="in fetch.archives")
    parser.add_argument("--url", required=True, metavar="ADDRESS", help="http or https")
    parser.add_argument("--md5", required=True, metavar="SUM", help="as published")
    parser.add_argument("--archive", required=True, metavar="FILE", help="output")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
