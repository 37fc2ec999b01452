"""How long jobs need to start, and a dry run to plan, against what they cannot do without."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from common import ROOT, SCRIPTS, Row, in_turn

LIGHT = ("sample_subsets", "estimate_masks", "refine_masks", "decide_masks", "score_masks", "find_patterns")
NETWORK = ("train_classifier", "extract_features", "compute_cam", "train_segmenter", "compute_logits")


def rows() -> Iterator[Row]:
    """Yield the start of the scripts of each kind, and dry runs."""
    for names, libraries in ((LIGHT, "numpy, pydantic, PIL"), (NETWORK, "torch, timm")):
        alternative = libraries.replace("timm", "tagseg.models.torchvision_compat")
        for name in names:
            ours, theirs = in_turn(partial(imported, name), partial(imported, alternative))
            yield Row(f"start of `{name}`", ours, f"`import {libraries}`", theirs)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Snakefile").write_text("rule all:\n    shell: 'true'\n")
        ours, theirs = in_turn(lambda: planned(ROOT), lambda: planned(Path(folder)))
    yield Row("`snakemake -n` of the demo", ours, "`snakemake -n` of a single rule", theirs)


def imported(names: str) -> None:
    subprocess.run([sys.executable, "-c", f"import {names}"], cwd=SCRIPTS, check=True)


def planned(folder: Path) -> None:
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "all", "--cores", "2", "--directory", folder]
    snakefile = ["--snakefile", folder / "Snakefile"]
    subprocess.run([*command, *snakefile], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
