"""Whole runs at their real size: minutes to an hour, behind the marker `slow`."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PHOTOS15 = ROOT.parent / "shared" / "data" / "photos15"


class Run:
    """The results of a run of all targets, made in a folder outside the repository."""

    targets = ("all", "ablation", "upper_bound")

    def __init__(self, name: str, results: Path, *options: str) -> None:
        self.folder = results / name
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *options]
        done = subprocess.run([*command, "--", *self.targets], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

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


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The embedded default; what TAGSEG_RESULTS, a folder of results, already has is not made again."""
    results = Path(os.environ.get("TAGSEG_RESULTS") or tmp_path_factory.mktemp("demo"))
    return Run("demo", results, "--config", f"results={results}")


@pytest.fixture(scope="session")
def photos15(tmp_path_factory):
    """The configuration for photographs on a folder of 447 real ones, where it is at hand."""
    if not PHOTOS15.is_dir():
        pytest.skip("the folder photos15 of real photographs is not beside the repository")
    results = tmp_path_factory.mktemp("photos15")
    settings = ("--config", f"photos={PHOTOS15}", f"results={results}")
    return Run("photos", results, "--configfile", str(ROOT / "config" / "photos.yaml"), *settings)
