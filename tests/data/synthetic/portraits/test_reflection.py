"""Light on surfaces and hair, against the formulas written out vector by vector in float64."""

import numpy as np
import pytest

from data.synthetic.lighting import Lobe
from data.synthetic.portraits.light import LUMINANCE, MATT, Lamp, Lights, harmonics, surroundings
from data.synthetic.portraits.reflection import (
    DIELECTRIC,
    GRAZING,
    SKIN_LOBES,
    SKIN_WRAP,
    WET_LOBES,
    light_hair,
    light_surface,
)

DARK = np.zeros((9, 3), np.float32)
COLOUR = np.float32([1.0, 0.5, 0.25])


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture
def surface() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "points": rng.normal([0, 0, -0.6], 0.1, (60, 3)).astype(np.float32),
        "normals": unit(rng.normal([0, 0, 1], 1, (60, 3))).astype(np.float32),
        "albedo": rng.uniform(0.1, 0.9, (60, 3)).astype(np.float32),
        "gloss": rng.uniform(0, 1, 60).astype(np.float32),
        "ambient": rng.uniform(0, 1, (60, 3)).astype(np.float32),
    }


def test_light_of_a_lamp_by_hand():
    lights = Lights(DARK, (Lamp(np.float32([0, 0, 1]), COLOUR, 0.01),), 0.2)
    tilt = np.float32([0.0, np.pi / 3, np.pi / 2, np.pi])
    normals = np.stack([np.sin(tilt), np.zeros(4), np.cos(tilt)], axis=1).astype(np.float32)
    points = np.tile(np.float32([0, 0, -0.5]), (4, 1))
    arguments = (lights, points, normals, np.full((4, 3), 0.5, np.float32), np.zeros(4, np.float32))
    light, shine = light_surface(*arguments, np.zeros((4, 3), np.float32), [np.ones(4, np.float32)])
    wrap = np.array(SKIN_WRAP)
    cosines = np.array([1.0, 0.5, 0.0, -1.0])[:, None]
    np.testing.assert_allclose(light, 0.5 * COLOUR * np.clip((cosines + wrap) / (1 + wrap), 0, 1), atol=1e-6)
    assert (light[2, 0] / COLOUR[0]) > 2 * (light[2, 2] / COLOUR[2])  # red reaches round the edge
    np.testing.assert_array_equal(shine, 0.0)


def test_shadow_takes_the_lamp_away(surface):
    lights = Lights(DARK, (Lamp(np.float32([0, 0, 1]), COLOUR, 0.01),), 0.2)
    light, shine = light_surface(lights, **surface, lit=[np.zeros(60, np.float32)])
    np.testing.assert_allclose(light, surface["albedo"] * surface["ambient"], atol=1e-6)
    np.testing.assert_array_equal(shine, 0.0)


def test_red_light_reaches_into_shadows():
    lights = Lights(DARK, (Lamp(np.float32([0, 0, 1]), np.ones(3, np.float32), 0.01),), 0.2)
    row, one = np.float32([[0, 0, 1]]), np.ones(1, np.float32)
    arguments = (lights, -0.5 * row, row, np.ones((1, 3), np.float32), one, np.zeros((1, 3), np.float32))
    light, _ = light_surface(*arguments, [0.25 * one])
    # a quarter, and of the way to its root 1.5 times the wrap
    np.testing.assert_allclose(light[0], 0.25 + 0.25 * 1.5 * np.array(SKIN_WRAP), rtol=1e-5)


@pytest.mark.parametrize("lobes", [SKIN_LOBES, WET_LOBES])
def test_shine_of_lamps_is_that_of_the_halfway_vector(surface, lobes):
    rng = np.random.default_rng(3)
    directions = unit(np.array([[0.3, 0.4, 1.0], [-1.0, 0.2, 0.1]])).astype(np.float32)
    lamps = tuple(Lamp(direction, COLOUR * k, 0.01) for k, direction in enumerate(directions, 1))
    lit = [rng.uniform(0, 1, 60).astype(np.float32) for _ in lamps]
    _, shine = light_surface(Lights(DARK, lamps, 0.2), **surface, lit=lit, lobes=lobes)
    assert shine.dtype == np.float32
    normals, view = surface["normals"].astype(float), unit(-surface["points"].astype(float))
    expected = np.zeros((60, 3))
    for lamp, open_sky in zip(lamps, lit, strict=True):
        half = unit(view + lamp.direction)
        slant = (normals * half).sum(axis=1)
        fresnel = DIELECTRIC + (1 - DIELECTRIC) * (1 - (view * half).sum(axis=1)) ** 5
        lobe = sum(share * (sharp + 8) / 8 * np.exp(sharp * (slant - 1)) for share, sharp in lobes)
        strength = lobe * fresnel * np.maximum(normals @ lamp.direction, 0) * open_sky * surface["gloss"]
        expected += strength[:, None] * lamp.colour
    # float32 under a lobe of sharpness 240: an error of 1e-7 in a cosine is 3e-5 of its height
    np.testing.assert_allclose(shine, expected, rtol=2e-3, atol=1e-5)
    assert expected.max() > 0.015  # some normals lie near the halfway vectors


def test_glint_is_the_sky_in_the_mirrored_direction(surface):
    lobe = Lobe(unit(np.array([0.5, 0.6, -0.3])), 3.0, np.float32([0.5, 0.7, 0.9]))
    sky = surroundings(np.float32([0.3, 0.6, 1.2]), np.float32([0.3, 0.2, 0.1]), lobe)
    surface["ambient"][:] = 10.0  # sees all of the sky
    _, shine = light_surface(Lights(sky, (), 0.2), **surface, lit=[])
    normals, view = surface["normals"].astype(float), unit(-surface["points"].astype(float))
    facing = (normals * view).sum(axis=1)
    mirrored = 2 * facing[:, None] * normals - view
    blurred = np.maximum(harmonics(mirrored) @ (np.sqrt(MATT) * (sky @ LUMINANCE)), 0.0)
    fresnel = DIELECTRIC + (GRAZING - DIELECTRIC) * (1 - np.maximum(facing, 0)) ** 5
    expected = (surface["gloss"] * blurred * fresnel)[:, None] * sky[0] / (sky[0] @ LUMINANCE)
    np.testing.assert_allclose(shine, expected, rtol=1e-3, atol=1e-6)


def test_hair_shines_across_and_not_along_its_strands():
    lights = Lights(DARK, (Lamp(np.float32([0, 1, 0]), COLOUR, 0.01),), 0.2)
    tangents = np.float32([[1, 0, 0], [0, 1, 0], [0, 0.6, 0.8]])
    points = np.tile(np.float32([0, 0, -0.5]), (3, 1))
    albedo = np.full((3, 3), 0.4, np.float32)
    ones = np.ones(3, np.float32)
    light, shine = light_hair(lights, points, tangents, albedo, np.zeros((3, 3), np.float32), [ones], ones)
    assert light.dtype == shine.dtype == np.float32
    np.testing.assert_allclose(light, 0.9 * 0.4 * COLOUR * np.array([[1.0], [0.0], [0.8]]), atol=1e-6)
    assert shine[0].min() > 0
    np.testing.assert_array_equal(shine[1], 0.0)


def test_hair_is_darker_at_its_roots():
    lights = Lights(DARK, (), 0.2)
    points, tangents = np.tile(np.float32([0, 0, -0.5]), (2, 1)), np.tile(np.float32([1, 0, 0]), (2, 1))
    albedo, ambient = np.full((2, 3), 0.4, np.float32), np.ones((2, 3), np.float32)
    light, _ = light_hair(lights, points, tangents, albedo, ambient, [], np.float32([0, 1]))
    np.testing.assert_allclose(light[0] / light[1], 0.45, rtol=1e-5)
