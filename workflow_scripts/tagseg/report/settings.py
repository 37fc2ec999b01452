"""Settings of the figures and of the report."""

from typing import Any

from pydantic import ConfigDict

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
