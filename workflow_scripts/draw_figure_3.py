"""Draw the paper's Figure 3 of this run: the variance that the first 50 components explain.

`--patterns` has one folder per layer; the first one, the layer of the run, gets bars, the others lines. Without
`classes` the figure shows the class with the median variance.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from tagseg.patterns.class_patterns import ClassPattern, read_patterns
from tagseg.report.paper_figures import variance_bars
from tagseg.report.plots import layer_title, write_both
from tagseg.report.settings import FigureSettings
from tagseg.runtime import commandline
from tagseg.runtime.errors import TagsegError

log = logging.getLogger(__name__)

Patterns = Mapping[str, ClassPattern]


@commandline.command
def main(patterns: list[Path], settings: FigureSettings, png: Path, pdf: Path) -> None:
    layers: dict[str, Patterns] = {}
    for of_layer, node in map(read_patterns, patterns):
        layers.setdefault(layer_title(node), of_layer)  # with `layer: auto` one layer comes twice
    classes = settings.classes or [median_class(next(iter(layers.values())))]
    for name, by_class in layers.items():
        check_classes(classes, name, by_class)
    variance = {tag: {name: of_layer[tag].explained_variance for name, of_layer in layers.items()} for tag in classes}
    write_both(png, pdf, variance_bars(variance))
    log.info("explained variance of %s by %s", ", ".join(classes), ", ".join(layers))


def check_classes(classes: list[str], layer: str, patterns: Patterns) -> None:
    """Raise TagsegError if a class has no pattern."""
    for tag in classes:
        if tag not in patterns:
            known = ", ".join(patterns)
            raise TagsegError(f"figures.classes: {layer} has no pattern of {tag!r}. Use one of {known}.")


def median_class(patterns: Patterns) -> str:
    """Return the class whose first component explains the (upper) median of variance."""
    order = sorted(patterns, key=lambda tag: (patterns[tag].explained_variance[0], tag))
    return order[len(order) // 2]


if __name__ == "__main__":
    commandline.run(main)
