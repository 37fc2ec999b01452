"""Real photographs of 15 classes, from tags to scores: what the paper claims of lower blocks holds."""

import pytest

pytestmark = pytest.mark.slow

LOWER, LAST = ("blocks.5.0", "blocks.5.1", "blocks.5.3"), "blocks.6"


def test_the_best_lower_block_beats_the_last_block_and_cam(photos15):
    seeds = photos15.ablation()
    assert max(seeds[layer] for layer in LOWER) > max(seeds[LAST], seeds["cam"]) + 5


def test_proxy_masks_of_the_default_layer(photos15):
    assert photos15.miou("proxy_masks", "blocks.5.0.json") >= 75


def test_the_layer_that_tags_choose_is_near_the_best(photos15):
    seeds = photos15.ablation()
    assert photos15.miou_of_chosen_layer() >= max(seeds[layer] for layer in (*LOWER, LAST)) - 2


def test_tags_alone_come_near_full_supervision(photos15):
    assert photos15.of_full_supervision() >= 0.90
