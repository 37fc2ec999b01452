"""Images of every kind that Pillow reads, masks, palette and resizing; damaged files."""

import errno
import os
import struct
import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from image_files import png_bytes, save
from tagseg.runtime.errors import TagsegError
from tagseg.storage import images


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_lossless_formats(tmp_path, colours, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    image = images.read_image(save(tmp_path / f"a.{suffix}", colours, **options))
    np.testing.assert_array_equal(image, colours)
    assert image.dtype == np.uint8 and image.flags["C_CONTIGUOUS"] and image.flags["WRITEABLE"]
    grey = images.read_image(save(tmp_path / f"grey.{suffix}", colours[..., 0], **options))
    np.testing.assert_array_equal(grey, np.dstack([colours[..., 0]] * 3))


def test_transparent_pixels_lie_over_white(tmp_path):
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 128]]], np.uint8)
    first, second, third = images.read_image(save(tmp_path / "a.png", rgba))[0].tolist()
    assert (first, second) == ([255] * 3, [10, 20, 30]) and third == pytest.approx([127] * 3, abs=1)
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("L")
    palette.putpalette([200, 0, 0, 0, 0, 200])
    path = save(tmp_path / "b.png", palette, transparency=0)
    assert Image.open(path).mode == "P"
    assert images.read_image(path).tolist() == [[[255] * 3, [0, 0, 200]]]


def test_cmyk_jpeg_and_the_first_picture_of_an_mpo(tmp_path, colours):
    image = images.read_image(save(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (255, 0, 0, 0)), quality=95))
    assert image.shape == (8, 8, 3)
    np.testing.assert_allclose(image[4, 4], [0, 255, 255], atol=6)
    more = {"format": "MPO", "save_all": True, "append_images": [Image.fromarray(colours)]}
    assert (images.read_image(save(tmp_path / "b.jpg", Image.new("RGB", (7, 5), "white"), **more)) == 255).all()


def test_16_bits_and_floats_are_scaled_and_not_clipped(tmp_path):
    grey = np.array([[0, 257, 1000], [32896, 40000, 65535]], np.uint16)
    for name in ("a.png", "a.tif"):
        image = images.read_image(save(tmp_path / name, grey))
        np.testing.assert_array_equal(image, np.dstack([np.round(grey / 257)] * 3))
    raw = b"\0" + struct.pack(">3H", 65535, 32768, 256)
    (tmp_path / "b.png").write_bytes(png_bytes(1, 1, 16, 2, raw))
    assert images.read_image(tmp_path / "b.png").tolist() == [[[255, 128, 1]]]
    tracemalloc.start()  # without memory of many times its size
    try:
        images._stretch_to_8_bits(Image.new("I;16", (4000, 4000), 300))
        assert tracemalloc.get_traced_memory()[1] < 10 * 4000 * 4000
    finally:
        tracemalloc.stop()
    path = save(tmp_path / "c.tif", np.array([[-1.0, 0.0, 1.0]], np.float32))
    assert images.read_image(path)[0, :, 0].tolist() == [0, 128, 255]


# What a viewer does to the stored pixels, from the EXIF standard's table of row 0 and column 0.
UPRIGHT = {
    1: lambda stored: stored, 2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1], 4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1), 6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1), 8: lambda stored: np.rot90(stored, 1),
}  # fmt: skip


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_exif_rotation(tmp_path, suffix, orientation):
    quadrants = np.array([[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [250, 250, 250]]], np.uint8)
    stored = quadrants.repeat(16, axis=0).repeat(24, axis=1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if suffix == "jpg" else {}
    path = save(tmp_path / f"a.{suffix}", stored, exif=exif, **options)
    expected, image = UPRIGHT[orientation](stored), images.read_image(path)
    assert image.shape == expected.shape
    np.testing.assert_allclose(image.astype(int), expected, atol=12)


def test_mask_round_trip_in_vocs_colours(tmp_path):
    """VOClabelcolormap by its definition, a bit at a time."""
    expected = np.zeros((256, 3), int)
    for label, place, channel in np.ndindex(256, 8, 3):
        expected[label, channel] |= ((label >> (3 * place + channel)) & 1) << (7 - place)
    assert expected[[1, 15, 255]].tolist() == [[128, 0, 0], [192, 128, 128], [224, 224, 192]]  # as published
    assert images.voc_palette().tolist() == expected.tolist()
    mask = np.arange(256, dtype=np.uint8).reshape(8, 32)
    images.write_mask(tmp_path / "a.png", mask)
    np.testing.assert_array_equal(images.read_mask(tmp_path / "a.png"), mask)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image.convert("RGB")), expected[mask])


@pytest.mark.parametrize(("bits", "raw", "labels"), [
    (1, b"\0\x50", [0, 1, 0, 1]), (2, b"\0\x1b", [0, 1, 2, 3]), (4, b"\0\x01\x2f", [0, 1, 2, 15]),
    (8, b"\0\0\x01\xff\x02", [0, 1, 255, 2]),
])  # fmt: skip
def test_grey_mask_keeps_its_labels(tmp_path, bits, raw, labels):
    (tmp_path / "a.png").write_bytes(png_bytes(4, 1, bits, 0, raw))
    assert images.read_mask(tmp_path / "a.png").tolist() == [labels]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "I;16"])
def test_mask_with_colours_or_a_label_out_of_range_is_refused(tmp_path, mode):
    path = save(tmp_path / "a.png", Image.new(mode, (3, 2)))
    with pytest.raises(TagsegError, match=r"a\.png: mode .* one label per pixel"):
        images.read_mask(path)
    images.write_mask(path, np.array([[0, 3, 255]], np.uint8))
    assert images.read_mask(path, classes=4).max() == 255
    with pytest.raises(TagsegError, match=r"a\.png: label 3, but the last class is 2"):
        images.read_mask(path, classes=3)


def bilinear(values, height, width):
    """Enlarge by the definition: pixel centres at (i + 0.5) * scale - 0.5, clamped at the border."""
    rows = ((np.arange(height) + 0.5) * values.shape[0] / height - 0.5).clip(0, values.shape[0] - 1)
    columns = ((np.arange(width) + 0.5) * values.shape[1] / width - 0.5).clip(0, values.shape[1] - 1)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    bottom = np.minimum(top + 1, values.shape[0] - 1)
    right = np.minimum(left + 1, values.shape[1] - 1)
    down, across = (rows - top)[:, None], (columns - left)[None, :]
    upper = values[np.ix_(top, left)] * (1 - across) + values[np.ix_(top, right)] * across
    lower = values[np.ix_(bottom, left)] * (1 - across) + values[np.ix_(bottom, right)] * across
    return upper * (1 - down) + lower * down


@pytest.mark.parametrize(("shape", "size"), [
    ((41, 41), (41, 41)), ((41, 41), (333, 500)), ((41, 41), (42, 41)), ((41, 41), (44, 977)),
    ((1, 1), (9, 11)), ((1, 5), (9, 11)), ((2, 3), (9, 11)),
])  # fmt: skip
def test_resize_map_enlarges_bilinearly(shape, size):
    values = np.random.default_rng(0).normal(size=shape)
    resized = images.resize_map(values, *size)
    assert resized.dtype == np.float32 and resized.shape == size
    np.testing.assert_allclose(resized, bilinear(values, *size), atol=1e-4)


def test_resized_maps_are_views_and_averages_too_and_images_keep_their_type(colours):
    values = np.random.default_rng(0).normal(size=(3, 64, 64)).transpose(1, 2, 0)[..., 1]
    assert images.resize_map(np.full((64, 64), 3.5), 5, 9) == pytest.approx(np.full((5, 9), 3.5))
    assert images.resize_map(values, 1, 1).item() == pytest.approx(values.mean(), abs=0.1)
    resized = images.resize_image(colours, 10, 21)
    assert resized.shape == (10, 21, 3) and resized.dtype == np.uint8
    expected = np.dstack([bilinear(colours[..., k].astype(float), 10, 21) for k in range(3)])
    np.testing.assert_allclose(resized, expected, atol=1.5)


@pytest.mark.parametrize("size", [(3, 5), (20, 30), (41, 97), (1, 1)])
def test_resize_mask_invents_no_label(size):
    mask = np.random.default_rng(0).choice(np.array([0, 7, 15, 255], np.uint8), (20, 30))
    resized = images.resize_mask(mask, *size)
    assert resized.dtype == np.uint8 and resized.shape == size and {*np.unique(resized)} <= {0, 7, 15, 255}


def test_overlay_keeps_the_background(colours):
    mask = np.zeros((5, 7), np.uint8)
    mask[2, 3], mask[4, 6] = 1, 255
    laid = images.overlay(colours, mask, opacity=0.5)
    np.testing.assert_array_equal(laid[mask == 0], colours[mask == 0])
    np.testing.assert_allclose(laid[2, 3], (colours[2, 3] + np.array([128.0, 0, 0])) / 2, atol=0.51)
    np.testing.assert_array_equal(images.overlay(colours, mask, 0), colours)


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
    def lost(*_, **__):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    path = save(tmp_path / "a.jpg", colours)
    place = (images.Image, "open") if step == "open" else (ImageFile.ImageFile, "load")
    monkeypatch.setattr(*place, lost)
    with pytest.raises(TagsegError, match=r"a\.jpg: cannot be read \(Stale file handle\)") as caught:
        images.read_image(path)
    assert not isinstance(caught.value, images.UnreadableImage)


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


@pytest.mark.parametrize("suffix", ["heic", "avif"])
def test_images_of_phones(tmp_path, suffix):
    smooth = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)[..., None].repeat(3, axis=2)
    Image.fromarray(smooth).save(tmp_path / f"a.{suffix}", quality=90)
    read = images.read_image(tmp_path / f"a.{suffix}")
    assert read.shape == (48, 64, 3) and np.abs(read.astype(int) - smooth).mean() < 4
    assert f".{suffix}" in images.IMAGE_SUFFIXES


def test_png_with_a_large_text(tmp_path, colours):
    """Drawing programs keep whole projects in a text; Pillow's own limit is 1 MB."""
    text = PngImagePlugin.PngInfo()
    text.add_text("project", "x" * 5_000_000, zip=True)
    np.testing.assert_array_equal(images.read_image(save(tmp_path / "a.png", colours, pnginfo=text)), colours)


def test_the_limit_of_an_image_is_its_memory(tmp_path, colours):
    """14 bytes per pixel, measured on a photo of 108 megapixels."""
    path = save(tmp_path / "a.png", colours)
    assert images.read_image(path, 35).shape == (5, 7, 3)
    with pytest.raises(images.UnreadableImage, match="a.png: 7x5 pixels take 0.0 GB of memory to read. Scale it down"):
        images.read_image(path, 34)
