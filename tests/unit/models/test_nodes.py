"""Names of nodes: the paper's and the network's."""

import subprocess
import sys
from pathlib import Path

import pytest

import tagseg
from tagseg.models.nodes import CAM_SEED, canonical_node

NAMES = {"C41": "layer4.0", "c42": "layer4.1", "C43": "layer4.2"}
NAMES |= {name: name for name in ("layer4.0", "blocks.4", "features.30", "C44", CAM_SEED)}


@pytest.mark.parametrize(("name", "node"), NAMES.items())
def test_the_papers_names_mean_blocks_of_the_last_stage_and_others_stay(name, node):
    assert canonical_node(name) == node


@pytest.mark.parametrize("module", ["nodes", "registry", "settings"])
def test_the_configuration_is_checked_without_torch(module):
    code = f"import sys, tagseg.models.{module}; sys.exit('torch' in sys.modules)"
    root = Path(tagseg.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
