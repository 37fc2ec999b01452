"""Real photographs of 15 classes, from tags to scores: what the paper claims of lower blocks holds."""

import pytest

pytestmark = pytest.mark.slow

LOWER, LAST = ("blocks.5.0", "blocks.5.1", "blocks.5.3"), "blocks.6"


def test_the_best_lower_block_beats_the_last_block_and_cam(photos15):
    seeds = photos15.ablation()
    best = max(seeds[layer] for layer in LOWER)
    assert best >= 71
    assert best > max(seeds[LAST], seeds["cam"])


def test_tags_alone_reach_the_papers_share_of_full_supervision(photos15):
    assert photos15.of_full_supervision() >= 0.84
