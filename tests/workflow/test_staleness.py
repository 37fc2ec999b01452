"""What re-runs after a change of a run that was computed, with all targets: what depends on it, no more.

The table of docs/changing.md is in test_staleness_table.py, each module in test_staleness_modules.py.
"""

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection
from contextlib import contextmanager

import pytest

# A change of the configuration -> the rules whose jobs see it; what depends on those re-runs too, and the
# page of results, which tells the whole configuration.
CONFIG_CHANGES = {
    "crf.proxy.iterations": ({"crf": {"proxy": {"iterations": 3}}}, ["refine_masks"]),
    "crf.test.bilateral_sxy": ({"crf": {"test": {"bilateral_sxy": 40}}}, ["decide_masks"]),
    "cam.background_threshold": ({"cam": {"background_threshold": 0.3}}, ["threshold_cam"]),
    "segmenter.training.epochs": ({"segmenter": {"training": {"epochs": 2}}}, ["train_segmenter"]),
    "features.sizes": ({"features": {"sizes": [64, 96]}}, ["extract_features", "compute_cam"]),
    "dataset.difficult": ({"dataset": {"difficult": False}}, ["build_index"]),
    "random_seed": ({"random_seed": 1}, ["make_demo"]),
    "figures.photographs": (
        {"figures": {"photographs": 2}},
        ["draw_figure_1", "draw_figure_4", "draw_figure_5"],
    ),
    "gpus": ({"gpus": 2}, []),
    "threads": ({"threads": 2}, []),
}

MODULES = ("crf", "mask_grids", "metrics", "paper_figures", "report_page", "training")


class Graph:
    """The jobs of a run and which job reads what of which other, as Snakemake draws them."""

    def __init__(self, dot: str, target_rules: Collection[str]) -> None:
        self.rules = dict(re.findall(r'^\t(\d+)\[label = "(\w+)', dot, re.M))
        self.target_rules = target_rules
        self.readers = defaultdict(set)
        for source, reader in re.findall(r"^\t(\d+) -> (\d+)", dot, re.M):
            self.readers[source].add(reader)

    def from_rules_on(self, rules) -> Counter[str]:
        """Return the jobs of the rules, and all jobs that depend on them, counted by rule."""
        waiting = [job for job, rule in self.rules.items() if rule in set(rules)]
        found = set()
        while waiting:
            job = waiting.pop()
            if job not in found:
                found.add(job)
                waiting.extend(self.readers[job])
        return Counter(self.rules[job] for job in found if self.rules[job] not in self.target_rules)


@pytest.fixture(scope="module")
def graph(run) -> Graph:
    return Graph(run.snakemake("--dag", "dot", "--", *run.targets).stdout, run.target_rules)


@pytest.fixture(scope="module")
def scripts(run) -> dict[str, str]:
    """Each rule's script, as its shell command names it."""
    text = "\n".join(path.read_text() for path in (run.folder / "rules").glob("*.smk"))
    blocks = re.split(r"^rule (\w+):$", text, flags=re.M)[1:]
    named = [(rule, re.search(r"/(\w+)\.py", block)) for rule, block in zip(*[iter(blocks)] * 2, strict=True)]
    return {rule: found[1] for rule, found in named if found}


IMPORTED_MODULES = """
import importlib, json, sys
sys.path.insert(0, "workflow_scripts")
found = {}
for script in sys.argv[1:]:
    for name in [name for name in sys.modules if name.split(".")[0] == "tagseg"]:
        del sys.modules[name]
    importlib.import_module(script)
    found[script] = [name for name in sys.modules if name.split(".")[0] == "tagseg"]
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def imported(run, scripts) -> dict[str, list[str]]:
    """The modules of ours that are loaded once a script is imported, asked of Python itself."""
    done = run.call("-W", "ignore", "-c", IMPORTED_MODULES, *sorted(set(scripts.values())))
    return json.loads(done.stdout)


def rules_that_import(module, scripts, imported) -> list[str]:
    return [rule for rule, script in scripts.items() if module in imported[script]]


def test_the_graph_holds_the_whole_plan(run, graph):
    assert graph.from_rules_on(["make_demo"]) == run.first_plan


def test_nothing_re_runs_right_after(run):
    assert run.planned() == Counter()


def test_nothing_re_runs_with_another_number_of_cores(run):
    assert run.planned(cores=7) == Counter()


def test_nothing_re_runs_after_every_source_was_touched(run):
    for name in run.sources:
        os.utime(run.folder / name)
    assert run.planned() == Counter()


def test_nothing_re_runs_after_a_fresh_checkout_over_the_old_one(run):
    before = {name: (run.folder / name).read_bytes() for name in run.sources}
    for name in before:
        (run.folder / name).unlink()
    for name, content in before.items():
        (run.folder / name).write_bytes(content)
    assert run.planned() == Counter()


@contextmanager
def moved(run):
    """Rename the folder of a run for the time of a block."""
    home, away = run.folder, run.folder.with_name("elsewhere")
    home.rename(away)
    run.folder = away
    try:
        yield
    finally:
        away.rename(home)
        run.folder = home


def test_nothing_re_runs_after_the_folder_was_moved(run):
    with moved(run):
        assert run.planned() == Counter()


@pytest.mark.parametrize("source", ["envs/light.yaml", "envs/torch.yaml", "config/photos.yaml"])
def test_nothing_re_runs_after_an_edit_that_no_job_sees(run, source):
    with run.edited(source, "\n# edited\n"):
        assert run.planned() == Counter()


@pytest.mark.parametrize("key", CONFIG_CHANGES)
def test_a_setting_re_runs_what_depends_on_it(run, graph, key):
    change, rules = CONFIG_CHANGES[key]
    assert run.planned(config=change) == graph.from_rules_on([*rules, "compose_report"])


def test_settings_of_the_comparison_concern_no_other_target(run):
    changed = {"cam": {"background_threshold": 0.3}}
    assert run.planned("all", config=changed) == Counter(compose_report=1)


def test_another_layer_needs_no_new_classifier_cam_or_subsets(run):
    assert run.planned("all", config={"layer": "blocks.5.0"}) == Counter(
        extract_features=2, find_patterns=1, estimate_masks=2, refine_masks=2, score_masks=2,
        train_segmenter=2, compute_logits=6, decide_masks=6, score_predictions=2, draw_report=1,
        compose_report=1,
    )  # fmt: skip


def test_a_layer_of_the_ablation_has_its_proxy_masks_and_its_first_round_already(run):
    """The first round was trained for table 1."""
    assert run.planned("all", "upper_bound", config={"layer": "blocks.6"}) == Counter(
        train_segmenter=1, compute_logits=4, decide_masks=4, score_predictions=1, draw_report=1,
        compose_report=1, compare_upper_bound=1,
    )  # fmt: skip


def test_one_round_more_trains_on_the_predictions_of_the_last(run):
    assert run.planned("all", "upper_bound", config={"segmenter": {"rounds": 3}}) == Counter(
        train_segmenter=1, compute_logits=4, decide_masks=4, score_predictions=1, draw_report=1,
        compose_report=1, compare_upper_bound=1,
    )  # fmt: skip


def test_one_round_less_trains_nothing(run):
    assert run.planned("all", "upper_bound", config={"segmenter": {"rounds": 1}}) == Counter(
        draw_report=1, compose_report=1, compare_upper_bound=1
    )


def test_tables_that_train_nothing_leave_what_was_not_run_empty(run):
    """A row that is new: with `missing: empty` it is written without numbers."""
    networks = {"resnet18": {}, "resnet34": {"network": {"weights": None}, "training": {"frozen": []}}}
    more = {"seeds": ["blocks.4.2", "blocks.5.1"], "networks": networks}
    tables = run.planned("tables", config={"tables": {**more, "missing": "empty"}})
    assert tables == Counter(build_table_1=1, build_table_2=1)
    assert run.planned("tables", config={"tables": {**more, "missing": "run"}})["train_segmenter"] == 3


def test_another_schedule_of_a_network_of_the_tables_trains_that_network_alone(run):
    networks = {"resnet18": {"training": {"epochs": 2}}}
    assert run.planned(config={"tables": {"networks": networks}}) == Counter(
        train_segmenter=2, compute_logits=4, decide_masks=4, score_predictions=1, build_table_2=1,
        compose_report=1,
    )  # fmt: skip


def test_another_crf_of_the_test_phase_forwards_nothing(run):
    plan = run.planned("all", config={"crf": {"test": None}, "segmenter": {"retrain": {"crf": False}}})
    assert plan["train_segmenter"] == 1 and plan["decide_masks"] == 6  # round 2 learns from other masks
    only_val = {"crf": {"test": {"bilateral_srgb": 9}}, "segmenter": {"rounds": 1}}
    assert run.planned("all", config=only_val) == Counter(
        decide_masks=2, score_predictions=1, draw_report=1, compose_report=1
    )


def test_one_layer_more_in_the_ablation_leaves_the_others_alone(run):
    layers = ["blocks.4.2", "blocks.5.0", "blocks.5.1", "blocks.6"]
    assert run.planned(config={"ablation": {"layers": layers}}) == Counter(
        extract_features=2, find_patterns=1, estimate_masks=2, refine_masks=2, score_masks=2,
        compare_seeds=1, compose_report=1,
    )  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_an_edited_module_re_runs_the_stages_that_import_it(run, graph, scripts, imported, module):
    rules = rules_that_import(f"tagseg.{module}", scripts, imported)
    assert rules, f"no rule imports {module}"
    with run.edited(f"workflow_scripts/tagseg/{module}.py"):
        assert run.planned() == graph.from_rules_on(rules)


def test_an_edited_script_re_runs_its_own_stage(run, graph):
    with run.edited("workflow_scripts/find_patterns.py"):
        assert run.planned() == graph.from_rules_on(["find_patterns"])


def test_a_module_of_another_data_set_concerns_the_data_stages_alone(run, graph, scripts, imported):
    module = "tagseg.datasets.labels_table"
    stages = {"build_index", "collect_true_masks", "check_data"}
    assert set(rules_that_import(module, scripts, imported)) == {*stages, "segment_photographs"}
    with run.edited("workflow_scripts/tagseg/datasets/labels_table.py"):
        assert run.planned() == graph.from_rules_on(stages)


def test_one_split_less_with_true_masks_leaves_the_scores_of_the_other(run):
    assert run.planned("all", config={"dataset": {"true_masks": ["val"]}}) == Counter(
        collect_true_masks=1, score_masks=2, draw_report=1, compose_report=1
    )


def test_an_upper_bound_without_true_masks_of_train_is_refused_at_once(run):
    config = {"run": "without_truth", "dataset": {"true_masks": ["val"]}}
    done = run.snakemake("-n", "--", "upper_bound", config=config)
    assert done.returncode != 0
    assert "add train to dataset.true_masks" in done.stdout


@contextmanager
def without(run, result: str):
    """Put a result aside for the time of a block."""
    lost = run.results / result
    aside = lost.rename(run.folder / "aside")
    try:
        yield
    finally:
        aside.rename(lost)


VANISHED = {
    "report/summary.md": Counter(draw_report=1, compose_report=1),
    "tables/ablation.png": Counter(compare_seeds=1),
    "segmenter/blocks.5.1/efficientnet_lite0/round2/checkpoint.pth": Counter(
        train_segmenter=1,
        compute_logits=2,
        decide_masks=2,
        score_predictions=1,
        draw_report=1,
        compose_report=1,
        compare_upper_bound=1,
        build_table_1=1,
        build_table_2=1,
        build_table_3=1,
        draw_figure_5=1,
    ),  # fmt: skip
}


@pytest.mark.parametrize("result", VANISHED)
def test_a_target_that_vanished_is_made_again(run, result):
    with without(run, result):
        assert run.planned() == VANISHED[result]


def test_what_only_made_other_results_may_be_deleted(run):
    with without(run, "features"):
        assert run.planned() == Counter()
