"""The embedded default at its real size: what it has to reach."""

import pytest

pytestmark = pytest.mark.slow


def test_the_final_network_segments_val(demo):
    assert 60 <= demo.miou("val", "blocks.5.0", "efficientnet_lite0", "round2.json") <= 97


def test_tags_alone_come_near_full_supervision(demo):
    assert demo.of_full_supervision() >= 0.85


def test_the_layer_that_tags_choose_is_near_the_best(demo):
    layers = {seed: miou for seed, miou in demo.ablation().items() if seed.startswith("blocks")}
    assert demo.miou_of_chosen_layer() >= max(layers.values()) - 2


def test_proxy_masks_are_better_than_class_activation_maps(demo):
    seeds = demo.ablation()
    assert seeds["blocks.5.0"] > seeds["cam"]
    assert demo.miou("seed_masks", "blocks.5.0.json") > demo.miou("seed_masks", "cam.json")
