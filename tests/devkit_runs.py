"""Runs of the workflow on small data sets in their genuine forms, and their results."""

import json
from collections import Counter

import yaml

from helpers import read_csv
from tagseg.storage.index import read_index
from tagseg.storage.mask_shards import read_mask_shards

MINI = ("tests/workflow/mini.yaml",)


class Run:
    """A checkout, and the configuration of one run in it, laid over the overlays `base`."""

    def __init__(self, checkout, name: str, base=MINI, **config) -> None:
        self.checkout, self.base = checkout, base
        self.results = checkout.folder / "results" / name
        self.config = {"run": name, **config}

    def snakemake(self, *targets: str, fails: bool = False, **config) -> str:
        """Run Snakemake and return its output; `config` is laid over the configuration."""
        done = self.checkout.snakemake("--", *targets, base=self.base, config=self.config | config)
        assert (done.returncode != 0) == fails, done.stdout[-8000:]
        return done.stdout

    def planned(self, *targets: str, **config) -> Counter[str]:
        return self.checkout.planned(*targets, base=self.base, config=self.config | config)

    def index(self):
        return read_index(self.results / "index")

    def masks(self, stage: str, shards: int = 2):
        return read_mask_shards([self.results / stage / f"shard-{shard}" for shard in range(shards)])

    def scores(self, name: str) -> dict:
        return json.loads((self.results / "scores" / f"{name}.json").read_text())

    def table(self, name: str) -> list[dict[str, str]]:
        return read_csv(self.results / name)


def dataset_of(checkout, overlay: str, **changes) -> dict:
    """Return the settings of the data set in a shipped overlay, with changes."""
    text = (checkout.folder / "config" / f"{overlay}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["dataset"] | changes
