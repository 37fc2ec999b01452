"""The style of each class in figures: the colours of Okabe and Ito, then the same ones with a texture.

Colour-blind people can distinguish these colours. Mask files keep PASCAL VOC's palette, as other programs
expect.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb

from tagseg.storage.images import VOID

BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW = OKABE_ITO = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442",
)  # fmt: skip
"""The palette without black, which hides the image."""

TEXTURES = ("plain", "stripes", "dots", "columns", "lines")
HATCHES = {"plain": "", "stripes": "\\\\\\\\", "dots": "..", "columns": "|||", "lines": "---"}
MARKERS = {"plain": "o", "stripes": "^", "dots": "s", "columns": "D", "lines": "v"}
"""The hatch of each texture in legends, and its marker for points."""

OPACITY = 0.6
VOID_HATCH = "////"
_LIGHT, _DARK = 255, 130  # stripes of void


@dataclass(frozen=True)
class ClassStyle:
    """A colour, `#rrggbb`, and one of TEXTURES, drawn on it in white."""

    colour: str
    texture: str


def class_styles(labels: Iterable[int]) -> dict[int, ClassStyle]:
    """Return the style of each class index in ascending order, without background and void.

    After 35 classes the styles repeat.
    """
    indices = sorted(set(map(int, labels)) - {0, VOID})
    styles = [ClassStyle(colour, texture) for texture in TEXTURES for colour in OKABE_ITO]
    return {label: styles[n % len(styles)] for n, label in enumerate(indices)}


def labels_in(masks: Iterable[np.ndarray | None]) -> set[int]:
    """Return the labels that occur in the masks uint8 (H, W)."""
    return {int(label) for mask in masks if mask is not None for label in np.unique(mask)}


def overlay_labels(image: np.ndarray, mask: np.ndarray, styles: Mapping[int, ClassStyle]) -> np.ndarray:
    """Return an image uint8 (H, W, 3) with the labels uint8 (H, W) over it.

    Background stays clear, void has white and grey stripes, and regions have a white outline.
    """
    period = max(6, max(mask.shape) // 40)
    overlay = image.astype(np.float32)
    for label, style in styles.items():
        here = mask == label
        overlay[here] += OPACITY * (255 * np.array(to_rgb(style.colour)) - overlay[here])
        overlay[here & texture(style.texture, mask.shape, period)] = _LIGHT
    edges = np.zeros(mask.shape, bool)
    edges[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    edges[1:] |= mask[1:] != mask[:-1]
    overlay[edges | (mask == VOID)] = _LIGHT
    overlay[(mask == VOID) & texture("void", mask.shape, period)] = _DARK
    return overlay.round().astype(np.uint8)


def texture(name: str, shape: tuple[int, ...], period: int) -> np.ndarray:
    """Return the pixels of a texture with a period in pixels, or of the stripes of `void`: bool `shape`."""
    rows, columns = np.indices(shape)
    if name == "plain":
        return np.zeros(shape, bool)
    if name == "dots":
        return (rows % period - period / 2) ** 2 + (columns % period - period / 2) ** 2 < (0.3 * period) ** 2
    ramps = {"stripes": columns - rows, "columns": columns, "lines": rows, "void": rows + columns}
    return ramps[name] % period < (0.4 if name == "void" else 0.25) * period
