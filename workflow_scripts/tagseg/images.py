"""Photographs and masks, from files to arrays and back. Pillow reads and writes all of them."""

import errno
import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tagseg.errors import TagsegError
from tagseg.files import atomic_file


class UnreadableImage(TagsegError):
    """The bytes of an image are no good: cut off, damaged, of another format, or a bomb.

    A file that is missing, or that the machine fails to read, is none: that says nothing of the image.
    """


VOID = 255
"""Label of pixels that are neither scored nor learnt from."""

MAX_PIXELS = 100_000_000
"""Largest photograph that is opened, in pixels: a guard against decompression bombs."""

PHOTOGRAPH_SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp"})

# What Pillow's readers raise on damaged bytes; the last are from EXIF blocks and chunk headers.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    struct.error,
)
# What the system answers to an offset that no file has: the number came from the image, not from the machine.
_OFFSET_ERRORS = (errno.EINVAL, errno.EOVERFLOW)
_STRIP = 1_000_000  # pixels that are converted at once
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")  # JPEG's reader opens cameras' MPO files too


def _open(path: str | Path) -> Image.Image:
    """Open an image lazily.

    Raises TagsegError where the file is missing or cannot be read, UnreadableImage where it is no image or
    too large a one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=_FORMATS)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such image; restore it or take it out of the data set") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _refusal(path, error, "not a readable image") from None
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImage(
            f"{path}: {image.width}x{image.height} exceeds {MAX_PIXELS:,} pixels; scale it down"
        )
    return image


def _refusal(path: str | Path, error: Exception, what: str) -> TagsegError:
    """Return the error to raise for one of Pillow's readers.

    An OSError with a number is the machine's, but for those of a damaged offset.
    """
    if isinstance(error, OSError) and error.errno not in (None, *_OFFSET_ERRORS):
        remedy = "see to its rights and to the disk or the network it lies on"
        return TagsegError(f"{path}: cannot be read ({error.strerror}); {remedy}")
    reason = getattr(error, "strerror", None) or error
    return UnreadableImage(f"{path}: {what} ({reason}); replace or remove it")


def _check_png(path: str | Path, image: Image.Image) -> None:
    """Raise ValueError where the checksum of a PNG's pixels is wrong: Pillow passes over it."""
    if image.format != "PNG":
        return
    with open(path, "rb") as stream:
        stream.seek(8)
        while len(head := stream.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"IEND":
                return
            content, told = stream.read(length), stream.read(4)
            if kind == b"IDAT" and len(told) == 4 and told != struct.pack(">I", zlib.crc32(kind + content)):
                raise ValueError("wrong checksum of the pixels")


def read_photograph(path: str | Path) -> np.ndarray:
    """Read any photograph as RGB, uint8, (height, width, 3), C-contiguous, writable.

    EXIF rotation is applied; grey-scale, palette, CMYK and 16-bit images are converted; transparent
    pixels are laid over white. Raises TagsegError and UnreadableImage (see `_open`), the latter also where
    the pixels are damaged.
    """
    with _open(path) as image:
        try:
            _check_png(path, image)
            upright = ImageOps.exif_transpose(image)
            return np.array(_to_rgb(upright), dtype=np.uint8, order="C")
        except _DAMAGE as error:
            raise _refusal(path, error, "damaged image") from None


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any Pillow mode to RGB without Pillow's clipping of 16-bit values."""
    if image.mode.startswith(("I", "F")):
        return _stretch_to_8_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _stretch_to_8_bits(image: Image.Image) -> Image.Image:
    """Map 16-bit integers [0, 65535], or floats of any range, to 8 bits; Pillow would clip at 255."""
    values = np.asarray(image)
    low, high = (0, 65535) if image.mode.startswith("I") else (np.nanmin(values), np.nanmax(values))
    grey = np.empty(values.shape, np.uint8)
    flat, flat_grey = values.reshape(-1), grey.reshape(-1)
    for start in range(0, flat.size, _STRIP):  # in float64 all pixels at once would take gigabytes
        part = slice(start, start + _STRIP)
        scaled = np.nan_to_num((flat[part] - np.float64(low)) / max(np.float64(high) - low, 1e-12))
        flat_grey[part] = (255 * scaled.clip(0, 1)).round()
    return Image.fromarray(grey)


def resize_photograph(photograph: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an RGB uint8 array (H, W, 3) bilinearly (antialiased when it shrinks)."""
    image = Image.fromarray(photograph)
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))


def shrink_photograph(photograph: np.ndarray, longest_side: int) -> np.ndarray:
    """Shrink an RGB uint8 array (H, W, 3) until its longer side is `longest_side`; smaller ones stay."""
    height, width = photograph.shape[:2]
    factor = longest_side / max(height, width)
    if factor >= 1:
        return photograph
    return resize_photograph(photograph, max(1, round(factor * height)), max(1, round(factor * width)))


def largest_map(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return which of the maps (L, h, w), enlarged to (height, width), is largest at each pixel.

    int64 (height, width), the first where several are. One map is enlarged at a time: all of them may
    not fit into memory at the size of a large photograph.
    """
    if maps.shape[1:] == (height, width):
        return maps.argmax(axis=0)
    largest = resize_map(maps[0], height, width)
    winner = np.zeros((height, width), np.int64)
    for number, one in enumerate(maps[1:], start=1):
        enlarged = resize_map(one, height, width)
        winner[enlarged > largest] = number
        np.maximum(largest, enlarged, out=largest)
    return winner


def resize_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a label array uint8 (H, W) with nearest neighbours: labels never mix."""
    return np.array(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def resize_map(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a real-valued map (h, w) bilinearly to float32 (height, width).

    Pixel centres are aligned as in torch's `interpolate(align_corners=False)`, to which it is equal
    when it enlarges; when it shrinks it averages, so that no value is skipped.
    """
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))


def voc_palette() -> np.ndarray:
    """Return PASCAL VOC's colour map, uint8 (256, 3): the bits of a label dealt to R, G, B in turn."""
    labels = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= (((labels >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return palette


def encode_mask(mask: np.ndarray) -> bytes:
    """Return a label array uint8 (H, W) as the bytes of a palette PNG in VOC's colours."""
    image = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8)).convert("L")
    image.putpalette(voc_palette().tobytes())
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def write_mask(path: str | Path, mask: np.ndarray) -> None:
    """Write a label array uint8 (H, W) as a palette PNG in VOC's colours, atomically."""
    with atomic_file(path) as aside:
        aside.write_bytes(encode_mask(mask))


def read_mask(path: str | Path, classes: int | None = None) -> np.ndarray:
    """Read a palette or grey-scale PNG as labels, uint8 (H, W).

    Raises TagsegError where the file has colours instead of labels, or, given the number of `classes`
    (background counted), holds a label that is neither below it nor 255.
    """
    with _open(path) as image:
        if image.mode not in ("P", "L", "1"):
            raise TagsegError(
                f"{path}: mode {image.mode}, where a mask has one label a pixel; save it as a palette or "
                "grey PNG"
            )
        try:
            _check_png(path, image)
            mask = _labels(image)
        except _DAMAGE as error:
            raise _refusal(path, error, "damaged mask") from None
    if classes is not None:
        _check_labels(path, mask, classes)
    return mask


def _labels(image: Image.Image) -> np.ndarray:
    """Return the labels as they are stored: Pillow stretches 2- and 4-bit grey to 0..255."""
    raw_mode = image.tile[0][3] if image.tile else None
    stretched = {"L;2": 85, "L;4": 17}.get(raw_mode if isinstance(raw_mode, str) else "", 1)
    return np.array(image, dtype=np.uint8) // np.uint8(stretched)


def _check_labels(path: str | Path, mask: np.ndarray, classes: int) -> None:
    """Raise TagsegError where `mask` holds a label that is neither a class nor void."""
    present = np.flatnonzero(np.bincount(mask.ravel(), minlength=256)[:VOID])
    if present.size and present[-1] >= classes:
        raise TagsegError(
            f"{path}: label {present[-1]}, where the classes end at {classes - 1}; mend the mask or "
            "the class list"
        )


def overlay(photograph: np.ndarray, mask: np.ndarray, opacity: float = 0.55) -> np.ndarray:
    """Lay the colours of `mask` (H, W) over `photograph` uint8 (H, W, 3); background stays clear."""
    colours = voc_palette()[mask].astype(np.float32)
    share = np.where(mask == 0, 0, opacity).astype(np.float32)[..., None]
    return (photograph * (1 - share) + colours * share).round().astype(np.uint8)
