"""Networks of random weights and images of noise, equal in every run."""

import numpy as np
import torch
from torch import nn

from tagseg.models.backbones import architecture
from tagseg.models.deeplab import DeepLabLargeFov
from tagseg.models.settings import SegmenterSettings
from tagseg.storage.checkpoints import describe, save_checkpoint

CLASSES = ("background", "cat", "dog")
SMALL = SegmenterSettings(backbone="timm:resnet10t", weights=None, output_stride=16, head_channels=8, head_dilation=2)


def noise(size: int, count: int = 1) -> torch.Tensor:
    """Return images float32 (count, 3, size, size) from 0 to 255."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, size, size))
    return torch.from_numpy(pixels.astype(np.float32))


def seeded(name: str, output_stride: int) -> nn.Module:
    torch.manual_seed(0)
    return architecture(name).build(output_stride).eval()


def save_small_segmenter(path, seed: int = 0) -> None:
    """Save a segmenter of CLASSES with random weights."""
    torch.manual_seed(seed)
    save_checkpoint(path, DeepLabLargeFov(SMALL, len(CLASSES)), describe("segmenter", CLASSES, SMALL))
