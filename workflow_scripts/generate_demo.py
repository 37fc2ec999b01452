"""Generate the demo data set, and write it in the form of PASCAL VOC's devkit."""

import logging
from pathlib import Path

from tagseg.datasets.demo.demo import write_devkit
from tagseg.datasets.demo.settings import DemoStage
from tagseg.runtime import commandline

log = logging.getLogger(__name__)


@commandline.command
def main(settings: DemoStage, devkit: Path) -> None:
    write_devkit(devkit, settings)
    counts = (settings.train, settings.val, settings.classes)
    log.info("%s: %d train and %d val images of %d classes", devkit, *counts)


if __name__ == "__main__":
    commandline.run(main)
