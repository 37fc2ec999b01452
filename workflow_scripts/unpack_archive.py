"""Unpack a folder of a data set's archive, whose checksum is looked at first.

    unpack_archive.py --archive FILE --md5 SUM --members VOCdevkit --folder data/VOCdevkit

`--folder` takes what the archive (tar, tgz or zip) holds below `--members`.
"""

import argparse

from tagseg import commandline
from tagseg.archives import unpack
from tagseg.download import check_md5, check_md5_form


def main() -> None:
    arguments = parse_arguments()
    check_md5_form(arguments.md5)
    # The archive may have been put there by hand.
    check_md5(arguments.archive, arguments.md5, "delete it and run again, or put the right one there")
    count = unpack(arguments.archive, arguments.members, arguments.folder)
    commandline.say(f"{arguments.folder}: {count:,} files")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--archive", required=True, metavar="FILE")
    parser.add_argument("--md5", required=True, metavar="SUM", help="as published")
    parser.add_argument("--members", required=True, metavar="FOLDER", help="in the archive")
    parser.add_argument("--folder", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
