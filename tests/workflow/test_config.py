"""A wrong configuration ends the run before anything is made, with a message that names the key."""

import re

import pytest

# Overlay -> what the message has to name: the section by its dotted key, and the key or value in it.
MISTAKES = {
    "unknown keys, at every depth": (
        {"sigma": 1, "crf": {"sigma": 1, "test": {"sigma": 1}}, "dataset": {"demo": {"colour": "red"}}},
        ["top level: .*'sigma'", "crf: .*'sigma'", r"crf\.test: .*'sigma'", r"dataset\.demo: .*'colour'"],
    ),
    "misspelt keys": (
        {"segmenter": {"training": {"epoch": 3}}, "classifier": {"traning": {"epochs": 3}}},
        [r"segmenter\.training: .*'epoch'", r"classifier: .*'traning'"],
    ),
    "wrong types": (
        {
            "shards": "two",
            "threads": "many",
            "layer": 5,
            "subsets": {"cap": 1.5},
            "features": {"sizes": 64, "flip": "yes"},
            "segmenter": {"retrain": None},
            "ablation": {"layers": []},
            "run": "a/b",
        },
        [
            r"shards: 'two'",
            r"threads: 'many'",
            r"layer: 5",
            r"subsets\.cap: 1\.5",
            r"features\.sizes: 64",
            r"features\.flip: 'yes'",
            r"segmenter\.retrain: None",
            r"ablation\.layers: \[\]",
            r"run: 'a/b'",
        ],  # fmt: skip
    ),
    "negative": (
        {
            "random_seed": -1,
            "threads": 0,
            "subsets": {"cap": -5, "random_seed": -2},
            "classifier": {"training": {"head_lr": -0.1}},
        },
        [
            r"random_seed: -1",
            "threads: 0",
            r"subsets\.cap: -5",
            r"subsets\.random_seed: -2",
            r"classifier\.training\.head_lr: -0\.1",
        ],
    ),
    "zero": (
        {
            "shards": 0,
            "segmenter": {"rounds": 0, "training": {"epochs": 0}},
            "crf": {"test": {"bilateral_sxy": 0}},
        },
        [
            r"shards: 0",
            r"segmenter\.rounds: 0",
            r"segmenter\.training\.epochs: 0",
            r"crf\.test\.bilateral_sxy: 0",
        ],
    ),
    "huge": (
        {"random_seed": 2**40, "shards": 10**9, "segmenter": {"inference": {"sizes": [10**6]}}},
        [r"random_seed: 1099511627776", r"shards: 1000000000", r"segmenter\.inference\.sizes\.0: 1000000"],
    ),
    "not among the known": (
        {
            "dataset": {"kind": "coco17", "true_masks": ["all"]},
            "submission": {"competition": "comp1", "split": "train"},
            "classifier": {"network": {"backbone": "resnet51", "output_stride": 4}},
            "segmenter": {"training": {"optimizer": "lion", "precision": "float8"}},
        },
        [
            r"dataset\.kind: 'coco17'",
            r"dataset\.true_masks\.0: 'all'",
            r"submission\.competition: 'comp1'",
            r"submission\.split: 'train'",
            r"classifier\.network\.backbone: 'resnet51'",
            r"classifier\.network\.output_stride: 4",
            r"segmenter\.training\.optimizer: 'lion'",
            r"segmenter\.training\.precision: 'float8'",
        ],  # fmt: skip
    ),
    "no folder of photographs": ({"dataset": {"kind": "photos"}}, [r"photos: None"]),
    "a folder of photographs that is not there": (
        {"dataset": {"kind": "photos"}, "photos": "no/such folder"},
        [r"photos: no/such folder"],
    ),
    "a devkit that is not there": (
        {"dataset": {"kind": "voc", "root": "no/devkit", "test_root": "no/test", "sbd": "no/sbd"}},
        [r"dataset\.root: no/devkit", r"dataset\.test_root: no/test", r"dataset\.sbd: no/sbd"],
    ),
    "a copy of COCO that is not there": (
        {"dataset": {"kind": "coco", "root": "no/coco"}},
        [r"dataset\.root: no/coco: no such folder"],
    ),
    "folders of another kind of data set": (
        {"dataset": {"root": ".", "sbd": "."}, "photos": "."},
        [
            r"dataset\.root: \.: is set, but dataset\.kind is demo; make that voc or coco",
            r"dataset\.sbd: \.: is set, but dataset\.kind is demo; make that voc,",
            r"photos: \.: is set, but dataset\.kind is demo",
        ],
    ),
    "archives that are not fetched so": (
        {
            "fetch": {
                "archives": {
                    "sbd": {"url": "file:///etc/passwd", "md5": "0"},
                    "voc2007": {"url": "http://a/b"},
                }
            }
        },
        [
            r"fetch\.archives\.sbd\.url: 'file:///etc/passwd'",
            r"fetch\.archives\.sbd\.md5: '0'",
            r"fetch\.archives: .*'voc2007'",
        ],
    ),
    "seeds that are no layer": (
        {"layer": "cam", "ablation": {"layers": ["truth"]}},
        [r"layer: 'cam'", r"ablation\.layers\.0: 'truth'"],
    ),
    "floats for whole numbers": (
        {
            "shards": 2.0,
            "random_seed": 0.0,
            "features": {"sizes": [32.0]},
            "segmenter": {"rounds": 2.0, "network": {"output_stride": 16.0}, "training": {"batch_size": 4.0}},
        },
        [
            r"shards: 2\.0 is not of type 'integer'",
            r"random_seed: 0\.0",
            r"features\.sizes\.0: 32\.0",
            r"segmenter\.rounds: 2\.0",
            r"segmenter\.network\.output_stride: 16\.0",
            r"segmenter\.training\.batch_size: 4\.0",
        ],
    ),
    "numbers that fit no photograph": (
        {
            "classifier": {"training": {"scales": [1.25, 0.8], "micro_batch": 10**6}},
            "crf": {"proxy": {"bilateral_srgb": 1e-6}, "test": {"gaussian_compat": 1e300}},
        },
        [
            r"classifier\.training\.scales: \[1\.25, 0\.8\] is not in ascending order",
            r"classifier\.training\.micro_batch: 1000000",
            r"crf\.proxy\.bilateral_srgb: 1e-06 is less than the minimum of 0\.1",
            r"crf\.test\.gaussian_compat: 1e\+300 is greater than the maximum of 1000",
        ],
    ),
    "line breaks at the end": (
        {"run": "demo\n", "layer": "blocks.5.0\n"},
        [r"run: 'demo\\n'", r"layer: 'blocks\.5\.0\\n'"],
    ),
    "names that Snakemake takes for patterns": (
        {
            "results": "a{b}",
            "new_photos": "we{ird}",
            "fetch": {"folder": "data}"},
            "classifier": {"network": {"weights": "{w}.pth"}},
            "figures": {"classes": ["cat", "{dog}"]},
        },
        [
            r"results: a\{b\}: braces, .*; name something without them",
            r"new_photos: we\{ird\}: braces",
            r"fetch\.folder: data\}: braces",
            r"classifier\.network\.weights: \{w\}\.pth: braces",
            r"figures\.classes\.1: \{dog\}: braces",
        ],
    ),
    "results that commands take for an option": (
        {"results": "-x"},
        [r"results: -x/mini: begins with '-', as options of commands do; name another folder"],
    ),
    "results in a file": (
        {"results": "config.yaml/below"},
        [r"results: config\.yaml: is a file; name a folder"],
    ),
    "an upper bound without true masks of train": (
        {"report": {"upper_bound": True}, "dataset": {"true_masks": ["val"]}},
        [r"report\.upper_bound: is true, but no true masks of train; add train to dataset\.true_masks"],
    ),
    "new photographs that are not there": ({"new_photos": "no/photos"}, [r"new_photos: no/photos"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_before_anything_runs(checkout, name):
    mistake, messages = MISTAKES[name]
    done = checkout.snakemake("--", "all", config=mistake)
    assert done.returncode != 0
    for message in messages:
        assert re.search(rf"^  {message}", done.stdout, re.M), f"{message!r} is not in:\n{done.stdout}"
    assert "Traceback" not in done.stdout
    assert not (checkout.folder / "results").exists()


def test_a_key_of_the_command_line_is_checked_too(checkout):
    done = checkout.snakemake("--config", "laier=blocks.6", "--", "all")
    assert done.returncode != 0 and "'laier'" in done.stdout
    assert not (checkout.folder / "results").exists()


def test_segment_asks_for_the_folder(checkout):
    done = checkout.snakemake("--", "segment")
    assert done.returncode != 0 and "new_photos=FOLDER" in done.stdout
    assert not (checkout.folder / "results").exists()


def test_a_folder_of_photographs_without_a_table_says_what_to_write(checkout, tmp_path):
    (tmp_path / "photos").mkdir()
    config = {"results": str(tmp_path / "results"), "dataset": {"kind": "photos"}}
    config["photos"] = str(tmp_path / "photos")
    done = checkout.snakemake("--", "all", config=config)
    assert done.returncode != 0
    assert "labels.csv: no such file" in done.stdout and "columns image, labels" in done.stdout


def test_an_unknown_layer_is_named_with_the_blocks_that_there_are(run):
    """It shows only where the network is built: the classifier is trained by then, and stays."""
    done = run.snakemake("--", "all", config={"layer": "blocks.9.9"})
    assert done.returncode != 0
    log = (run.results / "logs" / "extract_features" / "blocks.9.9" / "shard-0.log").read_text()
    assert "no node 'blocks.9.9'" in log and "blocks.5" in log and "Traceback" not in log
    assert "no node 'blocks.9.9'" in done.stdout
    assert not list((run.results / "features").glob("blocks.9.9/*"))
    assert not run.planned()
