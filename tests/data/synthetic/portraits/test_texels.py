"""Noise that repeats, and texels from numbers."""

import numpy as np
import pytest

from data.synthetic.noise import to_linear, to_srgb
from data.synthetic.portraits.texels import DETAIL_MEAN, detail_texels, periodic_noise, piece, to_texels


def test_noise_is_normalised_smooth_and_repeats():
    noise = periodic_noise(np.random.default_rng(3), 64, 2.0)
    assert noise.shape == (128, 128)
    assert noise.dtype == np.float32
    np.testing.assert_array_equal(noise[:64, :64], noise[64:, 64:])
    assert noise[:64, :64].mean() == pytest.approx(0.0, abs=1e-5)
    assert noise.std() == pytest.approx(1.0, abs=1e-5)
    steps = np.abs(np.diff(noise, axis=0)).max(axis=1)
    assert steps[63] < 1.5 * np.median(steps)  # over the seam no larger than elsewhere


def test_noise_can_be_longer_in_one_direction():
    noise = periodic_noise(np.random.default_rng(3), 128, 0.7, 4.0)
    down, right = np.abs(np.diff(noise, axis=0)).mean(), np.abs(np.diff(noise, axis=1)).mean()
    assert down > 3.0 * right


def test_a_piece_is_a_shifted_tile():
    noise = periodic_noise(np.random.default_rng(0), 16, 1.0)
    found = piece(np.random.default_rng(1), noise)
    down, right = np.random.default_rng(1).integers(0, 16, 2)
    np.testing.assert_array_equal(found, np.roll(noise[:16, :16], (-down, -right), axis=(0, 1)))


def test_texels_are_srgb_and_opaque():
    linear = np.random.default_rng(0).random((5, 7, 3), dtype=np.float32)
    texels = to_texels(linear)
    assert texels.dtype == np.uint8
    assert (texels[..., 3] == 255).all()
    # 4,096 steps of linear light: up to 0.8 of a level in the dark (12.92 * 255 / 4095), and rounding
    np.testing.assert_allclose(texels[..., :3], 255 * to_srgb(linear), atol=1.4)


def test_detail_multiplies():
    logarithm = np.log(np.float32([0.25, 0.5, 1.0, 1.5, 2.0]))[None, :, None].repeat(3, axis=2)
    texels = detail_texels(logarithm)[0, :, 0]
    linear = to_linear(texels / np.float32(255))
    # a level of 8 bits is some 1 to 2 per cent of these
    np.testing.assert_allclose(linear / DETAIL_MEAN, [0.25, 0.5, 1.0, 1.5, 2.0], rtol=0.02)
    assert detail_texels(np.full((1, 1, 3), 3.0, np.float32))[0, 0].tolist() == [255] * 4  # what no texel can hold
