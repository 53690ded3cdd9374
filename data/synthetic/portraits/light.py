"""What shines on a person: the surroundings as spherical harmonics, and up to three lamps that throw shadows.

Directions point towards the light, in camera space (x right, y up, z towards the camera). Linear light, in units of a
white sheet in full light.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data.synthetic.lighting import Lobe, direction_of, sphere_directions
from data.synthetic.noise import random_colour

LUMINANCE = np.float32([0.2126, 0.7152, 0.0722])
MIDDLE_ALBEDO = 0.3  # of a face: cameras are set so that such a one comes out as Lights.level
BRIGHTEST_FACE = 0.65  # linear light, in the mean: beyond this, no more of a face would be left than a white sheet


@dataclass(frozen=True)
class Lamp:
    """A lamp far away. direction: (3,) unit; colour: (3,) what a surface that faces it gets, divided by pi;
    softness: metres, the standard deviation of the edge of a shadow on the head."""

    direction: np.ndarray
    colour: np.ndarray
    softness: float


@dataclass(frozen=True)
class Lights:
    """sh: (9, 3) float32, radiance of the surroundings as `harmonics`; lamps: brightest first
    level: the linear light that a face of MIDDLE_ALBEDO is to send to the camera: low against the light or at night"""

    sh: np.ndarray
    lamps: tuple[Lamp, ...]
    level: float

    def scale(self, factor: float) -> "Lights":
        """The same lights, `factor` times as bright."""
        factor = np.float32(factor)
        lamps = tuple(Lamp(lamp.direction, lamp.colour * factor, lamp.softness) for lamp in self.lamps)
        return Lights(self.sh * factor, lamps, self.level)


def harmonics(directions: np.ndarray) -> np.ndarray:
    """(..., 9) float32 real spherical harmonics to order 2, orthonormal, at unit directions (..., 3).

    In the order and with the signs of util/spherical_harmonics.py, without its transfer.
    """
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    first, second, third = np.sqrt(1 / (4 * np.pi)), np.sqrt(3 / (4 * np.pi)), np.sqrt(15 / (4 * np.pi))
    values = [
        np.full_like(x, first),
        -second * y,
        second * z,
        -second * x,
        third * x * y,
        -third * y * z,
        third * (3 * z**2 - 1) / np.sqrt(12),
        -third * x * z,
        third * (x**2 - y**2) / 2,
    ]
    return np.stack(values, axis=-1).astype(np.float32)


# Irradiance / pi of a matt surface is radiance with its bands weakened (Ramamoorthi and Hanrahan, SIGGRAPH 2001).
MATT = np.repeat(np.float32([1.0, 2 / 3, 1 / 4]), (1, 3, 5))
# Radiance is made of these; sharp lights would swing below zero on the far side without the windowing of bands.
DIRECTIONS = sphere_directions(256)
PROJECTION = harmonics(DIRECTIONS).T * np.float32(4 * np.pi / len(DIRECTIONS))
WINDOW = np.repeat(np.float32([1.0, 0.92, 0.7]), (1, 3, 5))[:, None]
# Some places on the sphere, and what finds harmonics from values there.
PLACES = DIRECTIONS[::8].astype(np.float64)
FROM_PLACES = np.linalg.pinv(harmonics(PLACES).astype(np.float64))


def rotate_harmonics(rotation: np.ndarray) -> np.ndarray:
    """(9, 9) float32: `rotated @ sh` is the surroundings sh seen from the head's frame, for row vectors:
    camera = head @ rotation. Exact, as rotations do not mix the bands."""
    return (FROM_PLACES @ harmonics(PLACES @ rotation)).astype(np.float32)


def surroundings(above: np.ndarray, below: np.ndarray, *lobes: Lobe) -> np.ndarray:
    """(9, 3) float32 harmonics of a sky that goes from colours below (3,) to above (3,), and soft lights in it."""
    radiance = below + (above - below) * (0.5 + 0.5 * DIRECTIONS[:, 1:2])
    for lobe in lobes:
        cosine = (DIRECTIONS * lobe.direction).sum(axis=1)
        radiance = radiance + np.exp(lobe.sharpness * (cosine - 1.0))[:, None] * lobe.colour
    return (WINDOW * (PROJECTION @ radiance)).astype(np.float32)


def white(rng: np.random.Generator, warmth: float, spread: float = 0.1) -> np.ndarray:
    """(3,) float32 the colour of a lamp or of daylight, of luminance 1; warmth: 0.4 a candle .. -0.3 the blue sky."""
    warmth, tint = rng.normal(warmth, spread), rng.normal(0.0, 0.25 * spread)
    colour = np.exp(np.float32([warmth, tint, -1.4 * warmth]))
    return colour / (colour @ LUMINANCE)


def draw_lights(rng: np.random.Generator, backdrop_mean: np.ndarray) -> Lights:
    """Draws the lights of a picture; backdrop_mean (3,) is the backdrop's mean colour, which tints what comes from
    around. Their brightness means nothing: see `exposure`."""
    tint = np.float32(backdrop_mean) / np.float32(np.mean(backdrop_mean) + 1e-6)
    tint = np.float32(0.7) + np.float32(0.3) * np.clip(tint, 0.2, 3.0)
    draw = DRAWS[int(rng.choice(len(DRAWS), p=DRAW_SHARES))]
    return draw(rng, tint)


def exposure(rng: np.random.Generator, lights: Lights, irradiance: float, albedo: float) -> float:
    """The factor for the lights: faces come out at lights.level, fair ones brighter and dark ones darker than a grey
    one, though by less than their albedos say; mostly well exposed, now and then far from it.

    irradiance: mean luminance of light / albedo over the visible face; albedo: its luminance
    """
    level = lights.level * (albedo / MIDDLE_ALBEDO) ** 0.6 * np.exp(rng.normal(0.0, 0.2))
    miss = rng.random()
    if miss < 0.08:
        level *= rng.uniform(0.25, 0.6)
    elif miss > 0.94:
        level *= rng.uniform(1.5, 2.5)
    return float(min(level, BRIGHTEST_FACE) / max(irradiance * albedo, 1e-6))


def _lamp(rng: np.random.Generator, azimuth: float, elevation: float, colour: np.ndarray, softness: float) -> Lamp:
    return Lamp(direction_of(azimuth, elevation), np.float32(colour), softness * float(np.exp(rng.normal(0.0, 0.4))))


def _side(rng: np.random.Generator, low: float, high: float) -> float:
    """An azimuth between low and high to the left or to the right."""
    return float(rng.choice([-1.0, 1.0]) * rng.uniform(low, high))


def _make(sh: np.ndarray, lamps: list[Lamp], level: float) -> Lights:
    return Lights(sh, tuple(sorted(lamps, key=lambda lamp: -float(lamp.colour.sum()))), float(level))


def draw_indoor(rng: np.random.Generator, tint: np.ndarray) -> Lights:
    """A room by day or by lamplight: walls that send light back, a window at a side, lamps above, perhaps a screen."""
    inside, day = white(rng, 0.15, 0.12), white(rng, -0.08, 0.08)
    lobes, lamps = [], []
    if rng.random() < 0.6:
        azimuth, elevation, strength = _side(rng, 0.2, 2.4), rng.uniform(-0.1, 0.5), rng.uniform(0.4, 2.5)
        lobes.append(Lobe(direction_of(azimuth, elevation), rng.uniform(2.0, 6.0), day * strength))
        lamps.append(_lamp(rng, azimuth, elevation + 0.1, day * strength * rng.uniform(0.2, 1.2), 0.014))
    for _ in range(int(rng.integers(0 if lamps else 1, 3))):
        strength = inside * rng.uniform(0.2, 1.5)
        lamps.append(_lamp(rng, _side(rng, 0.0, 2.6), rng.uniform(0.4, 1.35), strength, 0.007))
    if rng.random() < 0.08:
        screen = white(rng, -0.25, 0.15) * rng.uniform(0.3, 1.2)
        lobes.append(Lobe(direction_of(rng.normal(0.0, 0.4), rng.uniform(-0.7, 0.0)), 4.0, screen))
    above, below = rng.uniform(0.25, 1.0), rng.uniform(0.1, 0.5)
    return _make(surroundings(tint * inside * above, tint * inside * below, *lobes), lamps, rng.uniform(0.17, 0.3))


def draw_overcast(rng: np.random.Generator, tint: np.ndarray) -> Lights:
    """Under clouds, or in the shade of a house or of trees: light from above and one side, hardly a shadow."""
    sky = white(rng, -0.06, 0.06) * (1 if rng.random() < 0.7 else tint * np.float32([0.9, 1.1, 0.8]))
    azimuth, elevation = rng.uniform(-np.pi, np.pi), rng.uniform(0.3, 1.3)
    lobe = Lobe(direction_of(azimuth, elevation), rng.uniform(1.5, 4.0), sky * rng.uniform(0.3, 1.2))
    ground = tint * sky * rng.uniform(0.1, 0.45)
    lamp = _lamp(rng, azimuth, elevation, sky * rng.uniform(0.05, 0.35), 0.018)
    return _make(surroundings(sky * rng.uniform(0.8, 1.1), ground, lobe), [lamp], rng.uniform(0.19, 0.32))


def draw_sunny(rng: np.random.Generator, tint: np.ndarray) -> Lights:
    """The sun from any side, high or low and golden, beside a blue sky and what the ground sends back."""
    golden = rng.random() < 0.3
    azimuth = float(rng.normal(0.0, 1.0)) if rng.random() < 0.7 else _side(rng, 1.5, np.pi)
    elevation = rng.uniform(0.05, 0.4) if golden else rng.uniform(0.4, 1.3)
    sun = white(rng, 0.35 if golden else 0.06, 0.06) * rng.uniform(1.0, 3.0)
    sky = white(rng, -0.2, 0.07) * rng.uniform(0.25, 0.8)
    ground = tint * rng.uniform(0.1, 0.5) * sun * (0.3 if golden else 0.5)
    halo = Lobe(direction_of(azimuth, elevation), 4.0, sun * rng.uniform(0.05, 0.2))
    softness = rng.uniform(0.0015, 0.004)
    return _make(surroundings(sky, ground, halo), [_lamp(rng, azimuth, elevation, sun, softness)], 0.25)


def draw_studio(rng: np.random.Generator, tint: np.ndarray) -> Lights:
    """A key light, a fill light at the other side and now and then one from behind along the edge of the head."""
    side, colour = float(rng.choice([-1.0, 1.0])), white(rng, 0.03, 0.04)
    lamps = [_lamp(rng, side * rng.uniform(0.1, 1.3), rng.uniform(0.1, 0.9), colour, rng.choice([0.004, 0.015]))]
    if rng.random() < 0.7:
        fill = colour * rng.uniform(0.1, 0.7)
        lamps.append(_lamp(rng, -side * rng.uniform(0.3, 1.4), rng.uniform(-0.1, 0.5), fill, 0.018))
    if rng.random() < 0.4:
        rim = white(rng, 0.0, 0.1) * rng.uniform(0.5, 2.0)
        lamps.append(_lamp(rng, _side(rng, 2.0, 2.9), rng.uniform(0.1, 0.8), rim, 0.008))
    around = tint * colour * rng.uniform(0.03, 0.5)
    return _make(surroundings(around, around * rng.uniform(0.4, 1.2)), lamps, rng.uniform(0.18, 0.32))


def draw_stage(rng: np.random.Generator, tint: np.ndarray) -> Lights:
    """Coloured lamps of a stage, a club, a shop's sign, with little besides."""
    lamps = []
    for _ in range(int(rng.integers(2, 4))):
        colour = random_colour(rng, (0.2, 0.9), (0.8, 1.0)) if rng.random() < 0.7 else white(rng, 0.1, 0.1)
        colour = colour / (colour.mean() + 0.1) * rng.uniform(0.3, 1.2)
        lamps.append(_lamp(rng, _side(rng, 0.0, 2.6), rng.uniform(-0.3, 1.1), colour, 0.005))
    around = tint * random_colour(rng, (0.1, 0.7), (0.7, 1.0)) * rng.uniform(0.05, 0.35)
    return _make(surroundings(around, around * 0.6), lamps, rng.uniform(0.1, 0.26))


def draw_flash(rng: np.random.Generator, tint: np.ndarray) -> Lights:
    """A flash on the camera, which is all there is or nearly so."""
    flash = _lamp(rng, rng.normal(0.0, 0.08), rng.uniform(0.02, 0.25), white(rng, -0.02, 0.05), 0.0025)
    around = tint * white(rng, 0.2, 0.15) * rng.uniform(0.02, 0.5)
    return _make(surroundings(around, around * rng.uniform(0.3, 0.8)), [flash], rng.uniform(0.22, 0.42))


def draw_backlight(rng: np.random.Generator, tint: np.ndarray) -> Lights:
    """Against the light: the sky, a window or the sun behind the head, the face dark or nearly so."""
    colour = white(rng, 0.05, 0.15)
    azimuth, elevation = _side(rng, 2.3, np.pi), rng.uniform(0.0, 0.9)
    glow = Lobe(direction_of(azimuth, elevation), rng.uniform(1.5, 4.0), colour * rng.uniform(1.0, 3.0))
    rim = _lamp(rng, azimuth, elevation, colour * rng.uniform(0.5, 3.0), 0.006)
    around = tint * white(rng, -0.05, 0.08) * rng.uniform(0.2, 0.6)
    return _make(surroundings(around, around * 0.6, glow), [rim], rng.uniform(0.06, 0.2))


def draw_night(rng: np.random.Generator, tint: np.ndarray) -> Lights:
    """Street lamps, fires and windows in the dark."""
    warm = rng.uniform(0.15, 0.55)
    lamps = [
        _lamp(rng, _side(rng, 0.2, 2.4), rng.uniform(0.0, 1.2), white(rng, warm, 0.1) * rng.uniform(0.3, 1.0), 0.006)
        for _ in range(int(rng.integers(1, 3)))
    ]
    around = tint * white(rng, 0.5 * warm, 0.15) * rng.uniform(0.08, 0.3)
    return _make(surroundings(around, around * 0.8), lamps, rng.uniform(0.06, 0.17))


Draw = Callable[[np.random.Generator, np.ndarray], Lights]
DRAWS: tuple[Draw, ...] = (
    draw_indoor,
    draw_overcast,
    draw_sunny,
    draw_studio,
    draw_stage,
    draw_flash,
    draw_backlight,
    draw_night,
)
DRAW_SHARES = (0.33, 0.14, 0.17, 0.12, 0.05, 0.08, 0.06, 0.05)
