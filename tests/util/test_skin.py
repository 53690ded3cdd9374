"""Mixtures of Gaussians that tell skin by its colour."""

import cv2
import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from util.errors import InputError
from util.skin import SKIN_SHARE, Mixtures, fit_mixtures, skin_probability, ycrcb


@pytest.fixture(scope="module")
def pixels():
    """2,000 pixels of each kind, RGB from 0 to 1: skin in two tones, the rest anywhere."""
    random = np.random.default_rng(0)
    tones = np.array([[0.8, 0.6, 0.5], [0.4, 0.25, 0.2]])[random.integers(0, 2, 2000)]
    return np.clip(tones + random.normal(0, 0.03, (2000, 3)), 0, 1), random.random((2000, 3))


@pytest.fixture(scope="module")
def mixtures(pixels):
    return fit_mixtures(*pixels)


def tensors(mixtures: Mixtures) -> list[torch.Tensor]:
    return [torch.from_numpy(part) for part in mixtures]


def test_levels_are_those_of_opencv():
    colors = np.random.default_rng(1).integers(0, 256, (50, 1, 3), dtype=np.uint8)
    wanted = cv2.cvtColor(colors, cv2.COLOR_RGB2YCrCb)[:, 0]
    # OpenCV rounds Y to a whole level, and Cr and Cb, of which that is 0.713 and 0.564 times, once more.
    assert np.abs(ycrcb(colors[:, 0] / 255) - wanted).max() < 0.5 + 0.713 / 2 + 0.01


def test_probabilities_are_bayes_rule_with_densities_of_scipy(pixels, mixtures):
    chosen = np.concatenate([part[:35] for part in pixels]).reshape(2, 5, 7, 3)
    pictures = torch.from_numpy(chosen).float().movedim(-1, 1)
    levels = ycrcb(pictures.movedim(1, -1).double().numpy())
    skin, other = (
        sum(
            weight * multivariate_normal(mean, covariance).pdf(levels)
            for weight, mean, covariance in zip(*parts, strict=True)
        )
        for parts in zip(*(part.astype(np.float64) for part in mixtures), strict=True)
    )
    wanted = SKIN_SHARE * skin / (SKIN_SHARE * skin + (1 - SKIN_SHARE) * other)
    got = skin_probability(pictures, *tensors(mixtures))
    assert got.shape == (2, 5, 7)
    assert got.dtype == torch.float32
    # Logarithms are some hundreds in float32: a thousandth of them is lost at most.
    np.testing.assert_allclose(got.numpy(), wanted, atol=1e-3)
    assert 0.4 < wanted.mean() < 0.6  # half of them are skin


def test_autocast_does_not_make_it_coarse(mixtures):
    pictures = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    exact = skin_probability(pictures, *tensors(mixtures))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(skin_probability(pictures, *tensors(mixtures)), exact, rtol=0, atol=0)


def test_skin_is_told_from_the_rest(pixels, mixtures):
    found = [
        skin_probability(torch.from_numpy(part).float().T[None, :, :, None], *tensors(mixtures)).mean()
        for part in pixels
    ]
    assert found[0] > 0.9
    assert found[1] < 0.2


def test_the_same_pixels_give_the_same_mixtures(pixels, mixtures):
    again = fit_mixtures(*pixels)
    assert all(np.array_equal(one, other) for one, other in zip(mixtures, again, strict=True))
    assert [part.shape for part in mixtures] == [(2, 4), (2, 4, 3), (2, 4, 3, 3)]
    np.testing.assert_allclose(mixtures.weights.sum(axis=1), 1, atol=1e-6)  # float32


def test_too_few_pixels(pixels):
    with pytest.raises(InputError, match="pixels of skin: wanted at least 40, got 39"):
        fit_mixtures(pixels[0][:39], pixels[1])
