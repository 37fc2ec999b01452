"""The configurations for VOC and COCO hold what the paper's experimental setup gives, line by line.

The lines are in `paper_setup.csv`: section of the paper, what it says, configuration, key, value as YAML.
A key is

* a dotted path in the merged configuration, which the overlay itself has to hold (`any`: anything but null);
* `published.*`, a number that the data set's adapter demands (`dataset.counts_known`);
* `test:*`, what no key can say: the test of that name in this file.
"""

import csv
from dataclasses import replace
from functools import cache, reduce
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from snakemake.utils import update_config
from torch import nn

from helpers import photograph_rows
from refine_masks import refine
from tagseg.crf import CrfSettings
from tagseg.datasets import coco, voc
from tagseg.deeplab import DeepLabLargeFov, SegmenterSettings
from tagseg.files import digest
from tagseg.images import write_mask
from tagseg.inference import InferenceSettings, multi_scale_scores
from tagseg.mask_shards import MaskFile
from tagseg.subsets import draw_subset

ROOT = Path(__file__).parents[2]
COLUMNS = ["section", "what", "config", "key", "value"]
PUBLISHED = {
    "voc2012": {
        "train": voc.PUBLISHED_PHOTOGRAPHS["train"],
        "trainaug": voc.PUBLISHED_PHOTOGRAPHS[voc.TRAINAUG],
        "foreground_classes": len(voc.VOC_CLASSES),
        "classes": len(voc.VOC_CLASSES) + 1,
    },
    "coco2017": {**coco.PUBLISHED, "classes": coco.PUBLISHED_CLASSES + 1},
}


def lines():
    with open(Path(__file__).with_name("paper_setup.csv"), encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@cache
def overlay(name):
    return yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def merged(name):
    content = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    update_config(content, overlay(name))
    return content


def at(content, key):
    """Return what a dotted path leads to. Raises KeyError where it leads nowhere."""
    return reduce(lambda section, word: section[word], key.split("."), content)


def of_kind(kind):
    """Return the lines whose keys are `published.`, `test:`, or, as all others, of the configuration."""
    chosen = [line for line in lines() if kind_of(line["key"]) == kind]
    return [pytest.param(line, id=f"{line['config']}-{line['key']}") for line in chosen]


def kind_of(key):
    return next((prefix for prefix in ("published.", "test:") if key.startswith(prefix)), "configuration")


# The lines -----------------------------------------------------------------------------------------


def test_lines_are_whole_and_named_once():
    assert list(lines()[0]) == COLUMNS
    assert all(all(line[column] for column in COLUMNS) for line in lines())
    named = [(line["config"], line["key"]) for line in lines()]
    assert len(named) == len(set(named))
    assert {config for config, _ in named} == PUBLISHED.keys()


@pytest.mark.parametrize("line", of_kind("configuration"))
def test_configuration_has_the_papers_value(line):
    found, value = at(merged(line["config"]), line["key"]), yaml.safe_load(line["value"])
    if value == "any":
        assert found is not None
    else:
        assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("line", of_kind("configuration"))
def test_the_overlay_itself_says_so(line):
    assert at(overlay(line["config"]), line["key"]) == at(merged(line["config"]), line["key"])


@pytest.mark.parametrize("line", of_kind("published."))
def test_the_adapter_demands_the_papers_number(line):
    assert overlay(line["config"])["dataset"]["counts_known"] is True
    assert PUBLISHED[line["config"]][line["key"].removeprefix("published.")] == int(line["value"])


@pytest.mark.parametrize("line", of_kind("test:"))
def test_what_no_key_says_has_a_test(line):
    assert line["value"] == "passes"
    assert callable(globals()[line["key"].removeprefix("test:")])


@pytest.mark.parametrize("key", ["segmenter.training.no_such_key", "subset.cap", "subsets.cap.more"])
def test_a_key_that_is_not_there_fails(key):
    with pytest.raises((KeyError, TypeError)):
        at(merged("voc2012"), key)


# What no key says ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize(("backbone", "channels"), [("vgg16", 512), ("resnet101", 2048)])
def test_head_stands_on_both_networks(name, backbone, channels):
    settings = SegmenterSettings(**merged(name)["segmenter"]["network"])
    assert settings.weights == "imagenet"
    with torch.device("meta"):
        model = DeepLabLargeFov(replace(settings, backbone=backbone, weights=None), 21).eval()
        scores = model(torch.zeros(1, 3, 328, 328))
    assert (model.head[0].in_channels, model.head[0].out_channels) == (channels, 1024)
    assert scores.shape == (1, 21, 41, 41)


class SideAndTwice(nn.Module):
    """Scores two classes by the side of the input and by twice that, wherever."""

    def forward(self, images):
        side = float(images.shape[-1])
        return torch.tensor([side, 2 * side]).view(1, 2, 1, 1).expand(len(images), 2, 5, 5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_scores_of_the_sizes_are_averaged(name):
    settings = InferenceSettings(**merged(name)["segmenter"]["inference"])
    photograph = np.zeros((6, 9, 3), np.uint8)
    scores = next(multi_scale_scores(SideAndTwice(), [photograph], settings, torch.device("cpu")))
    mean = (241 + 328 + 401) / 3
    expected = torch.tensor([mean, 2 * mean]).view(2, 1, 1).expand(2, 6, 9)
    torch.testing.assert_close(scores, expected)


@pytest.mark.parametrize(("tags", "refined"), [(("cat",), True), (("cat", "dog"), False)])
def test_crf_is_for_masks_of_a_single_class(tmp_path, tags, refined):
    (row,) = photograph_rows(tmp_path, 1, tags=tags)
    Image.new("RGB", (row.width, row.height), "grey").save(row.path)
    mask = np.zeros((row.height, row.width), np.uint8)
    mask[3, 3] = 1  # a dot on nothing, which the CRF takes away
    write_mask(tmp_path / "mask.png", mask)
    file = MaskFile(row.id, tmp_path / "mask.png", row.height, row.width, digest(tmp_path / "mask.png"))
    settings = merged("voc2012")["crf"]
    crf = CrfSettings(**settings["proxy"], reference_side=settings["reference_side"])
    assert refine((row, file, crf, 1024))[3, 3] == (0 if refined else 1)


def test_subsets_are_drawn_at_random(tmp_path):
    (row,) = photograph_rows(tmp_path, 1, tags=("cat",))
    rows = [replace(row, id=f"{number:05}") for number in range(3000)]
    cap = merged("voc2012")["subsets"]["cap"]
    first, second = (draw_subset(rows, "cat", cap, seed) for seed in (0, 1))
    assert len(set(first)) == len(set(second)) == 800
    for chosen in (first, second):
        assert abs(np.mean([int(name) for name in chosen]) - 1500) < 100  # three standard errors
    assert (
        150 < len(set(first) & set(second)) < 280
    )  # 213 of two draws that have nothing to do with each other
