"""A run of the workflow that computes nothing, for tests of what re-runs."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OVERLAYS = ("config/photos.yaml", "tests/workflow/mini.yaml")
FOLDERS = ("devkit", "subsets", "patterns/", "ground_truth/", "seed_masks/", "proxy_masks/", "predictions/")


class PretendedRun:
    """A run whose results are empty files with Snakemake's true records of how they were made.

    `--touch` writes the records that a run would. What re-runs depends on these, on time stamps and on the
    contents of small files, so plans are those of a computed run. `config` is laid over the overlays `base`
    and names the run.
    """

    def __init__(self, checkout, config: dict, base: tuple[str, ...] = OVERLAYS, targets=("all",)) -> None:
        self.checkout, self.config, self.base = checkout, config, base
        self.results = checkout.folder / "results" / config["run"]
        for line in self.snakemake("--summary", "--", *targets).splitlines():
            name = line.split("\t")[0]
            if "\t" in line and name.startswith("results/"):
                self._make_empty(checkout.folder / name)
        self.snakemake("--touch", "--forceall", "--", *targets)

    def _make_empty(self, path: Path) -> None:
        if path.relative_to(self.results).as_posix().startswith(FOLDERS):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")

    @property
    def images(self) -> Path:
        return Path(self.config["photos"])

    def snakemake(self, *arguments, **changes) -> str:
        """Run Snakemake and return its output; `changes` are laid over the configuration."""
        return self.checkout.make(*arguments, base=self.base, config=overlaid(self.config, changes))

    def planned(self, flags=(), cores=2, target="all", **changes) -> Counter[str]:
        config = overlaid(self.config, changes)
        return self.checkout.planned(target, flags=flags, base=self.base, config=config, cores=cores)

    @contextmanager
    def moved_to(self, folder: Path) -> Iterator[None]:
        home, self.checkout.folder = self.checkout.folder, folder
        try:
            yield
        finally:
            self.checkout.folder = home


def overlaid(config: dict, changes: dict) -> dict:
    """Return a configuration with another one laid over it, section by section."""
    sections = {
        key: overlaid(config[key], value)
        for key, value in changes.items()
        if isinstance(value, dict) and isinstance(config.get(key), dict)
    }
    return config | changes | sections
