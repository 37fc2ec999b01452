"""Draw the report of a run: a summary of its scores, example photographs, curves and bars.

Writes summary.md, summary.csv, examples_train.png, examples_val.png, best_worst.png, training.png,
explained_variance.png and per_class.png. Everything is made before anything is written.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.examples import (
    Truths,
    at_even_ranks,
    best_and_worst,
    choose,
    example,
    grid,
    rank,
    read_truths,
    with_masks_first,
)
from tagseg.figures import explained_variance, message, per_class, training_curves, write_figure
from tagseg.files import read_json
from tagseg.index import Index, read_index
from tagseg.mask_grids import Example
from tagseg.mask_shards import read_mask_shards
from tagseg.patterns import read_patterns
from tagseg.tables import ScoreFile, Table, known, missing_masks, read_scores, write_csv, write_markdown

EXAMPLES = 6  # photographs in a figure
EXTREMES = 4  # best ones, and worst ones, in the figure of both
OF_VAL = ("photograph", "prediction", "true mask")
NO_VAL = "The data set has no photograph of val: there are no predictions to show."
MIOU, LEFT_OUT = "mIoU (void as background)", "mIoU (void left out)"


def main() -> None:
    arguments = parse_arguments()
    index, folder = read_index(arguments.index), Path(arguments.report)
    table, figures = summary(arguments), draw(arguments, index)
    write_markdown(folder / "summary.md", table)
    write_csv(folder / "summary.csv", table)
    for name, figure in figures.items():
        write_figure(folder / f"{name}.png", figure)
    commandline.say(f"{folder}: summary and {len(figures)} figures")


def parse_arguments():
    parser = commandline.parser(__doc__)
    parser.add_argument("--patterns", required=True, metavar="FOLDER")
    for name in ("--classifier-log", "--average-precision", "--seed-scores", "--proxy-scores"):
        parser.add_argument(name, required=True, metavar="FILE", help="JSON")
    for name in ("--segmenter-logs", "--val-scores"):
        parser.add_argument(name, required=True, nargs="+", metavar="FILE", help="JSON, rounds in order")
    for name in ("--seed-masks", "--proxy-masks"):
        parser.add_argument(name, required=True, nargs="+", metavar="FOLDER", help="of train, all shards")
    parser.add_argument(
        "--predictions", required=True, nargs="+", metavar="FOLDER", help="of val, last round"
    )
    parser.add_argument("--true-masks", required=True, nargs="+", metavar="FOLDER", help="of train and val")
    parser.add_argument("--report", required=True, metavar="FOLDER", help="output")
    return parser.parse_args()


def draw(arguments, index: Index) -> dict[str, Figure]:
    """Return the figures by the name of their file."""
    (patterns, _), truths = read_patterns(arguments.patterns), read_truths(arguments.true_masks)
    last = read_scores(arguments.val_scores[-1])
    iou = last.scores.iou if last.known else {}
    return {
        "examples_train": examples_train(index, truths, arguments.seed_masks, arguments.proxy_masks),
        **figures_of_val(index, truths, arguments.predictions),
        "training": training_curves(read_logs(arguments.classifier_log, arguments.segmenter_logs)),
        "explained_variance": explained_variance(
            {tag: pattern.explained_variance for tag, pattern in patterns.items()}
        ),
        "per_class": per_class(iou, last.scores.miou),
    }


def summary(arguments) -> Table:
    """Return the table of the run's scores: the classifier, masks of train, and each round on val."""
    _, layer = read_patterns(arguments.patterns)
    masks = {
        f"seed masks of {layer}": read_scores(arguments.seed_scores),
        f"proxy masks of {layer}, after CRF": read_scores(arguments.proxy_scores),
    }
    rounds = {
        f"segmenter, round {number}": read_scores(path)
        for number, path in enumerate(arguments.val_scores, start=1)
    }
    files = masks | rounds
    return Table(
        "Scores of the run, in percent; coverage is the share of scored pixels with a label",
        ("stage", "split", "mAP", MIOU, LEFT_OUT, "coverage", "photographs with masks"),
        (
            classifier_row(arguments.average_precision),
            *(score_row(name, file) for name, file in files.items()),
        ),
        decimals={"coverage": 3},
        notes=missing_masks(list(files.values())),
    )


def classifier_row(path: str) -> tuple:
    """Return the classifier's row. Raises TagsegError where its average precision is malformed."""
    precision = read_json(path)
    try:
        return ("classifier", precision["split"], precision["mean"], *[None] * 4)
    except (KeyError, TypeError):
        raise TagsegError(f"{path}: not a file of average precision; delete it and run again") from None


def score_row(name: str, file: ScoreFile) -> tuple:
    """Return a row of the summary; its scores are empty where there was nothing to score against."""
    scored = file.scores
    cells = known(file, scored.miou, scored.miou_void_left_out, scored.coverage)
    return (name, file.split, None, *cells, scored.photographs)


def read_logs(classifier: str, segmenters: Sequence[str]) -> dict[str, list[dict]]:
    """Return the epochs of each training by its name. Raises TagsegError where a log is malformed."""
    paths = {"classifier": classifier}
    paths |= {f"segmenter, round {number}": path for number, path in enumerate(segmenters, start=1)}
    logs = {}
    for name, path in paths.items():
        try:
            logs[name] = read_json(path)["epochs"]
        except (KeyError, TypeError):
            raise TagsegError(f"{path}: not a log of training; delete it and run again") from None
    return logs


def examples_train(
    index: Index, truths: Truths, seed_folders: Sequence[str], proxy_folders: Sequence[str]
) -> Figure:
    """Return photographs of train with the masks of Algorithm 1, the proxy masks and the true ones."""
    seeds, proxies = read_mask_shards(seed_folders), read_mask_shards(proxy_folders)
    rows = [row for row in index.of_split("train") if row.tags and row.id in seeds and row.id in proxies]
    chosen = choose(with_masks_first(rows, truths, EXAMPLES), EXAMPLES)
    if not chosen:
        return message("No photograph of train has masks to show.")
    lines = [example(row, (), index, truths, seeds, proxies) for row in chosen]
    return grid(lines, ("photograph", "Algorithm 1", "proxy mask (CRF)", "true mask"), index)


def figures_of_val(index: Index, truths: Truths, folders: Sequence[str]) -> dict[str, Figure]:
    """Return two figures of photographs of val with predictions and truth, by the name of their file.

    `examples_val` goes from the best photograph to the worst; without true masks they are chosen as
    those of train. `best_worst` has the ends of that order.
    """
    predictions = read_mask_shards(folders)
    rows = {row.id: row for row in index.of_split("val") if row.id in predictions}
    if not rows:
        return dict.fromkeys(("examples_val", "best_worst"), message(NO_VAL))
    ranked = rank(list(rows.values()), predictions, index, truths)
    shown = dict.fromkeys((row.id for row in choose(list(rows.values()), EXAMPLES)), ())
    told = at_even_ranks(ranked, EXAMPLES) if ranked else shown

    def lines(remarks: Mapping[str, tuple[str, ...]]) -> list[Example]:
        return [example(rows[name], text, index, truths, predictions) for name, text in remarks.items()]

    return {
        "examples_val": grid(lines(told), OF_VAL, index),
        "best_worst": extremes(*map(lines, best_and_worst(ranked, EXTREMES)), index),
    }


def extremes(best: Sequence[Example], worst: Sequence[Example], index: Index) -> Figure:
    """Return the best photographs at the left, and the worst at the right, where two were ranked at least."""
    if not best:
        return message("No photograph of val has a true mask: there is no best and no worst one to show.")
    blocks = ("best of val", "worst of val") if worst else ("best of val",)
    return grid([*best, *worst], OF_VAL, index, blocks)


if __name__ == "__main__":
    commandline.run(main)
