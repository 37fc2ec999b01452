"""Real images of 15 classes, from tags to scores: the paper's claim about lower blocks holds."""

import pytest

pytestmark = pytest.mark.slow


def test_scores_of_photos15(photos15_run):
    masks = photos15_run.scores("proxy_masks")
    lower = max(masks[layer] for layer in ("blocks.5.0", "blocks.5.1", "blocks.5.3"))
    assert lower > max(masks["blocks.6"], masks["cam"]) + 5
    assert masks["blocks.5.0"] >= 75
    assert photos15_run.miou_of_chosen_layer() >= lower - 2
    assert photos15_run.ratio_to_full_supervision() >= 0.90
