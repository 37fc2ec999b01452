"""The embedded default at its real size: the scores that it reaches."""

import pytest

pytestmark = pytest.mark.slow


def test_scores_of_the_demo(demo_run):
    seeds, masks = demo_run.scores("seed_masks"), demo_run.scores("proxy_masks")
    assert 60 <= demo_run.scores("val/blocks.5.0/efficientnet_lite0")["round1"] <= 97
    assert seeds["blocks.5.0"] > seeds["cam"] and masks["blocks.5.0"] > masks["cam"]
    assert demo_run.ratio_to_full_supervision() >= 0.85
    layers = [miou for seed, miou in masks.items() if seed.startswith("blocks")]
    assert demo_run.miou_of_chosen_layer() >= max(layers) - 2
