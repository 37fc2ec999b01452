"""Whole runs of the workflow at their real size, and their results."""

import csv
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def snakemake(*arguments: str) -> None:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def mious(folder: Path) -> dict[str, float]:
    return {path.stem: json.loads(path.read_text())["miou"] for path in folder.glob("*.json")}


class Run:
    """The results of a run of all targets, made in a folder outside the repository."""

    def __init__(self, name: str, results: Path, *options: str) -> None:
        self.folder, self.options = results / name, options
        snakemake(*options, "--", "all", "ablation", "upper_bound")

    def scores(self, folder: str) -> dict[str, float]:
        return mious(self.folder / "scores" / folder)

    def miou_of_chosen_layer(self) -> float:
        target = self.folder / "scores" / "proxy_masks" / "auto.json"
        snakemake(*self.options, "layer=auto", "--", str(target))
        return self.scores("proxy_masks")["auto"]

    def ratio_to_full_supervision(self) -> float:
        """Return the final network's mIoU relative to that of ground truth, from the table's last row."""
        with open(self.folder / "tables" / "upper_bound.csv", newline="") as stream:
            *_, mean = csv.reader(stream)
        return float(mean[-1])
