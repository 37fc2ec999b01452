"""Names of nodes: the paper's and the network's."""

import subprocess
import sys
from pathlib import Path

import pytest

import tagseg
from tagseg.nodes import CAM_SEED, PAPER_NODES, TRUE_SEED, canonical_node


@pytest.mark.parametrize(("paper", "own"), PAPER_NODES.items())
def test_the_papers_names_mean_the_blocks_of_the_last_stage(paper, own):
    assert canonical_node(paper) == canonical_node(paper.lower()) == canonical_node(own) == own


@pytest.mark.parametrize("name", ["layer3", "blocks.4", "features.30", "bn2", "C44", CAM_SEED, TRUE_SEED])
def test_any_other_name_stays_as_it_is(name):
    assert canonical_node(name) == name


def test_names_are_known_without_torch():
    code = "import sys, tagseg.nodes; sys.exit('torch' in sys.modules)"
    root = Path(tagseg.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
