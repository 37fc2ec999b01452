"""Versions and costs, compared with git and with sums by hand."""

import platform
import subprocess

import numpy as np

from tagseg.report.run_info import RuleCost, commit, durations, versions

HEADER = "s\th:m:s\tmax_rss\tmax_vms\n"


def git(folder, *arguments):
    command = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_versions_with_the_commit_of_a_clone(tmp_path, monkeypatch):
    found = versions(tmp_path)
    assert found["Python"] == platform.python_version() and found["numpy"] == np.__version__
    assert "tagseg" not in found, "not a clone"
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "one")
    revision = git(tmp_path, "rev-parse", "HEAD")[:12]
    assert versions(tmp_path)["tagseg"] == revision
    (tmp_path / "a").write_text("2")
    assert commit(tmp_path) == f"{revision}-dirty"
    monkeypatch.setenv("PATH", "")
    assert commit(tmp_path) is None, "no git"


def write_benchmark(path, *rows, header=HEADER):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")


def test_costs_per_rule_and_of_all(tmp_path):
    write_benchmark(tmp_path / "draw.tsv", "2\t0:00:02\t10\t7", "0.5\t0:00:00\t100.25\t7")
    write_benchmark(tmp_path / "train/a/round1.tsv", "60\t0:01:00\t900\t7")
    write_benchmark(tmp_path / "train/b/shard-0.tsv", "91.5\t0:01:31\t-\t-")
    write_benchmark(tmp_path / "quick.tsv", "0.01\t0:00:00\t0.00\t-")
    write_benchmark(tmp_path / "page.tsv", "1\t0:00:01\t1\t1")
    assert durations(tmp_path, skip="page") == [
        RuleCost("train", 2, 151.5, 91.5, 900.0),
        RuleCost("draw", 2, 2.5, 2.0, 100.25),
        RuleCost("quick", 1, 0.01, 0.01, None),
        RuleCost("all", 5, 154.01, 91.5, 900.0),
    ]
    assert durations(tmp_path / "nowhere") == []
