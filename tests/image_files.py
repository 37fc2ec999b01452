"""Image files, also of kinds that Pillow does not write."""

import struct
import zlib

import numpy as np
from PIL import Image


def png_bytes(width, height, bits, colour_type, raw):
    """Return a PNG; each row of `raw` starts with its filter."""

    def chunk(name, data):
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def save(path, array_or_image, **options):
    array = isinstance(array_or_image, np.ndarray)
    (Image.fromarray(array_or_image) if array else array_or_image).save(path, **options)
    return path
