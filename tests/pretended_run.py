"""A run of the workflow that computes nothing, for tests of what re-runs."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

OVERLAYS = ("config/photos.yaml", "tests/workflow/mini.yaml")
FOLDERS = ("devkit", "subsets", "patterns/", "true_masks/", "seed_masks/", "proxy_masks/", "predictions/")


class PretendedRun:
    """A run whose results are empty files with Snakemake's true records of how they were made.

    `--touch` writes the records that a run would: what re-runs is told by them, by time stamps and by
    contents of small files, so that plans are those of a run that was computed. `config` is laid over the
    overlays `base` of the checkout, and names the run.
    """

    def __init__(self, checkout, config: dict, base: tuple[str, ...] = OVERLAYS, targets=("all",)) -> None:
        self.checkout, self.config, self.base = checkout, config, base
        self.results = checkout.folder / "results" / config["run"]
        for name in self._outputs(targets):
            self._make_empty(checkout.folder / name)
        self.snakemake("--touch", "--forceall", "--", *targets)

    @property
    def photos(self) -> Path:
        return Path(self.config["photos"])

    def snakemake(self, *arguments, fails: bool = False, **more) -> str:
        """Run Snakemake and return what it says; `more` is laid over the configuration."""
        done = self.checkout.snakemake(*arguments, base=self.base, config=laid_over(self.config, more))
        assert (done.returncode != 0) == fails, done.stdout[-4000:]
        return done.stdout

    def planned(self, flags=(), cores=2, target="all", **more) -> Counter[str]:
        options = {"base": self.base, "config": laid_over(self.config, more), "cores": cores}
        return self.checkout.planned(target, flags=flags, **options)

    def _outputs(self, targets) -> list[str]:
        table = self.snakemake("--summary", "--", *targets)
        names = [line.split("\t")[0] for line in table.splitlines() if "\t" in line]
        return [name for name in names if name.startswith("results/")]

    def _make_empty(self, path: Path) -> None:
        place = path.relative_to(self.results).as_posix()
        folder = path if place.startswith(FOLDERS) else path.parent
        folder.mkdir(parents=True, exist_ok=True)
        if folder != path:
            path.write_bytes(b"")

    @contextmanager
    def changed_data(self) -> Iterator[Path]:
        """Yield the folder of photographs to be changed; put it back as it was, times included."""
        kept = self.photos.with_name("kept")
        shutil.copytree(self.photos, kept, symlinks=True)
        try:
            yield self.photos
        finally:
            shutil.rmtree(self.photos)
            kept.rename(self.photos)

    @contextmanager
    def edited(self, source: str, edit: Callable[[str], str]) -> Iterator[None]:
        """Change the text of a source for the time of a block."""
        path = self.checkout.folder / source
        before = path.read_text(encoding="utf-8")
        assert edit(before) != before
        path.write_text(edit(before), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(before, encoding="utf-8")

    @contextmanager
    def elsewhere(self, folder: Path) -> Iterator[None]:
        """Work in another folder for the time of a block."""
        home, self.checkout.folder = self.checkout.folder, folder
        try:
            yield
        finally:
            self.checkout.folder = home


def laid_over(config: dict, more: dict) -> dict:
    """Return a configuration with another one laid over it, section by section."""
    sections = {
        key: laid_over(config[key], value)
        for key, value in more.items()
        if isinstance(value, dict) and isinstance(config.get(key), dict)
    }
    return config | more | sections
