"""Images as network inputs for a forward pass."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from tagseg.storage.images import resize_image
from tagseg.storage.index import ImageRecord


def square(image: np.ndarray, size: int, mirrored: bool = False) -> Tensor:
    """Return an image uint8 (H, W, 3) as a network's square input, uint8 (3, size, size)."""
    resized = resize_image(image, size, size)
    return to_tensor(resized[:, ::-1] if mirrored else resized)


def to_tensor(image: np.ndarray) -> Tensor:
    """Return an image (H, W, 3) as a tensor (3, H, W) of the same dtype."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def batches(rows: Sequence[ImageRecord], batch_size: int, threads: int = 0) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yield the position of a batch's first image and the batch's images uint8 (H, W, 3).

    `threads` threads read the next batches meanwhile (Pillow decodes without the interpreter's lock); 0: none.
    Do not fork processes while they run.
    """
    starts = range(0, len(rows), batch_size)
    if not threads:
        yield from ((start, [row.read() for row in rows[start : start + batch_size]]) for start in starts)
        return
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[list[Future]] = deque()
        for start in range(0, len(rows) + 2 * batch_size, batch_size):
            pending.append([pool.submit(row.read) for row in rows[start : start + batch_size]])
            if start >= 2 * batch_size:
                yield start - 2 * batch_size, [image.result() for image in pending.popleft()]
