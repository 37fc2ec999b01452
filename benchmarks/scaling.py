"""Time and memory of every rule at one, two and four times the data, and the memory that the rules declare."""

import csv
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import ROOT
from matplotlib.figure import Figure

IMAGES = (70, 140, 280)
DECLARED = re.compile(r"^rule (\w+):.*?mem_mb=(?:memory\()?(\d+)", re.DOTALL | re.MULTILINE)
LEAST = 3.0
"""Seconds at the largest size, from which a rule is plotted."""


@dataclass(frozen=True)
class Scaled:
    """A rule: seconds (all its jobs) and peak memory in MB at each size, and the declared MB."""

    rule: str
    seconds: tuple[float, ...]
    megabytes: tuple[float, ...]
    declared: int

    def straightness(self) -> float:
        """Return the largest distance of the seconds from their straight line, as a fraction of the largest."""
        line = np.polyval(np.polyfit(IMAGES, self.seconds, 1), IMAGES)
        return float(np.abs(line - self.seconds).max() / max(self.seconds))


def measure() -> list[Scaled]:
    """Run the demo, one epoch per training, at each size."""
    runs = []
    for images in IMAGES:
        with tempfile.TemporaryDirectory() as folder:
            run_demo(Path(folder), images)
            runs.append(read(Path(folder, "results/demo/benchmarks")))
    declared = declared_memory()
    rules = [rule for rule in runs[0] if all(rule in run for run in runs)]
    return [
        Scaled(
            rule,
            tuple(run[rule][0] for run in runs),
            tuple(run[rule][1] for run in runs),
            declared[rule.replace("score_predictions", "score_masks")],
        )
        for rule in rules
    ]


def run_demo(folder: Path, images: int) -> None:
    config = {
        "dataset": {"demo": {"train": images, "val": images // 4}},
        "classifier": {"training": {"epochs": 1}},
        "segmenter": {"training": {"epochs": 1}},
    }
    (folder / "overlay.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all", "--directory", folder]
    files = ["--snakefile", ROOT / "Snakefile", "--configfile", ROOT / "config.yaml", folder / "overlay.json"]
    subprocess.run([*command, *files], check=True, stdout=subprocess.DEVNULL)


def read(folder: Path) -> dict[str, tuple[float, float]]:
    """Return the sum of seconds and the largest memory in MB per rule, from Snakemake's benchmark files."""
    found: dict[str, list[dict[str, str]]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        with open(path, encoding="utf-8") as stream:
            found.setdefault(path.relative_to(folder).parts[0].removesuffix(".tsv"), []).extend(
                csv.DictReader(stream, delimiter="\t")
            )
    return {rule: (sum(number(row["s"]) for row in rows), max(number(row["max_rss"]) for row in rows))
            for rule, rows in found.items()}  # fmt: skip


def number(cell: str) -> float:
    """Return a number of a benchmark file; 0 where the job was too short to be seen."""
    return 0.0 if cell in ("NA", "-") else float(cell)


def declared_memory() -> dict[str, int]:
    texts = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "rules").glob("*.smk")))
    return {rule: int(memory) for rule, memory in DECLARED.findall(texts)}


def table(rules: list[Scaled]) -> str:
    """Return the rules as a Markdown table."""
    sizes = ", ".join(map(str, IMAGES))
    lines = [
        'Rules on the demo, one epoch per training. "Off its line" is the largest distance of the seconds from a',
        "straight line, as a fraction of the longest; jobs shorter than a second say little.",
        "",
        f"| rule | seconds at {sizes} train images | off its line | peak MB at {sizes} | declared MB |",
        "|---|--:|--:|--:|--:|",
    ]
    for one in rules:
        seconds = ", ".join(f"{value:.1f}" for value in one.seconds)
        memory = ", ".join(f"{value:.0f}" for value in one.megabytes)
        lines.append(f"| `{one.rule}` | {seconds} | {one.straightness():.0%} | {memory} | {one.declared} |")
    return "\n".join(lines)


def plot(rules: list[Scaled], path: Path) -> None:
    """Draw seconds and memory against the number of images."""
    shown = [one for one in rules if max(one.seconds) >= LEAST]
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("seconds", "megabytes"), strict=True):
        for one in shown:
            axes.plot(IMAGES, getattr(one, name), marker="o", label=one.rule)
        axes.set(xlabel="train images", ylabel={"seconds": "seconds", "megabytes": "peak memory, MB"}[name])
        axes.set(xlim=(0, None), ylim=(0, None))
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=80)
