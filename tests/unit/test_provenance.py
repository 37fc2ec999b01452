"""Versions are compared with what the packages and git say themselves, durations with sums by hand."""

import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tagseg import provenance
from tagseg.provenance import RuleCost, commit, durations, gpus, machine, processor, versions

HEADER = "s\th:m:s\tmax_rss\tmax_vms\n"


def git(folder, *arguments):
    command = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path):
    """Make a clone of one committed file."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a.py").write_text("1\n", encoding="utf-8")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def write_benchmark(path, *rows, header=HEADER):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8")


def test_versions_are_those_of_the_packages(tmp_path):
    found = versions(tmp_path)
    assert found["Python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert "tagseg" not in found


def test_a_package_that_is_not_installed_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGES", ("no-such-distribution-of-tagseg", "numpy"))
    assert list(versions(tmp_path)) == ["Python", "numpy"]


def test_the_commit_is_that_of_the_clone(clone):
    whole = git(clone, "rev-parse", "HEAD")
    assert whole.startswith(commit(clone))
    assert len(commit(clone)) == 12
    assert versions(clone)["tagseg"] == commit(clone)


def test_the_commit_does_not_take_a_tag_for_a_name(clone):
    git(clone, "tag", "-a", "v1", "-m", "one")
    assert git(clone, "rev-parse", "HEAD").startswith(commit(clone))


def test_changed_files_are_told_and_new_ones_are_not(clone):
    (clone / "new.py").write_text("2\n", encoding="utf-8")
    assert not commit(clone).endswith("-dirty")
    (clone / "a.py").write_text("3\n", encoding="utf-8")
    assert commit(clone).endswith("-dirty")


def test_without_a_clone_there_is_no_commit(tmp_path):
    assert commit(tmp_path) is None


def test_without_git_there_is_no_commit(clone, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert commit(clone) is None


def test_a_clone_without_commits_has_none(tmp_path):
    git(tmp_path, "init", "--quiet")
    assert commit(tmp_path) is None


def test_the_processor_is_named_as_linux_names_it(tmp_path):
    table = tmp_path / "cpuinfo"
    table.write_text("vendor_id\t: V\nmodel name\t: Model 7: fast\nmodel name\t: Model 7: fast\n", "utf-8")
    assert processor(table) == "Model 7: fast"


@pytest.mark.parametrize("content", [None, "vendor_id : V\n", "model name :\n"])
def test_an_unnamed_processor_is_called_as_the_platform_does(tmp_path, content):
    if content is not None:
        (tmp_path / "cpuinfo").write_text(content, encoding="utf-8")
    assert processor(tmp_path / "cpuinfo") == (platform.processor() or platform.machine())


def test_without_torch_there_are_no_gpus(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert gpus() == ()
    assert machine()["cores"] == str(os.cpu_count())
    assert "GPUs" not in machine()


def test_gpus_are_named_in_order(monkeypatch):
    cuda = SimpleNamespace(device_count=lambda: 2, get_device_name=lambda number: f"GPU {number}")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert gpus() == ("GPU 0", "GPU 1")
    assert machine()["GPUs"] == "GPU 0, GPU 1"


def test_durations_are_summed_over_the_jobs_of_a_rule(tmp_path):
    write_benchmark(tmp_path / "draw.tsv", "2.5\t0:00:02\t100.25\t7")
    write_benchmark(tmp_path / "train/a/round1.tsv", "60\t0:01:00\t900\t7")
    write_benchmark(tmp_path / "train/a/round2.tsv", "90.5\t0:01:30\t800.5\t7")
    write_benchmark(tmp_path / "train/b/shard-0.tsv", "1\t0:00:01\t-\t-")
    assert durations(tmp_path) == [
        RuleCost("train", 3, 151.5, 90.5, 900.0),
        RuleCost("draw", 1, 2.5, 2.5, 100.25),
    ]


def test_repeated_jobs_count_each(tmp_path):
    write_benchmark(tmp_path / "draw.tsv", "2\t0:00:02\t10\t7", "3\t0:00:03\t30\t7")
    assert durations(tmp_path) == [RuleCost("draw", 2, 5.0, 3.0, 30.0)]


@pytest.mark.parametrize("peak", ["-", "NA", "0.00"])
def test_memory_that_was_not_measured_is_none(tmp_path, peak):
    write_benchmark(tmp_path / "draw.tsv", f"0.01\t0:00:00\t{peak}\t-")
    assert durations(tmp_path)[0].peak is None


@pytest.mark.parametrize(
    ("row", "header"),
    [
        ("soon\t0:00:02\t10\t7", HEADER),
        ("nan\t0:00:02\t10\t7", HEADER),
        ("2\t0:00:02\tinf\t7", HEADER),
        ("2", HEADER),
        ("", HEADER),
        ("?", ""),
        ("2\t3", "a\tb\n"),
    ],
)
def test_what_is_no_benchmark_is_left_out_and_told(tmp_path, capsys, row, header):
    write_benchmark(tmp_path / "bad/shard-0.tsv", row, header=header)
    write_benchmark(tmp_path / "good.tsv", "2\t0:00:02\t10\t7")
    assert [cost.rule for cost in durations(tmp_path)] == ["good"]
    assert "shard-0.tsv: no benchmark of Snakemake" in capsys.readouterr().err


def test_bytes_that_are_no_text_are_left_out_and_told(tmp_path, capsys):
    (tmp_path / "bad.tsv").write_bytes(b"s\tmax_rss\n\xff\xfe\t1\n")
    assert durations(tmp_path) == []
    assert "bad.tsv" in capsys.readouterr().err


def test_an_empty_or_missing_folder_has_no_durations(tmp_path):
    assert durations(tmp_path) == []
    assert durations(tmp_path / "nowhere") == []
