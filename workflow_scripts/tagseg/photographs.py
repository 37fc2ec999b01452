"""Photographs as network inputs: batches of squares for a forward pass, random views for training."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tagseg.images import VOID, resize_mask, resize_photograph
from tagseg.index import Photograph

PADDING = 127  # grey, near every backbone's mean


def square(photograph: np.ndarray, size: int, mirrored: bool = False) -> Tensor:
    """Return a photograph uint8 (H, W, 3) as a network's square input, uint8 (3, size, size)."""
    resized = resize_photograph(photograph, size, size)
    return to_tensor(resized[:, ::-1] if mirrored else resized)


def to_tensor(image: np.ndarray) -> Tensor:
    """Return an image (H, W, 3) as a tensor (3, H, W) of the same dtype."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def batches(
    photographs: Sequence[Photograph], batch_size: int, threads: int = 0
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yield the position of a batch's first photograph and the batch's images uint8 (H, W, 3).

    So many `threads` read the next batch while this one is worked on, since Pillow decodes without holding
    the interpreter's lock; 0: nothing is read ahead. Threads must not be where processes are forked.
    """
    starts = range(0, len(photographs), batch_size)
    if not threads:
        yield from ((start, _read(photographs[start : start + batch_size], map)) for start in starts)
        return
    with ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(1) as ahead:
        parts = [photographs[start : start + batch_size] for start in starts]
        coming = deque(ahead.submit(_read, part, pool.map) for part in parts[:2])
        for number, start in enumerate(starts):
            images = coming.popleft().result()
            coming.extend(ahead.submit(_read, part, pool.map) for part in parts[number + 2 : number + 3])
            yield start, images


def _read(photographs: Sequence[Photograph], each: Callable) -> list[np.ndarray]:
    """Return the images of photographs, read by `each`, which is map or a pool's."""
    return list(each(Photograph.read, photographs))


@dataclass(frozen=True)
class Augmentation:
    """Random view of a photograph for training: scaled, cropped or padded to a square, mirrored.

    `scales` bounds the factor on the square's side; (1, 1) and no flip leave the plain resize.
    """

    size: int
    scales: tuple[float, float] = (1.0, 1.0)
    flip: bool = True

    def __call__(
        self, rng: np.random.Generator, image: np.ndarray, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the view of an image uint8 (H, W, 3) and of its mask uint8 (H, W), both square.

        Padding is grey in the image and void in the mask. Labels are resized with nearest neighbours.
        """
        side = max(1, round(self.size * rng.uniform(*self.scales)))
        offsets = [int(rng.integers(abs(side - self.size) + 1)) for _ in range(2)]
        mirrored = self.flip and rng.random() < 0.5
        image = self._place(resize_photograph(image, side, side), offsets, PADDING, mirrored)
        if mask is not None:
            mask = self._place(resize_mask(mask, side, side), offsets, VOID, mirrored)
        return image, mask

    def _place(self, array: np.ndarray, offsets: list[int], fill: int, mirrored: bool) -> np.ndarray:
        """Crop (where it is larger) or pad (where smaller) the first two axes to `size`, then mirror."""
        side, (top, left) = len(array), offsets
        if side >= self.size:
            placed = array[top : top + self.size, left : left + self.size]
        else:
            placed = np.full((self.size, self.size, *array.shape[2:]), fill, array.dtype)
            placed[top : top + side, left : left + side] = array
        return placed[:, ::-1] if mirrored else placed


class TrainingSet(Dataset):
    """Random views of photographs with their targets, addressed by (epoch, position).

    Each view is drawn from a generator seeded with (random seed, epoch, position): neither the number of
    loading processes nor a resumed run changes it.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        augmentation: Augmentation,
        random_seed: int,
        mask_of: Callable[[Photograph], np.ndarray] | None = None,
        labels_of: Callable[[Photograph], np.ndarray] | None = None,
    ) -> None:
        """Targets are the masks that `mask_of` reads, else the vectors that `labels_of` gives."""
        self.photographs, self.augmentation, self.random_seed = photographs, augmentation, random_seed
        self._mask_of, self._labels_of = mask_of, labels_of

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, position = key
        rng = np.random.default_rng((self.random_seed, epoch, position))
        row = self.photographs[position]
        image = row.read()
        if self._mask_of is None:
            image, _ = self.augmentation(rng, image)
            return to_tensor(image), torch.from_numpy(self._labels_of(row))
        image, mask = self.augmentation(rng, image, self._mask_of(row))
        return to_tensor(image), torch.from_numpy(np.ascontiguousarray(mask))


def tag_vector(numbers: Sequence[int], classes: int) -> np.ndarray:
    """Return the multi-label target float32 (classes - 1,): 1 at number - 1 of each tag's class number."""
    vector = np.zeros(classes - 1, np.float32)
    vector[np.asarray(numbers, int) - 1] = 1
    return vector
