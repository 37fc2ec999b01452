"""A wrong configuration ends the run before any job starts. Its messages: tests/unit/workflow."""

import pytest

FOLDER = {"dataset": {"kind": "photos"}, "photos": "no_such_folder"}


@pytest.mark.parametrize(
    ("arguments", "config", "message"),
    [
        (["--", "all"], {"segmenter": {"training": {"epoch": 3}}}, "Did you mean segmenter.training.epochs?"),
        (["--", "all"], {"shards": "two"}, "shards: "),
        (["--config", "laier=blocks.6", "--", "all"], None, "laier"),
        (["--", "segment"], None, "new_photos=FOLDER"),
        (["--", "all"], FOLDER, "no_such_folder"),
    ],
)
def test_a_mistake_ends_the_run_before_anything_runs(checkout, arguments, config, message):
    done = checkout.snakemake(*arguments, config=config)
    assert done.returncode != 0 and message in done.stdout, done.stdout
    assert "Traceback (most recent call last)" not in done.stdout
    assert not (checkout.folder / "results").exists()
