"""Contact sheets: a few small images of each class, to see at a glance what a data set holds."""

import base64
import hashlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tagseg.storage.images import shrink_image
from tagseg.storage.index import ImageRecord, Index

IMAGES = 12  # per class
COLUMNS = 6
SIDE = 150  # pixels of a cell
GAP = 4


def contact_sheets(index: Index) -> dict[str, str]:
    """Return a sheet per class with images of train, a JPEG as data URI; classes without one have none."""
    train = index.of_split("train")
    rows = {name: _sample([row for row in train if name in row.tags]) for name in index.classes[1:]}
    return {name: _sheet([row.read() for row in some]) for name, some in rows.items() if some}


def _sample(rows: Sequence[ImageRecord]) -> list[ImageRecord]:
    """Return IMAGES of the images at most, those of the smallest digests: neighbours by id are often alike."""
    return sorted(rows, key=lambda row: hashlib.sha256(row.id.encode()).digest())[:IMAGES]


def _sheet(images: Sequence[np.ndarray]) -> str:
    """Return images uint8 (H, W, 3) on a white sheet."""
    lines, step = -(-len(images) // COLUMNS), SIDE + GAP
    sheet = Image.new("RGB", (min(len(images), COLUMNS) * step, lines * step), "white")
    for number, image in enumerate(images):
        small = Image.fromarray(shrink_image(image, SIDE))
        column, line = number % COLUMNS, number // COLUMNS
        corner = (column * step + (SIDE - small.width) // 2, line * step + (SIDE - small.height) // 2)
        sheet.paste(small, corner)
    stream = io.BytesIO()
    sheet.save(stream, "JPEG", quality=85, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
