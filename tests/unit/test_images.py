"""Photographs of every kind that Pillow reads, damaged files, masks, palette and resizing."""

import errno
import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from tagseg import images
from tagseg.errors import TagsegError


def png_bytes(width, height, bits, colour_type, raw):
    """Build a PNG by hand, of kinds that Pillow does not write; `raw` starts rows with a filter."""

    def chunk(name, data):
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def save(path, array_or_image, **options):
    image = array_or_image
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(path, **options)
    return path


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


# Modes ------------------------------------------------------------------------------------------


def test_rgb_is_read_as_it_is(tmp_path, colours):
    photograph = images.read_photograph(save(tmp_path / "a.png", colours))
    np.testing.assert_array_equal(photograph, colours)
    assert photograph.dtype == np.uint8
    assert photograph.flags["C_CONTIGUOUS"] and photograph.flags["WRITEABLE"]


@pytest.mark.parametrize("suffix", ["bmp", "tif", "webp"])
def test_lossless_formats(tmp_path, colours, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"a.{suffix}", colours, **options)
    np.testing.assert_array_equal(images.read_photograph(path), colours)


def test_grey_is_repeated(tmp_path, colours):
    grey = colours[..., 0]
    photograph = images.read_photograph(save(tmp_path / "a.png", grey))
    np.testing.assert_array_equal(photograph, np.dstack([grey] * 3))


def test_black_and_white(tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1"))
    assert images.read_photograph(path).tolist() == [[[0] * 3, [255] * 3]]


def test_transparent_pixels_lie_over_white(tmp_path):
    rgba = np.array([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 128]]], np.uint8)
    first, second, third = images.read_photograph(save(tmp_path / "a.png", rgba))[0].tolist()
    assert (first, second) == ([255] * 3, [10, 20, 30])
    assert third == pytest.approx([127] * 3, abs=1)


def test_transparent_grey_lies_over_white(tmp_path):
    la = Image.fromarray(np.array([[[40, 0], [40, 255]]], np.uint8), "LA")
    photograph = images.read_photograph(save(tmp_path / "a.png", la))
    assert photograph.tolist() == [[[255] * 3, [40] * 3]]


def test_transparent_palette_entry_lies_over_white(tmp_path):
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("L")
    palette.putpalette([200, 0, 0, 0, 0, 200])
    path = save(tmp_path / "a.png", palette, transparency=0)
    assert Image.open(path).mode == "P"
    assert images.read_photograph(path).tolist() == [[[255] * 3, [0, 0, 200]]]


def test_cmyk_jpeg(tmp_path):
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    photograph = images.read_photograph(save(tmp_path / "a.jpg", cyan, quality=95))
    assert photograph.shape == (8, 8, 3)
    np.testing.assert_allclose(photograph[4, 4], [0, 255, 255], atol=6)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path, suffix):
    grey = np.array([[0, 257, 1000], [32896, 40000, 65535]], np.uint16)
    photograph = images.read_photograph(save(tmp_path / f"a.{suffix}", grey))
    expected = np.round(grey / 257)
    np.testing.assert_array_equal(photograph, np.dstack([expected] * 3))


def test_16_bit_colour(tmp_path):
    raw = b"\0" + struct.pack(">3H", 65535, 32768, 256)
    (tmp_path / "a.png").write_bytes(png_bytes(1, 1, 16, 2, raw))
    assert images.read_photograph(tmp_path / "a.png").tolist() == [[[255, 128, 1]]]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_strips_change_no_pixel(monkeypatch, dtype):
    values = Image.fromarray(np.random.default_rng(0).integers(0, 65536, (13, 17)).astype(dtype))
    whole = np.array(images._stretch_to_8_bits(values))
    monkeypatch.setattr(images, "_STRIP", 10)
    np.testing.assert_array_equal(np.array(images._stretch_to_8_bits(values)), whole)


def test_16_bit_grey_takes_no_memory_of_many_times_its_size():
    values = Image.new("I;16", (4000, 4000), 300)
    tracemalloc.start()
    try:
        images._stretch_to_8_bits(values)
        assert tracemalloc.get_traced_memory()[1] < 10 * 4000 * 4000  # bytes a pixel
    finally:
        tracemalloc.stop()


def test_float_tiff_is_stretched(tmp_path):
    path = save(tmp_path / "a.tif", np.array([[-1.0, 0.0, 1.0]], np.float32))
    assert images.read_photograph(path)[0, :, 0].tolist() == [0, 128, 255]


def test_cameras_mpo_shows_its_first_picture(tmp_path, colours):
    white = Image.new("RGB", (7, 5), "white")
    path = save(tmp_path / "a.jpg", white, format="MPO", save_all=True,
                append_images=[Image.fromarray(colours)])  # fmt: skip
    assert (images.read_photograph(path) == 255).all()


def test_one_pixel(tmp_path):
    path = save(tmp_path / "a.png", np.array([[[1, 2, 3]]], np.uint8))
    assert images.read_photograph(path).tolist() == [[[1, 2, 3]]]


# EXIF rotation ----------------------------------------------------------------------------------

# What a viewer does to the stored pixels, from the EXIF standard's table of row 0 and column 0.
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_exif_rotation(tmp_path, suffix, orientation):
    quadrants = np.array([[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [250, 250, 250]]], np.uint8)
    stored = quadrants.repeat(16, axis=0).repeat(24, axis=1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if suffix == "jpg" else {}
    path = save(tmp_path / f"a.{suffix}", stored, exif=exif, **options)
    expected = UPRIGHT[orientation](stored)
    photograph = images.read_photograph(path)
    assert photograph.shape == expected.shape
    np.testing.assert_allclose(photograph.astype(int), expected, atol=12)


def test_unknown_orientation_is_ignored(tmp_path, colours):
    exif = Image.Exif()
    exif[0x0112] = 99
    path = save(tmp_path / "a.png", colours, exif=exif)
    np.testing.assert_array_equal(images.read_photograph(path), colours)


# Damaged files ----------------------------------------------------------------------------------


def test_missing_file(tmp_path):
    with pytest.raises(TagsegError, match=r"gone\.jpg: no such image; restore"):
        images.read_photograph(tmp_path / "gone.jpg")


def test_truncated_jpeg(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / "cut.jpg", noise)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(TagsegError, match=r"cut\.jpg: damaged image .*; replace or remove it"):
        images.read_photograph(path)


@pytest.mark.parametrize("reader", [images.read_photograph, images.read_mask])
@pytest.mark.parametrize("after", [6, -4])
def test_png_with_wrong_checksum(tmp_path, reader, after):
    """Damage of the pixels, and of their checksum alone, at which Pillow does not look."""
    path = save(tmp_path / "crc.png", np.zeros((5, 7), np.uint8))
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + after if after > 0 else content.index(b"IEND") - 4 + after] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(images.UnreadableImage, match=r"crc\.png: damaged (image|mask)"):
        reader(path)


def test_png_with_wrong_checksum_of_the_header(tmp_path, colours):
    path = save(tmp_path / "crc.png", colours)
    content = bytearray(path.read_bytes())
    content[29] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(TagsegError, match=r"crc\.png: not a readable image"):
        images.read_photograph(path)


@pytest.mark.parametrize("content", [b"", b"this is a text, not an image\n" * 9, b"\xff\xd8\xff"])
def test_file_that_is_no_image(tmp_path, content):
    (tmp_path / "not.jpg").write_bytes(content)
    with pytest.raises(images.UnreadableImage, match=r"not\.jpg: not a readable image"):
        images.read_photograph(tmp_path / "not.jpg")


def test_folder_in_place_of_an_image(tmp_path):
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(TagsegError, match=r"a\.jpg: cannot be read \(Is a directory\); see to"):
        images.read_photograph(tmp_path / "a.jpg")


@pytest.mark.parametrize("step", ["open", "load"])
def test_an_error_of_the_machine_says_nothing_of_the_image(tmp_path, colours, monkeypatch, step):
    path = save(tmp_path / "a.jpg", colours)
    monkeypatch.setattr(
        images.Image if step == "open" else Image.Image, "open" if step == "open" else "convert", lost
    )
    with pytest.raises(TagsegError, match=r"a\.jpg: cannot be read \(Stale file handle\)") as caught:
        images.read_photograph(path)
    assert not isinstance(caught.value, images.UnreadableImage)


def lost(*_, **__):
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


@pytest.mark.parametrize("offset", [2**63 - 1, 2**62, 2**63, 2**64 - 1])
def test_an_offset_that_no_file_has_is_damage_and_no_failure_of_the_machine(tmp_path, offset):
    (tmp_path / "bad.tif").write_bytes(b"II\x2b\0\x08\0\0\0" + struct.pack("<Q", offset) + b"\0" * 100)
    with pytest.raises(images.UnreadableImage, match=r"bad\.tif: .*; replace or remove it"):
        images.read_photograph(tmp_path / "bad.tif")


@pytest.mark.parametrize("side", [60_000, 11_000])
def test_decompression_bomb(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(png_bytes(side, side, 8, 2, b"\0"))
    for reader in (images.read_photograph, images.read_mask):
        with pytest.raises(TagsegError, match=r"bomb\.png: .*(pixels|readable)"):
            reader(tmp_path / "bomb.png")


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
            for reader in (images.read_photograph, images.read_mask):
                try:
                    reader(path)
                except TagsegError as error:
                    assert "fuzz.png" in str(error)


# Masks ------------------------------------------------------------------------------------------


def test_mask_round_trip(tmp_path):
    mask = np.arange(256, dtype=np.uint8).reshape(8, 32)
    images.write_mask(tmp_path / "a.png", mask)
    np.testing.assert_array_equal(images.read_mask(tmp_path / "a.png"), mask)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image.convert("RGB")), images.voc_palette()[mask])


def test_grey_mask(tmp_path):
    mask = np.array([[0, 1, 255], [2, 2, 0]], np.uint8)
    path = save(tmp_path / "a.png", mask)
    np.testing.assert_array_equal(images.read_mask(path, classes=3), mask)


@pytest.mark.parametrize(("bits", "raw", "labels"), [
    (1, b"\0\x50", [0, 1, 0, 1]),
    (2, b"\0\x1b", [0, 1, 2, 3]),
    (4, b"\0\x01\x2f", [0, 1, 2, 15]),
])  # fmt: skip
@pytest.mark.parametrize("colour_type", [0])
def test_grey_mask_of_few_bits_keeps_its_labels(tmp_path, bits, raw, labels, colour_type):
    (tmp_path / "a.png").write_bytes(png_bytes(4, 1, bits, colour_type, raw))
    assert images.read_mask(tmp_path / "a.png").tolist() == [labels]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "I;16"])
def test_mask_with_colours_is_rejected(tmp_path, mode):
    path = save(tmp_path / "a.png", Image.new(mode, (3, 2)))
    with pytest.raises(TagsegError, match=r"a\.png: mode .* one label a pixel"):
        images.read_mask(path)


def test_mask_with_label_out_of_range(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 3, 255]], np.uint8))
    assert images.read_mask(path, classes=4).max() == 255
    with pytest.raises(TagsegError, match=r"a\.png: label 3, where the classes end at 2"):
        images.read_mask(path, classes=3)


def test_all_void_mask_is_in_range(tmp_path):
    path = save(tmp_path / "a.png", np.full((2, 2), 255, np.uint8))
    assert (images.read_mask(path, classes=2) == 255).all()


def test_damaged_mask(tmp_path):
    images.write_mask(tmp_path / "a.png", np.eye(64, dtype=np.uint8))
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:-30])
    with pytest.raises(TagsegError, match=r"a\.png: damaged mask"):
        images.read_mask(tmp_path / "a.png")


def test_palette_is_that_of_voc():
    """The devkit's VOClabelcolormap, written anew, and its published first and last colours."""

    def colour(label):
        red = green = blue = 0
        for shift in range(7, -1, -1):
            red |= (label & 1) << shift
            green |= (label >> 1 & 1) << shift
            blue |= (label >> 2 & 1) << shift
            label >>= 3
        return [red, green, blue]

    palette = images.voc_palette()
    assert palette.tolist() == [colour(label) for label in range(256)]
    assert palette[[0, 1, 15, 20, 255]].tolist() == [
        [0, 0, 0], [128, 0, 0], [192, 128, 128], [0, 64, 128], [224, 224, 192],
    ]  # fmt: skip


# Resizing and overlay ---------------------------------------------------------------------------


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


@pytest.mark.parametrize("size", [(41, 41), (333, 500), (42, 41), (44, 977)])
def test_resize_map_enlarges_bilinearly(size):
    values = np.random.default_rng(0).normal(size=(41, 41))
    resized = images.resize_map(values, *size)
    assert resized.dtype == np.float32 and resized.shape == size
    np.testing.assert_allclose(resized, bilinear(values, *size), atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 3)])
def test_resize_map_of_tiny_maps(shape):
    values = np.random.default_rng(1).normal(size=shape)
    np.testing.assert_allclose(images.resize_map(values, 9, 11), bilinear(values, 9, 11), atol=1e-4)


def test_resize_map_takes_views_and_averages_when_it_shrinks():
    values = np.random.default_rng(0).normal(size=(3, 64, 64)).transpose(1, 2, 0)[..., 1]
    assert images.resize_map(np.full((64, 64), 3.5), 5, 9) == pytest.approx(np.full((5, 9), 3.5))
    assert images.resize_map(values, 1, 1).item() == pytest.approx(values.mean(), abs=0.1)


@pytest.mark.parametrize("size", [(3, 5), (20, 30), (41, 97), (1, 1)])
def test_resize_mask_invents_no_label(size):
    mask = np.random.default_rng(0).choice(np.array([0, 7, 15, 255], np.uint8), (20, 30))
    resized = images.resize_mask(mask, *size)
    assert resized.dtype == np.uint8 and resized.shape == size
    assert set(np.unique(resized)) <= {0, 7, 15, 255}


def test_resize_mask_by_a_whole_number_repeats():
    mask = np.array([[1, 2], [3, 255]], np.uint8)
    expected = mask.repeat(3, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(images.resize_mask(mask, 6, 4), expected)


def test_resize_photograph(colours):
    resized = images.resize_photograph(colours, 10, 21)
    assert resized.shape == (10, 21, 3) and resized.dtype == np.uint8
    expected = np.dstack([bilinear(colours[..., k].astype(float), 10, 21) for k in range(3)])
    np.testing.assert_allclose(resized, expected, atol=1.5)


def test_overlay_keeps_the_background(colours):
    mask = np.zeros((5, 7), np.uint8)
    mask[2, 3], mask[4, 6] = 1, 255
    laid = images.overlay(colours, mask, opacity=0.5)
    assert laid.dtype == np.uint8
    np.testing.assert_array_equal(laid[mask == 0], colours[mask == 0])
    halfway = (colours[2, 3] + np.array([128.0, 0, 0])) / 2
    np.testing.assert_allclose(laid[2, 3], halfway, atol=0.51)
    np.testing.assert_array_equal(images.overlay(colours, mask, 0), colours)


@pytest.mark.parametrize("error", [struct.error("bad EXIF"), KeyError(1), ZeroDivisionError(), EOFError()])
def test_whatever_an_exif_block_raises_names_the_file(tmp_path, colours, monkeypatch, error):
    def broken(_):
        raise error

    monkeypatch.setattr(images.ImageOps, "exif_transpose", broken)
    path = save(tmp_path / "a.jpg", colours)
    with pytest.raises(TagsegError, match=r"a\.jpg: damaged image"):
        images.read_photograph(path)
