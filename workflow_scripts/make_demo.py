"""Draw the demo data set and write it in the form of PASCAL VOC's devkit."""

import argparse
from pathlib import Path

from tagseg import commandline
from tagseg.datasets.demo import parse_settings, write_devkit


def main() -> None:
    """Parse the command line, write the data set, say what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--settings",
        type=commandline.settings,
        default={},
        metavar="JSON",
        help="random_seed, train, val, width, height, classes, multi_class_share",
    )
    parser.add_argument("--devkit", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    settings = parse_settings(arguments.settings)
    write_devkit(arguments.devkit, settings)
    commandline.say(
        f"{arguments.devkit}: {settings.train} train and {settings.val} val images, "
        f"{settings.classes} classes"
    )


if __name__ == "__main__":
    commandline.run(main)
