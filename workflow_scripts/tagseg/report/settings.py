"""Command lines and settings of the figures and of the report."""

import argparse
from collections.abc import Sequence
from typing import Any

from pydantic import ConfigDict

from tagseg.evaluation.tables import add_outputs
from tagseg.runtime import commandline
from tagseg.runtime.settings import Settings


class FigureSettings(Settings):
    """The section `figures` and the random seed; a figure gets the keys that it depends on."""

    classes: list[str] | None = None
    images: int = 1
    layers: list[str] = []
    random_seed: int = 0


class ReportSettings(Settings):
    """The configuration of the run. The report shows all of it, and reads these keys."""

    model_config = ConfigDict(extra="allow")

    run: str
    random_seed: int
    layer: str
    segmenter: dict[str, Any]


def parse_figure(
    description: str | None, folders: Sequence[str], shards: Sequence[str]
) -> argparse.Namespace:
    """Parse the command line of a figure: its input folders, its inputs in shards, settings and outputs."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in folders:
        parser.add_argument(f"--{name}", required=True, metavar="FOLDER")
    for name in shards:
        parser.add_argument(f"--{name}", required=True, nargs="+", metavar="PATH", help="all shards")
    commandline.add_settings(parser, FigureSettings)
    add_outputs(parser, "png", "pdf")
    return parser.parse_args()
