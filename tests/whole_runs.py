"""Whole runs of the workflow at their real size, and what their results say."""

import csv
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def snakemake(*arguments: str) -> None:
    """Run the workflow on two cores; it has to end well."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class Run:
    """The results of a run of all targets, made in a folder outside the repository."""

    targets = ("all", "ablation", "upper_bound")

    def __init__(self, name: str, results: Path, *options: str) -> None:
        self.folder, self.options = results / name, options
        snakemake(*options, "--", *self.targets)

    def miou_of_chosen_layer(self) -> float:
        """Return the mIoU of the proxy masks with `layer: auto`, made if they are not there."""
        target = self.folder / "scores" / "proxy_masks" / "auto.json"
        snakemake(*self.options, "layer=auto", "--", str(target))
        return self.miou("proxy_masks", target.name)

    def miou(self, *path: str) -> float:
        """Return the mIoU in percent of a score file below scores/."""
        return json.loads((self.folder / "scores").joinpath(*path).read_text())["miou"]

    def ablation(self) -> dict[str, float]:
        """Return the mIoU of the proxy masks (after the CRF, void as background) by seed."""
        return {path.stem: self.miou("proxy_masks", path.name) for path in self._proxy_scores()}

    def of_full_supervision(self) -> float:
        """Return the final network's share of the mIoU that true masks give, from the table's last row."""
        with open(self.folder / "tables" / "upper_bound.csv", newline="") as stream:
            *_, mean = csv.reader(stream)
        return float(mean[-1])

    def _proxy_scores(self) -> list[Path]:
        return sorted((self.folder / "scores" / "proxy_masks").glob("*.json"))
