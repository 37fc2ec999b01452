"""The verification of what can be read as before and was altered: a seal alone tells it."""

import numpy as np
import pytest
import torch

from helpers import write_photograph, write_zero_mask
from small_results import NETWORKS, edit, exchange, verify, write_results
from tagseg.files import digest
from tagseg.images import write_mask
from tagseg.seals import RUN, seal
from tagseg.true_masks import read_true_masks, write_true_masks

NET = NETWORKS[0]


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path)


@pytest.fixture
def sealed_results(results, monkeypatch):
    """The results of a run in which every output is sealed, as jobs do it."""
    monkeypatch.setenv(RUN, str(results))
    (results / "devkit" / "JPEGImages").mkdir(parents=True)
    write_photograph(results / "devkit" / "JPEGImages" / "a.jpg")
    write_made_true_mask(results)
    files = [path for pattern in ("index/[a-z]*", "**/*.json", "**/*.pth") for path in results.glob(pattern)]
    files += [path for stage in ("tables", "report") for path in (results / stage).iterdir()]
    folders = [results / name for name in ("devkit", "subsets", "patterns/blocks.6", "patterns/auto")]
    folders += [*results.glob("true_masks/*"), *results.glob("*_masks/*/shard-*")]
    folders += results.glob("predictions/*/*/*/*/shard-*")
    for output in {*files, *folders}:
        if not any(folder in output.parents for folder in folders):
            seal(output)
    return results


def write_made_true_mask(results):
    """Let a true mask of val be one that was made for it, as those of COCO are; and the scores know of it."""
    folder = results / "true_masks/val"
    before = digest(folder / "masks.csv")
    files = {name: str(path) for name, path in read_true_masks(folder).items()}
    write_zero_mask(folder / "png/4.png")
    write_true_masks(folder, files | {"4": "png/4.png"})
    for path in (results / "scores/val").rglob("*.json"):
        path.write_text(path.read_text().replace(before, digest(folder / "masks.csv")))


def flip(path, place=-200):
    """Flip a bit of a file, far enough from its end to be in what it holds."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def add_to_weights(path):
    """Change a weight of a checkpoint, which stays one that can be read and is finite."""
    content = torch.load(path, weights_only=True)
    content["model"]["bias"] += 1
    torch.save(content, path)


CHECKPOINT = f"segmenter/{NET}/checkpoint.pth"
ALTERED = {
    "a number in scores": (
        lambda to: edit(to / f"scores/val/{NET}.json", lambda told: told.update(miou=99)),
        [f"scores/val/{NET}.json"],
    ),
    "the log of a training": (
        lambda to: (to / "classifier/training.json").write_text('{"epochs": []}'),
        ["classifier/training.json"],
    ),
    "the logs of two rounds exchanged": (
        lambda to: exchange(*(to / f"segmenter/{network}/training.json" for network in NETWORKS[:2])),
        [f"segmenter/{network}/training.json" for network in NETWORKS[:2]],
    ),
    "the average precision": (
        lambda to: (to / "classifier/average_precision.json").write_text("[]"),
        ["classifier/average_precision.json"],
    ),
    "a table": (lambda to: (to / "tables/table_1.csv").write_text("a,b\n1,3\n"), ["tables/table_1.csv"]),
    "the page of results": (lambda to: (to / "report/report.html").write_text(""), ["report/report.html"]),
    "a picture": (lambda to: write_photograph(to / "report/training.png", seed=1), ["report/training.png"]),
    "a list of a subset": (lambda to: (to / "subsets/dog.txt").write_text("0\n"), ["subsets"]),
    "a list of a subset deleted": (lambda to: (to / "subsets/cat.txt").unlink(), ["subsets"]),
    "two classes exchanged": (
        lambda to: (to / "index/classes.csv").write_text(
            (to / "index/classes.csv")
            .read_text()
            .replace("cat", "x")
            .replace("dog", "cat")
            .replace("x", "dog")
        ),
        ["index/index.csv"],
    ),
    "the digest of what was indexed": (
        lambda to: (to / "index/source.txt").write_text("5eed\n"),
        ["index/index.csv"],
    ),
    "a true mask that was made": (
        lambda to: write_mask(to / "true_masks/val/png/4.png", np.ones((8, 12), np.uint8)),
        ["true_masks/val"],
    ),
    "the classifier": (
        lambda to: add_to_weights(to / "classifier/checkpoint.pth"),
        ["classifier/checkpoint.pth"],
    ),
    "a segmenter": (lambda to: add_to_weights(to / CHECKPOINT), [CHECKPOINT]),
    "the boundary of a pattern": (
        lambda to: edit(
            to / "patterns/auto/patterns.json", lambda told: told["classes"]["dog"].update(boundary=3)
        ),
        ["patterns/auto"],
    ),
    "a manifest": (
        lambda to: edit(to / "proxy_masks/blocks.6/shard-1/manifest.json", lambda told: told.update(more=1)),
        ["proxy_masks/blocks.6/shard-1"],
    ),
    "two shards of masks exchanged": (
        lambda to: exchange(*(to / f"proxy_masks/cam/shard-{shard}" for shard in (0, 1))),
        [f"proxy_masks/cam/shard-{shard}" for shard in (0, 1)],
    ),
    "a photograph of the demo": (lambda to: flip(to / "devkit/JPEGImages/a.jpg"), ["devkit"]),
}
"""What is altered so that it can be read as before -> exactly the outputs that are told to be made again."""


@pytest.mark.parametrize("name", ALTERED)
def test_what_was_altered_is_told_and_nothing_that_was_made_with_it(
    sealed_results, monkeypatch, capsys, name
):
    change, again = ALTERED[name]
    change(sealed_results)
    lines, failure = verify(monkeypatch, capsys, sealed_results)
    assert (
        failure and lines[-3] == f"    rm -rf {' '.join(f'{sealed_results}/{one}' for one in sorted(again))}"
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_sealed_results_pass(sealed_results, monkeypatch, capsys, threads):
    lines, failure = verify(monkeypatch, capsys, sealed_results, threads)
    assert failure is None, lines
    assert len(lines) == 2


def test_without_the_seals_a_source_is_held_against_what_was_made_with_it(results, monkeypatch, capsys):
    """What the seals are for: the damage is in the classifier, and all others would be condemned."""
    add_to_weights(results / "classifier/checkpoint.pth")
    lines, _ = verify(monkeypatch, capsys, results)
    assert "classifier/checkpoint.pth" not in lines[-3] and "features/blocks.6/shard-0.h5" in lines[-3]
