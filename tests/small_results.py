"""The results of a whole run in small, made without any network, and what verifies them."""

import json
import sys

import numpy as np
from torch import nn

import verify_results
from helpers import photograph_rows, write_photograph, write_zero_mask
from tagseg.cam_shards import write_cam
from tagseg.checkpoints import save_checkpoint
from tagseg.errors import TagsegError
from tagseg.files import digest
from tagseg.index import Index, write_index
from tagseg.map_shards import View, write_maps
from tagseg.mask_shards import MANIFEST, write_mask_shard
from tagseg.patterns import ClassPattern, patterns_digest, write_patterns
from tagseg.true_masks import write_true_masks

CLASSES = ("background", "cat", "dog")
NETWORKS = ("blocks.6/net/round1", "blocks.6/net/round2", "truth/net/round1")
SHARDS = 2


def write_maps_of(path, ids, origin):
    with write_maps(path, ids, "blocks.6", origin) as writer:
        writer.write(View(8), 0, np.ones((len(ids), 3, 2, 2)))


def write_masks_of(folder, ids, origin=""):
    write_mask_shard(folder, [(name, np.zeros((8, 12), np.uint8)) for name in ids], origin)


def write_network(path, value, **description):
    model = nn.Linear(2, 2)
    nn.init.constant_(model.weight, value)
    nn.init.zeros_(model.bias)
    save_checkpoint(path, model, {"kind": "any", **description})


def write_classifier(results, value=0.0):
    write_network(results / "classifier/checkpoint.pth", value)
    for name in ("training", "average_precision"):
        (results / f"classifier/{name}.json").write_text("{}")


def write_patterns_of(results, layer, value=1.0):
    pattern = ClassPattern(np.array([value]), np.zeros(1), np.ones(1), 9)
    classifier = digest(results / "classifier/checkpoint.pth")
    write_patterns(results / "patterns" / layer, dict.fromkeys(CLASSES[1:], pattern), "blocks.6", classifier)


def write_segmenter(results, network, labels, value=0.0):
    folder = results / "segmenter" / network
    masks = [digest(path) for path in sorted((results / labels).glob(f"*/{MANIFEST}"))]
    write_network(folder / "checkpoint.pth", value, masks=masks)
    (folder / "training.json").write_text(json.dumps({"epochs": [value]}))


def write_scores(path, results, split, masks):
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "index": digest(results / "index/index.csv"),
        "true_masks": digest(results / f"true_masks/{split}/masks.csv"),
        "masks": {str(one): digest(one) for one in (results / masks).glob(f"*/{MANIFEST}")},
    }
    path.write_text(json.dumps({"split": split, "provenance": told}))


def sharded(rows):
    return enumerate([row.id for row in rows[shard::SHARDS]] for shard in range(SHARDS))


def write_results(tmp_path):
    """The results of a run: two shards a set, one layer and a chosen one, two rounds and the upper bound."""
    train = photograph_rows(tmp_path / "photos" / "train", 4, tags=("dog",))
    val = photograph_rows(tmp_path / "photos" / "val", 6, tags=("cat",), split="val")[4:]
    results = tmp_path / "results" / "mini"
    write_index(results / "index", Index(CLASSES, (*train, *val)))
    for split, rows in (("train", train), ("val", val)):
        write_true_masks_of(results / "true_masks" / split, tmp_path, rows)
    write_classifier(results)
    write_of_train(results, train)
    write_of_networks(results, train, val)
    write_rest(results)
    return results


def write_true_masks_of(folder, tmp_path, rows):
    folder.mkdir(parents=True)
    write_true_masks(folder, {row.id: str(write_zero_mask(tmp_path / f"{row.id}-true.png")) for row in rows})


def write_of_train(results, train):
    """Write what there is of the train photographs: features, CAM, patterns, masks, their scores."""
    classifier = digest(results / "classifier/checkpoint.pth")
    for shard, ids in sharded(train):
        write_maps_of(results / f"features/blocks.6/shard-{shard}.h5", ids, classifier)
        write_cam(results / f"cam/shard-{shard}.h5", [(name, 2, np.ones((2, 2))) for name in ids], classifier)
    origins = {"cam": classifier, "truth": ""}
    for layer in ("blocks.6", "auto"):
        write_patterns_of(results, layer)
        origins[layer] = patterns_digest(results / "patterns" / layer)
    for seed, origin in origins.items():
        for stage in ("seed_masks", "proxy_masks")[seed == "truth" :]:
            for shard, ids in sharded(train[: 3 if seed == "truth" else 4]):
                write_masks_of(results / f"{stage}/{seed}/shard-{shard}", ids, origin)
            write_scores(results / f"scores/{stage}/{seed}.json", results, "train", f"{stage}/{seed}")


def write_of_networks(results, train, val):
    """Write segmenters, their logits and predictions, and the scores of those."""
    labels = ("proxy_masks/blocks.6", "predictions/blocks.6/net/round1/train", "proxy_masks/truth")
    for value, (network, learnt) in enumerate(zip(NETWORKS, labels, strict=True)):
        write_segmenter(results, network, learnt, value)
        origin = digest(results / f"segmenter/{network}/checkpoint.pth")
        for split, rows in (("train", train), ("val", val)):
            for shard, ids in sharded(rows):
                write_maps_of(results / f"logits/{network}/{split}/shard-{shard}.h5", ids, origin)
                write_masks_of(results / f"predictions/{network}/{split}/shard-{shard}", ids, origin)
        write_scores(results / f"scores/val/{network}.json", results, "val", f"predictions/{network}/val")


def write_rest(results):
    """Write subsets, tables, pictures, and what the verification has nothing to do with."""
    for name, content in {
        "subsets/cat.txt": "",
        "subsets/dog.txt": "0\n1\n",
        "tables/table_1.csv": "a,b\n1,2\n",
        "report/report.html": "<p>",
        "logs/any.log": "",
        "index/.snakemake_timestamp": "",
    }.items():
        (results / name).parent.mkdir(exist_ok=True)
        (results / name).write_text(content)
    write_photograph(results / "report/training.png")


def verify(monkeypatch, capsys, results, threads=1):
    """Return the lines that are printed, and what the script fails with, or None."""
    arguments = ["verify_results.py", "--results", results, "--threads", threads]
    monkeypatch.setattr(sys, "argv", [str(one) for one in arguments])
    try:
        verify_results.main()
    except TagsegError as error:
        return capsys.readouterr().out.splitlines(), str(error)
    return capsys.readouterr().out.splitlines(), None


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def exchange(left, right):
    aside = left.with_name("aside")
    left.rename(aside)
    right.rename(left)
    aside.rename(right)
