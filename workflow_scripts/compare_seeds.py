"""Set the masks of several seeds side by side, before and after the CRF: a table and a bar chart.

A seed is a node of the classifier whose features give the class patterns, or `cam`. The score files come
in the order of the seeds. Where no photograph has a true mask, the cells are empty and a note says so.
"""

import argparse
from collections.abc import Sequence

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.figures import seed_comparison, write_figure
from tagseg.tables import ScoreFile, Table, known, missing_masks, read_scores, write_csv, write_markdown

BEFORE = "mIoU before CRF"
AFTER = "mIoU after CRF (void as background)"
LEFT_OUT = "mIoU after CRF (void left out)"
COVERAGE = "coverage"


def main() -> None:
    arguments = parse_arguments()
    before = [read_scores(path) for path in arguments.seed_scores]
    after = [read_scores(path) for path in arguments.proxy_scores]
    table = comparison(arguments.seeds, before, after)
    bars = [(row[0], row[1], row[2]) for row in table.rows]
    write_markdown(arguments.markdown, table)
    write_csv(arguments.csv, table)
    write_figure(arguments.plot, seed_comparison(bars))
    commandline.say(f"compared {', '.join(arguments.seeds)}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seeds", required=True, nargs="+", metavar="NAME", help="from low to last, then cam"
    )
    parser.add_argument("--seed-scores", required=True, nargs="+", metavar="FILE", help="before the CRF")
    parser.add_argument("--proxy-scores", required=True, nargs="+", metavar="FILE", help="after the CRF")
    for name in ("--markdown", "--csv", "--plot"):
        parser.add_argument(name, required=True, metavar="FILE", help="output")
    return parser.parse_args()


def comparison(seeds: Sequence[str], before: Sequence[ScoreFile], after: Sequence[ScoreFile]) -> Table:
    """Return the table, a row a seed. Raises TagsegError where files and seeds are not of one number."""
    if not len(seeds) == len(before) == len(after):
        raise TagsegError(f"{len(seeds)} seeds, {len(before)} and {len(after)} score files: give one each")
    classes = tuple(after[0].scores.iou)
    if any(tuple(file.scores.iou) != classes for file in after):
        raise TagsegError("the score files are of different classes; score the masks again")
    split, photographs = after[0].split, after[0].scores.photographs
    return Table(
        f"Masks by seed, {split}: IoU in percent ({photographs} photographs with true masks)",
        ("seed", BEFORE, AFTER, LEFT_OUT, COVERAGE, *classes),
        tuple(row_of(*files) for files in zip(seeds, before, after, strict=True)),
        decimals={COVERAGE: 3},
        best=frozenset((BEFORE, AFTER, LEFT_OUT, *classes)),
        notes=(EXPLANATION, *missing_masks([*before, *after])),
    )


EXPLANATION = (
    "Before the CRF, void counts as background too. Coverage is the share of the scored pixels that carry "
    "a label other than void; the columns of classes are after the CRF, void as background."
)


def row_of(seed: str, before: ScoreFile, after: ScoreFile) -> tuple:
    """Return a seed's row; what has nothing to be scored against stays empty."""
    scores = after.scores
    cells = (scores.miou, scores.miou_void_left_out, scores.coverage, *scores.iou.values())
    return (seed, *known(before, before.scores.miou), *known(after, *cells))


if __name__ == "__main__":
    commandline.run(main)
