"""Settings of the networks."""

from typing import Annotated, Literal

from pydantic import Field

from tagseg.models.registry import NAME_PATTERN
from tagseg.runtime.settings import Settings

Backbone = Annotated[str, Field(pattern=NAME_PATTERN)]


class NetworkSettings(Settings):
    """Backbone, its weights and its output stride."""

    backbone: Backbone = Field(
        "efficientnet_lite0", description="resnet18 ... resnet152, vgg16, efficientnet_lite0 ... 2, timm:<name>"
    )
    weights: Annotated[str, Field(min_length=1)] | None = Field(
        "imagenet", description="imagenet, the path of a state dict, or null for random weights"
    )
    output_stride: Literal[8, 16, 32] = Field(16, description="strides of the last stages are replaced by dilation")


class ClassifierSettings(NetworkSettings):
    """The multi-label classifier."""

    dropout: float = Field(0.0, ge=0, lt=1)


class SegmenterSettings(NetworkSettings):
    """DeepLab-LargeFOV."""

    head_channels: int = Field(256, ge=1, le=65536, description="1024 in DeepLab-LargeFOV")
    head_dilation: int = Field(
        4,
        ge=1,
        le=256,
        description="12 in the paper (stride 8, input 328); in proportion to input_size / output_stride",
    )
    dropout: float = Field(0.5, ge=0, lt=1)
