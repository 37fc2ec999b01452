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
    "voc2012": ["voc2012.yaml"],
    "coco2017": ["coco2017.yaml"],
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


# What is fetched -----------------------------------------------------------------------------------

FETCHED = {
    "demo": ({}, 0),
    "voc": ({"kind": "voc"}, 1),
    "voc with SBD's photographs": ({"kind": "voc", "train_list": "trainaug"}, 2),
    "voc with SBD's masks": ({"kind": "voc", "sbd_masks": True}, 2),
    "coco": ({"kind": "coco"}, 3),
    "a copy of voc": ({"kind": "voc", "root": "."}, 0),
    "a copy of voc, but not of SBD": ({"kind": "voc", "root": ".", "train_list": "trainaug"}, 1),
    "copies of both": ({"kind": "voc", "root": ".", "sbd": ".", "train_list": "trainaug"}, 0),
    "a copy of coco": ({"kind": "coco", "root": "."}, 0),
}


@pytest.mark.parametrize("name", FETCHED)
def test_what_is_not_named_is_fetched(checkout, name):
    dataset, archives = FETCHED[name]
    plan = checkout.planned("all", config={"dataset": dataset})
    assert (plan["fetch_archive"], plan["unpack_archive"]) == (archives, archives)
    assert plan["build_index"] == 1 and plan["collect_true_masks"] == 2


@pytest.mark.parametrize(("overlay", "archives"), [("voc2012", 2), ("coco2017", 3)])
def test_overlays_of_published_sets_fetch_them(checkout, overlay, archives):
    plan = checkout.planned("all", "check_data", base=[f"config/{overlay}.yaml"])
    assert plan["fetch_archive"] == plan["unpack_archive"] == archives
    assert plan["check_data"] == 1 and plan["make_demo"] == 0
