"""One image of the demo data set: positions of the objects, rendering and mask."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from tagseg.datasets.demo.shapes import ROUGHNESS, SHAPES, random_style, surface
from tagseg.datasets.demo.textures import background
from tagseg.storage.images import VOID

# Knobs of the difficulty. Areas are fractions of the image area, for a fully visible object.
AREAS = ((0.06, 0.15), (0.18, 0.40), (0.40, 0.60))  # small, usual, large
AREA_ODDS = (0.10, 0.60, 0.30)  # of the three above
SHARED_AREA = 0.6  # objects of an image with two are this much smaller
TRUNCATED_ODDS = 0.15  # of an object to lie across the image's border
CUT_OFF = (0.10, 0.40)  # fraction of its extent outside the image
CONTRAST_ODDS = 0.65  # of an object to differ from its background in colour, not in texture only
CONTRAST_DISTANCE = 0.5  # RGB distance (0..1.7) that this asks for
STRETCH = (0.93, 1.08)  # aspect ratio's change; area is kept
LEAN = 25  # degrees: how far an object with a natural upright stance is turned
BLUR = (0.3, 0.8)  # pixels, standard deviation
NOISE = (0.008, 0.025)  # sensor noise, standard deviation of values in 0..1
BRIGHTNESS = (0.85, 1.12)

# What keeps the tags true: a scene with a less visible object is sampled again.
VISIBLE_OF_IMAGE = 0.01  # pixels that the mask gives to the object, of the image
VISIBLE_OF_OBJECT = 0.25  # of the object as if nothing hid it
DIFFICULT_BELOW = 0.05  # visible fraction of the image below which an object is marked difficult
TRIES = 200

OVERSAMPLING = 2  # objects are rendered at this multiple of the image size
VOID_WIDTH = 3  # pixels, the band between two regions of the mask


@dataclass(frozen=True)
class Placement:
    """Where an object lies, in pixels and radians; `radius` is the unit of its own coordinates.

    `low` and `high` are the (x, y) corners of the object's box, in radii from its centre.
    """

    x: float
    y: float
    radius: float
    angle: float
    stretch: float
    mirrored: bool
    low: tuple[float, float] = (-1.6, -1.6)
    high: tuple[float, float] = (1.6, 1.6)

    def to_object(self, x, y):
        """Map pixel coordinates to the object's (u, v)."""
        dx, dy = (x - self.x) / self.radius, (y - self.y) / self.radius
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        u, v = dx * cosine + dy * sine, dy * cosine - dx * sine
        return (-u if self.mirrored else u) / self.stretch, v * self.stretch


@dataclass(frozen=True)
class SeenObject:
    """An object as the annotation tells it: its box is 1-based, both ends included, like VOC's."""

    name: str
    box: tuple[int, int, int, int]  # xmin, ymin, xmax, ymax
    truncated: bool
    difficult: bool


@dataclass(frozen=True)
class Scene:
    """An image uint8 (H, W, 3), its mask uint8 (H, W) with 255 around objects, and its objects."""

    image: np.ndarray
    mask: np.ndarray
    objects: list[SeenObject]


def draw_scene(names, labels, height, width, rng):
    """Draw objects of the given class names, the first one furthest back.

    `labels` maps a name to its label in the mask. Scenes in which an object is hardly seen are
    thrown away; RuntimeError after TRIES of them, which only a tiny image meets.
    """
    for _ in range(TRIES):
        backdrop = background(height, width, rng)
        image, coverage, areas = _draw_objects(names, backdrop, rng)
        owner = _downsampled_owner(coverage)
        mask = _mask(owner, coverage, [labels[name] for name in names])
        if _all_visible(owner, mask, areas):
            objects = [_seen(name, owner == number) for number, name in enumerate(names, start=1)]
            return Scene(_image(image, rng), mask, objects)
    raise RuntimeError(f"no scene of {names} fits {width}x{height} pixels")


def _draw_objects(names, backdrop, rng):
    """Return the picture, the finer owner (0: background), and each object's full area, pixels."""
    height, width = backdrop.shape[:2]
    owner = np.zeros((height * OVERSAMPLING, width * OVERSAMPLING), dtype=np.uint8)
    picture, areas = backdrop.copy(), []
    for number, name in enumerate(names, start=1):
        apart = CONTRAST_DISTANCE if rng.random() < CONTRAST_ODDS else 0.0
        style = random_style(rng, backdrop.mean(axis=(0, 1)), apart)
        placement, area = _place(name, style, height, width, len(names), rng)
        _draw(name, style, placement, number, picture, owner, rng)
        areas.append(area)
    return picture, owner, areas


def _place(name, style, height, width, count, rng):
    """Draw an object's placement; return it with the object's area in pixels as if wholly seen."""
    fraction = rng.uniform(*AREAS[rng.choice(len(AREAS), p=AREA_ODDS)])
    fraction *= 1.0 if count == 1 else SHARED_AREA
    angle = np.radians(rng.uniform(-180, 180) if SHAPES[name][1] else rng.uniform(-LEAN, LEAN))
    pose = Placement(0, 0, 1, angle, rng.uniform(*STRETCH), bool(rng.random() < 0.5))
    unit_area, low, high = _unit_extent(name, style, pose)
    size, extent = np.array([width, height]), high - low
    radius = min(np.sqrt(fraction * height * width / unit_area), *(0.96 * size / extent))
    room = size - radius * extent
    corner = rng.random(2) * room
    if rng.random() < TRUNCATED_ODDS:
        axis, cut = rng.integers(2), rng.uniform(*CUT_OFF) * radius * extent
        corner[axis] = -cut[axis] if rng.random() < 0.5 else room[axis] + cut[axis]
    x, y = corner - radius * low
    placement = replace(pose, x=x, y=y, radius=radius, low=tuple(low), high=tuple(high))
    return placement, unit_area * radius**2


def _unit_extent(name, style, pose):
    """Area of the object of radius 1 at the origin and its extent: low and high (x, y)."""
    axis = np.linspace(-1.6, 1.6, 81, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    x_object, y_object = pose.to_object(x, y)
    inside, _ = surface(name, x_object, y_object, style)
    step = axis[1] - axis[0]
    low = np.array([x[inside].min(), y[inside].min()]) - step
    high = np.array([x[inside].max(), y[inside].max()]) + step
    return inside.sum() * step**2, low, high


def _draw(name, style, placement, number, picture, owner, rng):
    """Lay one object over `picture` (H, W, 3) and `owner` (finer), in place, with soft edges."""
    columns, rows = _spans(placement, picture.shape[1::-1])
    fine_rows, fine_columns = _finer(rows), _finer(columns)
    x, y = np.meshgrid(_centres(fine_columns), _centres(fine_rows))
    x_object, y_object = placement.to_object(x, y)
    inside, colour = surface(name, x_object, y_object, style)
    owner[fine_rows, fine_columns][inside] = number
    opaque = _block_mean(inside.astype(np.float32))[..., None]
    colour = _block_mean(colour * inside[..., None])
    grain = 1 + ROUGHNESS * rng.standard_normal(opaque.shape, dtype=np.float32)
    patch = picture[rows, columns]
    patch[...] = patch * (1 - opaque) + colour * grain


def _spans(placement, size):
    """The image's columns and rows (slices) that the object may touch, within `size` (W, H)."""
    centre = np.array([placement.x, placement.y])
    first = np.floor(centre + placement.radius * np.array(placement.low)).clip(0, size)
    last = np.ceil(centre + placement.radius * np.array(placement.high)).clip(0, size)
    return [slice(int(start), int(stop)) for start, stop in zip(first, last, strict=True)]


def _finer(span):
    """The finer pixels of a slice of the image's pixels."""
    return slice(span.start * OVERSAMPLING, span.stop * OVERSAMPLING)


def _centres(fine):
    """Where the centres of a slice of finer pixels lie, in pixels of the image."""
    return (np.arange(fine.start, fine.stop, dtype=np.float32) + 0.5) / OVERSAMPLING


def _block_mean(fine):
    """Average square blocks of finer pixels: (fine H, fine W, ...) to (H, W, ...)."""
    step, offsets = OVERSAMPLING, range(OVERSAMPLING)
    return sum(fine[row::step, column::step] for row in offsets for column in offsets) / step**2


def _downsampled_owner(owner):
    """The owner of most of each pixel, uint8 (H, W), from the finer owner."""
    fractions = np.stack([_block_mean((owner == number).astype(np.float32)) for number in range(owner.max() + 1)])
    return fractions.argmax(axis=0).astype(np.uint8)


def _mask(owner, fine_owner, labels):
    """Labels uint8 (H, W): 0, the objects' labels, and a VOID band between any two regions."""
    reach = VOID_WIDTH * OVERSAMPLING + 1
    edge = ndimage.maximum_filter(fine_owner, reach) != ndimage.minimum_filter(fine_owner, reach)
    mask = np.array([0, *labels], dtype=np.uint8)[owner]
    mask[_block_mean(edge.astype(np.float32)) >= 0.5] = VOID
    return mask


def _all_visible(owner, mask, areas):
    """Whether each object has enough labelled pixels of the image and enough of itself in view."""
    numbers = range(1, len(areas) + 1)
    clear = np.bincount(owner[mask != VOID], minlength=len(areas) + 1)
    seen = np.bincount(owner.ravel(), minlength=len(areas) + 1)
    return all(
        clear[number] >= VISIBLE_OF_IMAGE * owner.size and seen[number] >= VISIBLE_OF_OBJECT * areas[number - 1]
        for number in numbers
    )


def _seen(name, pixels):
    """The annotation of one object from the pixels bool (H, W) that it owns."""
    rows, columns = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
    box = (int(columns[0]) + 1, int(rows[0]) + 1, int(columns[-1]) + 1, int(rows[-1]) + 1)
    height, width = pixels.shape
    at_border = box[0] == 1 or box[1] == 1 or box[2] == width or box[3] == height
    return SeenObject(name, box, bool(at_border), bool(pixels.mean() < DIFFICULT_BELOW))


def _image(picture, rng):
    """What a camera makes of the picture: blur, brightness, noise; uint8 (H, W, 3)."""
    sigma = rng.uniform(*BLUR)
    picture = ndimage.gaussian_filter(picture, (sigma, sigma, 0)) * rng.uniform(*BRIGHTNESS)
    picture += rng.uniform(*NOISE) * rng.standard_normal(picture.shape, dtype=np.float32)
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
