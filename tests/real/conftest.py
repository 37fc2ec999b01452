"""Whole runs at their real size: minutes to an hour, behind the marker `slow`."""

import os
from pathlib import Path

import pytest

from whole_runs import ROOT, Run

SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def photos15() -> Path:
    if not (SHARED / "photos15").is_dir():
        pytest.skip("shared/data/photos15 is not beside the repository")
    return SHARED / "photos15"


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    """The folder of results: TAGSEG_RESULTS, whose existing results are not made again, or a new one."""
    return Path(os.environ.get("TAGSEG_RESULTS") or tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="session")
def demo_run(results) -> Run:
    return Run("demo", results, "--config", f"results={results}")


@pytest.fixture(scope="session")
def photos15_run(results, photos15) -> Run:
    settings = ("--config", f"photos={photos15}", f"results={results}")
    return Run("photos", results, "--configfile", str(ROOT / "config" / "photos.yaml"), *settings)
