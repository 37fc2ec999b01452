"""Images and masks that are damaged, huge or none: each names its file."""

import errno
import os

import numpy as np
import pytest
from PIL import Image

from image_files import save
from tagseg.runtime.errors import TagsegError
from tagseg.storage import images


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("reader", [images.read_image, images.read_mask])
@pytest.mark.parametrize("after", [6, -4])
def test_png_with_wrong_checksum(tmp_path, reader, after):
    """Damage of the pixels, and of their checksum alone, at which Pillow does not look."""
    path = save(tmp_path / "crc.png", np.zeros((5, 7), np.uint8))
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + after if after > 0 else content.index(b"IEND") - 4 + after] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(images.UnreadableImage, match=r"crc\.png: damaged (image|mask)"):
        reader(path)


@pytest.mark.parametrize("step", ["open", "load"])
def test_an_error_of_the_machine_says_nothing_of_the_image(tmp_path, colours, monkeypatch, step):
    path = save(tmp_path / "a.jpg", colours)
    place = (images.Image, "open") if step == "open" else (Image.Image, "convert")
    monkeypatch.setattr(*place, lost)
    with pytest.raises(TagsegError, match=r"a\.jpg: cannot be read \(Stale file handle\)") as caught:
        images.read_image(path)
    assert not isinstance(caught.value, images.UnreadableImage)


def lost(*_, **__):
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


def test_no_other_exception_from_damaged_bytes(tmp_path, colours):
    """Cut and alter files at random: either they are read, or a TagsegError names them."""
    rng = np.random.default_rng(0)
    path = tmp_path / "fuzz.png"
    turned = Image.Exif()
    turned[0x0112] = 6
    formats = [{"format": name} for name in ("PNG", "JPEG", "BMP", "WEBP")]
    for options in [*formats, {"format": "JPEG", "exif": turned}, {"format": "WEBP", "exif": turned}]:
        whole = save(path, colours, **options).read_bytes()
        for turn in range(200):
            content = bytearray(whole if turn % 2 else whole[: rng.integers(1, len(whole) + 1)])
            near = min(len(content), 120 if turn % 4 == 1 else len(content))  # where JPEG's EXIF is
            content[rng.integers(near)] = rng.integers(256)
            path.write_bytes(content)
            for reader in (images.read_image, images.read_mask):
                try:
                    reader(path)
                except TagsegError as error:
                    assert "fuzz.png" in str(error)
