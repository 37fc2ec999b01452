"""The scores of a run: the summary table, and the headline of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tagseg.evaluation.scores import ScoreFile, known, missing_masks
from tagseg.evaluation.tables import Cell, Table

EMPTY = "\N{EN DASH}"


@dataclass(frozen=True)
class RunScores:
    """The scores of a run; `precision` holds the split and the mean average precision of the classifier."""

    layer: str
    precision: Mapping
    seeds: ScoreFile
    proxies: ScoreFile
    rounds: Sequence[ScoreFile]

    def table(self) -> Table:
        """Return the summary: the classifier, the masks of train, each round on val."""
        files = {f"seed masks of {self.layer}": self.seeds}
        files[f"proxy masks of {self.layer}, after CRF"] = self.proxies
        files |= {f"segmenter, round {number}": file for number, file in enumerate(self.rounds, start=1)}
        classifier = ("classifier", self.precision["split"], self.precision["mean"], *[None] * 4)
        void = ("mIoU (void as background)", "mIoU (void skipped)")
        return Table(
            "Scores of the run, in percent; coverage is the fraction of scored pixels with a label",
            ("stage", "split", "mAP", *void, "coverage", "images with ground truth"),
            (classifier, *(_row(name, file) for name, file in files.items())),
            decimals={"coverage": 3},
            notes=missing_masks(list(files.values())),
        )


def _row(name: str, file: ScoreFile) -> tuple[Cell, ...]:
    scores = file.scores
    cells = known(file, scores.miou, scores.miou_void_skipped, scores.coverage)
    return (name, file.split, None, *cells, scores.images)


class Number(NamedTuple):
    """A large number of the headline, with its label and a detail in small print."""

    text: str
    label: str
    detail: str


def headline(run: RunScores, tables: Mapping[str, Table]) -> list[Number]:
    """Return the numbers of the networks, last round first, of the proxy masks and of the classifier."""
    last, proxies = len(run.rounds), run.proxies
    coverage = f"{proxies.scores.coverage:.3f}" if proxies.known else EMPTY
    numbers = [_network(file, number, last) for number, file in enumerate(run.rounds, start=1)][::-1]
    numbers += [
        Number(_miou(proxies), "mIoU of the proxy masks of train", "void as background"),
        Number(coverage, "coverage of the proxy masks", "fraction with a label"),
        Number(
            f"{run.precision['mean']:.1f} %", "mean average precision", f"classifier, tags of {run.precision['split']}"
        ),
    ]
    if "upper_bound" in tables:
        ratio = tables["upper_bound"].text()[-1][-1]
        numbers.append(Number(ratio or EMPTY, "ratio to full supervision", "mIoU over that of ground truth"))
    return numbers


def _network(file: ScoreFile, number: int, last: int) -> Number:
    label = "mIoU of the final network" if number == last else "mIoU of an earlier network"
    where = f"{file.split}, {file.scores.images} images" if file.known else "no ground truth"
    return Number(_miou(file), label, f"round {number}; {where}")


def _miou(file: ScoreFile) -> str:
    return f"{file.scores.miou:.1f} %" if file.known else EMPTY
