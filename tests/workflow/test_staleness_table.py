"""staleness_table.md, row by row: a change, and exactly the jobs that run again. And what it leaves out."""

from collections import Counter

import pytest

import staleness_changes
from helpers import write_image, write_labels
from pretended_run import PretendedRun
from staleness_changes import CHANGES, TABLE, on_another_machine

pytestmark = pytest.mark.slow

STAGES = {
    "index": "build_index", "truth": "collect_ground_truth", "subsets": "sample_subsets",
    "classifier": "train_classifier", "features": "extract_features", "CAM": "compute_cam",
    "patterns": "find_patterns", "seeds": "estimate_masks", "choice": "choose_layer",
    "proxy": "refine_masks", "their scores": "score_masks", "segmenter": "train_segmenter",
    "logits": "compute_logits", "masks": "decide_masks", "scores": "score_predictions",
    "report": "render_report",
}  # fmt: skip
"""The columns of the table, and their rules: all rules of the target `all`."""


@pytest.fixture(scope="module")
def pretended(checkout, tmp_path_factory) -> PretendedRun:
    images = tmp_path_factory.mktemp("data") / "images"
    for name in ("0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"):
        write_image(images / name, seed=int(name[0]))
    (images / "4.jpg").rename(images / "4.jfif")
    for name in ("more", "others"):
        (images / name).mkdir()
    staleness_changes.set_link(images, "more")
    (images / "loop.jpg").symlink_to("loop.jpg")
    write_labels(images, "0.jpg,dog,train", "1.jpg,cat,train", "2.jpg,dog;cat,train", "3.jpg,dog,val")
    (images / "classes.txt").write_text("dog\ncat\n")
    config = {"run": "images", "photos": str(images)}
    for network in ("classifier", "segmenter"):
        path = images.with_name(f"{network}.pth")
        path.write_bytes(staleness_changes.LARGE + network.encode())
        config[network] = {"network": {"weights": str(path)}}
    return PretendedRun(checkout, config)


def documented() -> dict[str, Counter[str]]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    start = next(position for position, row in enumerate(rows) if row[1:] == list(STAGES)) + 2
    table = {change: zip(STAGES.values(), cells, strict=True) for change, *cells in rows[start:]}
    return {change: Counter({rule: int(cell) for rule, cell in row if cell}) for change, row in table.items()}


EXPECTED = documented()


def test_the_table_and_the_tested_changes_are_the_same_and_nothing_re_runs_at_first(pretended):
    assert list(EXPECTED) == list(CHANGES) and pretended.planned() == Counter()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_re_runs_the_jobs_of_its_row(pretended, tmp_path, change):
    assert CHANGES[change](pretended, tmp_path) == EXPECTED[change]


def test_nothing_re_runs_at_last(pretended):
    """Every change was undone; otherwise the rows after it prove nothing."""
    assert pretended.planned() == Counter()


def test_an_image_more_in_a_folder_to_segment_re_runs_the_segmentation_and_notes_nothing(pretended, tmp_path):
    config = {"new_photos": str(tmp_path / "new")}
    write_image(tmp_path / "new" / "0.jpg")
    (pretended.results / "segmented" / "new").mkdir(parents=True)
    pretended.snakemake("--touch", "--forceall", "--", "segment", **config)
    staleness_changes.write_notes(tmp_path / "new")
    assert pretended.planned(target="segment", **config) == Counter()
    write_image(tmp_path / "new" / "1.jpg")
    assert pretended.planned(target="segment", **config) == Counter(segment_images=1)


def test_one_time_stamp_for_all_results_hides_no_changed_setting(pretended, tmp_path):
    with on_another_machine(pretended, tmp_path):
        assert pretended.planned()["train_segmenter"] == 2  # new time stamps: what the command is for
        staleness_changes.give_one_time(pretended.checkout.folder)
        change = {"crf": {"test": {"bilateral_sxy": 40}}}
        assert pretended.planned(**change) == EXPECTED["`crf.test.bilateral_sxy`"]


NEW_LAYER = Counter(extract_features=2, find_patterns=1, estimate_masks=2, refine_masks=2, score_masks=2)
NEW_ROUND = Counter(train_segmenter=1, compute_logits=4, decide_masks=4, score_predictions=1, render_report=1)
LONGER = {"resnet18": {"network": {"weights": None}, "training": {"frozen": [], "epochs": 2}}}
MORE = {"seeds": ["blocks.5.0", "blocks.5.1"], "networks": LONGER}

COMPUTED = {
    "nothing": ((), {}, Counter()),
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


@pytest.mark.parametrize("change", COMPUTED)
def test_a_change_after_a_computed_run_re_runs_the_jobs_that_depend_on_it(run, change):
    targets, config, expected = COMPUTED[change]
    assert run.planned(*targets, config=config) == expected


def test_tables_leave_a_row_empty_or_train_what_it_needs(run):
    empty = run.planned("tables", config={"tables": {**MORE, "missing": "empty"}})
    assert empty and set(empty) <= {rule for rule in run.first_plan if rule.startswith("build_table")}
    trained = run.planned("tables", config={"tables": {**MORE, "missing": "run"}})
    assert trained["train_segmenter"] == 3  # blocks.5.0, and two rounds of ResNet-18
