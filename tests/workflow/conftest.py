"""Copies of the repository in temporary folders, and one whole run on a miniature, shared by all tests."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MINI = "tests/workflow/mini.yaml"


class Checkout:
    """A copy of the repository's sources in a folder of its own, in which Snakemake is run."""

    name, overlays, max_threads = "mini", (MINI,), 1
    targets = ("all", "ablation", "upper_bound", "tables", "figures")
    target_rules = frozenset({*targets, "segment", "submission"})

    def __init__(self, folder: Path) -> None:
        self.folder, self.python = folder, sys.executable
        self.results = folder / "results" / self.name
        self.finished: subprocess.CompletedProcess | None = None
        self.first_plan: Counter[str] = Counter()
        self.sources = copy_sources(folder)

    def snakemake(self, *arguments, **options) -> subprocess.CompletedProcess:
        """Run Snakemake; `options` are those of `_command`."""
        return self.call(*self._command(*arguments, **options))

    def start(self, *arguments, said: Path, **options) -> subprocess.Popen:
        """Start Snakemake in a process group of its own; what it says goes into the file `said`."""
        command = [self.python, *self._command(*arguments, **options)]
        with open(said, "w", encoding="utf-8") as stream:
            output = {"stdout": stream, "stderr": subprocess.STDOUT}
            return subprocess.Popen(command, **self._surroundings(), **output, start_new_session=True)

    def call(self, *arguments) -> subprocess.CompletedProcess:
        """Run the checkout's Python, in the folder; its standard error goes into the standard output."""
        return subprocess.run(
            [self.python, *map(str, arguments)],
            **self._surroundings(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=1800,
        )

    def _command(self, *arguments, config=None, base=None, cores=2, max_threads=None) -> list[str]:
        """Return Python's arguments; `config`, nested, is laid over the overlays `base`."""
        files = [*(self.overlays if base is None else base), *([self._write(config)] if config else [])]
        limits = ["--cores", cores, "--max-threads", max_threads or self.max_threads]
        options = [*limits, "--resources", "gpu=2", *(["--configfile", *files] if files else [])]
        return ["-m", "snakemake", *map(str, (*options, *arguments))]

    def _surroundings(self) -> dict:
        """Return the folder, and an environment that was not activated: jobs have to find Python even so."""
        outside = [place for place in os.get_exec_path() if place != str(Path(self.python).parent)]
        environment = {**os.environ, "PATH": os.pathsep.join(outside), "OMP_NUM_THREADS": "1"}
        return {"cwd": self.folder, "env": environment}

    def planned(self, *targets, flags=(), **options) -> Counter[str]:
        """Return how many jobs of each rule would run, by Snakemake's own dry run."""
        done = self.snakemake("-n", *flags, "--", *(targets or self.targets), **options)
        assert done.returncode == 0, done.stdout
        table = re.search(r"^Job stats:\njob +count\n[- ]+\n(.*?)\ntotal ", done.stdout, re.M | re.S)
        assert table or "Nothing to be done" in done.stdout, done.stdout
        rows = [line.split() for line in table[1].splitlines()] if table else []
        return Counter({rule: int(count) for rule, count in rows if rule not in self.target_rules})

    def seconds(self, rule: str) -> float:
        """Return the mean duration of a rule's jobs, as its benchmarks have it; 1 where there are none."""
        folder = self.results / "benchmarks"
        places = [*folder.glob(f"{rule}.tsv"), *folder.glob(f"{rule}/**/*.tsv")]
        took = [float(path.read_text().splitlines()[1].split("\t")[0]) for path in places]
        return sum(took) / len(took) if took else 1.0

    def _write(self, config: dict) -> Path:
        path = self.folder.parent / f"{self.folder.name}.yaml"
        path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
        return path

    @contextmanager
    def edited(self, source: str, text: str = "\nedited = True\n"):
        """Add a text to a source file for the time of a block."""
        path = self.folder / source
        before = path.read_bytes()
        path.write_bytes(before + text.encode())
        try:
            yield
        finally:
            path.write_bytes(before)


class DemoCheckout(Checkout):
    """A copy in which the embedded default is run, in its true size and as the README runs it."""

    name, overlays, max_threads = "demo", (), 8
    targets = ("all",)


def source_files() -> list[str]:
    """Return the files that git knows, or would: neither results nor anything else that it ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, encoding="utf-8").stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def copy_sources(folder: Path) -> list[str]:
    """Copy the sources into a folder, with new time stamps, as a fresh checkout has them; name them."""
    names = source_files()
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return names


@pytest.fixture(scope="session")
def sources() -> list[str]:
    """The repository's files, relative to its root."""
    return source_files()


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    """A copy in which nothing was run."""
    return Checkout(tmp_path_factory.mktemp("fresh") / "repository")


@pytest.fixture(scope="session")
def fresh_checkout(tmp_path_factory):
    """How to make a copy in which nothing was run."""
    return lambda name, kind=Checkout: kind(tmp_path_factory.mktemp(name) / "repository")


def run_whole(made: Checkout) -> Checkout:
    """Run all targets of a copy, undisturbed; return it."""
    made.first_plan = made.planned()
    made.finished = made.snakemake("--", *made.targets)
    assert made.finished.returncode == 0, made.finished.stdout[-8000:]
    return made


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Checkout:
    """A copy in which all targets were run on the miniature. Its results are not to be altered."""
    return run_whole(Checkout(tmp_path_factory.mktemp("whole") / "repository"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Checkout:
    """A copy in which the embedded default was run: minutes. Its results are not to be altered."""
    return run_whole(DemoCheckout(tmp_path_factory.mktemp("demo") / "repository"))
