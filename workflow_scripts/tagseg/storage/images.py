"""Images and masks: files to arrays and back, with Pillow."""

import errno
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, PngImagePlugin, features

from tagseg.runtime.errors import TagsegError
from tagseg.storage.files import atomic_file


class UnreadableImage(TagsegError):
    """An image is truncated, damaged, of another format or too large; missing files are another error."""


VOID = 255
"""Label of pixels that neither scores nor training use."""

BYTES_PER_PIXEL = 14
"""Memory that reading an image takes per pixel: Pillow has it as stored and upright (4 each), then two copies (3)."""

MAX_GIGABYTES = 3.0


def max_pixels(gigabytes: float) -> int:
    """Return the size of the largest image that can be read with so much memory."""
    return int(gigabytes * 1e9 / BYTES_PER_PIXEL)


MAX_PIXELS = max_pixels(MAX_GIGABYTES)
"""Largest image that is opened unless a limit is given: protects against decompression bombs."""

Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit is fixed
PngImagePlugin.MAX_TEXT_CHUNK = 2**26  # bytes; drawing programs keep their project in the text of a PNG

try:
    import pillow_heif  # the extra `heif`

    pillow_heif.register_heif_opener()
    _HEIF = {".heic": "HEIF", ".heif": "HEIF"}
except ImportError:
    _HEIF = {}
_AVIF = {".avif": "AVIF"} if features.check("avif") else {}

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", *_HEIF, *_AVIF})

# Pillow raises these for damaged bytes.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, struct.error)
_OFFSET_ERRORS = (errno.EINVAL, errno.EOVERFLOW)  # a damaged image has offsets that no file has
# JPEG's reader opens cameras' MPO files too.
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", *dict.fromkeys((*_HEIF.values(), *_AVIF.values())))


def _open(path: str | Path, limit: int = sys.maxsize) -> Image.Image:
    """Open an image lazily.

    Raises TagsegError if the file is missing or the machine cannot read it, UnreadableImage if it is not an
    image or too large.
    """
    try:
        image = Image.open(path, formats=_FORMATS)
    except FileNotFoundError:
        raise TagsegError(f"{path}: no such image. Restore it or remove it from the data set.") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise _refusal(path, error, "not a readable image") from None
    if image.width * image.height > limit:
        gigabytes = image.width * image.height * BYTES_PER_PIXEL / 1e9
        text = f"{image.width}x{image.height} pixels take {gigabytes:.1f} GB of memory to read"
        raise UnreadableImage(f"{path}: {text}. Scale it down, or raise dataset.max_image_memory.")
    return image


def _refusal(path: str | Path, error: Exception, what: str) -> TagsegError:
    """Return the error to raise for one of Pillow's; an OSError with a number comes from the machine."""
    if isinstance(error, OSError) and error.errno not in (None, *_OFFSET_ERRORS):
        remedy = "Check its permissions and its disk or network mount."
        return TagsegError(f"{path}: cannot be read ({error.strerror}). {remedy}")
    reason = getattr(error, "strerror", None) or error
    return UnreadableImage(f"{path}: {what} ({reason}). Replace or remove it.")


def _check_png(path: str | Path, image: Image.Image) -> None:
    """Raise ValueError if the checksum of a PNG's pixels is wrong: Pillow ignores it."""
    if image.format != "PNG":
        return
    with open(path, "rb") as stream:
        stream.seek(8)
        while len(head := stream.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if kind == b"IEND":
                return
            content, crc = stream.read(length), stream.read(4)
            if kind == b"IDAT" and len(crc) == 4 and crc != struct.pack(">I", zlib.crc32(kind + content)):
                raise ValueError("wrong checksum of the pixels")


def read_image(path: str | Path, limit: int = MAX_PIXELS) -> np.ndarray:
    """Read any image as RGB, uint8, (height, width, 3), C-contiguous, writable.

    EXIF rotation is applied; grey, palette, CMYK and 16-bit images are converted; transparent pixels are laid
    over white. Raises TagsegError if the file cannot be read, its subclass UnreadableImage if it is damaged or has
    more than `limit` pixels.
    """
    with _open(path, limit) as image:
        try:
            _check_png(path, image)
            upright = ImageOps.exif_transpose(image)
            return np.array(_to_rgb(upright), dtype=np.uint8, order="C")
        except _DAMAGE as error:
            raise _refusal(path, error, "damaged image") from None


def stored_size(path: str | Path) -> tuple[int, int]:
    """Return width and height of an image as stored, before EXIF rotation. Raises as `read_image`."""
    with _open(path) as image:
        return image.size


def turn_upright(mask: np.ndarray, path: str | Path) -> np.ndarray:
    """Turn a label array uint8 (H, W) as the EXIF rotation of the image `path` tells."""
    turned = Image.fromarray(mask)
    with _open(path) as image:
        turned.getexif()[ExifTags.Base.Orientation] = image.getexif().get(ExifTags.Base.Orientation, 1)
    return np.array(ImageOps.exif_transpose(turned))


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any Pillow mode to RGB without Pillow's clipping of 16-bit values."""
    if image.mode.startswith(("I", "F")):
        return _stretch_to_8_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _stretch_to_8_bits(image: Image.Image) -> Image.Image:
    """Map 16-bit integers [0, 65535], or floats of any range, to 8 bits; Pillow would clip at 255."""
    values = np.asarray(image)
    low, high = (0, 65535) if image.mode.startswith("I") else (np.nanmin(values), np.nanmax(values))
    grey = np.empty(values.shape, np.uint8)
    for row, grey_row in zip(values, grey, strict=True):  # the whole image in float64 takes gigabytes
        scaled = np.nan_to_num((row - np.float64(low)) / max(np.float64(high) - low, 1e-12))
        grey_row[:] = (255 * scaled.clip(0, 1)).round()
    return Image.fromarray(grey)


def resize_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an RGB uint8 array (H, W, 3) bilinearly (antialiased when it shrinks)."""
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.array(resized)


def shrink_image(image: np.ndarray, longest_side: int) -> np.ndarray:
    """Shrink an RGB uint8 array (H, W, 3) until its longer side is `longest_side`; smaller ones stay."""
    height, width = image.shape[:2]
    factor = longest_side / max(height, width)
    if factor >= 1:
        return image
    return resize_image(image, max(1, round(factor * height)), max(1, round(factor * width)))


def largest_map(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the argmax of the maps (L, h, w) after enlarging them: int64 (height, width), the first of equals.

    One map is enlarged at a time: all of them may not fit into memory. `argmax` over the first axis is slower.
    """
    largest = np.full((height, width), -np.inf, np.float32)
    winner = np.zeros((height, width), np.int64)
    for number, one in enumerate(maps):
        enlarged = one if one.shape == largest.shape else resize_map(one, height, width)
        winner[enlarged > largest] = number
        np.maximum(largest, enlarged, out=largest)
    return winner


def resize_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a label array uint8 (H, W) with nearest neighbours."""
    return np.array(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def resize_map(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a real-valued map (h, w) bilinearly to float32 (height, width).

    It enlarges like torch's `interpolate(align_corners=False)`, and averages when it shrinks.
    """
    image = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))


def voc_palette() -> np.ndarray:
    """Return PASCAL VOC's colour map, uint8 (256, 3): the bits of a label go to R, G, B in turn."""
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
    with atomic_file(path) as partial:
        partial.write_bytes(encode_mask(mask))


def read_mask(path: str | Path, classes: int | None = None) -> np.ndarray:
    """Read a palette or grey-scale PNG as labels, uint8 (H, W).

    Raises TagsegError if the file has colours instead of labels, or, with `classes` (their count including
    background), a label that is neither below it nor 255.
    """
    with _open(path, 4 * MAX_PIXELS) as image:  # a label takes less memory than a colour
        if image.mode not in ("P", "L", "1"):
            text = f"mode {image.mode}, but a mask has one label per pixel"
            raise TagsegError(f"{path}: {text}. Save it as a palette or grey PNG.")
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
    raw_mode = image.tile[0][3] if isinstance(image, ImageFile.ImageFile) and image.tile else None
    stretched = {"L;2": 85, "L;4": 17}.get(raw_mode if isinstance(raw_mode, str) else "", 1)
    return np.array(image, dtype=np.uint8) // np.uint8(stretched)


def _check_labels(path: str | Path, mask: np.ndarray, classes: int) -> None:
    present = np.flatnonzero(np.bincount(mask.ravel(), minlength=256)[:VOID])
    if present.size and present[-1] >= classes:
        text = f"label {present[-1]}, but the last class is {classes - 1}"
        raise TagsegError(f"{path}: {text}. Correct the mask or the class list.")


def overlay(image: np.ndarray, mask: np.ndarray, opacity: float = 0.55) -> np.ndarray:
    """Lay the colours of `mask` (H, W) over `image` uint8 (H, W, 3); background stays clear."""
    colours = voc_palette()[mask].astype(np.float32)
    weight = np.where(mask == 0, 0, opacity).astype(np.float32)[..., None]
    return (image * (1 - weight) + colours * weight).round().astype(np.uint8)
