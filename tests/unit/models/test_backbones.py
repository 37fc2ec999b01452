"""Backbones: resolution, nodes, normalisation, unknown names. The classifier: scores, CAM, features at a node."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import tagseg
from seeded_networks import noise, seeded
from tagseg.models.backbones import Backbone, build_backbone, freeze_batch_norm
from tagseg.models.classifier import Classifier, feature_extractor, load_classifier
from tagseg.models.networks import remove_stride
from tagseg.models.nodes import CAM_SEED, canonical_node
from tagseg.models.registry import NETWORKS, architecture
from tagseg.models.settings import ClassifierSettings
from tagseg.models.torchvision_compat import timm, torchvision
from tagseg.models.weights import Weights
from tagseg.runtime.errors import TagsegError
from tagseg.storage.checkpoints import describe, save_checkpoint


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg16", "efficientnet_lite0", "timm:resnet10t"])
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_maps_have_one_position_per_stride(name, stride):
    with torch.device("meta"):  # sizes need no computation
        backbone = build_backbone(name, None, stride).eval()
        for size in (64, 65, 81, 33):
            maps = backbone(torch.zeros(2, 3, size, size + 16))
            assert maps.shape == (2, backbone.channels, -(-size // stride), -(-(size + 16) // stride))


@pytest.mark.parametrize("dilated", [(False, False, True), (False, True, True)])
@pytest.mark.parametrize(("name", "convolutions"), [("resnet50", 53), ("resnet101", 104)])
def test_removed_strides_equal_torchvisions_dilation(name, convolutions, dilated):
    """For bottlenecks only: torchvision cannot dilate the blocks of ResNet-18 and -34."""
    theirs = getattr(torchvision.models, name)(replace_stride_with_dilation=list(dilated)).eval()
    ours = architecture(name).build(16 if not dilated[1] else 8).eval()
    ours.load_state_dict(theirs.state_dict())
    same = [
        (a.stride, a.dilation, a.padding) == (b.stride, b.dilation, b.padding)
        for a, b in zip(ours.modules(), theirs.modules(), strict=True)
        if isinstance(a, nn.Conv2d)
    ]
    assert len(same) == convolutions and all(same)
    pixels = noise(64) / 127.5 - 1
    with torch.no_grad():
        torch.testing.assert_close(ours(pixels), theirs(pixels), rtol=1e-5, atol=1e-5)


def test_removed_stride_keeps_the_values_at_the_coarse_positions():
    torch.manual_seed(0)
    strided, dilated = (torchvision.models.resnet18().layer4.eval() for _ in range(2))
    dilated.load_state_dict(strided.state_dict())
    assert remove_stride(dilated, 1) == 2
    maps = torch.randn(1, 256, 12, 12)
    with torch.no_grad():
        torch.testing.assert_close(dilated(maps)[:, :, ::2, ::2], strided(maps), rtol=1e-4, atol=1e-5)


def test_vgg16_has_torchvisions_layers_with_3x3_pools():
    torch.manual_seed(0)
    theirs = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    for position in (4, 9, 16, 23, 30):
        assert isinstance(theirs[position], nn.MaxPool2d)
        theirs[position] = nn.MaxPool2d(3, 2, padding=1)
    backbone = build_backbone("vgg16", None, 32).eval()
    backbone.network.features.load_state_dict(theirs.state_dict(), strict=True)
    with torch.no_grad():
        expected = theirs((noise(64) - backbone.mean) / backbone.std)
        torch.testing.assert_close(backbone(noise(64)), expected, rtol=1e-4, atol=1e-6)


NEXT = {"layer4.0": "layer4.1", "blocks.4": "blocks.5", "features.14": "features.17"}


@pytest.mark.parametrize(
    ("name", "node"), [("resnet18", "layer4.0"), ("efficientnet_lite0", "blocks.4"), ("vgg16", "features.14")]
)
def test_layers_after_a_node_are_not_built(name, node):
    with torch.device("meta"):
        modules = dict(build_backbone(name, None, 32, node).network.named_modules())
    assert node in modules and NEXT[node] not in modules


def test_the_papers_names_mean_blocks_of_the_last_stage_and_others_stay():
    names = {"C41": "layer4.0", "c42": "layer4.1", "C43": "layer4.2"}
    names |= {name: name for name in ("layer4.0", "blocks.4", "features.30", "C44", CAM_SEED)}
    assert {name: canonical_node(name) for name in names} == names


@pytest.mark.parametrize("module", ["nodes", "registry", "settings"])
def test_the_configuration_is_checked_without_torch(module):
    code = f"import sys, tagseg.models.{module}; sys.exit('torch' in sys.modules)"
    root = Path(tagseg.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0


@pytest.mark.parametrize(
    ("name", "stride", "node", "message"),
    [
        ("resnet18", 32, "layer5", r"'layer5': .*layer4\.1"),
        ("vgg16", 8, "C41", r"'layer4\.0': .*features\.0 to features\.30\.$"),
        ("resnet18", 32, "fc", "'fc': no feature maps"),
        ("resnet18", 32, "flatten", "'flatten': no feature maps"),
        ("resnet18", 4, None, r"output_stride 4: .*\(8, 16, 32\)"),
        ("resnet19", 32, None, "resnet19.*resnet18.*vgg16.*timm:<name>"),
        ("", 32, None, "resnet18.*vgg16.*timm:<name>"),
        ("timm:resnet7t", 32, None, "no such network"),
        ("timm:mobilenetv3_small_050", 16, None, "no output stride 16. Set output_stride: 32"),
        ("timm:hiera_tiny_224", 32, None, "takes images of one size alone"),
        ("timm:vit_tiny_patch16_224", 16, "blocks.12", r"'blocks\.12': not in this backbone.*blocks\.0"),
    ],
)
def test_backbones_that_cannot_be_built_have_a_clear_error(name, stride, node, message):
    with torch.device("meta"), pytest.raises(TagsegError, match=message):
        build_backbone(name, None, stride, node)


RESNETS = dict.fromkeys(("resnet50", "resnet101", "resnet152"), ("layer4", 2048, (8, 16, 32)))
CLASSIFIED = RESNETS | {  # pooled node, its channels, available strides
    "resnet18": ("layer4", 512, (8, 16, 32)),
    "resnet34": ("layer4", 512, (8, 16, 32)),
    "vgg16": ("features.30", 512, (8, 16, 32)),
    **{f"efficientnet_lite{n}": ("bn2", 1280, (8, 16, 32)) for n in range(3)},
    "timm:convnext_atto": ("stages.3", 320, (8, 16, 32)),
    "timm:mobilenetv3_small_050": ("blocks.5", 288, (32,)),
}


@pytest.mark.parametrize("name", [*NETWORKS, *(name for name in CLASSIFIED if name.startswith("timm:"))])
def test_every_registered_network_is_a_classifier(name):
    node, channels, strides = CLASSIFIED[name]
    assert architecture(name).classified == node
    for stride in strides:
        with torch.device("meta"):
            settings = ClassifierSettings(backbone=name, weights=None, output_stride=stride)
            classifier = Classifier(settings, 21).eval()
            scores, cam = classifier.scores_and_cam(torch.zeros(2, 3, 96, 128))
        assert (classifier.head.in_features, classifier.head.out_features) == (channels, 20)
        assert scores.shape == (2, 20) and cam.shape == (2, 20, 96 // stride, 128 // stride)


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ("name", "statistics"), [("resnet18", IMAGENET), ("efficientnet_lite0", ((0.5,) * 3, (0.5,) * 3))]
)
def test_images_are_normalised_from_0_to_255_and_checkpoints_do_not_hold_how(name, statistics):
    backbone = Backbone(nn.Sequential(nn.Identity()), "0", architecture(name))
    mean, std = (np.reshape(one, (1, 3, 1, 1)) for one in statistics)
    expected = (noise(16).numpy() / 255 - mean) / std
    np.testing.assert_allclose(backbone(noise(16).to(torch.uint8)).numpy(), expected, atol=1e-5)
    assert not backbone.state_dict()


def test_frozen_batch_norm_stays_frozen_in_training():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    freeze_batch_norm(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network(noise(8)).sum().backward()
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)
    assert network[1].weight.grad is None and network[0].weight.grad is not None


CLASSES = ("background", "cat", "dog", "sheep")
CLASSIFIER = ClassifierSettings(backbone="timm:resnet10t", weights=None, output_stride=16, dropout=0.5)
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 48, 64), np.uint8))


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return Classifier(CLASSIFIER, len(CLASSES)).eval()


@torch.no_grad()
def test_cam_is_the_weighted_sum_of_the_maps_and_its_mean_plus_the_bias_the_score(classifier):
    maps, (scores, cam) = classifier.backbone(IMAGES), classifier.scores_and_cam(IMAGES)
    assert cam.shape == (2, 3, 3, 4)
    mean = cam.mean(dim=(2, 3)) + classifier.head.bias
    torch.testing.assert_close(mean, classifier(IMAGES), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(scores, classifier(IMAGES), rtol=1e-5, atol=1e-5)
    for position in range(len(IMAGES)):
        for score, weights in enumerate(classifier.head.weight):
            expected = sum(weight * plane for weight, plane in zip(weights, maps[position], strict=True))
            torch.testing.assert_close(cam[position, score], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_checkpoint_gives_the_same_scores_without_a_weights_file(classifier, tmp_path):
    path = str(tmp_path / "classifier.pth")
    trained = CLASSIFIER.model_copy(update={"weights": "imagenet"})
    save_checkpoint(path, classifier, describe("classifier", CLASSES, trained))
    loaded = load_classifier(path, CLASSES)
    assert loaded.settings == CLASSIFIER and not loaded.training
    torch.testing.assert_close(loaded(IMAGES), classifier(IMAGES), rtol=0, atol=0)


NODES = [("resnet50", node) for node in ("C41", "C42", "C43", "layer2")]
NODES += [("resnet18", "layer1.0.conv1"), ("efficientnet_lite0", "blocks.4"), ("timm:resnet10t", "layer3")]


@pytest.mark.parametrize(("name", "node"), NODES)
@torch.no_grad()
def test_features_at_a_node_are_what_a_hook_on_the_whole_network_sees(name, node):
    settings = ClassifierSettings(backbone=name, weights=None, output_stride=16)
    network, seen, trained = seeded(name, 16), {}, Classifier(settings, 3)
    trained.backbone.network.load_state_dict(network.state_dict(), strict=False)
    module = network.get_submodule(canonical_node(node))
    module.register_forward_hook(lambda _, __, output: seen.update(maps=output))
    extractor = feature_extractor(trained, node)
    network((IMAGES - extractor.mean) / extractor.std)
    assert extractor.channels == seen["maps"].shape[1] and not extractor.training
    tolerance = 1e-5 * seen["maps"].abs().max().item()
    torch.testing.assert_close(extractor(IMAGES), seen["maps"], rtol=1e-5, atol=tolerance)


def test_features_after_the_trained_layers_are_refused():
    settings = ClassifierSettings(backbone="timm:mobilenetv3_small_050", weights=None, output_stride=32)
    with torch.device("meta"), pytest.raises(TagsegError, match="conv_head.*comes after"):
        feature_extractor(Classifier(settings, 3), "conv_head")  # its random convolution follows the pooled one


@pytest.mark.parametrize(("name", "stride", "prefix"), [
    ("vit_tiny_patch16_224", 16, 1), ("vit_small_patch14_reg4_dinov2", 14, 5), 
    ("eva02_tiny_patch14_224", 14, 1),
])  # fmt: skip
def test_maps_of_a_transformer_are_the_patch_tokens_of_timm(name, stride, prefix):
    """A whole multiple of the stride: the tokens without class and register tokens, in rows."""
    torch.manual_seed(0)
    own = timm.create_model(name, dynamic_img_size=True).eval()
    images = torch.rand(2, 3, 4 * stride, 6 * stride) * 255
    for node, tokens in (("norm", own.forward_features), ("blocks.3", None)):
        backbone = build_backbone(f"timm:{name}", Weights("own", own.state_dict()), 16, node).eval()
        with torch.no_grad():
            normal = (images - backbone.mean) / backbone.std
            expected = tokens(normal)[:, prefix:] if tokens else _after_block(own, 3, normal)[:, prefix:]
            maps = backbone(images)
        assert maps.shape[2:] == (4, 6) and backbone.channels == own.embed_dim
        torch.testing.assert_close(maps.flatten(2).transpose(1, 2), expected, rtol=1e-4, atol=1e-4)


def _after_block(network, block, images):
    found = []
    handle = network.blocks[block].register_forward_hook(lambda _module, _inputs, output: found.append(output))
    network.forward_features(images)
    handle.remove()
    return found[0]


def test_images_for_a_transformer_are_resized_to_a_multiple_of_its_stride():
    backbone = build_backbone("timm:vit_tiny_patch16_224", None, 16).eval()
    with torch.no_grad():
        assert backbone(torch.rand(1, 3, 100, 70)).shape == (1, 192, 6, 4)


def test_swin_gives_maps_of_its_last_stage():
    backbone = build_backbone("timm:swin_tiny_patch4_window7_224", None, 32, "layers.2").eval()
    with torch.no_grad():
        assert backbone(torch.rand(1, 3, 96, 160)).shape == (1, 384, 6, 10)


def test_convolutions_in_groups_stay_at_float32_under_autocast():
    backbone = build_backbone("efficientnet_lite0", None, 16).eval()
    depthwise = [layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1]
    assert len(depthwise) == 16
    for layer in depthwise:
        maps = torch.rand(2, layer.in_channels, 9, 9)
        exact = layer(maps)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(layer(maps), exact.bfloat16(), rtol=0, atol=0)


def test_gradients_in_bfloat16_are_near_those_in_float32():
    backbone = build_backbone("efficientnet_lite0", None, 16)
    freeze_batch_norm(backbone)
    images, gradients = torch.rand(2, 3, 64, 64) * 255, {}
    for enabled in (False, True):
        backbone.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            maps = backbone(images)
        maps.float().square().mean().backward()
        weights = [layer.weight.grad for layer in backbone.modules() if isinstance(layer, nn.Conv2d)]
        gradients[enabled] = torch.cat([weight.flatten() for weight in weights])
    assert torch.nn.functional.cosine_similarity(gradients[False], gradients[True], dim=0) > 0.99
