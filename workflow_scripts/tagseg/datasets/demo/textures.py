"""Backgrounds of the demo data set: textures that are independent of the class in front of them.

Fields are float32 arrays of shape (height, width), colours RGB in 0..1, lengths pixels.
"""

import colorsys

import numpy as np
from PIL import Image, ImageDraw
from scipy.spatial import cKDTree

# Knobs of the difficulty. Ranges are (low, high), sampled uniformly per image.
BACKGROUND_SATURATION = (0.05, 0.55)  # towards the objects' saturation: colour helps less
BACKGROUND_VALUE = (0.25, 0.90)
TEXTURE_CONTRAST = (0.18, 0.50)  # brightness between a texture's tones; higher: busier
CLUTTER_COUNT = (0, 6)  # small lines and spots an image, both ends included
CLUTTER_SIZE = (0.008, 0.025)  # of the image's shorter side; large clutter competes with objects


def random_colour(rng, saturation, value):
    """An RGB colour, float32 (3,) in 0..1, of any hue, within the two ranges (low, high)."""
    colour = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
    return np.array(colour, dtype=np.float32)


def fractal_noise(height, width, rng, cell, octaves=4):
    """Smooth noise of several octaves, float32 (height, width), stretched to 0..1.

    `cell` is the largest blob's (height, width) in pixels; each octave halves it and its weight.
    """
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        rows, columns = (
            max(2, round(side * 2**octave / blob) + 1) for side, blob in zip((height, width), cell, strict=True)
        )
        grid = rng.random((min(rows, height), min(columns, width)), dtype=np.float32)
        blurred = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(blurred) / 2**octave
    return (total - total.min()) / (np.ptp(total) + 1e-6)


def soil(height, width, rng):
    """Round blobs of every size, as of soil, moss or gravel seen from afar."""
    cell = height * rng.uniform(0.05, 0.2)
    return fractal_noise(height, width, rng, (cell, cell), octaves=4)


def grass(height, width, rng):
    """Thin upright blades."""
    blades = fractal_noise(height, width, rng, (height * rng.uniform(0.1, 0.2), 5), octaves=3)
    return 0.75 * blades + 0.25 * fractal_noise(height, width, rng, (height / 3, width / 3), 2)


def bricks(height, width, rng):
    """Staggered rows of bricks of uneven tone, with mortar between them."""
    tall = height * rng.uniform(0.08, 0.16)
    wide, mortar = tall * rng.uniform(1.8, 2.8), max(1.0, tall * rng.uniform(0.06, 0.12))
    y, x = np.mgrid[:height, :width].astype(np.float32) + rng.uniform(0, tall)
    row = (y // tall).astype(int)
    x = x + (row % 2) * wide / 2
    column = (x // wide).astype(int)
    tones = rng.uniform(0.35, 0.85, (row.max() + 1, column.max() + 1)).astype(np.float32)
    joint = (y % tall < mortar) | (x % wide < mortar)
    rough = fractal_noise(height, width, rng, (6, 6), 2)
    return np.where(joint, np.float32(0.05), tones[row, column]) + 0.3 * (rough - 0.5)


def wood(height, width, rng):
    """Boards with a wavy grain along them."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bend = fractal_noise(height, width, rng, (height * 0.3, width * 0.8), 3)
    rings = np.sin(y * rng.uniform(0.25, 0.6) + bend * rng.uniform(12, 30))
    fibre = fractal_noise(height, width, rng, (3, width * 0.3), 2)
    board = height * rng.uniform(0.2, 0.4)
    seam = (y + rng.uniform(0, board)) % board < 1.5
    return np.where(seam, np.float32(0), 0.5 + 0.25 * rings + 0.5 * (fibre - 0.5))


def water(height, width, rng):
    """Crests that run across the image and grow towards its lower edge."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    depth = np.sqrt(y / height + 0.15) * rng.uniform(40, 90)
    warp = fractal_noise(height, width, rng, (height * 0.12, width * 0.25), 3)
    crests = np.sin(depth + warp * rng.uniform(8, 16) + x * rng.uniform(-0.02, 0.02))
    return 0.5 + 0.5 * crests * np.abs(crests)


def pebbles(height, width, rng):
    """Cells around scattered points: each stone has its own tone and a dark gap around it."""
    stone = height * rng.uniform(0.06, 0.12)
    count = int(height * width / stone**2) + 4
    points = rng.uniform(-stone, 1, (count, 2)) + rng.random((count, 2)) * (height, width)
    tree = cKDTree(points)
    pixels = np.stack(list(np.mgrid[:height, :width]), axis=-1).reshape(-1, 2)
    distance, nearest = tree.query(pixels, k=2)
    gap = np.clip((distance[:, 1] - distance[:, 0]) / (0.35 * stone), 0, 1)
    tones = rng.uniform(0.35, 1.0, count)
    return (gap * tones[nearest[:, 0]]).reshape(height, width).astype(np.float32)


def sky(height, width, rng):
    """A vertical gradient with soft clouds: the one background with little texture."""
    gradient = np.linspace(0.1, 0.5, height, dtype=np.float32)[:, None]
    clouds = fractal_noise(height, width, rng, (height * 0.35, width * 0.45), 5)
    return gradient + 0.8 * np.clip((clouds - rng.uniform(0.4, 0.6)) * 3, 0, 1)


TEXTURES = (bricks, grass, pebbles, sky, soil, water, wood)


def background(height, width, rng):
    """A textured picture without any object, float32 (height, width, 3) in 0..1."""
    field = TEXTURES[rng.integers(len(TEXTURES))](height, width, rng)
    base = random_colour(rng, BACKGROUND_SATURATION, BACKGROUND_VALUE)
    tint = random_colour(rng, BACKGROUND_SATURATION, (0.6, 1.0))
    contrast = rng.uniform(*TEXTURE_CONTRAST)
    picture = base + contrast * (field[..., None] - 0.5) * (0.5 + tint)
    light = fractal_noise(height, width, rng, (height, width), 1)[..., None]
    return _with_clutter(np.clip(picture * (0.85 + 0.3 * light), 0, 1).astype(np.float32), rng)


def _with_clutter(picture, rng):
    """Add small twigs and spots, which belong to the background."""
    image = Image.fromarray((picture * 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    side = min(image.size)
    for _ in range(rng.integers(CLUTTER_COUNT[0], CLUTTER_COUNT[1] + 1)):
        colour = random_colour(rng, BACKGROUND_SATURATION, (0.1, 1.0)) * 255
        colour = tuple(int(channel) for channel in colour)
        x, y = rng.random(2) * image.size
        size = max(1.0, side * rng.uniform(*CLUTTER_SIZE))
        if rng.random() < 0.5:
            pen.ellipse((x - size, y - size, x + size, y + size), fill=colour)
        else:
            reach = rng.uniform(-0.3, 0.3, 2) * side
            pen.line((x, y, x + reach[0], y + reach[1]), fill=colour, width=max(1, int(size / 2)))
    return np.asarray(image, dtype=np.float32) / 255
