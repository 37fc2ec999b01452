"""Forward passes of views: an image at several input sizes, mirrored or not."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from tagseg.models.inputs import square
from tagseg.runtime.devices import autocast
from tagseg.storage.feature_shards import View


@torch.no_grad()
def forward_views(
    network: Callable[[Tensor], Tensor],
    images: Sequence[np.ndarray],
    views: Iterable[View],
    precision: str,
    where: torch.device,
) -> Iterator[tuple[View, Tensor]]:
    """Yield each view and the maps float32 (N, C, h, w) of images uint8 (H, W, 3), mirrored back."""
    for view in views:
        batch = torch.stack([square(image, view.size, view.mirrored) for image in images]).to(where)
        with autocast(where, precision):
            maps = network(batch).float()
        yield view, maps.flip(-1) if view.mirrored else maps
