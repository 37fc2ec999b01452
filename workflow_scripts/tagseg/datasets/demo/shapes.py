"""Objects of the demo data set: each class has its own outline and its own texture.

A shape is a function of object coordinates: u grows to the object's right, v downwards, and the
object lies within the unit square [-1, 1] x [-1, 1]. It returns

* inside: bool, the shape of u: the pixels of the object,
* colour: float32, the shape of u + (3,): RGB in 0..1; what it is outside the object means nothing.

What varies between two objects of a class (colours, counts, phases) is in a `ClassStyle`, sampled
beforehand, so that one object can be evaluated on several grids.
"""

from dataclasses import dataclass

import numpy as np

from tagseg.datasets.demo.textures import random_colour

# Knobs of the difficulty. Ranges are (low, high), sampled uniformly per object.
OBJECT_SATURATION = (0.25, 0.95)
OBJECT_VALUE = (0.35, 1.0)
TONE_DISTANCE = 0.45  # least RGB distance of an object's first two colours: texture contrast
SHADING = (0.10, 0.35)  # how much darker the side away from the light is
ROUGHNESS = 0.03  # standard deviation of the fine noise on an object's surface
KNOBS = 8


@dataclass(frozen=True)
class ClassStyle:
    """What one object looks like: three RGB colours (3,) and KNOBS numbers in 0..1."""

    main: np.ndarray
    second: np.ndarray
    third: np.ndarray
    knobs: np.ndarray


def random_style(rng, backdrop=None, distance=0.0):
    """Draw a look whose main colour lies at least `distance` from the RGB colour `backdrop`."""
    main = _colour_away_from(rng, backdrop, distance)
    second = _colour_away_from(rng, main, TONE_DISTANCE)
    return ClassStyle(main, second, _colour_away_from(rng, main, TONE_DISTANCE / 2), rng.random(KNOBS))


def _colour_away_from(rng, other, distance):
    """A random colour; twenty tries to be far enough from the other, then whatever came last."""
    for _ in range(20):
        colour = random_colour(rng, OBJECT_SATURATION, OBJECT_VALUE)
        if other is None or np.linalg.norm(colour - other) >= distance:
            break
    return colour


def _paint(u, *layers):
    """Colour of the last layer (where, colour) that covers a pixel; float32, shape of u + (3,)."""
    colour = np.zeros((*u.shape, 3), dtype=np.float32)
    for where, paint in layers:
        colour[where] = paint
    return colour


def _mix(first, second, fraction):
    """Blend two colours (3,) by a field `fraction` in 0..1 of the second one."""
    fraction = np.clip(fraction, 0, 1).astype(np.float32)[..., None]
    return first + (second - first) * fraction


def _ellipse(u, v, centre, axes):
    """Pixels within an ellipse of the given centre and half axes."""
    return ((u - centre[0]) / axes[0]) ** 2 + ((v - centre[1]) / axes[1]) ** 2 <= 1


def _stroke(u, v, start, end, radius):
    """Pixels within `radius` of the segment from start to end."""
    along = np.subtract(end, start)
    position = ((u - start[0]) * along[0] + (v - start[1]) * along[1]) / (along @ along)
    position = np.clip(position, 0, 1)
    far_u, far_v = u - start[0] - position * along[0], v - start[1] - position * along[1]
    return far_u**2 + far_v**2 <= radius**2


def ball(u, v, style):
    """A disc with the meridian panels of a beach ball and the shading of a sphere."""
    radius = np.hypot(u, v)
    z = np.sqrt(np.clip(1 - radius**2, 0, 1))
    tilt = 0.3 + 0.9 * style.knobs[0]
    up, front = v * np.cos(tilt) - z * np.sin(tilt), v * np.sin(tilt) + z * np.cos(tilt)
    longitude = np.arctan2(u, front) / (2 * np.pi) + style.knobs[1]
    panels = (4, 5, 6)[int(3 * style.knobs[2])]
    odd = (longitude * 2 * panels).astype(int) % 2 == 1
    colour = _paint(u, (~odd, style.main), (odd, style.second), (up < -0.93, style.third))
    glint = np.exp(-((u + 0.35) ** 2 + (v + 0.4) ** 2) / 0.04)
    colour = colour * (0.45 + 0.55 * z)[..., None] + 0.5 * glint[..., None]
    return radius <= 1, colour


def clock(u, v, style):
    """A rounded square frame, a plain face, twelve marks and two hands."""
    power = 3.0 + 3.0 * style.knobs[0]
    outer = np.abs(u) ** power + np.abs(v) ** power
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    hour = np.abs((angle * 6 / np.pi + 0.5) % 1 - 0.5)
    marks = (hour < 0.11) & (radius > 0.52) & (radius < 0.7)
    face = _mix(style.second, np.ones(3, dtype=np.float32), np.full_like(u, 0.6))
    ink = style.third * 0.25
    layers = [(outer <= 1, style.main), (radius < 0.78, 0 * ink)]
    layers += [(radius < 0.75, face[radius < 0.75]), (marks, ink)]
    for knob, length, width in ((1, 0.38, 0.07), (2, 0.6, 0.05)):
        turn = 2 * np.pi * style.knobs[knob]
        tip = (length * np.cos(turn), length * np.sin(turn))
        layers.append((_stroke(u, v, (0, 0), tip, width), ink))
    return outer <= 1, _paint(u, *layers)


def fish(u, v, style):
    """A scaled body with a forked tail, a fin, an eye and a gill."""
    tall = 0.36 + 0.12 * style.knobs[0]
    body = _ellipse(u, v, (-0.2, 0), (0.78, tall))
    tail = (u > 0.3) & (u < 0.98 - 0.25 * np.cos(3 * v)) & (np.abs(v) < 0.06 + 0.75 * (u - 0.35))
    tail &= np.abs(v) < 0.5
    fin = (u > -0.45) & (u < 0.25) & (v < 0) & (v > -tall - 0.22 * (u + 0.45) / 0.7)
    size = 0.11 + 0.05 * style.knobs[1]
    row = np.floor(v / (size / 2))
    du, dv = (u / size + row % 2 / 2) % 1 - 0.9, v / (size / 2) - row - 0.5
    scales = _mix(style.main, style.second, np.hypot(du, 0.6 * dv))
    rays = _mix(style.third, style.main, 0.5 + 0.5 * np.sin(40 * (v + 0.6 * np.abs(u))))
    outside = tail | fin
    layers = [(outside, rays[outside]), (body, scales[body])]
    head = body & (u < -0.58)
    gill = body & (np.abs(u + 0.58 - 0.8 * v**2) < 0.03)
    layers += [(head, style.main), (gill, style.second * 0.4)]
    for radius, shade in ((0.09, 1.0), (0.055, 0.05)):
        layers.append((_ellipse(u, v, (-0.73, -0.09), (radius, radius)), shade))
    return body | outside, _paint(u, *layers)


def flower(u, v, style):
    """Streaked petals around a core of dots."""
    petals = 5 + int(4 * style.knobs[0])
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    lobe = np.abs(np.cos(petals * angle / 2))
    inside = radius <= 0.45 + 0.53 * lobe**0.6
    streaks = 0.5 + 0.5 * np.sin(angle * petals * 5)
    shade = 1.1 * (1 - radius) + 0.35 * streaks * (radius < 0.8)
    colour = _mix(style.main, style.second, shade) * (0.6 + 0.4 * lobe**0.5)[..., None]
    core = radius < 0.22 + 0.1 * style.knobs[1]
    dots = np.sin(42 * u) * np.sin(42 * v) > 0.1
    colour[core] = style.third
    colour[core & dots] = style.third * 0.35
    return inside, colour


def leaf(u, v, style):
    """A pointed, toothed blade with a midrib and slanting veins."""
    width = 0.38 + 0.16 * style.knobs[0]
    teeth = 0.05 * ((u * 9) % 1)
    taper = np.cos(np.pi * np.clip(u, -0.9, 0.9) / 1.8).clip(0) ** 0.8
    blade = (np.abs(u) < 0.9) & (np.abs(v) < width * taper - teeth)
    stem = (u > 0.8) & (u < 1) & (np.abs(v) < 0.035)
    slant = (u + 0.9 * np.abs(v)) * (5 + 3 * style.knobs[1])
    veins = (np.abs(slant % 1 - 0.5) < 0.09) | (np.abs(v) < 0.03)
    ripple = 0.25 + 0.25 * np.sin(2 * np.pi * slant)
    colour = _mix(style.main, style.second * 0.6, ripple)
    colour[veins | stem] = style.second
    return blade | stem, colour


def mushroom(u, v, style):
    """A dotted cap on a fibrous stalk."""
    low = 0.1 + 0.1 * style.knobs[0]
    cap = _ellipse(u, v, (0, low), (0.95, 0.95 + low)) & (v < low)
    gills = _ellipse(u, v, (0, low), (0.9, 0.13)) & (v >= low)
    stalk = (v > low) & (v < 0.98) & (np.abs(u) < 0.18 + 0.08 * style.knobs[1] + 0.12 * v**2)
    step = 0.36 + 0.12 * style.knobs[2]
    row = np.floor(v / step)
    du = (u / step + row % 2 / 2 + style.knobs[3]) % 1 - 0.5
    size = 0.2 + 0.14 * np.sin(7 * row + 5 * np.floor(u / step))
    dots = np.hypot(du, v / step - row - 0.5) < size
    cream = style.third * 0.4 + 0.5
    fibres = _mix(cream, cream * 0.6, 0.5 + 0.5 * np.sin(45 * u))
    stripes = _mix(cream * 0.8, cream * 0.35, 0.5 + 0.5 * np.sin(60 * u))
    layers = [(stalk, fibres[stalk]), (gills, stripes[gills]), (cap, style.main)]
    return cap | gills | stalk, _paint(u, *layers, (cap & dots, style.second * 0.5 + 0.5))


def star(u, v, style):
    """A five-pointed star of folded arms, quilted in bands along its outline."""
    points = 5 + int(2 * style.knobs[0])
    turn = np.arctan2(u, -v) / (2 * np.pi) * points
    side = np.abs((turn + 0.5) % 1 - 0.5) * 2 * np.pi / points
    notch = 0.42 + 0.1 * style.knobs[1]
    half = np.pi / points
    edge = notch * np.sin(half) / (np.sin(side) * (1 - notch * np.cos(half)) + notch * np.sin(half) * np.cos(side))
    rim = np.hypot(u, v) / edge
    bands = (rim * (3 + int(3 * style.knobs[2]))).astype(int) % 2 == 1
    colour = _paint(u, (~bands, style.main), (bands, style.second), (rim < 0.2, style.third))
    fold = np.where(turn % 1 < 0.5, 1.0, 0.65).astype(np.float32)
    return rim <= 1, colour * fold[..., None]


def zebra(u, v, style):
    """A four-legged body with upright stripes and a darker muzzle."""
    body = _ellipse(u, v, (0.08, -0.05), (0.62, 0.34))
    neck = _stroke(u, v, (-0.38, -0.15), (-0.64, -0.62), 0.17)
    head = _stroke(u, v, (-0.64, -0.66), (-0.86, -0.42), 0.13)
    ear = _stroke(u, v, (-0.58, -0.75), (-0.54, -0.92), 0.06)
    tail = _stroke(u, v, (0.66, -0.15), (0.85, 0.3), 0.04)
    swing = 0.12 * (style.knobs[:4] - 0.5)
    legs = np.zeros_like(body)
    for hip, reach in zip((-0.38, -0.2, 0.35, 0.53), swing, strict=True):
        legs |= _stroke(u, v, (hip, 0.05), (hip + reach, 0.9), 0.085)
    pitch = 30 + 12 * style.knobs[4]
    warp = 1.2 * np.sin(4 * v + 6 * style.knobs[5])
    stripes = np.sin(np.where(legs & ~body, pitch * v, pitch * (u + 0.4 * v) + warp)) > 0
    muzzle = _ellipse(u, v, (-0.88, -0.4), (0.13, 0.13))
    dark, light = style.main * 0.4, style.second * 0.5 + 0.45
    layers = [(~stripes, light), (stripes, dark), (muzzle, dark), (tail, dark)]
    eye = _ellipse(u, v, (-0.66, -0.66), (0.04, 0.04))
    return body | neck | head | ear | tail | legs, _paint(u, *layers, (eye, dark * 0.2))


# In the order in which a smaller data set takes them; the flag: whether any rotation is natural.
SHAPES = {
    "ball": (ball, True),
    "fish": (fish, False),
    "flower": (flower, True),
    "mushroom": (mushroom, False),
    "zebra": (zebra, False),
    "clock": (clock, False),
    "leaf": (leaf, True),
    "star": (star, True),
}


def surface(name, u, v, style):
    """Evaluate a class's shape and light it: (inside, colour) as on top of this module."""
    inside, colour = SHAPES[name][0](u, v, style)
    angle, depth = 2 * np.pi * style.knobs[-1], SHADING[0] + np.ptp(SHADING) * style.knobs[-2]
    light = 1 - depth * (0.5 + 0.5 * (u * np.cos(angle) + v * np.sin(angle)))
    return inside, np.clip(colour * light[..., None], 0, 1).astype(np.float32)
