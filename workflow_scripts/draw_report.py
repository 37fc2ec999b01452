"""Draw the report of a run: a summary of its scores, example photographs, curves and bars.

Writes summary.md, summary.csv, examples_train.png, examples_val.png, training.png,
explained_variance.png and per_class.png. Everything is made before anything is written.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tagseg import commandline
from tagseg.errors import TagsegError
from tagseg.figures import (
    Example,
    explained_variance,
    message,
    per_class,
    qualitative,
    training_curves,
    write_figure,
)
from tagseg.files import read_json
from tagseg.images import read_mask, read_photograph
from tagseg.index import Index, Photograph, read_index
from tagseg.mask_shards import MaskFile, read_mask_shards
from tagseg.metrics import Confusion, scores
from tagseg.patterns import read_patterns
from tagseg.tables import ScoreFile, Table, known, missing_masks, read_scores, write_csv, write_markdown
from tagseg.true_masks import read_true_masks

EXAMPLES = 6  # photographs in a figure
OF_SEVERAL_CLASSES = 2  # among them, in the figure of train
MIOU, LEFT_OUT = "mIoU (void as background)", "mIoU (void left out)"

Truths = Mapping[str, Path]
"""The file of each true mask by the id of its photograph."""


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
        "examples_val": examples_val(index, truths, arguments.predictions),
        "training": training_curves(read_logs(arguments.classifier_log, arguments.segmenter_logs)),
        "explained_variance": explained_variance(
            {tag: pattern.explained_variance for tag, pattern in patterns.items()}
        ),
        "per_class": per_class(iou, last.scores.miou),
    }


def read_truths(folders: Sequence[str]) -> Truths:
    """Return the true masks of several splits."""
    return {name: path for folder in folders for name, path in read_true_masks(folder).items()}


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
    return grid(lines, ("photograph", "Algorithm 1", "proxy mask (CRF)"), index)


def examples_val(index: Index, truths: Truths, folders: Sequence[str]) -> Figure:
    """Return photographs of val with their predictions and the truth, from the best to the worst.

    Without true masks they are chosen as those of train.
    """
    predictions = read_mask_shards(folders)
    rows = [row for row in index.of_split("val") if row.id in predictions]
    if not rows:
        return message("The data set has no photograph of val: there are no predictions to show.")
    ranked = rank(rows, predictions, index, truths)
    remarks = ranks_told(ranked) if ranked else {row.id: () for row in choose(rows, EXAMPLES)}
    by_id = {row.id: row for row in rows}
    lines = [example(by_id[name], text, index, truths, predictions) for name, text in remarks.items()]
    return grid(lines, ("photograph", "prediction"), index)


def with_masks_first(rows: Sequence[Photograph], truths: Truths, count: int) -> Sequence[Photograph]:
    """Return the photographs with true masks if they are `count` or more, else all: truth tells most."""
    masked = [row for row in rows if row.id in truths]
    return masked if len(masked) >= count else rows


def choose(rows: Sequence[Photograph], count: int) -> list[Photograph]:
    """Return photographs spread over the classes, a few of several classes last; the same every time.

    Looks at tags and ids alone, never at how good a mask is.
    """
    shown: Counter[str] = Counter()
    single = [row for row in rows if len(row.tags) < 2]
    several = [row for row in rows if len(row.tags) > 1]
    last = spread(several, min(OF_SEVERAL_CLASSES, count), shown)
    first = spread(single, count - len(last), shown)
    rest = [row for row in several if row not in last]
    return [*first, *last, *spread(rest, count - len(first) - len(last), shown)]


def spread(rows: Sequence[Photograph], count: int, shown: Counter) -> list[Photograph]:
    """Take the photograph whose tags were shown least, `count` times; ties go by the digest of the id.

    A digest, and not the id itself: neighbours by id are often of one series.
    """
    rows, chosen = list(rows), []
    while rows and len(chosen) < count:
        row = min(rows, key=lambda one: (mean_shown(one, shown), hashlib.sha256(one.id.encode()).digest()))
        rows.remove(row)
        chosen.append(row)
        shown.update(row.tags)
    return chosen


def mean_shown(row: Photograph, shown: Mapping[str, int]) -> float:
    return sum(shown[tag] for tag in row.tags) / max(len(row.tags), 1)


def rank(
    rows: Sequence[Photograph], predictions: Mapping[str, MaskFile], index: Index, truths: Truths
) -> list[tuple[float, Photograph]]:
    """Return (mIoU of that photograph in percent, photograph) of those with a true mask, best first."""
    masked = [row for row in rows if row.id in truths]
    pairs = [
        (own_miou(truths[row.id], predictions[row.id], index), row)
        for row in commandline.progress(masked, "ranked")
    ]
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1].id))


def own_miou(truth: Path, prediction: MaskFile, index: Index) -> float:
    """Return the mIoU over the classes that are true or predicted in one photograph."""
    confusion = Confusion(len(index.classes))
    try:
        confusion.add(read_mask(truth, len(index.classes)), prediction.read())
    except ValueError as error:
        raise TagsegError(f"{truth}: {error}; mend the mask") from None
    return scores(confusion, index.classes, 1).miou


def ranks_told(ranked: Sequence[tuple[float, Photograph]]) -> dict[str, tuple[str]]:
    """Return remarks by id of photographs at even distances of rank: the best, the worst, and between."""
    places = np.unique(np.linspace(0, len(ranked) - 1, EXAMPLES).round().astype(int))
    return {
        row.id: (f"mIoU {miou:.0f} %, rank {place + 1} of {len(ranked)}",)
        for place, (miou, row) in ((int(place), ranked[place]) for place in places)
    }


def example(
    row: Photograph, remarks: tuple[str, ...], index: Index, truths: Truths, *masks: Mapping[str, MaskFile]
) -> Example:
    """Return a line of a figure: the photograph, its masks and the true one or None."""
    truth = read_mask(truths[row.id], len(index.classes)) if row.id in truths else None
    shown = (*(files[row.id].read() for files in masks), truth)
    return Example(row.id, (", ".join(row.tags), *remarks), read_photograph(row.path), shown)


def grid(lines: Sequence[Example], columns: Sequence[str], index: Index) -> Figure:
    """Return the figure of the lines, with a column of true masks where there are any."""
    if any(line.masks[-1] is not None for line in lines):
        return qualitative(lines, (*columns, "true mask"), index.classes)
    without = [Example(line.name, line.remarks, line.photograph, line.masks[:-1]) for line in lines]
    return qualitative(without, columns, index.classes)


if __name__ == "__main__":
    commandline.run(main)
