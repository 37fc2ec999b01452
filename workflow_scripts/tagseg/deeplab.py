"""DeepLab-LargeFOV (Chen et al. 2016) on any backbone."""

from dataclasses import asdict, dataclass

from torch import Tensor, nn

from tagseg.backbones import Backbone, Weights, architecture, build_backbone, read_weights
from tagseg.commandline import say


@dataclass(frozen=True)
class SegmenterSettings:
    """What a segmenter is built of; see config.yaml for the meaning of each."""

    backbone: str
    weights: str | None
    output_stride: int
    head_channels: int = 1024
    head_dilation: int = 12
    dropout: float = 0.5


class LargeFovHead(nn.Sequential):
    """fc6 (3x3, dilated: the large field of view), fc7 (1x1), and the classes' scores (1x1)."""

    def __init__(self, inputs: int, classes: int, channels: int, dilation: int, dropout: float) -> None:
        super().__init__(
            nn.Conv2d(inputs, channels, 3, padding=dilation, dilation=dilation),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Conv2d(channels, classes, 1),
        )
        for layer in self:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.normal_(self[-1].weight, std=0.01)
        self.pretrained: tuple[nn.Module, ...] = ()  # layers that learn at the backbone's rate

    def start_from(self, weights: Weights) -> None:
        """Take fc6 and fc7 from VGG16's fully connected layers; where that cannot be, they stay random.

        A line in the log says which. Nothing of `weights` is kept. Layers that start from ImageNet's are
        `pretrained` then: the paper's higher learning rate is that of randomly initialised layers.
        """
        channels = self[0].out_channels
        if lacking := _lacking(weights, channels):
            say(f"{lacking}: fc6 and fc7 start at random")
            return
        self.load_state_dict(decimated(weights, channels), strict=False)  # the classes' scores stay
        self.pretrained = (self[0], self[3])
        say(f"fc6 and fc7 start from the fully connected layers of the weights {weights.source}")


FULLY_CONNECTED = {"classifier.0": (4096, 512 * 7 * 7), "classifier.3": (4096, 4096)}
"""VGG16's fully connected layers and the shapes of their weights, (outputs, inputs)."""


def _lacking(weights: Weights, channels: int) -> str | None:
    """Return why `weights` cannot start a head of so many channels; None where they can."""
    for layer, (outputs, inputs) in FULLY_CONNECTED.items():
        for key, shape in ((f"{layer}.weight", (outputs, inputs)), (f"{layer}.bias", (outputs,))):
            if key not in weights.state or weights.state[key].shape != shape:
                return f"weights {weights.source}: no {key} of VGG16 in it"
        if outputs % channels:
            return f"head_channels {channels}: no divisor of VGG16's {outputs}"
    return None


def decimated(weights: Weights, channels: int) -> dict[str, Tensor]:
    """Return fc6 and fc7 of DeepLab-LargeFOV (Chen et al. 2016), cut out of VGG16's fully connected layers.

    The first of these is a convolution (4096, 512, 7, 7) of the fifth pool's maps. Of its rows and columns
    0, 3 and 6 are kept, and of all outputs, and of fc7's inputs, every (4096 / channels)th. At stride 8 and
    dilation 12 the taps that are kept lie where they lay at VGG16's own stride of 32: 96 pixels apart.
    What is returned are views, in the head's naming: (channels, 512, 3, 3) and (channels, channels, 1, 1).
    """
    state, step = weights.state, 4096 // channels
    return {
        "0.weight": state["classifier.0.weight"].reshape(4096, 512, 7, 7)[::step, :, ::3, ::3],
        "0.bias": state["classifier.0.bias"][::step],
        "3.weight": state["classifier.3.weight"][::step, ::step, None, None],
        "3.bias": state["classifier.3.bias"][::step],
    }


class DeepLabLargeFov(nn.Module):
    """Images (N, 3, H, W) in [0, 255] -> scores (N, classes, ceil(H / stride), ceil(W / stride))."""

    def __init__(self, settings: SegmenterSettings, classes: int) -> None:
        super().__init__()
        node = architecture(settings.backbone).last_block
        weights = read_weights(settings.backbone, settings.weights)
        self.backbone: Backbone = build_backbone(settings.backbone, weights, settings.output_stride, node)
        # VGG's fifth pool is followed by an average pool in DeepLab-LargeFOV.
        self.smooth = nn.AvgPool2d(3, 1, padding=1) if settings.backbone == "vgg16" else nn.Identity()
        self.head = LargeFovHead(
            self.backbone.channels, classes, settings.head_channels, settings.head_dilation, settings.dropout
        )
        if settings.backbone == "vgg16" and weights is not None:
            self.head.start_from(weights)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores before the softmax, at the backbone's output stride."""
        return self.head(self.smooth(self.backbone(images)))


def without_weights(settings: SegmenterSettings) -> dict:
    """Return the settings as a dict that rebuilds the network without reading any weights file."""
    return {**asdict(settings), "weights": None}
