"""Names of the nodes of a backbone: the paper's, and torchvision's. Needs no torch."""

PAPER_NODES = {"C41": "layer4.0", "C42": "layer4.1", "C43": "layer4.2"}
"""The paper's blocks of ResNet's last stage C4, each after its ReLU, by torchvision's names."""

CAM_SEED = "cam"
"""Seed of proxy masks: class activation maps instead of a node's class patterns."""

TRUE_SEED = "truth"
"""Seed of proxy masks: the ground truth, for the upper bound."""

OUR_SEED = "ours"
"""Seed of proxy masks: class patterns of the run's layer under tagseg's default rules, whatever the run's own are."""

AUTO = "auto"
"""In place of a node: the one that `choose_layer` chooses among the nodes of the ablation."""


def canonical_node(name: str) -> str:
    """Return the node's name as the network has it: `C41` -> `layer4.0`, any other unchanged."""
    return PAPER_NODES.get(name.upper(), name)
