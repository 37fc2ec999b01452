"""Where results come from: versions, the machine, and what the jobs of a run took."""

import csv
import importlib.metadata
import math
import os
import platform
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tagseg.commandline import say

PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "snakemake")
"""The distributions whose versions decide what comes out."""


def versions(repository: str | Path) -> dict[str, str]:
    """Return versions by name: Python's, those of PACKAGES that are installed, and tagseg's commit.

    `repository` is the folder of the clone; without a `.git` in it there is no commit to tell.
    """
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    revision = commit(repository)
    return found if revision is None else {**found, "tagseg": revision}


def commit(repository: str | Path) -> str | None:
    """Return a clone's commit, with "-dirty" where tracked files differ; None where git tells none."""
    if not (Path(repository) / ".git").exists():
        return None
    # No optional locks: somebody may be at work in the clone.
    describe = ["describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
    command = ["git", "--no-optional-locks", "-C", str(repository), *describe]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def machine() -> dict[str, str]:
    """Return what this machine is: its platform, processor, cores and, where torch sees any, GPUs."""
    found = {"platform": platform.platform(), "processor": processor(), "cores": str(os.cpu_count())}
    names = gpus()
    return {**found, "GPUs": ", ".join(names)} if names else found


def processor(table: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's model as Linux's `table` names it, else what the platform calls it."""
    try:
        lines = table.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(models), "") or platform.processor() or platform.machine()


def gpus() -> tuple[str, ...]:
    """Return the names of the GPUs that torch sees; none where it is not installed."""
    try:
        import torch
    except ImportError:
        return ()
    return tuple(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))


@dataclass(frozen=True)
class RuleCost:
    """What the jobs of a rule took: their number, seconds together, of the longest, and peak memory.

    `peak` is the largest resident set of a job in MB, None where none was measured.
    """

    rule: str
    jobs: int
    total: float
    longest: float
    peak: float | None


def durations(folder: str | Path) -> list[RuleCost]:
    """Return the cost of each rule from a folder of Snakemake's benchmarks, the largest total first.

    A rule is the first part of a path below `folder`: `<rule>.tsv` or `<rule>/**/*.tsv`, a file a job. A
    file that is no benchmark is left out, and a line says so.
    """
    jobs: dict[str, list[tuple[float, float | None]]] = defaultdict(list)
    for path in sorted(Path(folder).rglob("*.tsv")):
        jobs[path.relative_to(folder).parts[0].removesuffix(".tsv")] += _measured(path)
    costs = [_cost(rule, measured) for rule, measured in jobs.items() if measured]
    return sorted(costs, key=lambda cost: (-cost.total, cost.rule))


def _measured(path: Path) -> list[tuple[float, float | None]]:
    """Return (seconds, peak MB or None) of each line of a benchmark."""
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        if not rows:
            raise ValueError("no line of figures")
        return [(_number(row["s"]), _number_or_none(row["max_rss"])) for row in rows]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        say(f"{path}: no benchmark of Snakemake ({error!r}); left out")
        return []


def _number(text: str) -> float:
    """Return a finite number. Raises ValueError."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number


def _number_or_none(text: str) -> float | None:
    """Return a finite number, or None for what Snakemake writes where a job ended before it was measured."""
    return None if text in ("-", "NA") else _number(text) or None


def _cost(rule: str, measured: list[tuple[float, float | None]]) -> RuleCost:
    seconds = [one for one, _ in measured]
    peaks = [peak for _, peak in measured if peak is not None]
    return RuleCost(rule, len(measured), sum(seconds), max(seconds), max(peaks, default=None))
