"""The verification of a run's tree: a sound one passes, and each damage is told with what to do."""

import os
import re
import shutil

import numpy as np
import pytest
import torch

import verify_results
from helpers import write_zero_mask
from small_results import (
    NETWORKS,
    SHARDS,
    edit,
    exchange,
    verify,
    write_maps_of,
    write_masks_of,
    write_network,
    write_results,
)
from tagseg.cam_shards import write_cam
from tagseg.files import digest
from tagseg.images import write_mask
from tagseg.verification import READERS

ABOUT_SETTINGS = verify_results.ABOUT_SETTINGS


@pytest.fixture
def results(tmp_path):
    return write_results(tmp_path)


@pytest.mark.parametrize("threads", [1, 3])
def test_sound_results_pass(results, monkeypatch, capsys, threads):
    count = len(list(results.rglob("shard-*"))) + len(list(results.rglob("*.pth")))
    count += len(list(results.rglob("*.json"))) - len(list(results.rglob("shard-*/*.json")))
    count += 1 + 2 + 1 + 1 + 1  # index, true masks, subsets, a table, a picture; patterns have a JSON each
    lines, failure = verify(monkeypatch, capsys, results, threads)
    assert failure is None and lines == [f"{count} outputs verified, 0 problems, 0 left over", ABOUT_SETTINGS]


def overwrite(path, start, content=b"\xff\xff\xff\xff"):
    with open(path, "r+b") as stream:
        stream.seek(start)
        stream.write(content)


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_feature(path):
    """Change bytes in the middle of the last photograph's maps."""
    import h5py

    with h5py.File(path) as file:
        chunk = file["8"].id.get_chunk_info(1)
    overwrite(path, chunk.byte_offset + chunk.size // 2)


def unfinite(path):
    write_network(path, float("nan"))


def of_other(results, name, origin="d1e5"):
    """Write a shard of two train photographs with another origin than it had."""
    ids = [str(number) for number in range(4)[int(name[-1] if name[-1] != "5" else name[-4]) :: SHARDS]]
    if name.endswith(".h5"):
        write_maps_of(results / name, ids, origin)
    else:
        write_masks_of(results / name, ids, origin)


NET = NETWORKS[0]
DAMAGES = {
    "mask gone": (
        lambda to: (to / "proxy_masks/blocks.6/shard-0/2.png").unlink(),
        "proxy_masks/blocks.6/shard-0/2.png: gone since it was made; delete the folder "
        "{to}/proxy_masks/blocks.6/shard-0 and run again",
        ["proxy_masks/blocks.6/shard-0"],
    ),
    "mask altered": (
        lambda to: write_mask(to / "seed_masks/cam/shard-1/3.png", np.ones((8, 12), np.uint8)),
        "seed_masks/cam/shard-1/3.png: altered since it was made; delete the folder "
        "{to}/seed_masks/cam/shard-1 and run again",
        ["seed_masks/cam/shard-1"],
    ),
    "file too many": (
        lambda to: write_zero_mask(to / f"predictions/{NET}/val/shard-0/more.png"),
        f"predictions/{NET}/val/shard-0/more.png: not in the manifest; delete the file",
        [],
    ),
    "manifest gone": (
        lambda to: (to / "proxy_masks/auto/shard-1/manifest.json").unlink(),
        "proxy_masks/auto/shard-1/manifest.json: no such file; run the stage that makes it again",
        ["proxy_masks/auto/shard-1"],
    ),
    "shard of masks gone": (
        lambda to: shutil.rmtree(to / "seed_masks/auto/shard-1"),
        "seed_masks/auto/shard-1: missing, though other shards are there; make it again",
        ["seed_masks/auto/shard-1"],
    ),
    "shard of features gone": (
        lambda to: (to / "features/blocks.6/shard-0.h5").unlink(),
        "features/blocks.6/shard-0.h5: missing, though other shards are there; make it again",
        ["features/blocks.6/shard-0.h5"],
    ),
    "bits flipped in features": (
        lambda to: flip_a_feature(to / "features/blocks.6/shard-1.h5"),
        "features/blocks.6/shard-1.h5: damaged, its checksums do not fit (",
        ["features/blocks.6/shard-1.h5"],
    ),
    "logits cut off": (
        lambda to: halve(to / f"logits/{NET}/val/shard-1.h5"),
        f"logits/{NET}/val/shard-1.h5: not a shard of feature maps (",
        [f"logits/{NET}/val/shard-1.h5"],
    ),
    "CAM cut off": (
        lambda to: halve(to / "cam/shard-0.h5"),
        "cam/shard-0.h5: not a shard of CAMs (",
        ["cam/shard-0.h5"],
    ),
    "features of another classifier": (
        lambda to: of_other(to, "features/blocks.6/shard-1.h5"),
        "features/blocks.6/shard-1.h5: made with another version of {to}/classifier/checkpoint.pth; "
        "delete it and run again",
        ["features/blocks.6/shard-1.h5"],
    ),
    "CAM of another classifier": (
        lambda to: write_cam(to / "cam/shard-0.h5", [(name, 2, np.ones((2, 2))) for name in "02"], "d1e5"),
        "cam/shard-0.h5: made with another version of {to}/classifier/checkpoint.pth; delete it and run",
        ["cam/shard-0.h5"],
    ),
    "patterns of another classifier": (
        lambda to: edit(to / "patterns/auto/patterns.json", lambda content: content.update(classifier="d")),
        "patterns/auto: made with another version of {to}/classifier/checkpoint.pth; delete it and run again",
        ["patterns/auto", *(f"{stage}_masks/auto/shard-{k}" for stage in ("proxy", "seed") for k in "01")],
    ),
    "masks of other patterns": (
        lambda to: of_other(to, "seed_masks/auto/shard-1"),
        "seed_masks/auto/shard-1: made with another version of {to}/patterns/auto; delete it and run again",
        ["scores/seed_masks/auto.json", "seed_masks/auto/shard-1"],
    ),
    "masks of another CAM": (
        lambda to: of_other(to, "seed_masks/cam/shard-1"),
        "seed_masks/cam/shard-1: made with another version of {to}/classifier/checkpoint.pth; delete it",
        ["scores/seed_masks/cam.json", "seed_masks/cam/shard-1"],
    ),
    "logits of another segmenter": (
        lambda to: of_other(to, f"logits/{NET}/train/shard-1.h5"),
        f"logits/{NET}/train/shard-1.h5: made with another version of {{to}}/segmenter/{NET}/checkpoint.pth",
        [f"logits/{NET}/train/shard-1.h5"],
    ),
    "predictions of another segmenter": (
        lambda to: of_other(to, f"predictions/{NETWORKS[1]}/train/shard-0"),
        f"predictions/{NETWORKS[1]}/train/shard-0: made with another version of "
        f"{{to}}/segmenter/{NETWORKS[1]}/checkpoint.pth; delete it and run again",
        [f"predictions/{NETWORKS[1]}/train/shard-0"],
    ),
    "segmenter of other proxy masks": (
        lambda to: write_network(to / f"segmenter/{NETWORKS[2]}/checkpoint.pth", 2.0, masks=["5eed"]),
        f"segmenter/{NETWORKS[2]}/checkpoint.pth: trained on other masks than {{to}}/proxy_masks/truth",
        None,
    ),
    "segmenter of other predictions": (
        lambda to: write_network(to / f"segmenter/{NETWORKS[1]}/checkpoint.pth", 1.0, masks=[]),
        f"segmenter/{NETWORKS[1]}/checkpoint.pth: trained on other masks than {{to}}/predictions/{NET}/train",
        None,
    ),
    "checkpoint cut off": (
        lambda to: halve(to / f"segmenter/{NETWORKS[1]}/checkpoint.pth"),
        f"segmenter/{NETWORKS[1]}/checkpoint.pth: not a checkpoint of tagseg (",
        [f"segmenter/{NETWORKS[1]}/checkpoint.pth"],
    ),
    "checkpoint with NaN": (
        lambda to: unfinite(to / "classifier/checkpoint.pth"),
        "classifier/checkpoint.pth: holds values that are not finite; delete it and train again",
        ["classifier/checkpoint.pth"],
    ),
    "checkpoint gone": (
        lambda to: (to / f"segmenter/{NETWORKS[1]}/checkpoint.pth").unlink(),
        f"segmenter/{NETWORKS[1]}/checkpoint.pth: missing, though ",
        [f"segmenter/{NETWORKS[1]}/checkpoint.pth"],
    ),
    "log of a training gone": (
        lambda to: (to / "classifier/training.json").unlink(),
        "classifier/training.json: missing, though the other files of its job are there; run again",
        ["classifier/training.json"],
    ),
    "pattern altered": (
        lambda to: np.save(to / "patterns/blocks.6/dog/mean.npy", np.ones(1)),
        "patterns/blocks.6/dog/mean.npy: altered since it was made; delete {to}/patterns/blocks.6, run again",
        ["patterns/blocks.6"],
    ),
    "patterns gone": (
        lambda to: shutil.rmtree(to / "patterns/blocks.6"),
        "patterns/blocks.6: missing, though {to}/proxy_masks/blocks.6/shard-0 was made with it; make it",
        ["patterns/blocks.6"],
    ),
    "scores of other masks": (
        lambda to: edit(
            to / "scores/proxy_masks/cam.json", lambda told: told["provenance"]["masks"].popitem()
        ),
        "scores/proxy_masks/cam.json: scores of other masks than {to}/proxy_masks/cam; delete it and run",
        ["scores/proxy_masks/cam.json"],
    ),
    "scores of other predictions": (
        lambda to: edit(to / f"scores/val/{NET}.json", lambda told: told["provenance"]["masks"].popitem()),
        f"scores/val/{NET}.json: scores of other masks than {{to}}/predictions/{NET}/val; delete it and run",
        [f"scores/val/{NET}.json"],
    ),
    "scores with another index": (
        lambda to: edit(to / f"scores/val/{NET}.json", lambda told: told["provenance"].update(index="5eed")),
        f"scores/val/{NET}.json: scored with another version of {{to}}/index; delete it and run again",
        [f"scores/val/{NET}.json"],
    ),
    "scores with other true masks": (
        lambda to: edit(to / f"scores/val/{NET}.json", lambda told: told["provenance"].pop("true_masks")),
        f"scores/val/{NET}.json: scored with another version of {{to}}/true_masks/val; delete it and run",
        [f"scores/val/{NET}.json"],
    ),
    "no scores": (
        lambda to: (to / f"scores/val/{NET}.json").write_text("{}"),
        f"scores/val/{NET}.json: not a file of scores; delete it and run again",
        [f"scores/val/{NET}.json"],
    ),
    "scores that are no JSON": (
        lambda to: halve(to / f"scores/val/{NET}.json"),
        f"scores/val/{NET}.json: not valid JSON (",
        [f"scores/val/{NET}.json"],
    ),
    "table cut off": (
        lambda to: (to / "tables/table_1.csv").write_text("a,b\n1"),
        "tables/table_1.csv: not a table, its rows differ in length; delete it and run again",
        ["tables/table_1.csv"],
    ),
    "empty table": (
        lambda to: (to / "tables/table_1.csv").write_text(""),
        "tables/table_1.csv: not a table, its rows differ in length; delete it and run again",
        ["tables/table_1.csv"],
    ),
    "table of other bytes": (
        lambda to: (to / "tables/table_1.csv").write_bytes(b"a,b\n\xff,2\n"),
        "tables/table_1.csv: not a table in UTF-8 (",
        ["tables/table_1.csv"],
    ),
    "picture cut off": (
        lambda to: halve(to / "report/training.png"),
        "report/training.png: ",
        ["report/training.png"],
    ),
    "list of other bytes": (
        lambda to: (to / "subsets/dog.txt").write_bytes(b"\xff\n"),
        "subsets/dog.txt: not UTF-8 (",
        ["subsets"],
    ),
    "true mask gone": (
        lambda to: (to.parents[1] / "2-true.png").unlink(),
        "../../2-true.png: ",
        ["true_masks/train"],
    ),
    "other photographs": (
        lambda to: write_masks_of(
            to / f"predictions/{NETWORKS[1]}/train/shard-1",
            ["1", "x"],
            digest(to / f"segmenter/{NETWORKS[1]}/checkpoint.pth"),
        ),
        f"predictions/{NETWORKS[1]}/train/shard-1: of other photographs than shard 1 of 2; delete it and run",
        [f"predictions/{NETWORKS[1]}/train/shard-1"],
    ),
    "one photograph in two shards": (
        lambda to: write_maps_of(
            to / "features/blocks.6/shard-2.h5", ["0"], digest(to / "classifier/checkpoint.pth")
        ),
        "features/blocks.6/shard-2.h5: of a run with more shards than the others; delete it",
        [],
    ),
    "index malformed": (
        lambda to: (to / "index/index.csv").write_text("id\n"),
        "index/index.csv: no column 'height'; run the stage `build_index` again",
        ["index/index.csv"],
    ),
}
"""What is damaged -> how, how the line that tells it begins, what is to be made again (None: not asked)."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_told_with_its_remedy(results, monkeypatch, capsys, damage):
    change, expected, again = DAMAGES[damage]
    change(results)
    lines, failure = verify(monkeypatch, capsys, results)
    told = [line for line in lines if line.startswith("wrong: ")]
    line = f"wrong: {results}/{expected}".replace("{to}", str(results))
    line = line.replace(f"{results}/../..", str(results.parents[1]))
    assert any(one.startswith(line) for one in told), "\n".join(lines)
    assert re.fullmatch(rf"{results}: {len(told)} of what was verified is wrong; see above", failure)
    assert re.search(rf" outputs verified, {len(told)} problems?, 0 left over$", lines[-1])
    if again is not None:
        targets = [f"{results}/{one}" for one in again]
        commands = [f"    rm -rf {' '.join(targets)}", f"    snakemake --cores all {' '.join(targets)}"]
        assert lines[-3:-1] == commands if again else len(lines) == len(told) + 1


def test_features_whose_shards_were_exchanged_are_told(results, monkeypatch, capsys):
    exchange(*(results / f"features/blocks.6/shard-{shard}.h5" for shard in (0, 1)))
    lines, _ = verify(monkeypatch, capsys, results)
    for shard in (0, 1):
        assert any(
            f"shard-{shard}.h5: of other photographs than shard {shard} of 2" in line for line in lines
        )


@pytest.mark.parametrize("name", ["index", "true_masks/val"])
def test_what_everything_else_was_made_with_is_missed(results, monkeypatch, capsys, name):
    shutil.rmtree(results / name)
    lines, failure = verify(monkeypatch, capsys, results)
    assert failure and any(line.startswith(f"wrong: {results / name}: missing, though ") for line in lines)


def test_shards_of_a_run_with_more_of_them_are_only_deleted(results, monkeypatch, capsys):
    """After `shards: 1` in place of 2, where the features alone were made again."""
    origin = digest(results / "classifier/checkpoint.pth")
    write_maps_of(results / "features/blocks.6/shard-0.h5", list("0123"), origin)
    lines, failure = verify(monkeypatch, capsys, results)
    assert failure and len(lines) == 2
    assert "features/blocks.6/shard-1.h5: of a run with more shards than the others; delete it" in lines[0]


def test_an_output_that_breaks_its_reader_hides_no_other(results, monkeypatch, capsys):
    def broken(path):
        raise RecursionError("too deep")

    monkeypatch.setitem(READERS, "classifier/*.json", broken)
    (results / "proxy_masks/blocks.6/shard-0/2.png").unlink()
    lines, _ = verify(monkeypatch, capsys, results)
    told = "\n".join(lines)
    assert "classifier/training.json: cannot be read (RecursionError: too deep); delete it and run" in told
    assert "shard-0/2.png: gone since it was made" in told


def test_what_is_not_kept_is_not_missed(results, monkeypatch, capsys):
    for name in ("logits", "figures", "segmenter/truth", "predictions/truth", "subsets"):
        shutil.rmtree(results / name, ignore_errors=True)
    (results / "scores/val/truth/net/round1.json").unlink()
    assert verify(monkeypatch, capsys, results)[1] is None


def test_what_killed_jobs_left_is_told_and_no_failure(results, monkeypatch, capsys):
    left = [
        results / "cam/.shard-0.h5.partial",
        results / "proxy_masks/cam/.shard-0.partial",
        results / "segmenter/cam/net/round1/checkpoint.pth.resume",
    ]
    for path in left[:2]:
        (path / "abc" / "shard-0").mkdir(parents=True)
        (path / "abc" / "shard-0" / "manifest.json").write_text("{")
    left[2].parent.mkdir(parents=True)
    left[2].write_bytes(b"half a st")
    lines, failure = verify(monkeypatch, capsys, results)
    assert failure is None and lines[-2].endswith(" 0 problems, 3 left over")
    assert [line.split(": ")[1] for line in lines[:-2]] == [str(path) for path in left]


@pytest.mark.parametrize("name", ["mini", "none"])
def test_run_without_results_is_an_error(tmp_path, monkeypatch, capsys, name):
    (tmp_path / "mini" / "logs").mkdir(parents=True)
    lines, failure = verify(monkeypatch, capsys, tmp_path / name)
    assert (lines, failure) == (
        [],
        f"{tmp_path / name}: no results of a run; name one with --config run=NAME",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read_is_told(results, monkeypatch, capsys):
    (results / "classifier/checkpoint.pth").chmod(0)
    lines, _ = verify(monkeypatch, capsys, results)
    assert any("classifier/checkpoint.pth" in line for line in lines)


def test_verifying_changes_nothing(results, monkeypatch, capsys):
    def everything():
        return {path: path.is_file() and digest(path) for path in results.rglob("*")}

    before, threads = everything(), torch.get_num_threads()
    verify(monkeypatch, capsys, results)
    torch.set_num_threads(threads)
    assert everything() == before
