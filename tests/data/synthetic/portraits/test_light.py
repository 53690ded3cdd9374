"""Lights as harmonics, against sums over the sphere."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from data.synthetic.lighting import Lobe, sphere_directions
from data.synthetic.portraits.light import (
    BRIGHTEST_FACE,
    DRAWS,
    LUMINANCE,
    MATT,
    MIDDLE_ALBEDO,
    Lamp,
    Lights,
    draw_lights,
    exposure,
    harmonics,
    rotate_harmonics,
    surroundings,
)
from data.synthetic.portraits.shadows import open_transfer, reach
from util import spherical_harmonics

SPHERE = sphere_directions(4000)


def test_harmonics_are_orthonormal():
    products = harmonics(SPHERE).T.astype(float) @ harmonics(SPHERE) * (4 * np.pi / len(SPHERE))
    np.testing.assert_allclose(products, np.eye(9), atol=2e-3)  # a sum over 4,000 directions for the integral


def test_harmonics_have_the_order_and_the_signs_of_the_project():
    theirs = spherical_harmonics.harmonics(torch.from_numpy(SPHERE)).numpy()
    ratios = (theirs * harmonics(SPHERE)).sum(axis=0) / (harmonics(SPHERE) ** 2).sum(axis=0)
    assert (ratios > 0).all()
    np.testing.assert_allclose(theirs, ratios * harmonics(SPHERE), atol=1e-5)


def test_open_transfer_is_the_integral_over_the_sky():
    rng = np.random.default_rng(0)
    sh = rng.normal(0, 0.3, (9, 3)).astype(np.float32)
    sh[0] += 3.0  # bright enough for the sky to be positive everywhere
    normals = sphere_directions(20)
    radiance = harmonics(SPHERE) @ sh
    expected = np.maximum(normals @ SPHERE.T, 0.0) @ radiance * (4.0 / len(SPHERE))
    np.testing.assert_allclose(reach(open_transfer(normals), sh), expected, rtol=2e-3)


def test_rotated_harmonics_are_the_same_sky():
    rotation = Rotation.from_euler("yxz", [0.7, -0.3, 2.0]).as_matrix().T
    sh = np.random.default_rng(1).normal(0, 1, (9, 3)).astype(np.float32)
    seen = harmonics(SPHERE) @ (rotate_harmonics(rotation) @ sh)
    np.testing.assert_allclose(seen, harmonics(SPHERE @ rotation) @ sh, atol=1e-5)


def test_a_white_sky_lights_a_white_surface_white():
    sh = surroundings(np.ones(3), np.ones(3))
    # the sum over 256 directions in place of the integral
    np.testing.assert_allclose(reach(open_transfer(SPHERE[::97]), sh), 1.0, atol=2e-3)


def test_a_lobe_lights_its_own_side():
    sh = surroundings(np.zeros(3), np.zeros(3), Lobe(np.float32([1, 0, 0]), 4.0, np.float32([1, 0.5, 0])))
    right, left = reach(open_transfer(np.float32([[1, 0, 0], [-1, 0, 0]])), sh)
    assert right[0] > 5 * left[0]
    np.testing.assert_allclose(right[1] / right[0], 0.5, rtol=1e-5)
    assert right[2] == 0.0


@pytest.mark.parametrize("draw", DRAWS, ids=lambda draw: draw.__name__)
def test_every_kind_of_light(draw):
    for seed in range(20):
        lights = draw(np.random.default_rng(seed), np.float32([1.2, 1.0, 0.8]))
        assert 1 <= len(lights.lamps) <= 3
        strengths = [lamp.colour.sum() for lamp in lights.lamps]
        assert strengths == sorted(strengths, reverse=True)
        for lamp in lights.lamps:
            assert abs(np.linalg.norm(lamp.direction) - 1) < 1e-5
            assert (lamp.colour >= 0).all()
            assert 0 < lamp.softness < 0.1
            assert lamp.colour.dtype == lamp.direction.dtype == np.float32
        assert lights.sh.dtype == np.float32
        falls = harmonics(SPHERE) * MATT @ lights.sh
        # harmonics of a light on one side swing a little below zero on the other, where `reach` stops at zero
        assert (falls.min(axis=0) > -0.06 * falls.max(axis=0)).all()


def test_lights_follow_from_the_generator():
    first, second = (draw_lights(np.random.default_rng(5), np.float32([0.3, 0.4, 0.2])) for _ in range(2))
    np.testing.assert_array_equal(first.sh, second.sh)
    assert all((a.colour == b.colour).all() for a, b in zip(first.lamps, second.lamps, strict=True))


def test_scaled_lights():
    lights = draw_lights(np.random.default_rng(2), np.float32([0.3, 0.3, 0.3]))
    scaled = lights.scale(2.5)
    np.testing.assert_allclose(scaled.sh, 2.5 * lights.sh, rtol=1e-6)
    np.testing.assert_allclose(scaled.lamps[0].colour, 2.5 * lights.lamps[0].colour, rtol=1e-6)
    assert scaled.sh.dtype == scaled.lamps[0].colour.dtype == np.float32
    assert scaled.level == lights.level


def test_exposure_brings_a_face_to_its_level():
    lights = Lights(np.zeros((9, 3), np.float32), (Lamp(np.float32([0, 0, 1]), LUMINANCE, 0.01),), 0.2)
    rng = np.random.default_rng(0)
    shown = np.array([exposure(rng, lights, 1.7, MIDDLE_ALBEDO) for _ in range(400)]) * 1.7 * MIDDLE_ALBEDO
    # lognormal with deviation 0.2 of which 400 are drawn, 8 % darker and 6 % brighter ones apart
    assert abs(np.median(shown) - 0.2) < 0.01
    assert 0.02 < (shown < 0.1).mean() < 0.12
    assert 0.01 < (shown > 0.35).mean() < 0.1
    assert exposure(rng, Lights(lights.sh, lights.lamps, 10.0), 1.0, 0.3) * 0.3 == pytest.approx(BRIGHTEST_FACE)
    fair, dark = (exposure(np.random.default_rng(1), lights, 1.0, albedo) * albedo for albedo in (0.6, 0.06))
    assert fair > dark > fair / 10  # albedos ten times apart come out less than ten times apart
