"""Cameras: nothing moves, noise and curves are as strong as they say, and chance alone decides."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from data.synthetic.noise import to_srgb
from data.synthetic.portraits.grain import FINE
from data.synthetic.portraits.optics import (
    WHITE,
    Camera,
    compress,
    develop,
    draw_camera,
    expose,
    record,
)


def plain_curve() -> np.ndarray:
    """The root of light to itself, so that what a camera shows is 255 * root(light / WHITE)."""
    return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)[None]


@pytest.fixture
def plain() -> Camera:
    """A camera that does nothing."""
    return Camera(
        colours=np.eye(3, dtype=np.float32),
        haze=0.0,
        vignette=0.0,
        blur=0.0,
        motion=np.zeros(2),
        noise=0.0,
        grain=FINE,
        curve=plain_curve(),
        smooth=0,
        sharpen=0.0,
        shrink=1.0,
        interpolation=cv2.INTER_LINEAR,
        quality=100,
        full_chroma=True,
        copies=0,
    )


def scene(size: int = 96) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(cv2.resize(rng.random((6, 6, 3), dtype=np.float32), (size, size)), 0, 1)


def test_a_plain_camera_shows_the_root_of_light(plain):
    light = scene()
    kept = light.copy()
    shown = develop(np.random.default_rng(0), light, plain)
    np.testing.assert_array_equal(light, kept)
    # rounded to whole numbers
    np.testing.assert_allclose(shown, 255 * np.sqrt(light / WHITE), atol=0.51)


def test_the_generator_alone_decides():
    light = scene()
    pictures = [develop(np.random.default_rng(seed), light) for seed in (1, 2, 1)]
    np.testing.assert_array_equal(pictures[0], pictures[2])
    assert (pictures[0] != pictures[1]).any()


def test_nothing_moves():
    """A bright spot's middle stays where it is through every lens, size of file and JPEG."""
    rows, columns = np.mgrid[0:120, 0:150] + 0.5
    spot = np.exp(-((columns - 88.3) ** 2 + (rows - 49.6) ** 2) / (2 * 9.0**2))
    light = np.repeat((0.02 + 0.7 * spot)[..., None], 3, axis=2).astype(np.float32)
    rng = np.random.default_rng(7)
    for _ in range(40):
        # noise and vignettes have a middle of their own
        camera = replace(draw_camera(rng), noise=0.0, vignette=0.0)
        shown = develop(rng, light, camera).astype(float).mean(axis=2)
        weight = np.maximum(shown - np.quantile(shown, 0.8), 0.0) ** 2
        middle = [(weight * places).sum() / weight.sum() for places in (columns, rows)]
        # half a pixel of the smaller file: blocks of the JPEG and nearest neighbours may be off by so much
        np.testing.assert_allclose(middle, [88.3, 49.6], atol=0.25 + 0.25 * camera.shrink)


def test_noise_is_as_strong_as_it_says(plain):
    noisy = replace(plain, noise=0.04)
    for level in (0.1, 1.0):
        light = np.full((300, 300, 3), level, np.float32)
        shown = record(np.random.default_rng(0), noisy, light).astype(float)
        assert shown.mean() == pytest.approx(255 * np.sqrt(level / WHITE), abs=0.5)
        # the same on the root of dark and bright light; 300 x 300 places and rounding
        assert shown.std() == pytest.approx(255 * 0.04 / np.sqrt(WHITE), rel=0.02)


def test_vignette_haze_and_colours(plain):
    light = np.full((101, 101, 3), 0.4, np.float32)
    shaded = expose(replace(plain, vignette=0.3), light)
    np.testing.assert_allclose(shaded[50, 50], 0.4, rtol=1e-5)
    np.testing.assert_allclose(shaded[[0, -1], [0, -1]], 0.4 * 0.7, rtol=1e-5)
    dark = light.copy()
    dark[:50] = 0.0
    hazy = expose(replace(plain, haze=0.1), dark)
    np.testing.assert_allclose(hazy[0, 0], 0.1 * dark.mean(), rtol=1e-3)
    red = np.float32([[1, 0, 0], [1, 0, 0], [1, 0, 0]])
    np.testing.assert_allclose(expose(replace(plain, colours=red), light * [1, 0, 0]), 0.4, rtol=1e-5)


def test_motion_smears_along_its_line_only(plain):
    light = np.zeros((81, 81, 3), np.float32)
    light[40, 40] = 1.0
    # 10 pixels in a picture of 81, as lengths are in 1/800 of the width
    shown = develop(np.random.default_rng(0), light, replace(plain, motion=np.array([10 * 800 / 81, 0.0])))
    rows, columns = np.nonzero(shown[..., 0])
    assert set(rows) == {40}
    assert (columns.min(), columns.max()) == (35, 45)


def test_curves_rise_and_show_middle_grey_in_the_middle():
    rng = np.random.default_rng(0)
    greys = []
    for _ in range(60):
        curve = draw_camera(rng).curve
        assert curve.shape == (1, 256, 3)
        assert curve.dtype == np.uint8
        # an S that is less steep than a line rises everywhere, but for rounding
        assert np.diff(curve[0].astype(int), axis=0).min() >= -1
        greys.append(curve[0, round(255 * np.sqrt(0.18 / WHITE))].mean())
    # 0.18 of white is 118 in sRGB; contrast, gamma and tone scatter about it
    assert abs(np.median(greys) - 255 * float(to_srgb(np.array(0.18)))) < 12


def test_compression_is_as_good_as_asked_for():
    picture = (255 * scene(128)).astype(np.uint8)
    errors = [np.abs(compress(picture, quality, True).astype(int) - picture).mean() for quality in (20, 60, 98)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1.5


@pytest.mark.parametrize("size", [(256, 256), (9, 300), (64, 48)])
def test_any_size(size):
    rng = np.random.default_rng(3)
    light = rng.random((*size, 3), dtype=np.float32) * 3
    for _ in range(12):
        shown = develop(rng, light)
        assert shown.shape == (*size, 3)
        assert shown.dtype == np.uint8
