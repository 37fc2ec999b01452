"""Random views of images with their targets, for training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tagseg.models.inputs import to_tensor
from tagseg.storage.images import VOID, resize_image, resize_mask
from tagseg.storage.index import ImageRecord

PADDING = 127  # grey, near every backbone's mean


@dataclass(frozen=True)
class Augmentation:
    """Random view of an image: scaled, cropped or padded to a square, mirrored.

    `scales` is the range of the factor on the square's side; (1, 1) without flip is a plain resize.
    """

    size: int
    scales: Sequence[float] = (1.0, 1.0)
    flip: bool = True

    def __call__(
        self, rng: np.random.Generator, image: np.ndarray, mask: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the view of an image uint8 (H, W, 3) and of its mask uint8 (H, W), both square.

        Padding is grey in the image and void in the mask. Labels are resized with nearest neighbours.
        """
        side = max(1, round(self.size * rng.uniform(self.scales[0], self.scales[1])))
        offsets = [int(rng.integers(abs(side - self.size) + 1)) for _ in range(2)]
        mirrored = self.flip and rng.random() < 0.5
        image = self._fit(resize_image(image, side, side), offsets, PADDING, mirrored)
        if mask is not None:
            mask = self._fit(resize_mask(mask, side, side), offsets, VOID, mirrored)
        return image, mask

    def _fit(self, array: np.ndarray, offsets: list[int], fill: int, mirrored: bool) -> np.ndarray:
        """Crop (if larger) or pad (if smaller) the first two axes to `size`, then mirror."""
        side, (top, left) = len(array), offsets
        if side >= self.size:
            fitted = array[top : top + self.size, left : left + self.size]
        else:
            fitted = np.full((self.size, self.size, *array.shape[2:]), fill, array.dtype)
            fitted[top : top + side, left : left + side] = array
        return fitted[:, ::-1] if mirrored else fitted


class TrainingSet(Dataset):
    """Random views of images with their targets, addressed by (epoch, position).

    Each view has a generator seeded with (random seed, epoch, position): neither the number of loading
    processes nor a resumed run changes it.
    """

    def __init__(
        self,
        images: Sequence[ImageRecord],
        augmentation: Augmentation,
        random_seed: int,
        target_of: Callable[[ImageRecord], np.ndarray],
    ) -> None:
        """`target_of` returns an image's mask uint8 (H, W), which gets the image's view, or its tag vector."""
        self.images, self.augmentation, self.random_seed = images, augmentation, random_seed
        self._target_of = target_of

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, position = key
        rng = np.random.default_rng((self.random_seed, epoch, position))
        row = self.images[position]
        image, target = row.read(), self._target_of(row)
        view, mask = self.augmentation(rng, image, target if target.ndim == 2 else None)
        return to_tensor(view), torch.from_numpy(np.ascontiguousarray(target if mask is None else mask))


def tag_vector(labels: Sequence[int], classes: int) -> np.ndarray:
    """Return the multi-label target float32 (classes - 1,): 1 at label - 1 of each tag's class index."""
    vector = np.zeros(classes - 1, np.float32)
    vector[np.asarray(labels, int) - 1] = 1
    return vector
