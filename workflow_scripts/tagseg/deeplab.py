"""DeepLab-LargeFOV (Chen et al. 2016) on any backbone."""

from dataclasses import asdict, dataclass

from torch import Tensor, nn

from tagseg.backbones import Backbone, architecture, build_backbone


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


class DeepLabLargeFov(nn.Module):
    """Images (N, 3, H, W) in [0, 255] -> scores (N, classes, ceil(H / stride), ceil(W / stride))."""

    def __init__(self, settings: SegmenterSettings, classes: int) -> None:
        super().__init__()
        node = architecture(settings.backbone).last_block
        self.backbone: Backbone = build_backbone(
            settings.backbone, settings.weights, settings.output_stride, node
        )
        # VGG's fifth pool is followed by an average pool in DeepLab-LargeFOV.
        self.smooth = nn.AvgPool2d(3, 1, padding=1) if settings.backbone == "vgg16" else nn.Identity()
        self.head = LargeFovHead(
            self.backbone.channels, classes, settings.head_channels, settings.head_dilation, settings.dropout
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return scores before the softmax, at the backbone's output stride."""
        return self.head(self.smooth(self.backbone(images)))


def without_weights(settings: SegmenterSettings) -> dict:
    """Return the settings as a dict that rebuilds the network without reading any weights file."""
    return {**asdict(settings), "weights": None}
