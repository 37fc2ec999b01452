"""Generate the demo data set, and write it in the form of PASCAL VOC's devkit."""

import argparse
import logging
from pathlib import Path

from tagseg.datasets.demo.demo import write_devkit
from tagseg.datasets.demo.settings import DemoStage
from tagseg.runtime import commandline

log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commandline.add_settings(parser, DemoStage)
    parser.add_argument("--devkit", type=Path, required=True, metavar="FOLDER", help="output")
    arguments = parser.parse_args()
    settings = arguments.settings
    write_devkit(arguments.devkit, settings)
    counts = (settings.train, settings.val, settings.classes)
    log.info("%s: %d train and %d val images of %d classes", arguments.devkit, *counts)


if __name__ == "__main__":
    commandline.run(main)
