"""The classifier: scores, class activation maps, checkpoints, and its features at a node."""

import numpy as np
import pytest
import torch

from tagseg.models.classifier import Classifier, feature_extractor, load_classifier
from tagseg.models.nodes import canonical_node
from tagseg.models.registry import architecture
from tagseg.models.settings import ClassifierSettings
from tagseg.runtime.errors import TagsegError
from tagseg.storage.checkpoints import describe, save_checkpoint

CLASSES = ("background", "cat", "dog", "sheep")
SETTINGS = ClassifierSettings(backbone="timm:resnet10t", weights=None, output_stride=16, dropout=0.5)


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return Classifier(SETTINGS, len(CLASSES)).eval()


@pytest.fixture(scope="module")
def images():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 48, 64), np.uint8))


@torch.no_grad()
def test_cam_is_the_weighted_sum_of_the_maps_and_its_mean_plus_the_bias_the_score(classifier, images):
    maps, (scores, cam) = classifier.backbone(images), classifier.scores_and_cam(images)
    assert cam.shape == (2, 3, 3, 4)
    mean = cam.mean(dim=(2, 3)) + classifier.head.bias
    torch.testing.assert_close(mean, classifier(images), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(scores, classifier(images), rtol=1e-5, atol=1e-5)
    for position in range(len(images)):
        for score, weights in enumerate(classifier.head.weight):
            expected = sum(weight * plane for weight, plane in zip(weights, maps[position], strict=True))
            torch.testing.assert_close(cam[position, score], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_checkpoint_gives_the_same_scores_without_a_weights_file(classifier, images, tmp_path):
    path = str(tmp_path / "classifier.pth")
    trained = SETTINGS.model_copy(update={"weights": "imagenet"})
    save_checkpoint(path, classifier, describe("classifier", CLASSES, trained))
    loaded = load_classifier(path, CLASSES)
    assert loaded.settings == SETTINGS and not loaded.training
    torch.testing.assert_close(loaded(images), classifier(images), rtol=0, atol=0)


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


def test_features_after_the_trained_layers_are_refused():
    """The classifier of a timm network pools its last stage; a later convolution would be random."""
    with torch.device("meta"):
        settings = ClassifierSettings(backbone="timm:mobilenetv3_small_050", weights=None, output_stride=32)
        classifier = Classifier(settings, 3)
        with pytest.raises(TagsegError, match="conv_head.*comes after"):
            feature_extractor(classifier, "conv_head")
