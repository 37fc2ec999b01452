"""Render the report of a run: scores, tables, figures, examples, curves, provenance and cost.

Writes report.html, summary.md, summary.csv and the PNGs.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import yaml
from matplotlib.figure import Figure

from tagseg.evaluation.scores import read_scores
from tagseg.evaluation.tables import Table, read_table, write_tables
from tagseg.patterns.class_patterns import read_patterns
from tagseg.report import page as report_page
from tagseg.report.examples import figures_of_val, masks_of_train, read_truths
from tagseg.report.plots import explained_variance, per_class, training_curves, write_figure
from tagseg.report.run_info import durations, versions
from tagseg.report.settings import ReportSettings
from tagseg.report.summary import RunScores, headline
from tagseg.report.templates import render
from tagseg.runtime import commandline
from tagseg.storage.files import atomic_file, digest, read_json
from tagseg.storage.index import Index, read_index

log = logging.getLogger(__name__)
REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Inputs:
    """The command line: files of scores, logs and tables, folders of masks, and what `rules/report.smk` states."""

    index: Path
    settings: ReportSettings
    ground_truth: list[Path]
    patterns: Path
    classifier_log: Path
    average_precision: Path
    segmenter_logs: list[Path]
    seed_scores: Path
    proxy_scores: Path
    val_scores: list[Path]
    seed_masks: list[Path]
    proxy_masks: list[Path]
    predictions: list[Path]
    tables: list[Path]
    figures: list[Path]
    benchmarks: Path
    report: Path


def main() -> None:
    inputs = commandline.command(Inputs)()
    index, folder = read_index(inputs.index), inputs.report
    scores = read_run(inputs)
    figures = draw(inputs, index, scores)
    write_tables(scores.table(), markdown=folder / "summary.md", csv=folder / "summary.csv")
    for name, figure in figures.items():
        write_figure(folder / f"{name}.png", figure)
    title = f"{inputs.settings.run}: segmentation from tags"
    pictures = [folder / f"{name}.png" for name in figures] + inputs.figures
    text = render("report.html.j2", title=title, **content(inputs, index, scores, pictures))
    with atomic_file(folder / "report.html") as aside:
        aside.write_text(text, encoding="utf-8")
    log.info("%s: %.1f MB", folder / "report.html", len(text) / 1e6)


def read_run(inputs: Inputs) -> RunScores:
    """Read the scores of the run."""
    return RunScores(
        read_patterns(inputs.patterns)[1],
        read_json(inputs.average_precision),
        read_scores(inputs.seed_scores),
        read_scores(inputs.proxy_scores),
        [read_scores(path) for path in inputs.val_scores],
    )


def read_logs(inputs: Inputs) -> dict[str, dict]:
    """Read the training logs, by the names of the networks."""
    rounds = enumerate(inputs.segmenter_logs, start=1)
    paths = {"classifier": inputs.classifier_log}
    paths |= {f"segmenter, round {number}": path for number, path in rounds}
    return {name: read_json(path) for name, path in paths.items()}


def draw(inputs: Inputs, index: Index, scores: RunScores) -> dict[str, Figure]:
    """Return the figures by the stem of their file, in the order of the page."""
    truths, last = read_truths(inputs.ground_truth), scores.rounds[-1]
    patterns = read_patterns(inputs.patterns)[0]
    return {
        **figures_of_val(index, truths, inputs.predictions),
        "per_class": per_class(last.scores.iou if last.known else {}, last.scores.miou),
        "training": training_curves({name: one["epochs"] for name, one in read_logs(inputs).items()}),
        "examples_train": masks_of_train(index, truths, inputs.seed_masks, inputs.proxy_masks),
        "explained_variance": explained_variance(
            {tag: pattern.explained_variance for tag, pattern in patterns.items()}
        ),
    }


def content(inputs: Inputs, index: Index, scores: RunScores, pictures: list[Path]) -> dict[str, object]:
    """Return the variables of the page."""
    tables: dict[str, Table] = {path.stem: read_table(path) for path in inputs.tables}
    captions = REPOSITORY / "docs/report"
    shown = [report_page.read_picture(path, captions) for path in pictures]
    return {
        "lead": report_page.lead(index, inputs.settings),
        "headline": headline(scores, tables),
        "summary": scores.table(),
        "tables": tables,
        "figures": report_page.in_sections(shown, tables),
        "facts": provenance(inputs),
        "costs": durations(inputs.benchmarks, skip="render_report"),  # which may be of an earlier run
        "configuration": yaml.safe_dump(inputs.settings.model_dump(), allow_unicode=True),
    }


def provenance(inputs: Inputs) -> dict[str, str]:
    """Return where the results come from: data, devices, versions."""
    devices = dict.fromkeys(one["device"] for one in read_logs(inputs).values())
    return {
        "random seed": str(inputs.settings.random_seed),
        "index (SHA-256)": digest(inputs.index / "index.csv"),
        "trained on": " · ".join(devices),
        **{f"page rendered with: {name}": value for name, value in versions(REPOSITORY).items()},
    }


if __name__ == "__main__":
    commandline.run(main)
