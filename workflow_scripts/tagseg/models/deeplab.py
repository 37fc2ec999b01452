"""DeepLab-LargeFOV (Chen et al. 2016) on any backbone."""

import logging

from torch import Tensor, nn

from tagseg.models.backbones import Network, build_backbone
from tagseg.models.registry import architecture
from tagseg.models.settings import SegmenterSettings
from tagseg.models.weights import Weights, read_weights

log = logging.getLogger(__name__)

FULLY_CONNECTED = {
    "classifier.0.weight": (4096, 512 * 7 * 7),
    "classifier.0.bias": (4096,),
    "classifier.3.weight": (4096, 4096),
    "classifier.3.bias": (4096,),
}
"""Parameters of VGG16's fully connected layers and their shapes."""


class LargeFovHead(nn.Sequential):
    """fc6 (3x3, dilated: the large field of view), fc7 (1x1), and the classes' scores (1x1)."""

    def __init__(self, inputs: int, classes: int, channels: int, dilation: int, dropout: float) -> None:
        fc6 = nn.Conv2d(inputs, channels, 3, padding=dilation, dilation=dilation)
        fc7 = nn.Conv2d(channels, channels, 1)
        scores = nn.Conv2d(channels, classes, 1)
        super().__init__(
            fc6, nn.ReLU(inplace=True), nn.Dropout(dropout), fc7, nn.ReLU(inplace=True), nn.Dropout(dropout), scores
        )
        for layer in (fc6, fc7, scores):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        nn.init.normal_(scores.weight, std=0.01)
        self.channels = channels
        self.pretrained: tuple[nn.Module, ...] = ()
        """Layers that start from ImageNet: they learn at the backbone's rate."""

    def start_from(self, weights: Weights) -> None:
        """Initialise fc6 and fc7 from VGG16's fully connected layers; without these they stay random.

        The log reports which. Initialised layers become `pretrained`: the paper's higher learning rate is that of
        randomly initialised layers.
        """
        if reason := _why_unusable(weights, self.channels):
            log.info("%s: fc6 and fc7 start at random", reason)
            return
        self.load_state_dict(decimated(weights, self.channels), strict=False)  # without the classes' scores
        self.pretrained = (self[0], self[3])
        log.info("fc6 and fc7 start from the fully connected layers of the weights %s", weights.source)


def _why_unusable(weights: Weights, channels: int) -> str | None:
    for key, shape in FULLY_CONNECTED.items():
        if key not in weights.state or weights.state[key].shape != shape:
            return f"weights {weights.source}: no {key} of VGG16"
    return f"head_channels {channels}: no divisor of VGG16's 4096" if 4096 % channels else None


def decimated(weights: Weights, channels: int) -> dict[str, Tensor]:
    """Return fc6 and fc7 of DeepLab-LargeFOV (Chen et al. 2016), cut out of VGG16's fully connected layers.

    The first of these is a convolution (4096, 512, 7, 7) of the fifth pool's maps. Rows and columns 0, 3 and 6
    are kept, and every (4096 / channels)th output and input of fc7. At stride 8 and dilation 12 the kept taps
    are 96 pixels apart, as at VGG16's own stride of 32. Returns views in the head's naming:
    (channels, 512, 3, 3) and (channels, channels, 1, 1).
    """
    state, step = weights.state, 4096 // channels
    return {
        "0.weight": state["classifier.0.weight"].reshape(4096, 512, 7, 7)[::step, :, ::3, ::3],
        "0.bias": state["classifier.0.bias"][::step],
        "3.weight": state["classifier.3.weight"][::step, ::step, None, None],
        "3.bias": state["classifier.3.bias"][::step],
    }


class DeepLabLargeFov(Network):
    """Images (N, 3, H, W) in [0, 255] -> scores (N, classes, ceil(H / stride), ceil(W / stride))."""

    head: LargeFovHead

    def __init__(self, settings: SegmenterSettings, classes: int) -> None:
        super().__init__()
        self.settings = settings
        node = architecture(settings.backbone).last_block
        weights = read_weights(settings.backbone, settings.weights)
        self.backbone = build_backbone(settings.backbone, weights, settings.output_stride, node)
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
