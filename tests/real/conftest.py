"""Whole runs at their real size: minutes to an hour, behind the marker `slow`."""

import os
from pathlib import Path

import pytest

from whole_runs import ROOT, Run

PHOTOS15 = ROOT.parent / "shared" / "data" / "photos15"


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    """The folder of results; what TAGSEG_RESULTS, an existing one, already has is not made again."""
    return Path(os.environ.get("TAGSEG_RESULTS") or tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="session")
def demo(results):
    """The embedded default."""
    return Run("demo", results, "--config", f"results={results}")


@pytest.fixture(scope="session")
def photos15(results):
    """The configuration for photographs on a folder of 447 real ones, where it is at hand."""
    if not PHOTOS15.is_dir():
        pytest.skip("the folder photos15 of real photographs is not beside the repository")
    settings = ("--config", f"photos={PHOTOS15}", f"results={results}")
    return Run("photos", results, "--configfile", str(ROOT / "config" / "photos.yaml"), *settings)
