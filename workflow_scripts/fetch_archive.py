"""Fetch an archive of a data set from the web, and give it its name once its checksum is right.

    fetch_archive.py --name voc2012 --url ADDRESS --md5 SUM --archive FILE

An interrupted transfer goes on where it ended. `--name` is the archive's key in the configuration,
fetch.archives, which messages tell.
"""

import argparse

from tagseg import commandline
from tagseg.download import download

OWN_COPY = {"sbd": "dataset.sbd"}
"""Which setting names one's own copy of what an archive holds; that of the others is dataset.root."""


def main() -> None:
    arguments = parse_arguments()
    commandline.say(f"fetching {arguments.url}")
    download(arguments.url, arguments.md5, arguments.archive, remedy_of(arguments))
    commandline.say(f"{arguments.archive}: its md5 sum is right")


def remedy_of(arguments: argparse.Namespace) -> str:
    """Return what a user can do where an archive cannot be had."""
    return (
        f"name another mirror as fetch.archives.{arguments.name}.url, put the archive as {arguments.archive} "
        f"yourself (md5 {arguments.md5}), or name the folder of a copy that you have as "
        f"{OWN_COPY.get(arguments.name, 'dataset.root')}"
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", required=True, metavar="KEY", help="in fetch.archives")
    parser.add_argument("--url", required=True, metavar="ADDRESS", help="http or https")
    parser.add_argument("--md5", required=True, metavar="SUM", help="as published")
    parser.add_argument("--archive", required=True, metavar="FILE", help="output")
    return parser.parse_args()


if __name__ == "__main__":
    commandline.run(main)
