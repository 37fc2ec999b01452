"""Backbones: their nodes, their resolution, their batch norm, and those that there are not."""

import numpy as np
import pytest
import torch
from torch import nn

from seeded_networks import noise, seeded
from tagseg.backbones import (
    KNOWN,
    OUTPUT_STRIDES,
    Backbone,
    architecture,
    build_backbone,
    freeze_batch_norm,
    remove_stride,
    torchvision,
)
from tagseg.classifier import Classifier, ClassifierSettings
from tagseg.errors import TagsegError
from tagseg.nodes import canonical_node

NAMES = ("resnet18", "resnet50", "vgg16", "efficientnet_lite0", "timm:resnet10t")


# ------------------------------------------------------------------------------------- resolution


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_a_map_has_a_position_a_stride(name, stride):
    with torch.device("meta"):  # sizes need no computation
        backbone = build_backbone(name, None, stride).eval()
        for size in (64, 65, 81, 33):
            maps = backbone(torch.zeros(2, 3, size, size + 16))
            assert maps.shape == (2, backbone.channels, -(-size // stride), -(-(size + 16) // stride))


@pytest.mark.parametrize("name", ["resnet18", "timm:resnet10t"])
def test_random_weights_give_finite_maps(name):
    maps = build_backbone(name, None, 16).eval()(noise(64))
    assert torch.isfinite(maps).all() and maps.std() > 0


@pytest.mark.parametrize("dilated", [(False, False, True), (False, True, True)])
@pytest.mark.parametrize(("name", "convolutions"), [("resnet50", 53), ("resnet101", 104)])
def test_removed_strides_are_torchvisions_dilation(name, convolutions, dilated):
    """Of bottlenecks alone: torchvision has no dilation for ResNet-18's and -34's blocks (see below)."""
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


def test_torchvision_dilates_no_basic_blocks():
    with torch.device("meta"), pytest.raises(NotImplementedError):
        torchvision.models.resnet34(replace_stride_with_dilation=[False, True, True])


def test_resnet_101_at_stride_8_dilates_its_last_two_stages():
    """The first block of a stage still has the dilation of the stage before, like torchvision's."""
    with torch.device("meta"):
        network = architecture("resnet101").build(8)
    dilations = {
        stage: [block.conv2.dilation for block in network.get_submodule(stage)]
        for stage in ("layer1", "layer2", "layer3", "layer4")
    }
    assert dilations == {
        "layer1": [(1, 1)] * 3,
        "layer2": [(1, 1)] * 4,
        "layer3": [(1, 1)] + [(2, 2)] * 22,
        "layer4": [(2, 2)] + [(4, 4)] * 2,
    }
    layers = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.MaxPool2d)
    ]
    strided = [name for name, layer in layers if layer.stride in (2, (2, 2))]
    assert all(layer.stride in (1, (1, 1)) for name, layer in layers if name not in strided)
    assert strided == ["conv1", "maxpool", "layer2.0.conv2", "layer2.0.downsample.0"]


def test_vgg16_has_torchvisions_layers_with_3x3_pools():
    torch.manual_seed(0)
    theirs = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    for position in (4, 9, 16, 23, 30):
        assert isinstance(theirs[position], nn.MaxPool2d)
        theirs[position] = nn.MaxPool2d(3, 2, padding=1)
    backbone = build_backbone("vgg16", None, 32).eval()
    backbone.network.features.load_state_dict(theirs.state_dict(), strict=True)
    pixels = noise(64)
    with torch.no_grad():
        expected = theirs((pixels - backbone.mean) / backbone.std)
        torch.testing.assert_close(backbone(pixels), expected, rtol=1e-4, atol=1e-6)


def test_vgg16_starts_with_torchvisions_first_values():
    """Normal, of variance 2 over the outputs of a kernel, without offsets: maps keep their size."""
    torch.manual_seed(0)
    convolutions = [
        layer for layer in architecture("vgg16").build(8).features if isinstance(layer, nn.Conv2d)
    ]
    assert len(convolutions) == 13
    for layer in convolutions:
        assert not layer.bias.any()
        assert layer.weight.std().item() == pytest.approx((2 / (9 * layer.out_channels)) ** 0.5, rel=0.05)


def test_removed_stride_keeps_the_values_at_the_coarse_positions():
    """Without batch norm's help: a dilated stage computes the strided one's values, and those between."""
    torch.manual_seed(0)
    strided = torchvision.models.resnet18().layer4.eval()
    dilated = torchvision.models.resnet18().layer4.eval()
    dilated.load_state_dict(strided.state_dict())
    assert remove_stride(dilated, 1) == 2
    maps = torch.randn(1, 256, 12, 12)
    with torch.no_grad():
        torch.testing.assert_close(dilated(maps)[:, :, ::2, ::2], strided(maps), rtol=1e-4, atol=1e-5)


def test_an_unknown_stride_is_told():
    with pytest.raises(TagsegError, match=r"4.*\(8, 16, 32\)"):
        build_backbone("resnet18", None, 4)


# ------------------------------------------------------------------------------------------ nodes

NODES = [("resnet50", node) for node in ("C41", "C42", "C43", "layer2", "layer3.5")]
NODES += [("resnet18", "layer1.0.conv1"), ("efficientnet_lite0", "blocks.4"), ("timm:resnet10t", "layer3")]


@pytest.mark.parametrize(("name", "node"), NODES)
def test_a_node_is_what_a_hook_on_the_whole_network_sees(name, node):
    network, seen = seeded(name, 16), {}
    backbone = build_backbone(name, None, 16, node).eval()
    backbone.network.load_state_dict(network.state_dict(), strict=False)
    module = network.get_submodule(canonical_node(node))
    module.register_forward_hook(lambda _, __, output: seen.update(maps=output))
    with torch.no_grad():
        maps = backbone(noise(64))
        network((noise(64) - backbone.mean) / backbone.std)
    assert backbone.channels == seen["maps"].shape[1]
    tolerance = 1e-5 * seen["maps"].abs().max().item()
    torch.testing.assert_close(maps, seen["maps"], rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "node", "last", "first_absent"),
    [
        ("resnet18", "C41", "layer4.0", "layer4.1"),
        ("efficientnet_lite0", "blocks.4", "blocks.4", "blocks.5"),
        ("vgg16", "features.16", "features.14", "features.17"),
    ],
)
def test_what_comes_after_a_node_is_not_there(name, node, last, first_absent):
    with torch.device("meta"):
        modules = dict(build_backbone(name, None, 32, node).network.named_modules())
    assert last in modules
    assert first_absent not in modules


def test_an_unknown_node_is_told_with_the_blocks_there_are():
    with pytest.raises(TagsegError, match=r"'layer5'.*layer4\.1"):
        build_backbone("resnet18", None, 32, "layer5")


def test_of_a_plain_row_of_layers_the_ends_are_told():
    with torch.device("meta"), pytest.raises(TagsegError, match=r"'layer4\.0'.*features\.0 to features\.30$"):
        build_backbone("vgg16", None, 8, "C41")


@pytest.mark.parametrize("node", ["fc", "flatten"])
def test_a_node_without_maps_is_refused(node):
    with pytest.raises(TagsegError, match=f"{node}.*no feature maps"):
        build_backbone("resnet18", None, 32, node)


@pytest.mark.parametrize("name", ["resnet19", "vgg", "", "efficientnet_lite1"])
def test_an_unknown_backbone_is_told_with_the_known_ones(name):
    with pytest.raises(TagsegError, match=f"{KNOWN[0]}.*vgg16.*timm:<name>"):
        build_backbone(name, None, 32)


def test_an_unknown_network_of_timm_is_told():
    with pytest.raises(TagsegError, match="no such network"):
        build_backbone("timm:resnet7t", None, 32)


def test_a_network_that_timm_builds_at_one_stride_alone_is_told():
    with torch.device("meta"):
        assert build_backbone("timm:mobilenetv3_small_050", None, 32).channels == 288
        with pytest.raises(TagsegError, match="output stride 32 alone, not 16"):
            build_backbone("timm:mobilenetv3_small_050", None, 16)


def test_a_transformer_of_one_input_size_is_refused():
    with torch.device("meta"), pytest.raises(TagsegError, match="choose a convolutional one"):
        build_backbone("timm:vit_tiny_patch16_224", None, 32)


# ------------------------------------------------------------------------------------- classifiers

CLASSIFIED = {  # what is pooled: its node, its channels, and the strides there are
    "resnet18": ("layer4", 512, OUTPUT_STRIDES),
    "resnet34": ("layer4", 512, OUTPUT_STRIDES),
    "resnet50": ("layer4", 2048, OUTPUT_STRIDES),
    "resnet101": ("layer4", 2048, OUTPUT_STRIDES),
    "resnet152": ("layer4", 2048, OUTPUT_STRIDES),
    "vgg16": ("features.30", 512, OUTPUT_STRIDES),
    "efficientnet_lite0": ("bn2", 1280, OUTPUT_STRIDES),
    "timm:resnet10t": ("layer4", 512, OUTPUT_STRIDES),
    "timm:convnext_atto": ("stages.3", 320, OUTPUT_STRIDES),
    "timm:mobilenetv3_small_050": ("blocks.5", 288, (32,)),
}


def test_every_named_backbone_is_a_classifier():
    assert tuple(name for name in CLASSIFIED if not name.startswith("timm:")) == KNOWN


@pytest.mark.parametrize("name", CLASSIFIED)
def test_a_classifier_on_each_backbone(name):
    node, channels, strides = CLASSIFIED[name]
    assert architecture(name).classified == node
    for stride in strides:
        with torch.device("meta"):
            classifier = Classifier(ClassifierSettings(name, None, stride), 21).eval()
            scores, cam = classifier.scores_and_cam(torch.zeros(2, 3, 96, 128))
        assert (classifier.head.in_features, classifier.head.out_features) == (channels, 20)
        assert scores.shape == (2, 20)
        assert cam.shape == (2, 20, 96 // stride, 128 // stride)


PAPERS_NODES = [
    *((name, node, 512, 16) for name in ("resnet18", "resnet34") for node in ("C41", "C42")),
    *((name, node, 2048, 16) for name in ("resnet50", "resnet101") for node in ("C41", "C42", "C43")),
    ("resnet101", "layer3", 1024, 16),
    ("resnet101", "layer2", 512, 8),
    ("vgg16", "features.16", 256, 8),
    ("vgg16", "features.23", 512, 16),
    ("vgg16", "features.25", 512, 16),
    ("vgg16", "features.29", 512, 16),
]


@pytest.mark.parametrize(("name", "node", "channels", "stride"), PAPERS_NODES)
def test_channels_and_stride_of_a_node_of_a_classifier_at_stride_16(name, node, channels, stride):
    with torch.device("meta"):
        backbone = build_backbone(name, None, 16, node).eval()
        assert backbone.channels == channels
        assert backbone(torch.zeros(1, 3, 328, 328)).shape == (1, channels, *[-(-328 // stride)] * 2)


# ---------------------------------------------------------------------------------- normalisation


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("resnet18", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("efficientnet_lite0", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_images_are_normalised_from_0_to_255(name, mean, std):
    known = architecture(name)
    network = nn.Sequential(nn.Identity())
    maps = Backbone(network, "0", known)(noise(16).to(torch.uint8))
    shape = (1, 3, 1, 1)
    expected = (noise(16).numpy() / 255 - np.reshape(mean, shape)) / np.reshape(std, shape)
    np.testing.assert_allclose(maps.numpy(), expected, atol=1e-5)


def test_statistics_of_the_normalisation_are_not_part_of_a_checkpoint():
    keys = Backbone(nn.Sequential(nn.Conv2d(3, 2, 1)), "0", architecture("vgg16")).state_dict()
    assert list(keys) == ["network.0.weight", "network.0.bias"]


# -------------------------------------------------------------------------------------- batch norm


def test_frozen_batch_norm_stays_frozen_in_training():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    network.train()
    freeze_batch_norm(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network(noise(8)).sum().backward()
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)
    assert network[1].weight.grad is None and network[0].weight.grad is not None


def test_freezing_reaches_every_batch_norm_of_a_backbone():
    backbone = build_backbone("resnet18", None, 16).train()
    freeze_batch_norm(backbone)
    layers = [layer for layer in backbone.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(layers) == 20
    assert not any(layer.training or layer.weight.requires_grad for layer in layers)
