"""Check an archive of a data set, and unpack its folder `--members` (tar, tgz or zip).

unpack_archive.py --archive FILE --md5 SUM --members VOCdevkit --folder data/VOCdevkit
"""

import argparse
import logging

from tagseg.datasets.fetch.archives import unpack
from tagseg.datasets.fetch.download import check_md5
from tagseg.runtime import commandline

log = logging.getLogger(__name__)


def main() -> None:
    arguments = parse_arguments()
    # The user may have put the archive there.
    check_md5(arguments.archive, arguments.md5, "Delete it and run again, or replace it by the right one.")
    count = unpack(arguments.archive, arguments.members, arguments.folder)
    log.info("%s: %d files", arguments.folder, count)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", required=True, metavar="FILE")
    parser.add_argument("--md5", required=True, metavar="SUM", help="as published")
    parser.add_argument("--members", required=True, metavar="FOLDER", help="in the archive")
    parser.add_argument("--folder", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
