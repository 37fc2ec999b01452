"""The whole workflow on a miniature: every declared output exists in the form that its readers expect; `verify`."""

import ast
import csv
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from helpers import read_csv
from tagseg.storage.cam_shards import read_cam
from tagseg.storage.feature_shards import MapShard
from tagseg.storage.files import digest
from tagseg.storage.ground_truth import read_ground_truth
from tagseg.storage.images import read_image, read_mask, voc_palette, write_mask
from tagseg.storage.index import read_index
from tagseg.storage.mask_shards import mask_provenance, read_mask_shards

CHANNELS = {"blocks.5.1": 192, "blocks.6": 320}
LAYERS, LAYER, BACKBONE, SHARDS = tuple(CHANNELS), "blocks.5.1", "efficientnet_lite0", (0, 1)
PLAN = Counter(
    generate_demo=1, build_index=1, collect_ground_truth=2, sample_subsets=1, train_classifier=1,
    compute_cam=2, extract_features=6, find_patterns=3, estimate_masks=6, threshold_cam=2, refine_masks=6,
    copy_ground_truth=2, train_segmenter=4, compute_logits=10, decide_masks=10, score_masks=6,
    score_predictions=4, compare_seeds=1, compare_upper_bound=1, render_report=1,
    build_table_1=1, build_table_2=1, build_table_3=1,
    draw_figure_1=1, draw_figure_3=1, draw_figure_4=1, draw_figure_5=1,
)  # fmt: skip
READERS_OF_GROUND_TRUTH = {
    "score_masks", "score_predictions", "render_report", "draw_figure_1", "draw_figure_4", "draw_figure_5",
    "copy_ground_truth",  # for the upper bound
}  # fmt: skip
SHARD = f"proxy_masks/{LAYER}/shard-1"
PREDICTIONS = [
    (f"{LAYER}/{BACKBONE}/round1", "train"), (f"{LAYER}/{BACKBONE}/round2", "val"),
    (f"truth/{BACKBONE}/round1", "val"),
]  # fmt: skip
SCORES = [f"{stage}/{seed}" for stage in ("seed_masks", "proxy_masks") for seed in (*LAYERS, "cam")]
SCORES += [f"val/{network}" for network in (f"{LAYER}/{BACKBONE}/round2", f"truth/{BACKBONE}/round1")]


@pytest.fixture(scope="module")
def results(run) -> Path:
    return run.results


@pytest.fixture
def index(run, monkeypatch):
    monkeypatch.chdir(run.folder)  # its paths are relative to the folder of the run
    return read_index(run.results / "index")


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_job_of_the_plan_ran_once_and_left_a_log_and_a_benchmark(run, results):
    assert run.first_plan == PLAN
    steps = PLAN.total() + len(run.targets)
    assert f"{steps} of {steps} steps (100%)" in run.finished
    benchmarks = [path.relative_to(results / "benchmarks") for path in results.glob("benchmarks/**/*.tsv")]
    assert Counter(path.parts[0].removesuffix(".tsv") for path in benchmarks) == PLAN
    assert all((results / "logs" / path.with_suffix(".log")).is_file() for path in benchmarks)
    temporary = [path for pattern in (".*", "*.resume", "*.tmp") for path in results.rglob(pattern)]
    assert {path.name for path in temporary} <= {".snakemake_timestamp"}


def test_no_job_takes_more_time_or_memory_than_its_rule_asks_for(results):
    asked = 0
    for path in results.glob("benchmarks/**/*.tsv"):
        (row,) = csv.DictReader(path.read_text().splitlines(), delimiter="\t")
        resources = ast.literal_eval(row["resources"])
        assert float(row["s"]) < 60 * resources["runtime"], path
        assert row["max_rss"] in ("NA", "-") or float(row["max_rss"]) < resources["mem_mb"], path
        asked += "train_" in path.name and resources["runtime"] < 15
    assert asked


def test_every_declared_output_exists_and_is_current(run):
    listed = run.make("--summary", "--", *run.targets)
    rows = list(csv.DictReader(listed[listed.index("output_file\t") :].splitlines(), delimiter="\t"))
    assert len(rows) > PLAN.total()
    for row in rows:
        assert (run.folder / row["output_file"]).exists() and row["plan"] == "no update", row


def test_no_stage_that_learns_from_tags_reads_ground_truth(run):
    dot = run.make("--dag", "dot", "--", *run.targets)
    rules = dict(re.findall(r'^\t(\d+)\[label = "(\w+)', dot, re.M))
    edges = re.findall(r"^\t(\d+) -> (\d+)", dot, re.M)
    readers = {rules[reader] for source, reader in edges if rules[source] == "collect_ground_truth"}
    assert readers == READERS_OF_GROUND_TRUTH


def test_index_and_subsets(results, index):
    assert len(index.of_split("train")) == 10 and len(index.of_split("val")) == 4
    assert index.classes[0] == "background" and len(index.classes) == 4
    for row in index.images:
        assert read_image(row.path).shape == (row.height, row.width, 3) == (48, 64, 3)
        assert row.tags and set(row.tags) <= set(index.classes[1:])
    rows = read_csv(results / "index" / "classes.csv")
    colours = [[int(row[name]) for name in ("red", "green", "blue")] for row in rows]
    assert colours == voc_palette()[:4].tolist()
    subsets = {path.stem: path.read_text().splitlines() for path in (results / "subsets").glob("*.txt")}
    train = index.of_split("train")
    assert subsets == {tag: [row.id for row in train if tag in row.tags] for tag in index.classes[1:]}


@pytest.mark.parametrize("shard", SHARDS)
def test_features_and_cam_of_a_shard_and_patterns(results, index, shard):
    rows = index.shard("train", shard, 2)
    for layer in LAYERS:
        with MapShard(results / "features" / layer / f"shard-{shard}.h5") as features:
            maps = features.maps(0)["64"]
            assert features.ids == tuple(row.id for row in rows) and features.views == ("64",)
            assert maps.shape == (CHANNELS[layer], 4, 4) and maps.dtype == np.float32
        for tag in index.classes[1:]:
            pattern = np.load(results / "patterns" / layer / tag / "eigenvector.npy", allow_pickle=False)
            assert pattern.shape == (CHANNELS[layer],) and np.linalg.norm(pattern) == pytest.approx(1)
    cams = read_cam(results / "cam" / f"shard-{shard}.h5")
    expected = {row.id: set(index.class_indices(row)) for row in rows}
    assert {name: set(maps) for name, maps in cams.items()} == expected
    assert all(np.isfinite(cam).all() for maps in cams.values() for cam in maps.values())


def masks_of(folder: Path, rows) -> dict[str, np.ndarray]:
    """Return the labels by id; check manifests and files: palette PNGs of the images' sizes."""
    masks = read_mask_shards([folder / f"shard-{shard}" for shard in SHARDS])
    assert set(masks) == {row.id for row in rows}
    for row in rows:
        file = masks[row.id]
        assert (file.height, file.width) == (row.height, row.width) == file.read().shape
        assert digest(file.path) == file.sha256
        with Image.open(file.path) as image:
            assert image.mode == "P" and image.getpalette("RGB") == voc_palette().ravel().tolist()
    return {name: file.read() for name, file in masks.items()}


@pytest.mark.parametrize("stage", ["seed_masks", "proxy_masks"])
@pytest.mark.parametrize("seed", [*LAYERS, "cam"])
def test_masks_of_train_have_no_label_but_the_tags(results, index, stage, seed):
    train = index.of_split("train")
    masks = masks_of(results / stage / seed, train)
    assert all(set(np.unique(masks[row.id])) <= {0, *index.class_indices(row), 255} for row in train)


def test_the_upper_bound_trains_on_the_ground_truth(results, index):
    masks = masks_of(results / "proxy_masks" / "truth", index.of_split("train"))
    truth = read_ground_truth(results / "ground_truth" / "train")
    assert set(truth) == set(masks)
    assert all(np.array_equal(masks[name], read_mask(path)) for name, path in truth.items())


@pytest.mark.parametrize(("network", "split"), PREDICTIONS)
def test_predictions_have_no_void_and_in_train_no_label_but_the_tags(results, index, network, split):
    masks = masks_of(results / "predictions" / network / split, index.of_split(split))
    for row in index.of_split(split):
        allowed = {0, *index.class_indices(row)} if split == "train" else set(range(4))
        assert set(np.unique(masks[row.id])) <= allowed


def test_checkpoints_and_training_logs(results, index):
    folders = [results / "classifier", *results.glob("segmenter/*/*/*")]
    assert len(folders) == 1 + PLAN["train_segmenter"]
    for folder in folders:
        checkpoint = torch.load(folder / "checkpoint.pth", weights_only=True)
        assert set(checkpoint) == {"description", "model"}
        assert checkpoint["description"]["classes"] == list(index.classes)
        assert all(torch.isfinite(value).all() for value in checkpoint["model"].values())
        (epoch,) = read_json(folder / "training.json")["epochs"]
        assert epoch["epoch"] == 1 and np.isfinite(epoch["loss"])
    precision = read_json(results / "classifier" / "average_precision.json")
    assert precision["split"] == "val" and 0 <= precision["mean"] <= 100
    assert set(precision["by_class"]) == set(index.classes[1:])


@pytest.mark.parametrize("name", SCORES)
def test_score_files_have_all_keys_and_count_every_pixel(results, index, name):
    scores, split = read_json(results / "scores" / f"{name}.json"), "val" if name[:4] == "val/" else "train"
    truth = read_ground_truth(results / "ground_truth" / split)
    known = sum((read_mask(path) != 255).sum() for path in truth.values())
    assert list(scores["iou"]) == list(index.classes)
    assert scores["split"] == split and scores["images"] == len(index.of_split(split))
    assert np.array(scores["confusion"]).shape == (4, 5) and np.sum(scores["confusion"]) == known
    assert 0 <= scores["miou"] <= 100 and 0 <= scores["coverage"] <= 1


def test_tables_report_and_figures(run, results, index, tmp_path):
    rows = read_csv(results / "tables" / "ablation.csv")
    assert [row["seed"] for row in rows] == [*LAYERS, "cam"]
    for row in rows:
        scores = read_json(results / "scores" / "proxy_masks" / f"{row['seed']}.json")
        assert f"{scores['miou']:.1f}" in row.values()
    bound = [row["class"] for row in read_csv(results / "tables" / "upper_bound.csv")]
    assert bound == [*index.classes, "mean"]
    stages = [row["stage"] for row in read_csv(results / "report" / "summary.csv")]
    assert stages[-2:] == ["segmenter, round 1", "segmenter, round 2"]
    figures = [path for part in ("report", "tables", "figures") for path in (results / part).glob("*.png")]
    assert len(figures) >= 10
    for path in figures:
        pixels = read_image(path)
        assert min(pixels.shape[:2]) > 100 and pixels.std() > 1, path
    run.make("--report", tmp_path / "report.html")  # Snakemake's own
    assert "examples_val" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def copied(run, tmp_path_factory):
    """A copy of the whole run, results and Snakemake's records, that may be damaged."""
    made = type(run)(tmp_path_factory.mktemp("verified") / "repository")
    for name in ("results", ".snakemake"):
        shutil.copytree(run.folder / name, made.folder / name)
    return made


def test_verify_passes_every_time_and_outputs_hold_the_digest_of_their_network(copied):
    for _ in range(2):
        assert " outputs verified, 0 problems" in copied.make("--", "verify")
    done = copied.snakemake("--", "verify", config={"run": "none"})
    assert done.returncode != 0 and "results/none: no results. Name a run with --config run=NAME" in done.stdout
    with MapShard(copied.results / f"features/{LAYER}/shard-0.h5") as shard:
        assert shard.origin == digest(copied.results / "classifier/checkpoint.pth")
    network = f"{LAYER}/efficientnet_lite0/round2"
    origin = mask_provenance(copied.results / f"predictions/{network}/val/shard-1")
    assert origin == digest(copied.results / f"segmenter/{network}/checkpoint.pth")


def test_verify_lists_damaged_files_which_are_made_again_after_their_deletion(copied):
    masks = sorted((copied.results / SHARD).glob("*.png"))
    write_mask(masks[0], np.full((48, 64), 255, np.uint8))
    masks[1].unlink()
    features = copied.results / f"features/{LAYER}/shard-0.h5"
    os.truncate(features, features.stat().st_size // 2)
    done = copied.snakemake("--", "verify")
    assert done.returncode != 0 and " outputs verified, 3 problems" in done.stdout
    remedy = f"Delete the folder results/mini/{SHARD}"
    assert f"{masks[0].name}: changed since it was written. {remedy}" in done.stdout
    assert f"{masks[1].name}: missing. {remedy}" in done.stdout
    assert f"features/{LAYER}/shard-0.h5: not a file of tagseg, or damaged" in done.stdout
    shutil.rmtree(copied.results / SHARD)
    features.unlink()
    copied.make("--", f"results/mini/{SHARD}", f"results/mini/features/{LAYER}/shard-0.h5")
    copied.make("--", "verify")


def test_features_of_another_classifier_are_refused_by_the_stage_that_reads_them(copied):
    path = copied.results / "features/blocks.6/shard-1.h5"
    with h5py.File(path, "r+") as file:
        file.attrs.modify("origin", b"d" * 64)
    done = copied.snakemake("--force", "--", "results/mini/patterns/blocks.6")
    assert done.returncode != 0
    assert "shard-1.h5: from another classifier than results/mini/features/blocks.6/shard-0.h5" in done.stdout
