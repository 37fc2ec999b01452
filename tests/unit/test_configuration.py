"""What the schema of the configuration takes, and what it does not, as our validator reads it."""

import copy
from pathlib import Path

import jsonschema
import pytest
import yaml

from tagseg.configuration import config_problems

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text())
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def problems_with(key: str, value: object) -> list[str]:
    """Return what is wrong with config.yaml where the dotted `key` has that value."""
    content = copy.deepcopy(CONFIG)
    *sections, last = key.split(".")
    section = content
    for name in sections:
        section = section[name]
    section[last] = value
    return config_problems(content, SCHEMA)


def parts(schema: object):
    """Yield every mapping in a schema."""
    if isinstance(schema, dict):
        yield schema
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from parts(part)


def test_the_configuration_is_sound():
    assert config_problems(CONFIG, SCHEMA) == []


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("value", [2.0, True, "2", 10**400], ids=["2.0", "True", "text", "huge"])
def test_whole_numbers_are_written_so(value):
    assert problems_with("shards", value)


@pytest.mark.parametrize("value", [True, float("nan"), float("inf"), "1"])
def test_numbers_are_finite(value):
    assert problems_with("crf.test.bilateral_sxy", value)


@pytest.mark.parametrize("value", [16.0, True, 64])
def test_strides_are_whole_numbers(value):
    assert problems_with("segmenter.network.output_stride", value)


@pytest.mark.parametrize(("value", "sound"), [([1.25, 0.8], False), ([1, 1], True), ([0.5, 2], True)])
@pytest.mark.parametrize("stage", ["classifier", "segmenter"])
def test_scales_ascend(stage, value, sound):
    assert (problems_with(f"{stage}.training.scales", value) == []) == sound


def test_scales_of_a_tables_row_ascend():
    networks = {"vgg16": {"training": {"scales": [2, 1]}}}
    assert problems_with("tables.networks", networks) == [
        "tables.networks.vgg16.training.scales: [2, 1] is not in ascending order"
    ]


def test_scales_that_are_no_numbers_are_told_as_such():
    assert problems_with("classifier.training.scales", ["b", 1]) == [
        "classifier.training.scales.0: 'b' is not of type 'number'"
    ]


@pytest.mark.parametrize("use", ["proxy", "test"])
@pytest.mark.parametrize("key", ["gaussian_sxy", "bilateral_sxy", "bilateral_srgb"])
@pytest.mark.parametrize(("value", "sound"), [(0.01, False), (0.1, True), (10_000, True), (1e5, False)])
def test_standard_deviations_are_bounded(use, key, value, sound):
    """Far below a pixel or a grey value the CRF's library ends the process."""
    assert (problems_with(f"crf.{use}.{key}", value) == []) == sound


@pytest.mark.parametrize("use", ["proxy", "test"])
@pytest.mark.parametrize("key", ["gaussian_compat", "bilateral_compat"])
@pytest.mark.parametrize(("value", "sound"), [(-1, False), (0, True), (1000, True), (1e300, False)])
def test_weights_of_the_crf_are_bounded(use, key, value, sound):
    assert (problems_with(f"crf.{use}.{key}", value) == []) == sound


@pytest.mark.parametrize("key", ["run", "layer", "threads", "classifier.network.backbone"])
def test_no_text_ends_with_a_line_break(key):
    section = CONFIG
    for name in key.split("."):
        section = section[name]
    assert problems_with(key, section) == [] and problems_with(key, f"{section}\n")


def test_no_pattern_ends_before_a_line_break():
    patterns = [part["pattern"] for part in parts(SCHEMA) if isinstance(part.get("pattern"), str)]
    assert len(patterns) > 20 and all(pattern.endswith(r"$(?!\n)") for pattern in patterns)
