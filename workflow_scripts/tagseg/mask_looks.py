"""How the classes look in figures: the colours of Okabe and Ito, then the same ones with a texture.

The colour-blind tell these colours apart. Mask files keep PASCAL VOC's palette, in which other programs
expect them; its dark reds, greens and browns are one colour to many readers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb

from tagseg.images import VOID

BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW = OKABE_ITO = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442",
)  # fmt: skip
"""The palette without its black, which hides what is below it."""

TEXTURES = ("plain", "stripes", "dots", "columns", "lines")
HATCHES = {"plain": "", "stripes": "\\\\\\\\", "dots": "..", "columns": "|||", "lines": "---"}
MARKERS = {"plain": "o", "stripes": "^", "dots": "s", "columns": "D", "lines": "v"}
"""Each texture as matplotlib's hatch, for legends, and as its marker, for points."""

OPACITY = 0.6
VOID_HATCH = "////"
_LIGHT, _DARK = 255, 130  # of void's stripes


@dataclass(frozen=True)
class Look:
    """A colour, `#rrggbb`, and one of TEXTURES, which is drawn on it in white."""

    colour: str
    texture: str


def looks_of(labels: Iterable[int]) -> dict[int, Look]:
    """Return the look of each class number among `labels`, in ascending order; not of background and void.

    Beyond 35 classes the looks begin anew.
    """
    numbers = sorted(set(map(int, labels)) - {0, VOID})
    every = [Look(colour, texture) for texture in TEXTURES for colour in OKABE_ITO]
    return {number: every[place % len(every)] for place, number in enumerate(numbers)}


def labels_in(masks: Iterable[np.ndarray | None]) -> set[int]:
    """Return the labels that occur in the masks uint8 (H, W); None is passed over."""
    return {int(label) for mask in masks if mask is not None for label in np.unique(mask)}


def laid_over(photograph: np.ndarray, mask: np.ndarray, looks: Mapping[int, Look]) -> np.ndarray:
    """Return a photograph uint8 (H, W, 3) with the labels uint8 (H, W) in their looks over it.

    Background stays clear, void is striped in white and grey, and a white line is drawn around labels.
    """
    period = max(6, max(mask.shape) // 40)
    image = photograph.astype(np.float32)
    for number, look in looks.items():
        here = mask == number
        image[here] += OPACITY * (255 * np.array(to_rgb(look.colour)) - image[here])
        image[here & texture(look.texture, mask.shape, period)] = _LIGHT
    image[_edges(mask)] = _LIGHT
    image[mask == VOID] = _LIGHT
    image[(mask == VOID) & texture("void", mask.shape, period)] = _DARK
    return image.round().astype(np.uint8)


def _edges(mask: np.ndarray) -> np.ndarray:
    """Return where a label differs from its left or upper neighbour's, bool (H, W)."""
    edges = np.zeros(mask.shape, bool)
    edges[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    edges[1:] |= mask[1:] != mask[:-1]
    return edges


def texture(name: str, shape: tuple[int, int], period: int) -> np.ndarray:
    """Return where a texture, of `period` pixels, or the stripes of `void`, are drawn: bool `shape`."""
    rows, columns = np.indices(shape)
    if name == "plain":
        return np.zeros(shape, bool)
    if name == "dots":
        return (rows % period - period / 2) ** 2 + (columns % period - period / 2) ** 2 < (0.3 * period) ** 2
    ramps = {"stripes": columns - rows, "columns": columns, "lines": rows, "void": rows + columns}
    return ramps[name] % period < (0.4 if name == "void" else 0.25) * period
