"""Backbones: networks up to one of their nodes, with their feature maps as output."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from tagseg.models.networks import Architecture, MapsOf
from tagseg.models.nodes import canonical_node
from tagseg.models.registry import architecture
from tagseg.models.torchvision_compat import create_feature_extractor
from tagseg.models.weights import Weights, load_weights, read_weights
from tagseg.runtime.errors import TagsegError

OUTPUT_STRIDES = (8, 16, 32)


class Backbone(nn.Module):
    """A network up to one of its nodes: images (N, 3, H, W) -> feature maps (N, C, h, w).

    Images are RGB in [0, 255], uint8 or float; they are normalised with the statistics of the weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, node: str, architecture: Architecture) -> None:
        super().__init__()
        self.network, self._maps = _up_to(network, node, architecture)
        keep_groups_in_float32(self.network)
        for name in ("mean", "std"):
            statistics = 255 * torch.tensor(getattr(architecture, name)).view(1, 3, 1, 1)
            self.register_buffer(name, statistics, persistent=False)
        self.channels = self._count_channels(node)

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature maps (N, C, h, w) of images (N, 3, H, W) in [0, 255]."""
        images = images.to(memory_format=torch.channels_last)
        return self._maps(self.network, (images - self.mean) / self.std)

    @torch.no_grad()
    def _count_channels(self, node: str) -> int:
        training = self.training
        try:
            maps = self.eval()(torch.zeros(1, 3, 64, 64))
        except AssertionError:  # a fixed input size
            raise TagsegError("backbone: requires a fixed image size. Use another network.") from None
        self.train(training)
        if maps.dim() != 4:
            raise TagsegError(f"node {node!r}: no feature maps. Use a node before the pooling.")
        return maps.shape[1]


class Network(nn.Module):
    """A backbone and a head that is trained on it."""

    backbone: Backbone
    head: nn.Module


def build_backbone(name: str, weights: str | Weights | None, output_stride: int, node: str | None = None) -> Backbone:
    """Return the backbone `name` up to `node` (None: what its classifier pools).

    `weights` come from `read_weights`, or are its argument; None for random ones. Raises TagsegError for an
    unknown name, node or stride, and for weights that cannot be read or do not fit.
    """
    known = architecture(name)
    if output_stride not in OUTPUT_STRIDES:
        raise TagsegError(f"output_stride {output_stride}: unknown. Use one of {OUTPUT_STRIDES}.")
    network = known.build(output_stride)
    if isinstance(weights, str):
        weights = read_weights(name, weights)
    if weights is not None:
        load_weights(network, weights)
    return Backbone(network, canonical_node(node) if node else known.classified, known)


def _up_to(network: nn.Module, node: str, architecture: Architecture) -> tuple[nn.Module, MapsOf]:
    """Return the network up to a node, and what computes its maps."""
    try:
        if architecture.up_to:
            return network, architecture.up_to(network, node)
        return create_feature_extractor(network, {node: "node"}), lambda network, images: network(images)["node"]
    except ValueError as error:
        blocks = [name for name, module in network.named_modules() if "." in name and any(module.children())]
        ends = [f"{name}.0 to {name}.{len(list(rows.children())) - 1}" for name, rows in network.named_children()]
        raise TagsegError(f"node {node!r}: not in this backbone. Use one of {', '.join(blocks or ends)}.") from error


def keep_groups_in_float32(network: nn.Module) -> None:
    """Keep convolutions in groups at float32 on a CPU under autocast.

    Gradients of depthwise convolutions take twice as long in bfloat16; the other layers take half the time. So a
    training step of EfficientNet-Lite2 takes 0.7 of float32's time, in place of 1.0.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            layer.forward = partial(_in_float32, layer.forward)  # type: ignore[method-assign]


def _in_float32(forward: Callable[[Tensor], Tensor], maps: Tensor) -> Tensor:
    if maps.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return forward(maps)
    with torch.autocast("cpu", enabled=False):
        return forward(maps.float()).to(torch.get_autocast_dtype("cpu"))


def freeze_batch_norm(module: nn.Module) -> None:
    """Fix statistics and scales of all batch norms: small batches would spoil ImageNet's."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval().requires_grad_(False)
