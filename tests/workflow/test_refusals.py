"""Targets that are refused since the configuration leaves nothing to make them of, though they are there."""

import pytest

from pretended_run import PretendedRun

TESTED = {"dataset": {"true_masks": ["train", "val"], "test_list": "test"}, "submission": {"split": "test"}}


@pytest.fixture(scope="module")
def made(checkout) -> PretendedRun:
    """A run of which the upper bound and the archive for the test server are there."""
    config = {"run": "made", **TESTED}
    base = ("tests/workflow/mini.yaml",)
    return PretendedRun(checkout, config, base, targets=("upper_bound", "submission"))


def test_nothing_is_to_be_done_as_long_as_the_configuration_stays(made):
    assert not made.planned(target="upper_bound") and not made.planned(target="submission")


@pytest.mark.parametrize("target", ["upper_bound", "results/made/tables/upper_bound.md"])
def test_an_upper_bound_without_true_masks_of_train_is_refused(made, target):
    said = made.snakemake("-n", "--", target, fails=True, dataset={"true_masks": ["val"]})
    assert "upper_bound: no true masks of train; add train to dataset.true_masks" in said


def test_a_submission_of_a_split_without_photographs_is_refused(made):
    said = made.snakemake("-n", "--", "submission", fails=True, dataset={"test_list": None})
    assert "submission: no photograph in test: set dataset.test_list and dataset.test_root" in said
