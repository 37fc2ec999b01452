"""Checkpoints whose description or state is malformed: one line that names the file, and the remedy."""

import re

import pytest
import torch

from tagseg.checkpoints import load_checkpoint, save_checkpoint
from tagseg.classifier import Classifier, ClassifierSettings, describe, load_classifier
from tagseg.deeplab import DeepLabLargeFov, SegmenterSettings, without_weights
from tagseg.errors import TagsegError
from tagseg.inference import load_segmenter

CLASSES = ("background", "cat", "dog")
NOT_OURS = "not a checkpoint of tagseg"
OTHER_CLASSES = "not a classifier of these classes"
OTHER_NETWORK = "weights of another network"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """The content of a sound checkpoint of a classifier."""
    torch.manual_seed(0)
    model = Classifier(ClassifierSettings("timm:resnet10t", None, 32), len(CLASSES))
    return written(tmp_path_factory.mktemp("sound"), model, describe(model, CLASSES))


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    """The content of a sound checkpoint of a segmenter."""
    settings = SegmenterSettings("timm:resnet10t", None, 32, 8, 2)
    model = DeepLabLargeFov(settings, len(CLASSES))
    description = {"kind": "segmenter", "classes": list(CLASSES), "settings": without_weights(settings)}
    return written(tmp_path_factory.mktemp("sound"), model, description)


def written(folder, model, description):
    save_checkpoint(folder / "checkpoint.pth", model, description)
    return torch.load(folder / "checkpoint.pth", weights_only=True)


def refusal(folder, content, load=load_classifier):
    """Write a checkpoint, load it, and return what it is answered."""
    path = folder / "checkpoint.pth"
    torch.save(content, path)
    with pytest.raises(TagsegError) as caught:
        load(str(path), CLASSES)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "; delete it and train again" in text and "\n" not in text
    return text


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ([1, 2], "not a description and a state"),
        (torch.zeros(2), "not a description and a state"),
        ({"model": {}}, "not a description and a state"),
        ({"description": "classifier", "model": {}}, "its description is malformed"),
        ({"description": {"masks": 5}, "model": {}}, "its description is malformed"),
        ({"description": {"masks": [5]}, "model": {}}, "its description is malformed"),
    ],
)
def test_parts_that_are_malformed(tmp_path, content, answer):
    assert f"{NOT_OURS} ({answer})" in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"classes": None}, OTHER_CLASSES),
        ({"classes": torch.zeros(3)}, OTHER_CLASSES),
        ({"classes": "background"}, OTHER_CLASSES),
        ({"kind": torch.zeros(3)}, OTHER_CLASSES),
        ({"settings": None}, f"{NOT_OURS} (its settings are not those of a classifier)"),
        ({"settings": {}}, f"{NOT_OURS} (its settings are not those of a classifier)"),
    ],
)
def test_descriptions_that_are_malformed(tmp_path, classifier, change, answer):
    content = {**classifier, "description": {**classifier["description"], **change}}
    assert answer in refusal(tmp_path, content)


@pytest.mark.parametrize("key", ["kind", "classes", "settings"])
def test_descriptions_that_lack_a_key(tmp_path, classifier, key):
    description = {name: value for name, value in classifier["description"].items() if name != key}
    refusal(tmp_path, {**classifier, "description": description})


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"sigma": 1}, "its settings are not those of a classifier"),
        ({5: 1}, "its settings are not those of a classifier"),
        ({"backbone": 5}, "its setting backbone has another type"),
        ({"output_stride": 32.0}, "its setting output_stride has another type"),
        ({"output_stride": True}, "its setting output_stride has another type"),
        ({"dropout": None}, "its setting dropout has another type"),
        ({"dropout": 5}, "no network can be built of it, dropout probability"),
        ({"output_stride": 7}, "no network can be built of it, output stride 7"),
        ({"backbone": "resnet19"}, "no network can be built of it, backbone 'resnet19'"),
        ({"backbone": "timm:none"}, "no network can be built of it, backbone timm:none"),
    ],
)
def test_settings_that_are_malformed(tmp_path, classifier, change, answer):
    settings = {**classifier["description"]["settings"], **change}
    content = {**classifier, "description": {**classifier["description"], "settings": settings}}
    assert f"{NOT_OURS} ({answer}" in refusal(tmp_path, content)


def test_no_other_file_is_opened_for_a_checkpoint(tmp_path, classifier):
    """The state holds all weights; a path among the settings would be read."""
    settings = {**classifier["description"]["settings"], "weights": str(tmp_path / "other.pth")}
    path = tmp_path / "checkpoint.pth"
    torch.save({**classifier, "description": {**classifier["description"], "settings": settings}}, path)
    assert load_classifier(str(path), CLASSES).settings.weights is None


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        (torch.zeros(3), "no state dict"),
        ([torch.zeros(3)], "no state dict"),
        ({"head.weight": 5}, "no state dict of tensors"),
        ({5: torch.zeros(2)}, "no state dict of tensors"),
        ({"head.weight": torch.eye(2).to_sparse()}, "head.weight is no plain tensor"),
        ({"head.weight": torch.full((2,), torch.nan + 0j)}, "head.weight is no plain tensor"),
        ({"head.weight": torch.zeros(1).expand(10**6, 10**6)}, "head.weight is no plain tensor"),
        ({"head.weight": torch.zeros(1).expand(4 * 10**9)}, "head.weight is no plain tensor"),
        ({"head.weight": torch.zeros(2, dtype=torch.int8)}, "head.weight is torch.int8"),
        ({"head.weight": torch.zeros(2, dtype=torch.float8_e5m2)}, "head.weight is torch.float8_e5m2"),
    ],
)
def test_states_that_are_malformed(tmp_path, classifier, state, answer):
    assert f"{NOT_OURS} ({answer})" in refusal(tmp_path, {**classifier, "model": state})


@pytest.mark.parametrize("dtype", [torch.float64, torch.int32])
def test_weights_of_another_type_are_not_converted(tmp_path, classifier, dtype):
    state = {**classifier["model"], "head.weight": classifier["model"]["head.weight"].to(dtype)}
    answer = f"{OTHER_NETWORK} (head.weight is {dtype}, not torch.float32)"
    assert answer in refusal(tmp_path, {**classifier, "model": state})


def test_what_hangs_on_a_state_is_not_looked_at(tmp_path, classifier):
    """Torch reads versions of modules from an attribute, which may hold anything."""
    state = classifier["model"].copy()
    state._metadata = {"head": 5}
    torch.save({**classifier, "model": state}, tmp_path / "checkpoint.pth")
    load_classifier(str(tmp_path / "checkpoint.pth"), CLASSES)


def test_a_flipped_bit_of_a_weight_is_noticed(tmp_path, classifier):
    path = tmp_path / "checkpoint.pth"
    torch.save(classifier, path)
    content = bytearray(path.read_bytes())
    content[content.index(classifier["model"]["head.weight"].numpy().tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(TagsegError, match=re.escape(f"{NOT_OURS} (damaged, the checksum of ")):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "value", "answer"),
    [
        ("head_channels", 10**9, "the head has not 1000000000 channels"),
        ("head_channels", -8, "the head has not -8 channels"),
        ("head_dilation", 10**9, "its dilation is 1000000000"),
        ("head_dilation", 0, "its dilation is 0"),
    ],
)
def test_a_segmenter_is_not_built_larger_than_its_file(tmp_path, segmenter, name, value, answer):
    settings = {**segmenter["description"]["settings"], name: value}
    content = {**segmenter, "description": {**segmenter["description"], "settings": settings}}
    assert f"{OTHER_NETWORK} ({answer})" in refusal(tmp_path, content, load_segmenter)


def test_a_segmenter_without_a_head_is_refused(tmp_path, segmenter):
    state = {key: value for key, value in segmenter["model"].items() if not key.startswith("head")}
    assert OTHER_NETWORK in refusal(tmp_path, {**segmenter, "model": state}, load_segmenter)


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(TagsegError, match=f"{NOT_OURS} .a folder.; delete it and train again"):
        load_checkpoint(tmp_path)
