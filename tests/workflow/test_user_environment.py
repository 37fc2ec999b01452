"""The README's commands with the user's requirements alone, and the jobs of conda with those of their environment."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MINI = "tests/workflow/mini.yaml"

COMMANDS = [
    "snakemake --cores 2 --configfile {mini}", "snakemake --cores 2 check_data --configfile {mini}",
    "snakemake --cores 2 verify --configfile {mini}", "snakemake --report report.html --configfile {mini}",
    "snakemake --cores 2 segment --configfile {mini} --config new_photos=results/mini/devkit/JPEGImages",
    "snakemake --cores 2 -n --configfile {mini}",
]  # fmt: skip


@pytest.mark.slow
def test_commands_of_the_readme(fresh_checkout):
    checkout = fresh_checkout("user")
    venv = checkout.folder.parent / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    install = [venv / "bin/pip", "install", "-q", "-r", "requirements.txt"]
    subprocess.run(list(map(str, install)), cwd=checkout.folder, check=True)
    for command in COMMANDS:
        line = f". {venv}/bin/activate && {command.format(mini=MINI)}"
        done = subprocess.run(["bash", "-c", line], cwd=checkout.folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (checkout.folder / "report.html").stat().st_size > 100_000


def test_targets_of_the_readme_exist():
    text = Path(ROOT, "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"snakemake --cores \d+ ([a-z_]+)", text))
    rules = {name for path in [*Path(ROOT, "rules").glob("*.smk"), Path(ROOT, "Snakefile")]
             for name in re.findall(r"^rule (\w+):", path.read_text(), re.MULTILINE)}  # fmt: skip
    assert targets and targets <= rules, targets - rules


def packages(environment: str) -> list[str]:
    """Return the packages of a conda environment, all of which pip installs."""
    *_, of_pip = yaml.safe_load(Path(ROOT, "envs", environment).read_text())["dependencies"]
    return of_pip["pip"]


def scripts(environment: str) -> list[str]:
    """Return the scripts of the rules that run in a conda environment."""
    text = "".join(path.read_text(encoding="utf-8") for path in Path(ROOT, "rules").glob("*.smk"))
    pairs = re.findall(r"""conda:\s+["']\.\./envs/([\w.]+)["'].*?"\$TAGSEG_SCRIPTS"/(\w+\.py)""", text, re.DOTALL)
    return sorted({script for name, script in pairs if name == environment})


@pytest.mark.parametrize("environment", ["light.yaml", "torch.yaml"])
def test_conda_has_the_versions_of_pyproject(environment):
    own = tomllib.loads(Path(ROOT, "pyproject.toml").read_text())["project"]["dependencies"]
    assert set(packages(environment)) <= set(own)


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["light.yaml", "torch.yaml"])
def test_every_script_starts_with_the_packages_of_its_conda_environment(tmp_path, environment):
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)
    subprocess.run([tmp_path / "bin/pip", "install", "-q", *packages(environment)], check=True)
    started = scripts(environment)
    assert len(started) > 5
    for script in started:
        command = [tmp_path / "bin/python", Path(ROOT, "workflow_scripts", script), "--help"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{script}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("conda"), reason="not installed: conda")
def test_conda_solves_the_environments(fresh_checkout):
    fresh_checkout("conda").make("--sdm", "conda", "--conda-create-envs-only", "--", "all")
