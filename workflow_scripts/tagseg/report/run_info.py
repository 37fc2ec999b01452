"""Provenance of results: versions, and the cost of the jobs of a run."""

import csv
import importlib.metadata
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "snakemake")


def versions(repository: Path) -> dict[str, str]:
    """Return the versions of Python and of PACKAGES, and the commit of the clone, if it is one."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    revision = commit(repository) if (repository / ".git").exists() else None
    return {**found, "tagseg": revision} if revision else found


def commit(repository: Path) -> str | None:
    """Return the commit, with "-dirty" if tracked files differ; None if git fails."""
    # No optional locks: somebody may be working in the clone.
    command = ["git", "--no-optional-locks", "-C", str(repository), "describe", "--always", "--dirty"]
    command += ["--exclude=*", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


@dataclass(frozen=True)
class RuleCost:
    """The jobs of a rule: their count, their seconds in all and of the longest, and their peak memory.

    `peak` is the largest resident set of a job in MB, None if Snakemake measured none.
    """

    rule: str
    jobs: int
    total: float
    longest: float
    peak: float | None


def durations(folder: str | Path, skip: str = "") -> list[RuleCost]:
    """Return the cost of each rule but `skip`, the largest total first, and last of all together.

    `folder` has Snakemake's benchmarks: `<rule>.tsv` or `<rule>/**/*.tsv`.
    """
    jobs: dict[str, list[tuple[float, float]]] = {}
    for path in sorted(Path(folder).rglob("*.tsv")):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        if rule != skip:
            jobs.setdefault(rule, []).extend(_measured(path))
    costs = [_cost(rule, measured) for rule, measured in jobs.items()]
    costs.sort(key=lambda cost: (-cost.total, cost.rule))
    return [*costs, _cost("all", [one for measured in jobs.values() for one in measured])] if costs else []


def _measured(path: Path) -> list[tuple[float, float]]:
    """Return seconds and peak MB, 0 if unknown, per line of a benchmark."""
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return [(float(row["s"]), float(row["max_rss"].replace("NA", "0").replace("-", "0"))) for row in rows]


def _cost(rule: str, measured: list[tuple[float, float]]) -> RuleCost:
    seconds, peaks = zip(*measured, strict=True)
    return RuleCost(rule, len(measured), sum(seconds), max(seconds), max(peaks) or None)
