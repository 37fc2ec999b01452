"""Bad input, one table for all of it: each row is fed to the reader that a stage reads it by.

docs/bad_input.md shows the same table.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import yaml

from bad_input_annotations import COCO, MASKS, VOC
from bad_input_photographs import PHOTOGRAPHS, TABLES
from bad_input_places import PLACES, WORKS, Row
from bad_input_results import RESULTS
from tagseg.configuration import config_problems
from tagseg.errors import TagsegError

ROOT = Path(__file__).parents[2]


class Case(NamedTuple):
    """One input: in which section it is told, what it is, what is answered (a part), and who feeds it."""

    section: str
    what: str
    answer: str
    feed: Callable[[Path], object]

    @property
    def short(self) -> str:
        return re.sub(r"\W+", " ", self.what).strip()


# Configuration -------------------------------------------------------------------------------------


def of_config(text: str) -> Callable[[Path], None]:
    """Return what checks config.yaml with an overlay laid over it."""

    def feed(folder: Path) -> None:
        content = yaml.safe_load((ROOT / "config.yaml").read_text())
        lay_over(content, yaml.safe_load(text))
        schema = yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text())
        problems = config_problems(content, schema)
        if problems:
            raise TagsegError("\n".join(problems))

    return feed


def lay_over(content: dict, overlay: dict) -> None:
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            lay_over(content[key], value)
        else:
            content[key] = value


CONFIGURATION: list[Row] = []
for what, text, answer in (
    ("unknown key", "sigma: 1", "top level: Additional properties are not allowed ('sigma' was unexpected)"),
    ("misspelt key", "segmenter: {training: {epoch: 3}}",
     "segmenter.training: Additional properties are not allowed ('epoch' was unexpected)"),
    ("negative number", "subsets: {cap: -5}", "subsets.cap: -5 is less than the minimum of 1"),
    ("huge number", "shards: 1000000000", "shards: 1000000000 is greater than the maximum of 10000"),
    ("share of unreadable photographs of 1", "dataset: {unreadable_share: 1.0}",
     "dataset.unreadable_share: 1.0 is greater than or equal to the maximum of 1"),
    ("`.nan` for a number", "classifier: {training: {head_lr: .nan}}",
     "classifier.training.head_lr: nan is not of type 'number'"),
    ("`.inf` for a number", "classifier: {training: {head_lr: .inf}}",
     "classifier.training.head_lr: inf is not of type 'number'"),
    ("text for a number", "shards: two", "shards: 'two' is not of type 'integer'"),
    ("float for a whole number", "shards: 2.0", "shards: 2.0 is not of type 'integer'"),
    ("scales from high to low", "classifier: {training: {scales: [1.25, 0.8]}}",
     "classifier.training.scales: [1.25, 0.8] is not in ascending order"),
    ("CRF of a millionth of a grey value", "crf: {test: {bilateral_srgb: 1.0e-6}}",
     "crf.test.bilateral_srgb: 1e-06 is less than the minimum of 0.1"),
    ("CRF of a huge weight", "crf: {proxy: {gaussian_compat: 1.0e+300}}",
     "crf.proxy.gaussian_compat: 1e+300 is greater than the maximum of 1000"),
    ("huge micro_batch", "segmenter: {training: {micro_batch: 1000000}}",
     "segmenter.training.micro_batch: 1000000 is greater than the maximum of 65536"),
    ("name of a run with `/`", "run: a/../../b", "run: 'a/../../b' does not match"),
    ("name of a run with a line break", 'run: "demo\\n"', r"run: 'demo\n' does not match"),
):  # fmt: skip
    CONFIGURATION.append((what, answer, of_config(text)))


# The table -----------------------------------------------------------------------------------------

CONFIG = "Configuration"
SECTIONS = {
    "Photographs": PHOTOGRAPHS,
    "Tables of labels and class lists": TABLES,
    "COCO's annotations": COCO,
    "VOC's annotations and lists": VOC,
    "True masks": MASKS,
    "Links, pipes and names": PLACES,
    "Results of earlier stages, and weights": RESULTS,
    CONFIG: CONFIGURATION,
}
CASES = [Case(section, *row) for section, rows in SECTIONS.items() for row in rows]


@pytest.mark.timeout(60)  # what waits for a named pipe waits forever
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.short)
def test_bad_input(case, tmp_path):
    if case.answer == WORKS:
        case.feed(tmp_path)
        return
    with pytest.raises(TagsegError) as caught:
        case.feed(tmp_path)
    assert case.answer in str(caught.value)
    assert ";" in str(caught.value) or case.section == CONFIG, "no remedy"
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "case", [case for case in CASES if "malicious" in case.what], ids=lambda case: case.short
)
def test_the_malice_is_real(case, tmp_path):
    """Read without care, these files do make the folder that the test above looks for."""
    with pytest.raises(TagsegError):
        case.feed(tmp_path)
    (path,) = [*tmp_path.glob("*.pth"), *tmp_path.rglob("eigenvector.npy")]
    if path.suffix == ".npy":
        np.load(path, allow_pickle=True)
    else:
        torch.load(path, weights_only=False)
    assert (tmp_path / "executed").is_dir()


def test_the_documentation_has_the_same_table():
    text = (ROOT / "docs" / "bad_input.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (.+)$|^\| (?!input )([^|]+?) \| (.+?) \|$", text, re.M)
    rows, section = [], ""
    for head, what, answer in found:
        section = head or section
        rows += [(section, what, answer)] if what else []
    assert rows == [(case.section, case.what, shown(case.answer)) for case in CASES]


def shown(answer: str) -> str:
    return answer if answer == WORKS else f"`` {answer} ``"


def test_there_are_forty_at_least_and_none_twice():
    assert len({case.what for case in CASES}) == len(CASES) >= 40
