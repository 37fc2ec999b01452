"""DeepLab-LargeFOV: VGG16's and ResNet-101's changes, the head, the resolution, its initial weights."""

import gc
import re
import weakref
from unittest.mock import Mock

import pytest
import torch
from torch import nn

from seeded_networks import SMALL
from tagseg.models import weights
from tagseg.models.deeplab import DeepLabLargeFov, LargeFovHead, decimated
from tagseg.models.registry import architecture
from tagseg.models.settings import SegmenterSettings
from tagseg.models.weights import Weights

PAPER = {"weights": None, "output_stride": 8, "head_channels": 1024, "head_dilation": 12}
VGG = SegmenterSettings(backbone="vgg16", **PAPER)
RESNET = SegmenterSettings(backbone="resnet101", **PAPER)


def on_paper(settings, classes=21):
    with torch.device("meta"):  # shapes without millions of weights
        return DeepLabLargeFov(settings, classes).eval()


@pytest.fixture(scope="module")
def largefov():
    return on_paper(VGG)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_vgg16_has_the_papers_layers(largefov):
    layers = list(largefov.backbone.modules())
    pools = [layer for layer in layers if type(layer) is nn.MaxPool2d]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(3, 2)] * 3 + [(3, 1)] * 2
    convolutions = [layer for layer in layers if type(layer) is nn.Conv2d]
    places = [(layer.dilation, layer.padding) for layer in convolutions]
    assert places == [((1, 1), (1, 1))] * 10 + [((2, 2), (2, 2))] * 3
    assert (largefov.smooth.kernel_size, largefov.smooth.stride, largefov.smooth.padding) == (3, 1, 1)
    fc6, *_ = head = largefov.head
    kinds = [nn.Conv2d, nn.ReLU, nn.Dropout, nn.Conv2d, nn.ReLU, nn.Dropout, nn.Conv2d]
    assert [type(layer) for layer in head] == kinds
    assert fc6.dilation == fc6.padding == (12, 12) and head[2].p == head[5].p == 0.5
    assert (parameters(largefov.backbone), parameters(head)) == (14_714_688, 5_790_741)  # 20M: Chen et al.


@pytest.mark.parametrize("settings", [VGG, RESNET], ids=["vgg16", "resnet101"])
def test_positions_of_the_papers_inputs(settings):
    model = on_paper(settings)
    for size, positions in {241: 31, 321: 41, 328: 41, 401: 51}.items():
        scores = model(torch.zeros(1, 3, size, size + 8, device="meta"))
        assert scores.shape == (1, 21, positions, positions + 1)  # 8 pixels more are a position more


def thin(layer):
    """Return a layer of the same geometry that adds what it sees: one channel, no maximum."""
    if isinstance(layer, nn.Conv2d):
        side, places = layer.kernel_size[0], (layer.stride[0], layer.padding[0], layer.dilation[0])
    else:
        side, places = layer.kernel_size, (layer.stride, layer.padding, 1)
    made = nn.Conv2d(1, 1, side, *places, bias=False, dtype=torch.float64)
    nn.init.ones_(made.weight)
    return made


def seen(layers, size, position):
    layers = [layer for layer in layers if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)]
    pixels = torch.ones(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    nn.Sequential(*map(thin, layers))(pixels)[0, 0, position, position].backward()
    rows = pixels.grad[0, 0].any(dim=1).nonzero()
    return rows.min().item(), rows.max().item()


def test_field_of_view_of_vgg16(largefov):
    """By hand: 1, then (side - 1) * dilation * stride before the layer, for each layer."""
    convolutions = 2 * 2 * 1 + 2 * 2 * 2 + 3 * 2 * 4 + 3 * 2 * 8 + 3 * 2 * 2 * 8
    pools = 2 * 1 + 2 * 2 + 2 * 4 + 2 * 8 + 2 * 8
    average, fc6 = 2 * 8, 2 * 12 * 8
    layers = [*largefov.backbone.network.modules(), largefov.smooth, *largefov.head]
    first, last = seen(layers, 561, 35)
    assert last - first + 1 == 1 + convolutions + pools + average + fc6 == 435
    assert seen(layers, 561, 36) == (first + 8, last + 8)  # the stride


def test_another_backbone_has_no_average_pool_and_the_head_follows_its_last_block():
    model = on_paper(SegmenterSettings(backbone="efficientnet_lite0", weights=None, head_channels=32), 4)
    assert isinstance(model.smooth, nn.Identity)
    assert model.head[0].in_channels == 320  # of blocks.6, not of the 1280 before the pooling
    assert model(torch.zeros(2, 3, 65, 96, device="meta")).shape == (2, 4, 5, 6)


def test_first_scores_are_small_and_unbiased_and_those_of_the_smoothed_maps():
    torch.manual_seed(0)
    model = DeepLabLargeFov(SMALL, 3).eval()
    model.smooth = nn.AvgPool2d(3, 1, padding=1)
    images = torch.randint(0, 256, (1, 3, 48, 48)).float()
    with torch.no_grad():
        torch.testing.assert_close(model(images), model.head(model.smooth(model.backbone(images))))
    head = LargeFovHead(64, 5, 128, 12, 0.0).eval()
    assert head(torch.rand(2, 64, 9, 9)).abs().max() < 1
    assert all((layer.bias == 0).all() for layer in head if isinstance(layer, nn.Conv2d))


@pytest.fixture(scope="module")
def features():
    torch.manual_seed(1)
    return dict(architecture("vgg16").build(8).state_dict())


def fully_connected(first=None, second=None):
    """Return VGG16's fully connected layers: zeros where nothing is given. Expanded, they need no memory."""
    zero = torch.zeros(())
    return {
        "classifier.0.weight": zero.expand(4096, 25088) if first is None else first,
        "classifier.0.bias": torch.arange(4096.0),
        "classifier.3.weight": zero.expand(4096, 4096) if second is None else second,
        "classifier.3.bias": -torch.arange(4096.0),
        "classifier.6.weight": zero.expand(1000, 4096),
        "classifier.6.bias": zero.expand(1000),
    }


@pytest.mark.parametrize(("channels", "step"), [(1024, 4), (512, 8), (256, 16), (4096, 1)])
def test_every_nth_output_is_kept(channels, step):
    outputs, second = torch.arange(4096.0)[:, None], torch.rand(4096, 4096)
    head = decimated(Weights("w.pth", fully_connected(outputs.expand(4096, 25088), second)), channels)
    kept = torch.arange(channels) * step
    assert head["0.weight"].shape == (channels, 512, 3, 3)
    assert (head["0.weight"].flatten(1) == kept[:, None]).all()
    assert torch.equal(head["3.weight"], second[::step, ::step, None, None])
    assert (head["0.bias"] == kept).all() and (head["3.bias"] == -kept).all()


def test_fc6_answers_like_the_fully_connected_layer():
    """On maps that are 0 except under the kept taps: a 7x7 grid for it, 12 positions apart for fc6."""
    torch.manual_seed(0)
    first = torch.zeros(4096, 25088)
    first[:40] = torch.randn(40, 25088)
    coarse, fine = torch.zeros(1, 512, 7, 7), torch.zeros(1, 512, 25, 25)
    coarse[0, :, ::3, ::3] = fine[0, :, ::12, ::12] = torch.randn(512, 3, 3)
    head = LargeFovHead(512, 3, 1024, 12, 0.5).eval()
    head.start_from(Weights("w.pth", fully_connected(first)))
    with torch.no_grad():
        expected = first[:40] @ coarse.flatten() + torch.arange(40.0)
        torch.testing.assert_close(head[0](fine)[0, :10, 12, 12], expected[::4], rtol=1e-4, atol=1e-3)


def started_from(monkeypatch, settings, state, classes):
    """Return a segmenter that starts from the content of a file of weights."""
    monkeypatch.setattr(weights, "read_state", Mock(side_effect=[state]))
    model = DeepLabLargeFov(settings.model_copy(update={"weights": "w.pth"}), classes)
    monkeypatch.undo()
    return model


def test_a_file_of_vgg16_initialises_backbone_fc6_and_fc7(monkeypatch, features, caplog):
    caplog.set_level("INFO")
    half = {key: value.half() for key, value in fully_connected().items()}
    model = started_from(monkeypatch, VGG, {**features, **half}, 21)
    torch.testing.assert_close(dict(model.backbone.network.state_dict()), features, rtol=0, atol=0)
    assert not model.head[0].weight.any() and not model.head[3].weight.any()
    assert (model.head[0].bias == torch.arange(0.0, 4096, 4).half()).all()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.head[6].weight.std().item() == pytest.approx(0.01, rel=0.05)  # the classes' are random
    assert model.head.pretrained == (model.head[0], model.head[3])
    assert "fc6 and fc7 start from the fully connected layers of the weights w.pth" in caplog.messages


def test_the_fully_connected_layers_are_freed(monkeypatch, features):
    whole = {**features, **fully_connected(torch.zeros(4096, 25088))}
    kept = weakref.ref(whole["classifier.0.weight"])
    model = started_from(monkeypatch, VGG, whole, 21)
    del whole
    gc.collect()
    assert kept() is None
    state = model.state_dict().values()
    assert all(value.untyped_storage().nbytes() == 4 * value.numel() for value in state)


WHOLE = fully_connected()
UNUSABLE = [
    (r"no classifier\.0\.weight", {}, 1024),
    (r"no classifier\.0\.weight", WHOLE | {"classifier.0.weight": torch.zeros(512, 512)}, 1024),
    (r"no classifier\.3\.bias", {key: WHOLE[key] for key in WHOLE if key != "classifier.3.bias"}, 1024),
    ("head_channels 1000: no divisor of VGG16's 4096", WHOLE, 1000),
]


@pytest.mark.parametrize(("reason", "state", "channels"), UNUSABLE, ids=range(len(UNUSABLE)))
def test_with_unusable_weights_fc6_and_fc7_stay_random_and_the_log_says_why(reason, state, channels, caplog):
    caplog.set_level("INFO")
    head = LargeFovHead(8, 3, channels, 12, 0.5)
    before = {key: value.clone() for key, value in head.state_dict().items()}
    head.start_from(Weights("w.pth", state))
    torch.testing.assert_close(dict(head.state_dict()), before, rtol=0, atol=0)
    (message,) = caplog.messages
    assert message.endswith(": fc6 and fc7 start at random") and re.search(reason, message)


def test_other_backbones_keep_a_random_head(monkeypatch, caplog):
    caplog.set_level("INFO")
    state = {**architecture("timm:resnet10t").build(32).state_dict(), **WHOLE}
    model = started_from(monkeypatch, SMALL, state, 3)
    assert not model.head[0].bias.any() and caplog.messages == []
