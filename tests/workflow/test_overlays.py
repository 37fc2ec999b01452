"""The configurations that are shipped: every node and module that they name is there."""

from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from tagseg.backbones import architecture, build_backbone
from tagseg.training import freeze

ROOT = Path(__file__).parents[2]
STACKS = {
    "default": [],
    "photos": ["photos.yaml"],
    "resnet50": ["photos.yaml", "resnet50.yaml"],
}


@pytest.fixture(params=STACKS)
def config(request):
    content = yaml.safe_load((ROOT / "config.yaml").read_text())
    for name in STACKS[request.param]:
        update_config(content, yaml.safe_load((ROOT / "config" / name).read_text()))
    return content


def test_every_overlay_is_checked_here():
    assert {path.name for path in (ROOT / "config").iterdir()} == {
        name for s in STACKS.values() for name in s
    }


def test_layers_are_nodes_of_the_classifier(config):
    network = config["classifier"]["network"]
    for layer in {config["layer"], *config["ablation"]["layers"]}:
        assert build_backbone(network["backbone"], None, network["output_stride"], layer).channels > 0


@pytest.mark.parametrize("section", ["classifier", "segmenter"])
def test_frozen_modules_are_in_the_backbone(config, section):
    network = config[section]["network"]
    node = architecture(network["backbone"]).last_block
    backbone = build_backbone(network["backbone"], None, network["output_stride"], node)
    freeze(backbone, config[section]["training"]["frozen"])
    trained = [parameter.requires_grad for parameter in backbone.parameters()]
    assert any(trained) and not all(trained)
