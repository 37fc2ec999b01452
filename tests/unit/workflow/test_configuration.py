"""The configuration: config.yaml equals the models' defaults, and every mistake is reported with its key."""

import re
from pathlib import Path

import pytest
import yaml

from tagseg.runtime.errors import TagsegError
from tagseg.workflow.config_check import parse_config
from tagseg.workflow.configuration import json_schema
from tagseg.workflow.paper_tables import PaperTables
from tagseg.workflow.plan import Plan
from tagseg.workflow.stages import Stages

ROOT = Path(__file__).parents[3]
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())

# Overlay -> what the message has to contain: the dotted key, and what is wrong with it.
MISTAKES = {
    "unknown keys, at every depth": (
        {"sigma": 1, "crf": {"sigma": 1, "test": {"sigma": 1}}, "dataset": {"demo": {"colour": "red"}}},
        ["sigma: unknown key", r"crf\.sigma: unknown key", r"crf\.test\.sigma: unknown", r"dataset\.demo\.colour: un"]),
    "misspelt keys": (
        {"segmenter": {"training": {"epoch": 3}}, "classifier": {"traning": {"epochs": 3}}},
        [r"segmenter\.training\.epoch: unknown key. Did you mean segmenter\.training\.epochs\?",
         r"classifier\.traning: unknown key. Did you mean classifier\.training\?"]),
    "wrong types": (
        {"shards": "two", "threads": "many", "layer": 5, "subsets": {"cap": 1.5}, "segmenter": {"retrain": None},
         "features": {"sizes": 64, "flip": "yes"}, "ablation": {"layers": []}, "run": "a/b"},
        ["shards: 'two'", "threads: 'many'", "layer: 5", r"subsets\.cap: 1\.5", r"segmenter\.retrain: None",
         r"features\.sizes: 64", r"features\.flip: 'yes'", r"ablation\.layers: \[\]", "run: 'a/b'"]),
    "negative": (
        {"random_seed": -1, "subsets": {"cap": -5}, "classifier": {"training": {"head_lr": -0.1}}},
        ["random_seed: -1", r"subsets\.cap: -5", r"classifier\.training\.head_lr: -0\.1"]),
    "zero": (
        {"shards": 0, "threads": 0, "segmenter": {"rounds": 0, "training": {"epochs": 0}},
         "crf": {"test": {"bilateral_sxy": 0}}},
        ["shards: 0", "threads: 0", r"segmenter\.rounds: 0", r"segmenter\.training\.epochs: 0",
         r"crf\.test\.bilateral_sxy: 0"]),
    "huge or not finite": (
        {"random_seed": 2**40, "shards": 10**9, "segmenter": {"inference": {"sizes": [10**6]}},
         "crf": {"test": {"bilateral_sxy": float("nan"), "gaussian_sxy": True}}},
        ["random_seed: 1099511627776", "shards: 1000000000", r"segmenter\.inference\.sizes\.0: 1000000",
         r"crf\.test\.bilateral_sxy: nan", r"crf\.test\.gaussian_sxy: True"]),
    "an unknown kind of data set": ({"dataset": {"kind": "coco17"}}, [r"dataset\.kind: 'coco17': unknown"]),
    "keys that have a new name": (
        {"patterns": {"boundary": "cam"}, "dataset": {"true_masks": []}},
        [r"patterns\.boundary: .* now called patterns\.threshold", r"dataset\.true_masks: .*dataset\.ground_truth"]),
    "not among the known": (
        {"dataset": {"ground_truth": ["all"]}, "submission": {"competition": "comp1", "split": "train"},
         "classifier": {"network": {"backbone": "resnet51", "output_stride": 4}},
         "segmenter": {"training": {"optimizer": "lion", "precision": "float8"}}},
        [r"dataset\.ground_truth\.0: 'all'", r"submission\.competition: 'comp1'", r"submission\.split: 'train'",
         r"classifier\.network\.backbone: 'resnet51'", r"classifier\.network\.output_stride: 4",
         r"segmenter\.training\.optimizer: 'lion'", r"segmenter\.training\.precision: 'float8'"]),
    "no folder of images": ({"dataset": {"kind": "photos"}}, ["photos: not set. Add --config photos=FOLDER"]),
    "folders of images that are not there": (
        {"dataset": {"kind": "photos"}, "photos": "no/such folder", "new_photos": "no/photos"},
        ["photos: no/such folder", "new_photos: no/photos"]),
    "a devkit that is not there": (
        {"dataset": {"kind": "voc", "root": "no/devkit", "test_root": "no/test", "sbd": "no/sbd"}},
        [r"dataset\.root: no/devkit", r"dataset\.test_root: no/test", r"dataset\.sbd: no/sbd"]),
    "a copy of COCO that is not there": (
        {"dataset": {"kind": "coco", "root": "no/coco"}}, [r"dataset\.root: no/coco: no such folder"]),
    "folders of another kind of data set": (
        {"dataset": {"root": ".", "sbd": "."}, "photos": "."},
        [r"dataset\.root: not a key of dataset\.kind demo\. Remove it, set dataset\.kind to voc or coco",
         r"dataset\.sbd: not a key of dataset\.kind demo\. Remove it, set dataset\.kind to voc,",
         r"photos: set, but dataset\.kind is demo"]),
    "modules that are not a list": (
        {"classifier": {"training": {"frozen": "none"}}, "segmenter": {"training": {"frozen": [3]}}},
        [r"classifier\.training\.frozen: 'none': input should be a valid list",
         r"classifier\.training\.frozen: 'none': input should be 'all'", r"segmenter\.training\.frozen\.0: 3"]),
    "archives that are not fetched so": (
        {"fetch": {"archives": {"sbd": {"url": "file:///etc/passwd", "md5": "0"}, "voc2007": {"url": "http://a/b"}}}},
        [r"fetch\.archives\.sbd\.url: 'file:///etc/passwd'", r"fetch\.archives\.sbd\.md5: '0'",
         r"fetch\.archives\.voc2007: unknown key"]),
    "seeds that are no layer": (
        {"layer": "cam", "ablation": {"layers": ["truth", "ours"]}},
        ["layer: 'cam'", r"ablation\.layers\.0: 'truth'", r"ablation\.layers\.1: 'ours'"]),
    "our rules for a layer that is yet to be chosen": (
        {"layer": "auto", "tables": {"seeds": ["ours"]}}, [r"tables\.seeds: ours: requires a layer that is not"]),
    "floats for whole numbers": (
        {"shards": 2.0, "random_seed": 0.0, "features": {"sizes": [32.0]}},
        [r"shards: 2\.0: input should be a valid integer", r"random_seed: 0\.0", r"features\.sizes\.0: 32\.0"]),
    "numbers that fit no image": (
        {"classifier": {"training": {"scales": [1.25, 0.8], "micro_batch": 10**6}},
         "crf": {"proxy": {"bilateral_srgb": 1e-6}, "test": {"gaussian_compat": 1e300}}},
        [r"classifier\.training\.scales: \[1\.25, 0\.8\]: .*not in ascending order",
         r"classifier\.training\.micro_batch: 1000000",
         r"crf\.proxy\.bilateral_srgb: 1e-06: input should be greater than or equal to 0\.1",
         r"crf\.test\.gaussian_compat: 1e\+300: input should be less than or equal to 1000"]),
    "line breaks at the end": (
        {"run": "demo\n", "layer": "blocks.5.0\n"}, [r"run: 'demo\\n'", r"layer: 'blocks\.5\.0\\n'"]),
    "names that Snakemake reads as wildcards": (
        {"results": "a{b}", "new_photos": "we{ird}", "fetch": {"folder": "data}"},
         "classifier": {"network": {"weights": "{w}.pth"}}, "figures": {"classes": ["cat", "{dog}"]}},
        [r"results: a\{b\}: has braces, .*\. Use a name without them", r"new_photos: .*we\{ird\}: has braces",
         r"fetch\.folder: data\}: has braces", r"classifier\.network\.weights: \{w\}\.pth: has braces",
         r"figures\.classes\.1: \{dog\}: has braces"]),
    "names that YAML reads as numbers": (
        {"run": 2024, "results": 1.5, "photos": {"a": "b"}},
        [r"run: 2024: YAML reads this as int, not as text. Write it .* line run: \"NAME\", and add",
         r"results: 1\.5: YAML reads this as float", r"photos: \{'a': 'b'\}: YAML reads this as dict"]),
    "results that commands read as an option": (
        {"results": "-x"}, [r"results: -x/demo: starts with '-', which commands read as an option\. Rename"]),
    "results in a file": (
        {"results": str(ROOT / "config.yaml" / "below")}, [r"results: .*config\.yaml: is a file\. Name a folder"]),
    "an upper bound without ground truth of train": (
        {"report": {"upper_bound": True}, "dataset": {"ground_truth": ["val"]}},
        [r"report\.upper_bound: requires ground truth of train\. Add train to dataset\.ground_truth"]),
}  # fmt: skip


def overlaid(base: dict, overlay: dict) -> dict:
    """Return a configuration with an overlay on it, as Snakemake merges them."""
    merged = dict(base)
    for key, value in overlay.items():
        inside = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = overlaid(base[key], value) if inside else value
    return merged


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_reported_together(name):
    overlay, messages = MISTAKES[name]
    with pytest.raises(TagsegError) as error:
        parse_config(overlaid(CONFIG, overlay))
    for message in messages:
        assert re.search(rf"^  {message}", str(error.value), re.M), f"{message!r} is not in:\n{error.value}"


def test_config_yaml_has_the_keys_and_the_defaults_of_the_models():
    def plain(config):
        return config.model_dump(exclude={"fetch": {"folder"}})

    def keys(content, prefix=""):
        for key, value in content.items():
            yield f"{prefix}{key}"
            if isinstance(value, dict):
                yield from keys(value, f"{prefix}{key}.")

    assert plain(parse_config(CONFIG)) == plain(parse_config({"dataset": {"kind": "demo"}}))
    assert set(keys(CONFIG)) == set(keys(parse_config(CONFIG).model_dump()))


def test_the_overlays_are_valid_and_the_schema_for_editors_is_that_of_the_models():
    for overlay in ("voc2012", "coco2017", "resnet50"):
        parse_config(overlaid(CONFIG, yaml.safe_load((ROOT / f"config/{overlay}.yaml").read_text())))
    assert (ROOT / "schemas/config.schema.json").read_text() == json_schema()


def test_the_papers_names_of_layers_are_nodes():
    changes = {"layer": "C41", "tables": {"seeds": ["C42", "cam"]}, "segmenter": {"rounds": 2}}
    plan = Plan(overlaid(CONFIG, changes))
    assert plan.config.layer == "layer4.0" and plan.config.tables.seeds == ["layer4.1", "cam"]
    assert [row["name"] for row in PaperTables(plan).table_1()["rows"]] == ["C42", "CAM", "C41 + retrain"]


def test_another_backbone_of_table_2_differs_only_where_its_row_says():
    networks = {"vgg16": {"network": {"weights": None}, "training": {"frozen": []}}}
    plan = Plan(overlaid(CONFIG, {"tables": {"networks": networks}}))
    own, other = Stages(plan).segmenter(plan.backbone), Stages(plan).segmenter("vgg16")
    assert other["network"] == own["network"] | {"backbone": "vgg16", "weights": None}
    assert other["training"] == own["training"] | {"frozen": []}


@pytest.mark.parametrize("stage", ["classifier", "segmenter"])
def test_a_whole_backbone_can_be_frozen(stage):
    plan = Plan(overlaid(CONFIG, {stage: {"training": {"frozen": "all"}}}))
    assert getattr(plan.config, stage).training.frozen == "all"


def test_targets_without_anything_to_make_them_of_are_refused():
    without_truth = Plan(overlaid(CONFIG, {"dataset": {"ground_truth": ["val"]}}))
    for ask in (without_truth.upper_bound_tables, without_truth.upper_bound_scores):
        with pytest.raises(TagsegError, match="no ground truth of train. Add train to dataset.ground_truth"):
            ask(None)
    plan = Plan(CONFIG)
    with pytest.raises(TagsegError, match="no image in test. Set dataset.test_list"):
        plan.submission_archive(None)
    with pytest.raises(TagsegError, match="--config new_photos=FOLDER"):
        plan.segmented_folder(None)
    rehearsal = Plan(overlaid(CONFIG, {"submission": {"split": "val"}}))
    assert rehearsal.submission_archive(None) == "results/demo/submission/comp6_val.tgz"


def test_without_a_shared_disk_the_index_brings_images_along_and_weights_are_no_file_of_this_machine(tmp_path):
    assert Plan(CONFIG).images == [] and Plan(CONFIG, shared_disk=False).images == ["results/demo/index/images"]
    own = overlaid(CONFIG, {"segmenter": {"network": {"weights": "own.pth"}}})
    with pytest.raises(TagsegError, match=r"segmenter.network.weights: own.pth: jobs without a shared disk"):
        Plan(own, shared_disk=False)
    rows = {"tables": {"networks": {"vgg16": {"network": {"weights": "own.pth"}}}}}
    with pytest.raises(TagsegError, match=r"tables.networks.vgg16.network.weights: own.pth: jobs without"):
        Plan(overlaid(CONFIG, rows), shared_disk=False)
    photos = overlaid(CONFIG, {"photos": str(tmp_path / "elsewhere"), "dataset": {"kind": "photos"}})
    Plan(photos, shared_disk=False, is_job=True)
    with pytest.raises(TagsegError, match="no such folder"):
        Plan(photos, shared_disk=False)


def test_a_value_that_yaml_takes_for_a_comment_is_noticed():
    words = ["snakemake", "--config", "results=a #1", "run=demo"]
    with pytest.raises(TagsegError, match="results: a #1: YAML reads it as 'a' and a comment") as error:
        parse_config(CONFIG | {"results": "a"}, words)
    line = re.search("as the line (.*), and", str(error.value))[1]
    assert parse_config(CONFIG | yaml.safe_load(line), words).results == "a #1"


@pytest.mark.parametrize(("change", "line"), [
    ({"run": 2024}, 'run: "2024"'), ({"fetch": {"folder": 1.0}}, 'fetch: {folder: "1.0"}'),
])  # fmt: skip
def test_numbers_and_comments_are_written_into_a_file(change, line):
    """Snakemake removes quotes from `--config`, so that quotes are no remedy there."""
    with pytest.raises(TagsegError, match="as text") as error:
        parse_config(overlaid(CONFIG, change))
    assert line in str(error.value).replace("NAME", line.split('"')[1])
    parse_config(overlaid(CONFIG, yaml.safe_load(line)))
