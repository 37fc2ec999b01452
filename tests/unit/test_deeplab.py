"""DeepLab-LargeFOV: VGG16's changes, the head, the resolution."""

import pytest
import torch
from torch import nn

from tagseg.deeplab import DeepLabLargeFov, LargeFovHead, SegmenterSettings, without_weights

VGG = SegmenterSettings("vgg16", None, 8)


@pytest.fixture(scope="module")
def largefov():
    with torch.device("meta"):  # shapes without 37 million weights
        return DeepLabLargeFov(VGG, 21).eval()


def vgg_layers(model, kind):
    return [layer for layer in model.backbone.modules() if type(layer) is kind]


def test_pools_are_3x3_and_the_last_two_keep_the_resolution(largefov):
    pools = vgg_layers(largefov, nn.MaxPool2d)
    assert [pool.kernel_size for pool in pools] == [3] * 5
    assert [pool.stride for pool in pools] == [2, 2, 2, 1, 1]


def test_conv5_alone_is_dilated(largefov):
    convolutions = vgg_layers(largefov, nn.Conv2d)
    assert [layer.dilation for layer in convolutions] == [(1, 1)] * 10 + [(2, 2)] * 3
    assert [layer.padding for layer in convolutions] == [(1, 1)] * 10 + [(2, 2)] * 3


def test_the_average_pool_after_pool5_keeps_the_resolution(largefov):
    assert (largefov.smooth.kernel_size, largefov.smooth.stride, largefov.smooth.padding) == (3, 1, 1)


@pytest.mark.parametrize("size", [321, 328])
def test_the_papers_input_gives_41_positions(largefov, size):
    assert largefov(torch.zeros(1, 3, size, size, device="meta")).shape == (1, 21, 41, 41)


def test_head_has_the_papers_parameters(largefov):
    count = sum(parameter.numel() for parameter in largefov.head.parameters())
    fc6, fc7, scores = 3 * 3 * 512 * 1024 + 1024, 1024 * 1024 + 1024, 1024 * 21 + 21
    assert count == fc6 + fc7 + scores


def test_head_is_fc6_fc7_and_scores_with_dropout(largefov):
    kinds = [type(layer) for layer in largefov.head]
    assert kinds == [nn.Conv2d, nn.ReLU, nn.Dropout, nn.Conv2d, nn.ReLU, nn.Dropout, nn.Conv2d]
    assert largefov.head[0].dilation == largefov.head[0].padding == (12, 12)
    assert [layer.p for layer in largefov.head if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


def test_another_backbone_has_no_average_pool_and_its_last_block_below_the_head():
    with torch.device("meta"):
        model = DeepLabLargeFov(SegmenterSettings("efficientnet_lite0", None, 16, 32, 6, 0.1), 4).eval()
        assert isinstance(model.smooth, nn.Identity)
        assert model.head[0].in_channels == 320  # of blocks.6, not of the 1280 before the pooling
        assert model(torch.zeros(2, 3, 65, 96)).shape == (2, 4, 5, 6)


def test_scores_are_the_head_of_the_smoothed_maps():
    torch.manual_seed(0)
    model = DeepLabLargeFov(SegmenterSettings("timm:resnet10t", None, 16, 8, 2), 3).eval()
    model.smooth = nn.AvgPool2d(3, 1, padding=1)
    images = torch.randint(0, 256, (1, 3, 48, 48)).float()
    with torch.no_grad():
        torch.testing.assert_close(model(images), model.head(model.smooth(model.backbone(images))))


def test_first_scores_are_small_and_unbiased():
    torch.manual_seed(0)
    head = LargeFovHead(64, 5, 128, 12, 0.0).eval()
    scores = head(torch.rand(2, 64, 9, 9))
    assert scores.abs().max() < 1
    assert all((layer.bias == 0).all() for layer in head if isinstance(layer, nn.Conv2d))


def test_settings_of_a_checkpoint_name_no_weights_file():
    settings = SegmenterSettings("resnet18", "/somewhere/weights.pth", 8, 16, 4, 0.2)
    rebuilt = SegmenterSettings(**without_weights(settings))
    assert rebuilt == SegmenterSettings("resnet18", None, 8, 16, 4, 0.2)
