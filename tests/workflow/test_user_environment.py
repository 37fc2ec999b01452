"""The commands of the README in an environment of the user's requirements alone: nothing that only tests bring."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MINI = "tests/workflow/mini.yaml"

COMMANDS = [
    "snakemake --cores 2 --configfile {mini}", "snakemake --cores 2 check_data --configfile {mini}",
    "snakemake --cores 2 verify --configfile {mini}", "snakemake --report report.html --configfile {mini}",
    "snakemake --cores 2 segment --configfile {mini} --config new_photos=results/mini/devkit/JPEGImages",
    "snakemake --cores 2 -n --configfile {mini}",
]  # fmt: skip


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
