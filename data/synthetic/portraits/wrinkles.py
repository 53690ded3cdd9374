"""Wrinkles as soft dark lines in the face's texture, laid out from the places of the 68 landmarks in it."""

import cv2
import numpy as np

SHIFT = 4  # bits of the fraction in which OpenCV takes places
STRENGTH = 0.55  # of the darkest wrinkle: a factor of exp(-STRENGTH)


def draw_wrinkles(rng: np.random.Generator, marks: np.ndarray, size: int, strength: float) -> np.ndarray:
    """(size, size) float32, how much darker: 0 without wrinkles.

    marks: (68, 2) places of the landmarks in the texture, texels, x right, y down; strength: 0..1. Young faces have the
    folds beside nose and mouth and below the eyes, faintly; the others come with strength.
    """
    folds = _draw(rng, size, _folds(rng, marks, 0.3 + 0.7 * strength), 4, 3.0)
    if not strength:
        return np.float32(STRENGTH) * folds
    lines = _draw(rng, size, _lines(rng, marks, strength), 2, 1.3)
    ridges = np.roll(cv2.GaussianBlur(lines, (0, 0), 2.0), -3, axis=0)  # lit from above
    return np.float32(STRENGTH) * (folds + 1.3 * lines - 0.5 * ridges)


def _draw(
    rng: np.random.Generator, size: int, lines: list[tuple[np.ndarray, float]], width: int, blur: float
) -> np.ndarray:
    """(size, size) float32, 0..1: lines (P, 2) with their depths, each as strong as it happens to be."""
    canvas = np.zeros((size, size), np.uint8)
    for line, depth in lines:
        points = np.round(line * 2**SHIFT).astype(np.int32)
        level = np.clip(255 * depth * rng.uniform(0.4, 1.0), 0, 255)
        cv2.polylines(canvas, [points], False, level, width, cv2.LINE_AA, SHIFT)
    return cv2.GaussianBlur(canvas, (0, 0), blur).astype(np.float32) / np.float32(255)


def _curve(rng: np.random.Generator, points: list[np.ndarray], wave: float, count: int = 14) -> np.ndarray:
    """(count, 2): a Bezier curve through its first and last of three points, with a little wave."""
    t = np.linspace(0.0, 1.0, count)[:, None]
    start, middle, end = points
    wobble = wave * np.sin(t * rng.uniform(4, 11) + rng.uniform(0, 6)) * rng.uniform(0.3, 1.0)
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end + wobble * [0.3, 1.0]


def _folds(rng: np.random.Generator, marks: np.ndarray, depth: float) -> list[tuple[np.ndarray, float]]:
    """From the nose's wings around the mouth, below the mouth's corners, and under the eyes."""
    found = []
    for wing, corner, jaw, inner, outer, below in ((31, 48, 5, 39, 36, 41), (35, 54, 11, 42, 45, 46)):
        away = np.sign(marks[corner, 0] - marks[33, 0])
        width = abs(marks[corner, 0] - marks[33, 0])
        end = marks[corner] + width * np.array([away * rng.uniform(0.15, 0.4), rng.uniform(-0.4, 0.3)])
        start = marks[wing] + width * np.array([away * 0.12, -0.25])
        middle = 0.5 * (start + end) + width * np.array([away * 0.1, 0.0])
        found.append((_curve(rng, [start, middle, end], 0.5), depth))
        if rng.random() < depth:
            low = 0.75 * marks[corner] + 0.25 * marks[jaw] + width * np.array([0.0, 0.3])
            found.append((_curve(rng, [marks[corner] + [away * 2, 2], 0.5 * (marks[corner] + low), low], 0.5), depth))
        eye = abs(marks[outer, 0] - marks[inner, 0])
        for number in range(int(rng.integers(1, 3))):
            drop = eye * (0.28 + 0.2 * number + rng.uniform(-0.05, 0.05))
            middle = marks[below] + [0.0, 1.5 * drop]
            ends = [marks[inner] + [-away * 2, 0.5 * drop], middle, marks[outer] + [-away * 3, 0.6 * drop]]
            found.append((_curve(rng, ends, 0.5), 0.7 * depth))
    return found


def _lines(rng: np.random.Generator, marks: np.ndarray, strength: float) -> list[tuple[np.ndarray, float]]:
    """Across the forehead, between the brows and beside the eyes."""
    found = []
    brow, left, right = marks[17:27, 1].min(), marks[17, 0], marks[26, 0]
    gap = 0.13 * brow
    for number in range(int(rng.integers(2, 6))):
        height = brow - gap * (number + 1.2 + rng.uniform(-0.3, 0.3))
        begin, end = left + (right - left) * np.array([rng.uniform(0.0, 0.3), rng.uniform(0.7, 1.0)])
        middle = np.array([0.5 * (begin + end), height + rng.uniform(-8.0, 5.0)])
        found.append((_curve(rng, [np.array([begin, height]), middle, np.array([end, height])], 2.5), strength))
    for side in (21, 22):
        if rng.random() < 0.7:
            start = 0.75 * marks[side] + 0.25 * marks[27] + np.array([0.0, -12.0])
            middle, end = (start + np.array([rng.uniform(-3, 3), drop]) for drop in (10.0, 22.0))
            found.append((_curve(rng, [start, middle, end], 0.5), 0.8 * strength))
    for outer, inner in ((36, 39), (45, 42)):
        away = marks[outer] - marks[inner]
        for number in range(int(rng.integers(2, 5))):
            angle = np.sign(away[0]) * np.radians(-35 + 22 * number + rng.uniform(-6, 6))
            ahead = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ away
            start = marks[outer] + rng.uniform(0.10, 0.2) * ahead
            end = start + rng.uniform(0.25, 0.6) * ahead
            found.append((_curve(rng, [start, 0.5 * (start + end) + [0, 2.0], end], 0.8), 0.9 * strength))
    return found
