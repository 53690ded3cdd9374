"""Procedural backgrounds in linear light: what may stand behind a person, out of focus."""

from collections.abc import Callable

import cv2
import numpy as np

from data.synthetic.noise import fractal_noise, random_colour, smooth_noise, surrounding_colour

WORKING_SIZE = 400  # pixels a side; backgrounds are blurred, so they are painted small and enlarged


def draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, size, 3) float32 linear RGB, mostly within 0..1; windows and lamps reach above."""
    paint = PAINTERS[int(rng.choice(len(PAINTERS), p=PAINTER_SHARES))]
    picture = np.ascontiguousarray(paint(rng, WORKING_SIZE), dtype=np.float32)
    return cv2.resize(np.maximum(picture, 0.0), (size, size), interpolation=cv2.INTER_LINEAR)


def defocus(picture: np.ndarray, radius: float) -> np.ndarray:
    """Blurs with the disc of a lens out of focus; radius in pixels, below 0.5 nothing happens."""
    if radius < 0.5:
        return picture
    reach = int(np.ceil(radius))
    grid = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(grid[0], grid[1]), 0.0, 1.0).astype(np.float32)
    return cv2.filter2D(picture, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT)


def _gradient(rng: np.random.Generator, size: int, low: np.ndarray, high: np.ndarray, angle: float) -> np.ndarray:
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    share = np.clip(0.5 + columns * np.cos(angle) + rows * np.sin(angle), 0.0, 1.0)[..., None]
    return low * (1.0 - share) + high * share


def paint_studio(rng: np.random.Generator, size: int) -> np.ndarray:
    """A paper backdrop with a soft pool of light."""
    colour = surrounding_colour(rng)
    picture = _gradient(rng, size, colour * rng.uniform(0.5, 1.0), colour, rng.uniform(0, 2 * np.pi))
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size
    distance = np.hypot(columns - rng.uniform(0.2, 0.8), rows - rng.uniform(0.1, 0.7))
    pool = 0.5 + rng.uniform(0.3, 1.0) * np.exp(-((distance / rng.uniform(0.3, 0.7)) ** 2))
    mottle = 1.0 + rng.uniform(0.0, 0.08) * fractal_noise(rng, size, size, 4, 4)
    return picture * (pool * mottle)[..., None]


def paint_wall(rng: np.random.Generator, size: int) -> np.ndarray:
    """A wall seen straight on: plaster, bricks, tiles or boards, lit from one side."""
    colour = surrounding_colour(rng, (0.3, 0.95))
    picture = colour * (1.0 + 0.10 * fractal_noise(rng, size, size, 8, 6, 0.7))[..., None]
    kind = rng.choice(["plaster", "bricks", "tiles", "boards"])
    if kind != "plaster":
        high = int(rng.integers(14, 30)) if kind == "bricks" else int(rng.integers(30, 90))
        wide = high * 3 if kind == "bricks" else high if kind == "tiles" else 4 * size
        rows, columns = np.mgrid[0:size, 0:size]
        course = rows // high
        shifted = columns + (course % 2) * (wide // 2) * (kind != "tiles")
        joint = (rows % high < 2) | ((shifted % wide < 2) & (kind != "boards"))
        tones = 1.0 + rng.uniform(0.05, 0.25) * rng.standard_normal((size // high + 1, 8 * size // wide + 2))
        picture *= np.clip(tones[course, shifted // wide], 0.3, 2.0)[..., None]
        picture[joint] *= rng.uniform(0.4, 1.5)
        if kind == "boards" and rng.random() < 0.6:
            picture = picture.transpose(1, 0, 2)
    light = _gradient(rng, size, np.float32(rng.uniform(0.3, 0.8)), np.float32(1.2), rng.uniform(0, 2 * np.pi))
    return defocus((picture * light).astype(np.float32), rng.uniform(0.0, 3.0))


def paint_room(rng: np.random.Generator, size: int) -> np.ndarray:
    """A room out of focus: wall, floor, furniture as boxes, pictures, shelves, perhaps a window and a lamp."""
    wall = surrounding_colour(rng, (0.45, 0.97))
    picture = _gradient(rng, size, wall * rng.uniform(0.35, 0.8), wall, rng.uniform(0, 2 * np.pi)).astype(np.float32)
    horizon = int(size * rng.uniform(0.6, 0.95))
    picture[horizon:] = surrounding_colour(rng, (0.15, 0.7))
    corner = int(size * rng.uniform(-0.5, 1.5))
    if 0 < corner < size:
        picture[:, :corner] *= rng.uniform(0.55, 0.9)
    if rng.random() < 0.5:
        _add_window(rng, picture)
    for _ in range(int(rng.integers(2, 9))):
        _add_box(rng, picture, horizon)
    if rng.random() < 0.5:
        _add_shelf(rng, picture)
    if rng.random() < 0.4:
        centre = tuple(int(value) for value in rng.integers(0, size, 2))
        glow = np.float32([1.0, 0.8, 0.5]) * rng.uniform(2.0, 6.0)
        cv2.circle(picture, centre, int(rng.integers(6, 22)), glow.tolist(), -1)
    picture *= 1.0 + 0.05 * fractal_noise(rng, size, size, 10, 5, 0.8)[..., None]
    return defocus(picture, rng.choice([rng.uniform(1.0, 4.0), rng.uniform(4.0, 14.0)]))


def _add_window(rng: np.random.Generator, picture: np.ndarray) -> None:
    size = len(picture)
    left, top = int(rng.uniform(-0.1, 0.8) * size), int(rng.uniform(-0.2, 0.3) * size)
    width, height = int(rng.uniform(0.2, 0.5) * size), int(rng.uniform(0.3, 0.6) * size)
    outside = np.float32([0.75, 0.88, 1.0]) * rng.uniform(1.0, 3.0)
    cv2.rectangle(picture, (left, top), (left + width, top + height), outside.tolist(), -1)
    greens = np.float32([0.25, 0.4, 0.15]) * rng.uniform(0.5, 2.0)
    cv2.rectangle(
        picture, (left, top + int(height * rng.uniform(0.5, 0.9))), (left + width, top + height), greens.tolist(), -1
    )
    frame = random_colour(rng, (0.0, 0.3), (0.2, 0.95)).tolist()
    cv2.rectangle(picture, (left, top), (left + width, top + height), frame, 5)
    cv2.line(picture, (left + width // 2, top), (left + width // 2, top + height), frame, 4)


def _add_box(rng: np.random.Generator, picture: np.ndarray, horizon: int) -> None:
    size = len(picture)
    width, height = (int(value) for value in rng.uniform(0.06, 0.40, 2) * size)
    left = int(rng.uniform(-0.1, 1.0) * size)
    on_floor = rng.random() < 0.6
    top = horizon - height + int(rng.uniform(0.0, 0.15) * size) if on_floor else int(rng.uniform(0.05, 0.5) * size)
    colour = random_colour(rng, (0.05, 0.75), (0.1, 0.85)) if rng.random() < 0.35 else surrounding_colour(rng)
    cv2.rectangle(picture, (left, top), (left + width, top + height), colour.tolist(), -1)
    edge = max(2, int(0.15 * width))
    cv2.rectangle(picture, (left, top), (left + edge, top + height), (colour * rng.uniform(0.4, 1.6)).tolist(), -1)
    if not on_floor:  # a picture on the wall
        inner = random_colour(rng).tolist()
        cv2.rectangle(picture, (left + 4, top + 4), (left + width - 4, top + height - 4), inner, -1)


def _add_shelf(rng: np.random.Generator, picture: np.ndarray) -> None:
    size = len(picture)
    left, top = int(rng.uniform(-0.2, 0.8) * size), int(rng.uniform(0.0, 0.3) * size)
    wide, step = int(rng.uniform(0.2, 0.5) * size), int(rng.uniform(0.10, 0.18) * size)
    wood = random_colour(rng, (0.2, 0.6), (0.2, 0.7))
    for level in range(int(rng.integers(2, 6))):
        floor = top + (level + 1) * step
        cv2.rectangle(picture, (left, floor - step), (left + wide, floor), (wood * 0.4).tolist(), -1)
        spine = left
        while spine < left + wide:
            thick = int(rng.integers(4, 14))
            tall = int(step * rng.uniform(0.5, 0.9))
            book = random_colour(rng, (0.2, 0.9), (0.15, 0.9)).tolist()
            if rng.random() < 0.85:
                cv2.rectangle(picture, (spine, floor - tall), (min(spine + thick, left + wide), floor), book, -1)
            spine += thick + 1
        cv2.rectangle(picture, (left, floor - 2), (left + wide, floor + 3), wood.tolist(), -1)


def paint_foliage(rng: np.random.Generator, size: int) -> np.ndarray:
    """Leaves against the sky, with the bright discs of gaps out of focus."""
    depth = fractal_noise(rng, size, size, rng.uniform(3, 8), 6, 0.75)
    season = np.float32(rng.uniform([0.07, 0.2, 0.03], [0.22, 0.2, 0.06]))
    leaf = season * np.float32(rng.uniform(0.6, 1.8))
    picture = leaf * np.exp(0.7 * depth)[..., None] * (1.0 + 0.1 * smooth_noise(rng, size, size, 20, 3))
    gaps = smooth_noise(rng, size, size, 70) + 0.8 * smooth_noise(rng, size, size, 6) > rng.uniform(2.0, 3.2)
    picture[gaps] = np.float32([0.8, 0.95, 1.0]) * rng.uniform(1.0, 5.0)
    horizon = int(size * rng.uniform(0.5, 1.2))
    if horizon < size:
        ground = surrounding_colour(rng, (0.25, 0.6))
        picture[horizon:] = ground * (1.0 + 0.2 * fractal_noise(rng, size - horizon, size, 10, 4))[..., None]
    return defocus(picture.astype(np.float32), rng.uniform(1.5, 10.0))


def paint_lights(rng: np.random.Generator, size: int) -> np.ndarray:
    """A street at night or a hall: a dark ground with lamps as discs of light."""
    ground = random_colour(rng, (0.2, 0.8), (0.05, 0.3))
    picture = np.tile(ground, (size, size, 1)) * np.exp(0.6 * fractal_noise(rng, size, size, 4, 4))[..., None]
    picture = picture.astype(np.float32)
    hues = [random_colour(rng, (0.2, 0.9), (0.7, 1.0)) for _ in range(3)]
    for _ in range(int(rng.integers(15, 70))):
        centre = (int(rng.integers(0, size)), int(size * rng.beta(2, 2.5)))
        lamp = hues[int(rng.integers(3))] * rng.uniform(5.0, 40.0)
        cv2.circle(picture, centre, int(rng.integers(1, 4)), lamp.tolist(), -1)
    for _ in range(int(rng.integers(0, 6))):
        left, wide = int(rng.integers(0, size)), int(rng.integers(20, 90))
        facade = (random_colour(rng, (0.1, 0.6), (0.1, 0.4))).tolist()
        cv2.rectangle(picture, (left, int(rng.integers(0, size // 2))), (left + wide, size), facade, -1)
    return defocus(picture, rng.uniform(5.0, 13.0))


def paint_open_air(rng: np.random.Generator, size: int) -> np.ndarray:
    """Sky with clouds above hills or houses."""
    zenith = np.float32([0.12, 0.28, 0.70]) * rng.uniform(0.5, 1.2)
    haze = np.float32([0.75, 0.82, 0.90]) * rng.uniform(0.6, 1.2)
    if rng.random() < 0.25:
        haze = np.float32([1.0, 0.55, 0.25]) * rng.uniform(0.5, 1.2)
    picture = _gradient(rng, size, zenith, haze, np.pi / 2)
    clouds = np.clip(fractal_noise(rng, size, size, rng.uniform(2, 5), 6, 0.55) * 0.5 + rng.uniform(-0.6, 0.4), 0, 1)
    picture = picture * (1 - clouds[..., None]) + np.float32([0.95, 0.95, 0.98]) * clouds[..., None]
    rows = np.arange(size)[:, None]
    for layer in range(int(rng.integers(1, 4))):
        ridge = size * (rng.uniform(0.45, 0.75) + 0.1 * layer) + 18 * fractal_noise(rng, 1, size, 6, 5)[0]
        land = surrounding_colour(rng, (0.15, 0.5)) * np.float32([0.8, 1.0, 0.7])
        tone = np.exp(0.25 * fractal_noise(rng, size, size, 12, 4, 0.8))[..., None]
        picture = np.where((rows > ridge)[..., None], land * tone, picture)
    for _ in range(int(rng.integers(0, 7))):
        left, wide, top = int(rng.integers(0, size)), int(rng.integers(25, 110)), int(rng.integers(size // 4, size))
        house = surrounding_colour(rng, (0.3, 0.9))
        picture[top:, left : left + wide] = house
        picture[top + 8 :: 16, left + 5 : left + wide - 5 : 10] *= 0.3
    return defocus(picture.astype(np.float32), rng.uniform(1.0, 8.0))


def paint_shapes(rng: np.random.Generator, size: int) -> np.ndarray:
    """Colours and shapes without meaning, so that a network cannot learn what stands behind people."""
    picture = np.exp(0.8 * fractal_noise(rng, size, size, rng.uniform(2, 6), 6, 0.6, channels=3))
    picture = (picture * random_colour(rng, (0.1, 0.8), (0.3, 0.7))).astype(np.float32)
    for _ in range(int(rng.integers(0, 25))):
        points = rng.uniform(-0.1, 1.1, 2) * size + rng.normal(0, rng.uniform(10, 70), (int(rng.integers(3, 7)), 2))
        cv2.fillPoly(picture, [points.astype(np.int32)], random_colour(rng).tolist(), lineType=cv2.LINE_AA)
    return defocus(picture, rng.choice([0.0, rng.uniform(1.0, 8.0)]))


Painter = Callable[[np.random.Generator, int], np.ndarray]
PAINTERS: tuple[Painter, ...] = (
    paint_studio,
    paint_wall,
    paint_room,
    paint_foliage,
    paint_lights,
    paint_open_air,
    paint_shapes,
)
PAINTER_SHARES = (0.13, 0.15, 0.34, 0.12, 0.08, 0.13, 0.05)
