"""The same bytes whatever `--cores` is; nearly the same masks with another number of threads."""

import pytest

from result_trees import LAYER, NETWORK, ONE_ROUND, SCORES, differences, files_of, share_of_other_pixels

TOLERANCE = 0.01
"""Share of the pixels that may have another label with another number of threads: docs/determinism.md."""


def made(checkout, *targets, **options):
    """Run the miniature in a checkout of its own, up to the targets; return its results."""
    done = checkout.snakemake("--", *targets, **options)
    assert done.returncode == 0, done.stdout[-8000:]
    return checkout.results


def test_another_number_of_cores_changes_no_byte_of_a_round(run, fresh_checkout):
    found = made(fresh_checkout("four_cores"), f"results/mini/{SCORES}", cores=4)
    assert len(files_of(found, ONE_ROUND)) > 50
    assert not differences(run.results, found, ONE_ROUND)


@pytest.mark.slow
@pytest.mark.parametrize("cores", [1, 2, 4])
def test_another_number_of_cores_changes_no_byte_of_the_whole_run(run, fresh_checkout, cores):
    found = made(fresh_checkout("cores"), *run.targets, cores=cores)
    assert len(files_of(found)) > 300
    assert not differences(run.results, found)


def test_proxy_masks_of_two_threads_are_those_of_one(run, fresh_checkout):
    masks = [f"results/mini/proxy_masks/{LAYER}/shard-{shard}" for shard in (0, 1)]
    found = made(fresh_checkout("two_threads"), *masks, threads=2)
    for part in (f"seed_masks/{LAYER}", f"proxy_masks/{LAYER}"):
        assert share_of_other_pixels(run.results, found, part) <= TOLERANCE


@pytest.mark.slow
def test_two_threads_give_the_same_bytes_each_time_and_nearly_those_of_one(run, fresh_checkout):
    target = f"results/mini/{SCORES}"
    first, second = (made(fresh_checkout("threads"), target, threads=2, cores=cores) for cores in (2, 4))
    assert not differences(first, second)
    for part in (f"proxy_masks/{LAYER}", f"predictions/{NETWORK}"):
        assert share_of_other_pixels(run.results, first, part) <= TOLERANCE
