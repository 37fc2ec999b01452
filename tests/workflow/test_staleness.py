"""What re-runs after a whole computed run: targets and settings that the table of docs/changing.md leaves out."""

from collections import Counter

import pytest

pytestmark = pytest.mark.slow

NEW_LAYER = Counter(extract_features=2, find_patterns=1, estimate_masks=2, refine_masks=2, score_masks=2)
NEW_ROUND = Counter(train_segmenter=1, compute_logits=4, decide_masks=4, score_predictions=1, render_report=1)
LONGER = {"resnet18": {"network": {"weights": None}, "training": {"frozen": [], "epochs": 2}}}
MORE = {"seeds": ["blocks.5.0", "blocks.5.1"], "networks": LONGER}

CHANGES = {
    "nothing": ((), {}, Counter()),
    "a setting of the ablation": (["all"], {"cam": {"background_threshold": 0.3}}, Counter(render_report=1)),
    "a layer of the ablation, whose proxy masks exist": (
        ["all"], {"layer": "blocks.6"},
        Counter(train_segmenter=2, compute_logits=6, decide_masks=6, score_predictions=2, render_report=1),
    ),
    "a layer more in the ablation": (
        ["ablation"], {"ablation": {"layers": ["blocks.5.0", "blocks.5.1", "blocks.6"]}},
        NEW_LAYER + Counter(compare_seeds=1),
    ),
    "a round more": (
        ["all", "upper_bound"], {"segmenter": {"rounds": 3}}, NEW_ROUND + Counter(compare_upper_bound=1),
    ),
    "a test CRF for the last round": (
        ["all"], {"crf": {"test": {"bilateral_srgb": 9}}, "segmenter": {"rounds": 1}},
        Counter(decide_masks=2, score_predictions=1, render_report=1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_re_runs_the_jobs_that_depend_on_it(run, change):
    targets, config, expected = CHANGES[change]
    assert run.planned(*targets, config=config) == expected


def test_tables_leave_a_row_empty_or_train_what_it_needs(run):
    empty = run.planned("tables", config={"tables": {**MORE, "missing": "empty"}})
    assert empty and set(empty) <= {rule for rule in run.first_plan if rule.startswith("build_table")}
    trained = run.planned("tables", config={"tables": {**MORE, "missing": "run"}})
    assert trained["train_segmenter"] == 3  # blocks.5.0, and two rounds of ResNet-18
