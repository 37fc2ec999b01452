"""Compose the report of a run: one HTML page of its scores, tables, figures and where they come from.

Writes the page twice: as a file that stands alone, and as the RST that `snakemake --report` opens on.
Both hold their pictures. Everything is made before anything is written.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from tagseg import commandline, report_page
from tagseg.errors import TagsegError
from tagseg.files import atomic_file, digest, read_json
from tagseg.index import SPLITS, Index, read_index
from tagseg.nodes import AUTO
from tagseg.provenance import RuleCost, durations, machine, versions
from tagseg.report_page import EMPTY, Number, Picture, ShownTable, read_picture, read_table
from tagseg.tables import ScoreFile, missing_masks, read_scores

REPOSITORY = Path(__file__).resolve().parent.parent
CAPTIONS = REPOSITORY / "docs/report"
MIOU, COVERAGE, MAP = "mIoU (void as background)", "coverage", "mAP"  # columns of the summary
TITLES = {"examples_train": "Masks to learn from"}  # of figures whose name does not tell
SHOWN = {"per_class"}  # figures of what the page shows itself
PLACES = {
    "examples_val": "Examples",
    "training": "Training",
    "best_worst": "Best and worst",
}


def main() -> None:
    arguments = parse_arguments()
    title, body = compose(arguments)
    outputs = {
        arguments.html: report_page.standalone(title, body),
        arguments.front: report_page.front(body),
    }
    for path, text in outputs.items():
        with atomic_file(path) as aside:
            aside.write_text(text, encoding="utf-8")
        commandline.say(f"{path}: {len(text) / 1e6:.1f} MB")


def parse_arguments():
    parser = commandline.parser(__doc__)
    commandline.add_settings(parser)
    parser.add_argument("--summary", required=True, metavar="FILE", help="CSV, its Markdown beside it")
    parser.add_argument(
        "--val-scores", required=True, nargs="+", metavar="FILE", help="JSON, rounds in order"
    )
    parser.add_argument("--tables", default=[], nargs="*", metavar="FILE", help="CSV, Markdown beside it")
    parser.add_argument("--figures", default=[], nargs="*", metavar="FILE", help="PNG")
    parser.add_argument("--training-logs", required=True, nargs="+", metavar="FILE", help="JSON")
    parser.add_argument("--benchmarks", required=True, metavar="FOLDER", help="of Snakemake, a rule each")
    parser.add_argument("--html", required=True, metavar="FILE", help="output, a page that stands alone")
    parser.add_argument("--front", required=True, metavar="FILE", help="output, RST for Snakemake's report")
    return parser.parse_args()


def compose(arguments) -> tuple[str, str]:
    """Return the title of the page and the page as HTML."""
    index, rounds = read_index(arguments.index), [read_scores(path) for path in arguments.val_scores]
    summary, tables = read_table(arguments.summary), [read_table(path) for path in arguments.tables]
    figures = [read_picture(path, caption_of(path)) for path in arguments.figures]
    title = f"{setting(arguments.settings, 'run')}: segmentation from tags"
    sections = {
        "Examples": placed(figures, "Examples"),
        "Scores": report_page.table(summary),
        "Tables": tables_with_figures(tables, figures),
        "Figures": others(figures, tables),
        "Training": placed(figures, "Training"),
        "Classes": classes(rounds),
        "Best and worst": placed(figures, "Best and worst"),
        "Provenance": provenance(arguments),
    }
    headline = report_page.numbers(headline_numbers(summary, rounds, tables))
    return title, report_page.page(title, lead(index, arguments.settings), headline, sections)


def caption_of(path: str) -> str:
    """Return the caption of a figure, which the documentation keeps by the figure's name; "" without."""
    source = CAPTIONS / f"{Path(path).stem}.rst"
    return " ".join(source.read_text(encoding="utf-8").split()) if source.exists() else ""


def setting(settings: Mapping, key: str) -> object:
    """Return a value of the configuration by its dotted key. Raises TagsegError where it is missing."""
    value: object = settings
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise TagsegError(f"--settings: no {key!r}; give the run's whole configuration")
        value = value[part]
    return value


def lead(index: Index, settings: Mapping) -> str:
    """Return the sentences that open the page: what was learnt from what."""
    layer = setting(settings, "layer")
    source = "a layer chosen from tags and photographs" if layer == AUTO else f"the layer {layer}"
    count = {split: len(index.of_split(split)) for split in SPLITS}
    apart = [split for split in ("val", "test") if count[split]]
    kept = " and ".join(f"{count[split]} photographs of {split}" for split in apart) or "No photograph"
    return (
        f"A network ({setting(settings, 'segmenter.network.backbone')}) that segments "
        f"{len(index.classes) - 1} classes, learnt from {count['train']} photographs and their tags alone; "
        f"its masks to learn from were made from {source} of a classifier. "
        f"{kept} {'were' if apart else 'was'} kept apart."
    )


def headline_numbers(
    summary: ShownTable, rounds: Sequence[ScoreFile], tables: Sequence[ShownTable]
) -> list[Number]:
    """Return the large numbers: the network of each round, last first, the proxy masks and the classifier."""
    networks = [network_number(file, number, len(rounds)) for number, file in enumerate(rounds, start=1)]
    rows = [dict(zip(summary.header, row, strict=True)) for row in summary.rows]
    first = summary.header[0]
    proxy = next((row for row in rows if row[first].startswith("proxy masks")), {})
    classifier = next((row for row in rows if row[first] == "classifier"), {})
    tags = f"classifier, tags of {classifier.get('split', 'val')}"
    return [
        *networks[::-1],
        Number(percent(proxy.get(MIOU, "")), "mIoU of the proxy masks of train", "void as background"),
        Number(proxy.get(COVERAGE) or EMPTY, "coverage of the proxy masks", "share with a label"),
        Number(percent(classifier.get(MAP, "")), "mean average precision", tags),
        *full_supervision(tables),
    ]


def network_number(file: ScoreFile, number: int, last: int) -> Number:
    """Return the mIoU of a round's network, the last one's named as the final one's."""
    label = "mIoU of the final network" if number == last else "mIoU of an earlier network"
    scored = file.scores.photographs
    where = f"{file.split}, {scored} photographs" if file.known else "nothing to score against"
    return Number(percent(f"{file.scores.miou:.1f}" if file.known else ""), label, f"round {number}; {where}")


def percent(text: str) -> str:
    """Return a cell with its unit, or the sign for none."""
    return f"{text} %" if text else EMPTY


def full_supervision(tables: Sequence[ShownTable]) -> list[Number]:
    """Return the share of full supervision, from the table of the upper bound where there is one."""
    means = [
        ratio
        for table in tables
        if table.name == "upper_bound"
        for name, ratio in zip(table.column("class"), table.column("ratio"), strict=True)
        if name == "mean"
    ]
    return [
        Number(ratio or EMPTY, "share of full supervision", "mIoU over that of true masks") for ratio in means
    ]


def placed(figures: Sequence[Picture], section: str) -> str:
    """Return the figures of a section."""
    return "".join(report_page.picture(one) for one in figures if PLACES.get(one.name) == section)


def tables_with_figures(tables: Sequence[ShownTable], figures: Sequence[Picture]) -> str:
    """Return the tables, each with the figure of its own name, if there is one, below it."""
    own = {one.name: report_page.picture(one, small=True) for one in figures}
    return "".join(report_page.table(one) + own.get(one.name, "") for one in tables)


def others(figures: Sequence[Picture], tables: Sequence[ShownTable]) -> str:
    """Return the figures that stand in no other section."""
    elsewhere = {*PLACES, *SHOWN, *(table.name for table in tables)}
    shown = [one for one in figures if one.name not in elsewhere]
    return "".join(
        report_page.heading(TITLES.get(one.name, report_page.name_of(one.name))) + report_page.picture(one)
        for one in shown
    )


def classes(rounds: Sequence[ScoreFile]) -> str:
    """Return bars of each class's IoU on val, of the last round, with the rounds before as numbers."""
    last = rounds[-1]
    if not last.known:
        return "".join(f'<p class="note">{report_page.prose(note)}</p>' for note in missing_masks([last]))
    before = " The small numbers are the rounds before." if len(rounds) > 1 else ""
    shares = {name: [file.scores.iou.get(name) for file in rounds] for name in last.scores.iou}
    mean = f"IoU in percent on {last.split}, round {len(rounds)}; the mean is {last.scores.miou:.1f}.{before}"
    return f"<p>{mean}</p>{report_page.bars(shares)}"


def provenance(arguments) -> str:
    """Return what the results come from: the data, versions, the machine, durations, the configuration."""
    known = {
        "random seed": str(setting(arguments.settings, "random_seed")),
        "index (SHA-256)": digest(Path(arguments.index) / "index.csv"),
        "trained on": " · ".join(dict.fromkeys(map(trained_on, arguments.training_logs))),
        **{f"page composed with: {name}": value for name, value in versions(REPOSITORY).items()},
        **{f"page composed on: {name}": value for name, value in machine().items()},
    }
    # What this stage took before, in another run of it, is no part of what it tells.
    costs = [cost for cost in durations(arguments.benchmarks) if cost.rule != "compose_report"]
    text = yaml.safe_dump(arguments.settings, sort_keys=False, allow_unicode=True)
    stages = report_page.table(cost_table(costs)) if costs else ""
    return report_page.facts(known) + stages + report_page.folded("Configuration of the run", text)


def trained_on(path: str) -> str:
    """Return the device and the torch that a training's log names. Raises TagsegError where it names none."""
    try:
        return str(read_json(path)["device"])
    except (KeyError, TypeError):
        raise TagsegError(f"{path}: not a log of training; delete it and run again") from None


def cost_table(costs: Sequence[RuleCost]) -> ShownTable:
    """Return what the jobs of each rule took, and of all."""
    peaks = [cost.peak for cost in costs if cost.peak is not None]
    total = ("all", sum(cost.jobs for cost in costs), sum(cost.total for cost in costs))
    whole = RuleCost(*total, max(cost.longest for cost in costs), max(peaks, default=None))
    return ShownTable(
        "durations",
        "What the jobs took",
        ("rule", "jobs", "time of all", "longest job", "peak memory (MB)"),
        tuple(cost_row(cost) for cost in (*costs, whole)),
        notes=(
            "Times are summed over jobs, some of which ran side by side. Memory is what Snakemake sampled; "
            "of jobs of a second it says little.",
        ),
    )


def cost_row(cost: RuleCost) -> tuple[str, ...]:
    peak = "" if cost.peak is None else f"{cost.peak:.0f}"
    return (cost.rule, str(cost.jobs), duration(cost.total), duration(cost.longest), peak)


def duration(seconds: float) -> str:
    """Return a time in words: seconds below a minute, then minutes, then hours."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


if __name__ == "__main__":
    commandline.run(main)
