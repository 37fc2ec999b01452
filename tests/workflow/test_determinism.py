"""The same bytes whatever `--cores` is; nearly the same masks with another number of threads."""

import pytest

from result_trees import LAYER, NETWORK, SCORES, changed_pixels, differences, files_of

pytestmark = pytest.mark.slow

TOLERANCE = 0.01
"""Fraction of the pixels that may change with the number of threads: docs/operations.md."""


def results_of(checkout, *targets, cores: int, **config):
    """Run the miniature up to the targets, each job on all cores that it requests; return the results."""
    checkout.make("--", *targets, cores=cores, max_threads=cores, config=config)
    return checkout.results


@pytest.mark.parametrize("cores", [1, 4])
def test_another_number_of_cores_changes_no_byte(run, fresh_checkout, cores):
    ours = results_of(fresh_checkout("cores"), *run.targets, cores=cores)
    assert len(files_of(ours)) > 200 and not differences(run.results, ours)


def test_two_threads_give_the_same_bytes_on_any_cores_and_nearly_those_of_one(run, fresh_checkout):
    target = f"results/mini/{SCORES}"
    first, second = (results_of(fresh_checkout("threads"), target, cores=cores, threads=2) for cores in (1, 2))
    assert not differences(first, second)
    for part in (f"proxy_masks/{LAYER}", f"predictions/{NETWORK}/val"):
        assert changed_pixels(run.results, first, part) <= TOLERANCE
