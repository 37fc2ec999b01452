"""The whole workflow on a miniature: every declared output is there, in the form that its readers expect."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import read_csv
from tagseg.cam_shards import read_cam
from tagseg.files import digest
from tagseg.images import read_mask, read_photograph, voc_palette
from tagseg.index import read_index
from tagseg.map_shards import MapShard
from tagseg.mask_shards import MANIFEST, read_mask_shards
from tagseg.true_masks import read_true_masks

LAYERS = ("blocks.4.2", "blocks.5.1", "blocks.6")
CHANNELS = {"blocks.4.2": 112, "blocks.5.1": 192, "blocks.6": 320}
LAYER, BACKBONE, SHARDS = "blocks.5.1", "efficientnet_lite0", (0, 1)
PREDICTIONS = {
    f"{LAYER}/{BACKBONE}/round1/train": "train",
    f"{LAYER}/{BACKBONE}/round1/val": "val",
    f"{LAYER}/{BACKBONE}/round2/val": "val",
    f"truth/{BACKBONE}/round1/val": "val",
}
SCORES = (
    *(f"{stage}/{seed}" for stage in ("seed_masks", "proxy_masks") for seed in (*LAYERS, "cam")),
    *(f"val/{LAYER}/{BACKBONE}/round{number}" for number in (1, 2)),
    f"val/truth/{BACKBONE}/round1",
)
SCORE_KEYS = {
    "split",
    "miou",
    "miou_void_left_out",
    "iou",
    "pixel_accuracy",
    "coverage",
    "photographs",
    "confusion",
    "provenance",
}


@pytest.fixture(scope="module")
def results(run) -> Path:
    return run.results


@pytest.fixture
def index(run, monkeypatch):
    """The index; its paths are relative to the folder of the run."""
    monkeypatch.chdir(run.folder)
    return read_index(run.results / "index")


def masks_in(folder: Path):
    return read_mask_shards([folder / f"shard-{shard}" for shard in SHARDS])


def test_every_job_ran_once(run):
    assert run.finished.returncode == 0
    steps = run.first_plan.total() + len(run.targets)
    assert f"{steps} of {steps} steps (100%)" in run.finished.stdout


def test_the_plan_has_as_many_jobs_as_the_design_says(run):
    assert run.first_plan == Counter(
        make_demo=1, build_index=1, collect_true_masks=2, draw_subsets=1, train_classifier=1,
        compute_cam=2, extract_features=6, find_patterns=3, estimate_masks=6, threshold_cam=2,
        refine_masks=8, copy_true_masks=2, train_segmenter=7, compute_logits=16, decide_masks=16,
        score_masks=8, score_predictions=6, compare_seeds=1, compare_upper_bound=1, draw_report=1,
        compose_report=1, build_table_1=1, build_table_2=1, build_table_3=1, draw_figure_1=1,
        draw_figure_3=1, draw_figure_4=1, draw_figure_5=1,
    )  # fmt: skip


def test_every_declared_output_exists_and_is_current(run):
    listed = run.snakemake("--summary", "--", *run.targets).stdout
    lines = listed[listed.index("output_file\t") :].splitlines()
    rows = list(csv.DictReader(lines, delimiter="\t"))
    assert len(rows) > run.first_plan.total()
    for row in rows:
        assert (run.folder / row["output_file"]).exists(), row
        assert row["plan"] == "no update", row


def test_each_job_left_a_log_and_a_benchmark(run, results):
    benchmarks = [path.relative_to(results / "benchmarks") for path in results.glob("benchmarks/**/*.tsv")]
    assert len(benchmarks) == run.first_plan.total()
    assert Counter(path.parts[0].removesuffix(".tsv") for path in benchmarks) == run.first_plan
    for path in benchmarks:
        assert (results / "logs" / path.with_suffix(".log")).is_file()
        assert float(rows_of_tsv(results / "benchmarks" / path)[0]["s"]) > 0


def rows_of_tsv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))


def test_nothing_temporary_is_left(results):
    hidden = [path for path in results.rglob(".*") if path.name != ".snakemake_timestamp"]
    assert not hidden
    assert not list(results.rglob("*.resume")) and not list(results.rglob("*.tmp"))


def test_index_has_a_row_a_photograph(results, index):
    with open(results / "index" / "index.csv") as stream:
        assert stream.readline().strip() == "id,path,width,height,split,tags"
    assert len(index.of_split("train")) == 10 and len(index.of_split("val")) == 4
    assert index.classes[0] == "background" and len(index.classes) == 4
    for row in index.photographs:
        assert read_photograph(row.path).shape == (row.height, row.width, 3) == (48, 64, 3)
        assert row.tags and set(row.tags) <= set(index.classes[1:])


def test_classes_come_with_vocs_palette(results):
    rows = read_csv(results / "index" / "classes.csv")
    colours = [[int(row[name]) for name in ("red", "green", "blue")] for row in rows]
    assert [int(row["number"]) for row in rows] == [0, 1, 2, 3]
    assert colours == voc_palette()[:4].tolist()


def test_no_stage_that_learns_from_tags_reads_true_masks(run):
    """Of the jobs that read the tables of true masks, none but the upper bound's masks is learnt from."""
    text = "\n".join(path.read_text() for path in (run.folder / "rules").glob("*.smk"))
    blocks = re.split(r"^rule (\w+):$", text, flags=re.M)[1:]
    readers = {name for name, block in zip(blocks[::2], blocks[1::2], strict=True) if "{input.truth" in block}
    assert readers == {
        "score_masks",
        "score_predictions",
        "copy_true_masks",
        "draw_report",
        "draw_figure_1",
        "draw_figure_4",
        "draw_figure_5",
        "compare_upper_bound",
    }


def test_subsets_list_photographs_of_train_that_carry_the_class(results, index):
    assert {path.stem for path in (results / "subsets").glob("*.txt")} == set(index.classes[1:])
    for tag in index.classes[1:]:
        listed = (results / "subsets" / f"{tag}.txt").read_text().splitlines()
        assert listed == [row.id for row in index.of_split("train") if tag in row.tags]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("shard", SHARDS)
def test_feature_shards_hold_their_photographs(results, index, layer, shard):
    with MapShard(results / "features" / layer / f"shard-{shard}.h5") as features:
        assert features.ids == tuple(row.id for row in index.shard("train", shard, 2))
        assert features.views == ("64",)
        assert features.maps(0)["64"].shape == (CHANNELS[layer], 4, 4)
        assert features.maps(0)["64"].dtype == np.float16


@pytest.mark.parametrize("shard", SHARDS)
def test_cam_shards_hold_a_map_a_tag(results, index, shard):
    cams = read_cam(results / "cam" / f"shard-{shard}.h5")
    expected = {row.id: set(index.numbers(row)) for row in index.shard("train", shard, 2)}
    assert {name: set(maps) for name, maps in cams.items()} == expected
    assert all(np.isfinite(cam).all() for maps in cams.values() for cam in maps.values())


@pytest.mark.parametrize("layer", LAYERS)
def test_patterns_are_unit_vectors_with_sorted_variances(results, index, layer):
    folder = results / "patterns" / layer
    assert set(json.loads((folder / "patterns.json").read_text())["classes"]) == set(index.classes[1:])
    for tag in index.classes[1:]:
        arrays = {name: np.load(folder / tag / f"{name}.npy", allow_pickle=False) for name in NAMES}
        assert arrays["eigenvector"].shape == arrays["mean"].shape == (CHANNELS[layer],)
        assert np.linalg.norm(arrays["eigenvector"]) == pytest.approx(1)
        assert arrays["explained_variance"].shape == (50,)
        assert (np.diff(arrays["explained_variance"]) <= 0).all()
        assert 0 < arrays["explained_variance"].sum() <= 1 + 1e-9


NAMES = ("eigenvector", "mean", "explained_variance")


def assert_masks(folder: Path, rows) -> None:
    """Check the manifests against the files, and the files' form: palette PNGs of the photographs' sizes."""
    masks = masks_in(folder)
    assert set(masks) == {row.id for row in rows}
    for row in rows:
        file = masks[row.id]
        assert (file.height, file.width) == (row.height, row.width) == file.read().shape
        assert digest(file.path) == file.sha256
        with Image.open(file.path) as image:
            assert image.mode == "P" and image.getpalette("RGB") == voc_palette().ravel().tolist()


@pytest.mark.parametrize("stage", ["seed_masks", "proxy_masks"])
@pytest.mark.parametrize("seed", [*LAYERS, "cam"])
def test_masks_of_train_take_no_label_but_the_tags(results, index, stage, seed):
    train = index.of_split("train")
    assert_masks(results / stage / seed, train)
    masks = masks_in(results / stage / seed)
    for row in train:
        assert set(np.unique(masks[row.id].read())) <= {0, *index.numbers(row), 255}


def test_manifests_count_the_pixels_of_each_label(results):
    for path in (results / "proxy_masks").glob(f"*/*/{MANIFEST}"):
        for row in json.loads(path.read_text())["masks"]:
            labels, counts = np.unique(read_mask(path.parent / f"{row['id']}.png"), return_counts=True)
            assert row["pixels"] == dict(zip(map(str, labels), counts.tolist(), strict=True))


def test_masks_of_the_upper_bound_are_the_true_ones(results, index):
    masks = masks_in(results / "proxy_masks" / "truth")
    truths = read_true_masks(results / "true_masks" / "train")
    assert set(truths) == set(masks) == {row.id for row in index.of_split("train")}
    for name, truth in truths.items():
        assert np.array_equal(masks[name].read(), read_mask(truth))


@pytest.mark.parametrize("folder", PREDICTIONS)
def test_predictions_are_certain_and_of_the_photographs_sizes(results, index, folder):
    rows = index.of_split(PREDICTIONS[folder])
    assert_masks(results / "predictions" / folder, rows)
    masks = masks_in(results / "predictions" / folder)
    for row in rows:
        allowed = {0, *index.numbers(row)} if PREDICTIONS[folder] == "train" else set(range(4))
        assert set(np.unique(masks[row.id].read())) <= allowed


def test_checkpoints_hold_tensors_and_a_description_only(results, index):
    paths = {path.relative_to(results).parts[0]: path for path in results.rglob("checkpoint.pth")}
    assert set(paths) == {"classifier", "segmenter"}
    for path in results.rglob("checkpoint.pth"):
        checkpoint = torch.load(path, weights_only=True)
        assert set(checkpoint) == {"description", "model"}
        assert checkpoint["description"]["classes"] == list(index.classes)
        assert all(torch.isfinite(value).all() for value in checkpoint["model"].values())


def test_training_logs_have_a_row_an_epoch(results):
    logs = list(results.rglob("training.json"))
    assert len(logs) == 8  # the classifier's, and those of seven segmenters
    for path in logs:
        (epoch,) = json.loads(path.read_text())["epochs"]
        assert epoch["epoch"] == 1 and np.isfinite(epoch["loss"])


def test_average_precision_of_each_class(results, index):
    precision = json.loads((results / "classifier" / "average_precision.json").read_text())
    assert precision["split"] == "val" and 0 <= precision["mean"] <= 100
    assert set(precision["by_class"]) == set(index.classes[1:])


@pytest.mark.parametrize("name", SCORES)
def test_score_files_have_all_keys_and_count_every_pixel(results, index, name):
    scores = json.loads((results / "scores" / f"{name}.json").read_text())
    split = "val" if name.startswith("val/") else "train"
    rows = index.of_split(split)
    assert set(scores) == SCORE_KEYS
    assert scores["split"] == split and scores["photographs"] == len(rows)
    assert list(scores["iou"]) == list(index.classes)
    truths = read_true_masks(results / "true_masks" / split)
    known = sum((read_mask(truths[row.id]) != 255).sum() for row in rows)
    assert np.array(scores["confusion"]).shape == (4, 5) and np.sum(scores["confusion"]) == known
    assert 0 <= scores["miou"] <= 100 and 0 <= scores["coverage"] <= 1


def test_the_ablation_sets_the_seeds_side_by_side(results):
    rows = read_csv(results / "tables" / "ablation.csv")
    assert [row["seed"] for row in rows] == [*LAYERS, "cam"]
    for row in rows:
        scores = json.loads((results / "scores" / "proxy_masks" / f"{row['seed']}.json").read_text())
        assert f"{scores['miou']:.1f}" in row.values()


def test_the_upper_bound_has_a_row_a_class_and_the_mean(results, index):
    rows = read_csv(results / "tables" / "upper_bound.csv")
    assert [row["class"] for row in rows] == [*index.classes, "mean"]


@pytest.mark.parametrize("name", ["ablation.md", "upper_bound.md"])
def test_tables_for_people_are_markdown(results, name):
    text = (results / "tables" / name).read_text()
    assert text.startswith("# ") and text.count("\n|") > 3


def test_the_report_has_a_summary(results):
    text = (results / "report" / "summary.md").read_text()
    rows = read_csv(results / "report" / "summary.csv")
    assert all(row["stage"] in text for row in rows)
    assert [row["stage"] for row in rows][-2:] == ["segmenter, round 1", "segmenter, round 2"]


@pytest.mark.parametrize("name", ["report/*.png", "tables/*.png"])
def test_figures_can_be_opened_and_are_not_blank(results, name):
    paths = list(results.glob(name))
    assert len(paths) == (6 if name.startswith("report") else 1)
    for path in paths:
        pixels = read_photograph(path)
        assert min(pixels.shape[:2]) > 100 and pixels.std() > 1


def test_snakemakes_own_report_can_be_made(run, tmp_path):
    done = run.snakemake("--report", tmp_path / "report.html")
    assert done.returncode == 0, done.stdout
    assert "examples_val" in (tmp_path / "report.html").read_text(encoding="utf-8")
