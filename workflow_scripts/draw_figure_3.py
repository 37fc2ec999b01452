"""Draw the paper's Figure 3 of our own run: the variance that the first 50 components explain.

draw_figure_3.py --patterns FOLDER... --settings '{"classes": ["dog"]}' --png FILE --pdf FILE

The folders are one a layer, the run's own layer first, which gets bars; the others get lines. Of `classes`
null the class is shown whose first share is the median.
"""

import argparse
from collections.abc import Mapping, Sequence

import numpy as np

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.figures import layer_title, write_both
from tagseg.paper_figures import variance_bars
from tagseg.patterns import ClassPattern, read_patterns


def main() -> None:
    arguments = parse_arguments()
    layers = read_layers(arguments.patterns)
    first = next(iter(layers.values()))
    classes = arguments.settings["classes"] or [median_class(first)]
    shares = {tag: shares_of(tag, layers) for tag in classes}
    write_both(arguments.png, arguments.pdf, variance_bars(shares))
    commandline.say(f"explained variance of {', '.join(classes)} by {', '.join(layers)}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commandline.add_settings(parser)
    parser.add_argument("--patterns", required=True, nargs="+", metavar="FOLDER", help="one a layer")
    for name in ("--png", "--pdf"):
        parser.add_argument(name, required=True, metavar="FILE", help="output")
    return parser.parse_args()


def read_layers(folders: Sequence[str]) -> dict[str, Mapping[str, ClassPattern]]:
    """Return the patterns by the title of their layer, in the order of the folders; a layer counts once."""
    layers = {}
    for folder in folders:
        patterns, node = read_patterns(folder)
        layers.setdefault(layer_title(node), patterns)
    return layers


def median_class(patterns: Mapping[str, ClassPattern]) -> str:
    """Return the class whose first component's share is the (upper) median: neither best nor worst."""
    order = sorted(patterns, key=lambda tag: (patterns[tag].explained_variance[0], tag))
    return order[len(order) // 2]


def shares_of(tag: str, layers: Mapping[str, Mapping[str, ClassPattern]]) -> dict[str, np.ndarray]:
    """Return a class's shares by layer. Raises TagsegError where a layer has no pattern of that name."""
    for name, patterns in layers.items():
        if tag not in patterns:
            known = ", ".join(patterns)
            raise TagsegError(f"figures.classes: {name} has no pattern of {tag!r}; name one of {known}")
    return {name: patterns[tag].explained_variance for name, patterns in layers.items()}


if __name__ == "__main__":
    commandline.run(main)
