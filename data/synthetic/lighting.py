"""Light: what shines on a person, and how much of it reaches each point.

Directions point towards the light, in camera space (x right, y up, z towards the camera). Radiance is in units of a
white sheet in full light.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from data.synthetic.noise import random_colour
from Sim3DR import rasterize_buffers

SHADOW_SIZE = 448  # pixels a side of the key light's shadow map
SHADOW_REACH = 0.34  # metres from its middle to its border
SHADOW_SHARPNESS = 140.0  # per metre: how fast light fades behind what stands before it
TRANSFER_SIZE = 208  # pixels a side of the depth pictures that find what sees which part of the sky
TRANSFER_REACH = 0.22  # metres from their middle to their border
TRANSFER_CENTRE = np.float32([0.0, -0.02, -0.03])


@dataclass(frozen=True)
class Lobe:
    """A soft light of the sky: radiance colour * exp(sharpness * (cosine to direction - 1))."""

    direction: np.ndarray
    sharpness: float
    colour: np.ndarray


@dataclass(frozen=True)
class Lights:
    """The sky (a gradient from below to above, and lobes) and one key light that throws shadows.

    key_direction (3,) unit; key_colour (3,); key_blur: pixels of the shadow's penumbra in the shadow map
    """

    above: np.ndarray
    below: np.ndarray
    lobes: tuple[Lobe, ...]
    key_direction: np.ndarray
    key_colour: np.ndarray
    key_blur: float

    def sky(self, directions: np.ndarray) -> np.ndarray:
        """(..., 3) radiance that comes from unit directions (..., 3), the key light apart."""
        height = (0.5 + 0.5 * directions[..., 1:2]).astype(np.float32)
        light = self.below + (self.above - self.below) * height
        for lobe in self.lobes:
            cosine = directions @ lobe.direction.astype(np.float32)
            light = light + np.exp(lobe.sharpness * (cosine - 1.0))[..., None] * lobe.colour
        return light.astype(np.float32)


def direction_of(azimuth: float, elevation: float) -> np.ndarray:
    """Unit vector to a light; azimuth 0 is behind the camera, positive to the right of the picture; radians."""
    return np.array(
        [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)], np.float32
    )


def _white(rng: np.random.Generator, spread: float) -> np.ndarray:
    """The colour of a lamp or of daylight: warm to cool, of mean 1."""
    warmth, tint = rng.normal(0.0, spread), rng.normal(0.0, 0.25 * spread)
    colour = np.exp(np.float32([warmth, tint, -1.2 * warmth]))
    return colour / colour.mean()


def draw_lights(rng: np.random.Generator, surroundings: np.ndarray) -> Lights:
    """Draws the lights of a picture; surroundings (3,) is the background's mean colour, which tints the ambience."""
    tint = surroundings / (surroundings.mean() + 1e-6)
    tint = (0.75 + 0.25 * np.clip(tint, 0.2, 3.0)) * _white(rng, 0.06)
    above = tint * rng.uniform(0.35, 1.1)
    below = tint * rng.uniform(0.08, 0.45) * np.float32([1.05, 1.0, 0.9])
    strength = rng.choice([rng.uniform(0.2, 0.7), rng.uniform(0.7, 1.8), rng.uniform(1.8, 3.5)], p=[0.25, 0.4, 0.35])
    azimuth = rng.normal(0.0, 0.75) if rng.random() < 0.9 else rng.uniform(-np.pi, np.pi)
    key = direction_of(azimuth, float(np.clip(rng.normal(0.5, 0.28), -0.15, 0.95)))
    lobes = []
    for _ in range(int(rng.integers(1, 4))):
        place = direction_of(rng.uniform(-np.pi, np.pi), rng.normal(0.25, 0.35))
        lamp = _white(rng, 0.14) if rng.random() < 0.93 else random_colour(rng, (0.3, 0.8), (0.7, 1.0)) * 2.0
        lobes.append(Lobe(place, rng.uniform(3.0, 10.0), (lamp * rng.uniform(0.3, 2.2)).astype(np.float32)))
    return Lights(
        above.astype(np.float32),
        below.astype(np.float32),
        tuple(lobes),
        key,
        (_white(rng, 0.12) * strength).astype(np.float32),
        float(rng.choice([rng.uniform(2.2, 4.0), rng.uniform(4.0, 9.0)])),
    )


def scale_lights(lights: Lights, factor: float) -> Lights:
    """The same lights, `factor` times as bright."""
    lobes = tuple(Lobe(lobe.direction, lobe.sharpness, lobe.colour * factor) for lobe in lights.lobes)
    return Lights(
        lights.above * factor,
        lights.below * factor,
        lobes,
        lights.key_direction,
        lights.key_colour * factor,
        lights.key_blur,
    )


def sphere_directions(count: int) -> np.ndarray:
    """(count, 3) float32 unit vectors spread evenly over the sphere (a Fibonacci spiral)."""
    height = 1.0 - 2.0 * (np.arange(count) + 0.5) / count
    angle = np.pi * (1.0 + np.sqrt(5.0)) * np.arange(count)
    radius = np.sqrt(1.0 - height**2)
    return np.stack([radius * np.cos(angle), height, radius * np.sin(angle)], axis=1).astype(np.float32)


def view_frame(direction: np.ndarray) -> np.ndarray:
    """(3, 3) float32: rows are right, down and towards the light, for looking along a light's rays."""
    helper = np.array([0.0, 1.0, 0.0]) if abs(direction[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    right = np.cross(helper, direction)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(right, direction), direction]).astype(np.float32)


def light_transfer(
    points: np.ndarray,
    normals: np.ndarray,
    clearance: np.ndarray,
    occluders: np.ndarray,
    triangles: np.ndarray,
    directions: np.ndarray,
) -> np.ndarray:
    """How much of each part of the sky reaches each point: (P, D) float32, so that `transfer @ sky` is irradiance/pi.

    points, normals: (P, 3) canonical; clearance: (P,) metres within which nothing is taken to stand in the light
    occluders (V, 3) with triangles (F, 3): what stands in it; what is further than TRANSFER_REACH from the head's
    middle neither throws nor gets shade; directions (D, 3)
    """
    scale = 0.5 * TRANSFER_SIZE / TRANSFER_REACH
    lifted = points + clearance[:, None] * normals - TRANSFER_CENTRE
    transfer = np.empty((len(points), len(directions)), np.float32)
    for index, direction in enumerate(directions):
        frame = view_frame(direction)
        placed = (occluders - TRANSFER_CENTRE) @ frame.T
        placed[:, :2] = placed[:, :2] * scale + TRANSFER_SIZE / 2
        depth = rasterize_buffers(placed.astype(np.float32), triangles, TRANSFER_SIZE, TRANSFER_SIZE).depth
        depth = np.pad(depth, 1, constant_values=-np.inf)
        spot = lifted @ frame.T
        columns, rows = np.clip(spot[:, :2] * scale + (TRANSFER_SIZE / 2 + 1), 0, TRANSFER_SIZE).astype(np.float32).T
        base_row, base_column = rows.astype(np.int32), columns.astype(np.int32)
        level = spot[:, 2] + clearance
        seen = np.zeros(len(points), np.float32)
        for row in (0, 1):
            for column in (0, 1):
                share = np.abs(1 - row - (rows - base_row)) * np.abs(1 - column - (columns - base_column))
                seen += share * (depth[base_row + row, base_column + column] <= level)
        transfer[:, index] = seen * np.maximum(normals @ direction, 0.0)
    return transfer * (4.0 / len(directions))


class Shadow:
    """The key light's shadow map of one frame; soft by blurring exponentials of depth."""

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray, lights: Lights, centre: np.ndarray) -> None:
        """vertices (V, 3) camera space, metres; triangles (F, 3); centre (3,): the middle of what gets shadows."""
        scale = np.float32(0.5 * SHADOW_SIZE / SHADOW_REACH)
        self.axes = view_frame(lights.key_direction) * np.float32([[scale], [scale], [1.0]])
        middle = np.float32([SHADOW_SIZE / 2, SHADOW_SIZE / 2, 0.0])
        self.offset = middle - self.axes @ centre.astype(np.float32)
        placed = vertices @ self.axes.T + self.offset
        depth = rasterize_buffers(placed, triangles, SHADOW_SIZE, SHADOW_SIZE).depth
        depth = np.where(np.isfinite(depth), depth, -SHADOW_REACH)
        risen = np.exp(SHADOW_SHARPNESS * np.clip(depth, -0.5, 0.5))
        self.risen = cv2.GaussianBlur(risen, (0, 0), lights.key_blur, borderType=cv2.BORDER_REPLICATE)

    def lit(self, points: np.ndarray, bias: float) -> np.ndarray:
        """(P,) float32, 0 in the shadow .. 1 in the light, at camera-space points (3, P) raised by bias metres."""
        x, y, z = points
        (columns, column), (rows, row), (heights, height) = zip(self.axes, self.offset, strict=True)
        risen = remap_points(
            self.risen,
            x * columns[0] + y * columns[1] + z * columns[2] + column,
            x * rows[0] + y * rows[1] + z * rows[2] + row,
            outside=cv2.BORDER_CONSTANT,  # zero: nothing stands in the light there
        )
        own = x * heights[0] + y * heights[1] + z * heights[2] + (height + np.float32(bias))
        own = np.exp(np.float32(SHADOW_SHARPNESS) * np.clip(own, -0.5, 0.5))
        return own / np.maximum(own, risen)


def remap_points(
    picture: np.ndarray, columns: np.ndarray, rows: np.ndarray, outside: int = cv2.BORDER_REPLICATE
) -> np.ndarray:
    """Bilinear samples of picture (h, w[, C]) at float32 columns and rows (P,): (P[, C]); outside: OpenCV's border."""
    count, width = len(columns), 4096  # cv2.remap takes no picture with a side above 32,767
    lines = -(-count // width)
    maps = np.zeros((2, lines * width), np.float32)
    maps[0, :count], maps[1, :count] = columns, rows
    maps = maps.reshape(2, lines, width)
    sampled = cv2.remap(picture, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=outside)
    return sampled.reshape(lines * width, *picture.shape[2:])[:count]
