"""Copies of the repository in temporary folders, and one whole run on a miniature for all tests."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MINI = "tests/workflow/mini.yaml"


class Checkout:
    """A copy of the repository's sources in which Snakemake runs."""

    targets = ("all", "ablation", "upper_bound", "tables", "figures")
    target_rules = frozenset({*targets, "segment", "submission"})

    def __init__(self, folder: Path) -> None:
        self.folder, self.python = folder, sys.executable
        self.results = folder / "results" / "mini"
        self.first_plan: Counter[str] = Counter()
        self.finished = ""
        self.sources = copy_sources(folder)

    def snakemake(self, *arguments, **options) -> subprocess.CompletedProcess:
        """Run Snakemake, standard error in standard output; `options` are those of `_command`."""
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
        command = self._command(*arguments, **options)
        return subprocess.run(command, **self._surroundings(), **streams, timeout=1800)

    def make(self, *arguments, **options) -> str:
        """Run Snakemake, without an error, and return its output."""
        done = self.snakemake(*arguments, **options)
        assert done.returncode == 0, done.stdout[-8000:]
        return done.stdout

    def start(self, *arguments, output: Path, **options) -> subprocess.Popen:
        """Start Snakemake in its own process group, with its output in a file."""
        with open(output, "w", encoding="utf-8") as stream:
            streams = {"stdout": stream, "stderr": subprocess.STDOUT, "start_new_session": True}
            return subprocess.Popen(self._command(*arguments, **options), **self._surroundings(), **streams)

    def _command(self, *arguments, config=None, base=(MINI,), cores=2, max_threads=1) -> list[str]:
        """Return the command line; `config`, nested, is laid over the overlays `base`."""
        files = [*base, *([self._write(config)] if config else [])]
        limits = ["--cores", cores, "--max-threads", max_threads, "--resources", "gpu=2"]
        options = [*limits, *(["--configfile", *files] if files else []), *arguments]
        return [self.python, "-m", "snakemake", *map(str, options)]

    def _write(self, config: dict) -> Path:
        path = self.folder.parent / f"{self.folder.name}.yaml"
        path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
        return path

    def _surroundings(self) -> dict:
        """Return the folder, and an environment that was not activated: jobs find Python even so."""
        paths = [path for path in os.get_exec_path() if path != str(Path(self.python).parent)]
        environment = {**os.environ, "PATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        return {"cwd": self.folder, "env": environment}

    def planned(self, *targets, flags=(), **options) -> Counter[str]:
        output = self.make("-n", *flags, "--", *(targets or self.targets), **options)
        table = re.search(r"^Job stats:\njob +count\n[- ]+\n(.*?)\ntotal ", output, re.M | re.S)
        assert table or "Nothing to be done" in output, output
        rows = [line.split() for line in table[1].splitlines()] if table else []
        return Counter({rule: int(count) for rule, count in rows if rule not in self.target_rules})


def copy_sources(folder: Path) -> list[str]:
    """Copy the files that git does not ignore, with new time stamps as in a fresh clone; return their names."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, encoding="utf-8").stdout
    names = sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return names


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    return Checkout(tmp_path_factory.mktemp("fresh") / "repository")


@pytest.fixture(scope="session")
def fresh_checkout(tmp_path_factory):
    return lambda name: Checkout(tmp_path_factory.mktemp(name) / "repository")


@pytest.fixture(scope="session")
def run(fresh_checkout) -> Checkout:
    """A copy with the results of all targets on the miniature. Do not change its results."""
    made = fresh_checkout("whole")
    made.first_plan = made.planned()
    made.finished = made.make("--benchmark-extended", "--", *made.targets)
    return made
