"""The same bytes whatever `--cores` is; nearly the same masks with another number of threads."""

import pytest

from result_trees import LAYER, NETWORK, ONE_ROUND, SCORES, differences, files_of, share_of_other_pixels

TOLERANCE = 0.01
"""Share of the pixels that may have another label with another number of threads: docs/determinism.md."""

PROXY_MASKS = [f"results/mini/proxy_masks/{LAYER}/shard-{shard}" for shard in (0, 1)]
LEARNT = ("classifier", "cam", *(f"{stage}/{LAYER}" for stage in ("features", "patterns", "proxy_masks")))
SCORES_FILE = f"results/mini/{SCORES}"


def made(checkout, *targets, cores: int, **config):
    """Run the miniature up to the targets, each job on all cores that it asks for; return the results."""
    done = checkout.snakemake("--", *targets, cores=cores, max_threads=cores, config=config)
    assert done.returncode == 0, done.stdout[-8000:]
    return checkout.results


def test_another_number_of_cores_changes_no_byte_of_a_round(run, fresh_checkout):
    found = made(fresh_checkout("four_cores"), SCORES_FILE, cores=4)
    assert len(files_of(found, ONE_ROUND)) > 50
    assert not differences(run.results, found, ONE_ROUND)


@pytest.fixture(scope="module")
def two_threads(fresh_checkout):
    """Results up to the proxy masks, computed with two threads; a job had one core for them."""
    return made(fresh_checkout("two_threads"), *PROXY_MASKS, cores=1, threads=2)


def test_threads_on_fewer_cores_give_the_bytes_of_threads_on_as_many(two_threads, fresh_checkout):
    found = made(fresh_checkout("two_cores"), *PROXY_MASKS, cores=2, threads=2)
    assert len(files_of(found, LEARNT)) > 20
    assert not differences(two_threads, found, LEARNT)


def test_proxy_masks_of_two_threads_are_nearly_those_of_one(run, two_threads):
    for part in (f"seed_masks/{LAYER}", f"proxy_masks/{LAYER}"):
        assert share_of_other_pixels(run.results, two_threads, part) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("cores", [1, 2, 4])
def test_another_number_of_cores_changes_no_byte_of_the_whole_run(run, fresh_checkout, cores):
    found = made(fresh_checkout("cores"), *run.targets, cores=cores)
    assert len(files_of(found)) > 300
    assert not differences(run.results, found)


@pytest.mark.slow
def test_two_threads_give_the_same_bytes_on_any_cores_and_nearly_those_of_one(run, fresh_checkout):
    first, *others = (
        made(fresh_checkout("threads"), SCORES_FILE, cores=cores, threads=2) for cores in (1, 2, 4)
    )
    assert not any(differences(first, other) for other in others)
    for part in (f"proxy_masks/{LAYER}", f"predictions/{NETWORK}/val"):
        assert share_of_other_pixels(run.results, first, part) <= TOLERANCE
