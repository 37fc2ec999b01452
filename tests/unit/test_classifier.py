"""The classifier: scores, class activation maps, checkpoints, and its features at a node."""

import numpy as np
import pytest
import torch

from helpers import MakesFolder
from tagseg.backbones import architecture
from tagseg.checkpoints import save_checkpoint
from tagseg.classifier import Classifier, ClassifierSettings, describe, feature_extractor, load_classifier
from tagseg.errors import TagsegError
from tagseg.nodes import canonical_node

CLASSES = ("background", "cat", "dog", "sheep")
SETTINGS = ClassifierSettings("timm:resnet10t", None, 16, dropout=0.5)


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return Classifier(SETTINGS, len(CLASSES)).eval()


@pytest.fixture(scope="module")
def images():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 48, 64), np.uint8))


@pytest.fixture
def checkpoint(tmp_path, classifier):
    save_checkpoint(tmp_path / "classifier.pt", classifier, describe(classifier, CLASSES))
    return str(tmp_path / "classifier.pt")


def spoilt(checkpoint, **changes):
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, **changes}, checkpoint)
    return checkpoint


@torch.no_grad()
def test_mean_of_the_cam_plus_the_bias_is_the_score(classifier, images):
    scores, cam = classifier.scores_and_cam(images)
    assert cam.shape == (2, 3, 3, 4)
    mean = cam.mean(dim=(2, 3)) + classifier.head.bias
    torch.testing.assert_close(mean, classifier(images), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(scores, classifier(images), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_cam_is_the_weighted_sum_of_the_maps(classifier, images):
    maps, cam = classifier.backbone(images), classifier.scores_and_cam(images)[1]
    for position in range(len(images)):
        for number, weights in enumerate(classifier.head.weight):
            expected = sum(weight * plane for weight, plane in zip(weights, maps[position], strict=True))
            torch.testing.assert_close(cam[position, number], expected, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_round_trip_gives_the_same_scores(checkpoint, classifier, images):
    loaded = load_classifier(checkpoint, CLASSES)
    assert not loaded.training
    assert loaded.settings == SETTINGS
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), classifier(images), rtol=0, atol=0)


def test_a_checkpoint_is_rebuilt_without_the_weights_file(classifier):
    described = describe(classifier, CLASSES)
    assert described["settings"]["weights"] is None
    assert described["classes"] == list(CLASSES)


@pytest.mark.parametrize("classes", [CLASSES[:-1], ("background", "dog", "cat", "sheep")])
def test_a_checkpoint_of_other_classes_is_refused(checkpoint, classes):
    with pytest.raises(TagsegError, match="not a classifier of these classes"):
        load_classifier(checkpoint, classes)


def test_a_segmenters_checkpoint_is_refused(checkpoint):
    with pytest.raises(TagsegError, match="not a classifier"):
        load_classifier(spoilt(checkpoint, description={"kind": "segmenter", "classes": CLASSES}), CLASSES)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_checkpoint_with_a_value_that_is_not_finite_is_refused(checkpoint, classifier, value):
    state = {key: tensor.clone() for key, tensor in classifier.state_dict().items()}
    state["head.weight"][1, 2] = value
    with pytest.raises(TagsegError, match="not finite"):
        load_classifier(spoilt(checkpoint, model=state), CLASSES)


def test_a_malicious_checkpoint_runs_nothing(checkpoint, tmp_path):
    folder = tmp_path / "made by the checkpoint"
    with pytest.raises(TagsegError, match="not a checkpoint"):
        load_classifier(spoilt(checkpoint, extra=MakesFolder(folder)), CLASSES)
    assert not folder.exists()


@pytest.mark.parametrize("content", [b"", b"a text file\n"])
def test_a_file_of_something_else_is_no_checkpoint(tmp_path, content):
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(TagsegError, match="not a checkpoint"):
        load_classifier(str(tmp_path / "c.pt"), CLASSES)


def test_a_truncated_checkpoint_is_refused(checkpoint):
    with open(checkpoint, "r+b") as stream:
        stream.truncate(10_000)
    with pytest.raises(TagsegError, match="not a checkpoint"):
        load_classifier(checkpoint, CLASSES)


def test_a_missing_checkpoint_is_told(tmp_path):
    with pytest.raises(TagsegError, match="no such checkpoint"):
        load_classifier(str(tmp_path / "absent.pt"), CLASSES)


@pytest.mark.parametrize("node", ["layer1", "layer3.0", "C41"])
def test_features_are_what_a_hook_on_the_trained_network_sees(classifier, images, node):
    network, seen = architecture(SETTINGS.backbone).build(SETTINGS.output_stride).eval(), {}
    network.load_state_dict(classifier.backbone.network.state_dict(), strict=False)
    module = network.get_submodule(canonical_node(node))
    module.register_forward_hook(lambda _, __, output: seen.update(maps=output))
    extractor = feature_extractor(classifier, node)
    with torch.no_grad():
        network((images - extractor.mean) / extractor.std)
        torch.testing.assert_close(extractor(images), seen["maps"], rtol=1e-5, atol=1e-5)
    assert not extractor.training


def test_features_of_an_unknown_node_are_refused(classifier):
    with pytest.raises(TagsegError, match="layer7"):
        feature_extractor(classifier, "layer7")


def test_features_after_what_was_trained_are_refused():
    """The classifier of a timm network pools its last stage; a later convolution would be random."""
    with torch.device("meta"):
        classifier = Classifier(ClassifierSettings("timm:mobilenetv3_small_050", None, 32), 3)
        with pytest.raises(TagsegError, match="conv_head.*comes after"):
            feature_extractor(classifier, "conv_head")
