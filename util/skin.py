"""Which pixels are skin, by their colour alone: two mixtures of Gaussians, one of skin and one of what is not.

Colours are the levels of Y, Cr and Cb, 0 to 255, with the constants and in the order of OpenCV's COLOR_RGB2YCrCb, but
not rounded. Deep3DFaceRecon_pytorch has such mixtures, four components each, and the same share of skin.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from util.errors import InputError

NUM_COMPONENTS = 4
# How much of a picture of a face is skin before one looks at its colours.
SKIN_SHARE = 0.8
# RGB from 0 to 1 to levels of Y, Cr and Cb: colours @ TO_YCRCB + YCRCB_ZERO.
LUMA = np.array([0.299, 0.587, 0.114])
TO_YCRCB = 255 * np.stack([LUMA, 0.713 * (np.eye(3)[0] - LUMA), 0.564 * (np.eye(3)[2] - LUMA)], axis=1)
YCRCB_ZERO = np.array([0.0, 128.0, 128.0])
# Added to the variances, in levels: what rounding and JPEG make of one colour.
LEAST_VARIANCE = 1.0
MOST_PIXELS = 60_000


class Mixtures(NamedTuple):
    """Mixtures of M Gaussians, of skin first, then of what is not."""

    weights: np.ndarray  # (2, M) float32, each row summing to 1
    means: np.ndarray  # (2, M, 3) float32 levels of Y, Cr, Cb
    covariances: np.ndarray  # (2, M, 3, 3) float32


def ycrcb(colors: np.ndarray) -> np.ndarray:
    """(..., 3) levels of Y, Cr and Cb of RGB colors (..., 3) from 0 to 1."""
    return colors @ TO_YCRCB + YCRCB_ZERO


def fit_mixtures(skin: np.ndarray, other: np.ndarray) -> Mixtures:
    """The mixtures of RGB pixels (n, 3) and (m, 3) from 0 to 1, by expectation and maximisation (scikit-learn), with
    the same result for the same pixels. Raises InputError where there are too few."""
    # takes a second to import, and only step01 needs it
    from sklearn.mixture import GaussianMixture

    fitted = []
    for name, pixels in (("skin", skin), ("what is not skin", other)):
        if len(pixels) < 10 * NUM_COMPONENTS:
            raise InputError(f"pixels of {name}: wanted at least {10 * NUM_COMPONENTS}, got {len(pixels)}")
        chosen = pixels[:: -(-len(pixels) // MOST_PIXELS)]
        mixture = GaussianMixture(NUM_COMPONENTS, reg_covar=LEAST_VARIANCE, max_iter=500, random_state=0)
        fitted.append(mixture.fit(ycrcb(chosen)))
    arrays = ([getattr(mixture, name) for mixture in fitted] for name in ("weights_", "means_", "covariances_"))
    return Mixtures(*(np.float32(array) for array in arrays))


def skin_probability(
    pictures: torch.Tensor, weights: torch.Tensor, means: torch.Tensor, covariances: torch.Tensor
) -> torch.Tensor:
    """(B, H, W) float32 probabilities that pixels are skin, by their colours and `SKIN_SHARE`.

    pictures: (B, 3, H, W) RGB from 0 to 1; the others: `Mixtures` as tensors. The logarithm of each Gaussian is a
    polynomial of second degree in red, green and blue: all of them are one product of matrices, in float32 whatever
    autocast says.
    """
    with torch.no_grad(), torch.autocast(pictures.device.type, enabled=False):
        rgb = (pictures.float() - 0.5).flatten(2)
        terms = torch.cat([rgb, rgb * rgb, rgb * rgb.roll(-1, dims=1)], dim=1)
        constants, coefficients = _polynomials(weights, means, covariances)
        logarithms = torch.baddbmm(constants, coefficients.expand(len(terms), -1, -1), terms)
        skin, other = logarithms.unflatten(1, weights.shape).logsumexp(dim=2).unbind(1)
        return torch.sigmoid(skin - other + math.log(SKIN_SHARE / (1 - SKIN_SHARE))).unflatten(1, pictures.shape[2:])


def _polynomials(
    weights: torch.Tensor, means: torch.Tensor, covariances: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The logarithm of each weighted Gaussian, up to a constant of them all: itself where red, green and blue are 0.5,
    (2 * M, 1), and (2 * M, 9) factors of red, green and blue less 0.5, of their squares, and of red times green, green
    times blue and blue times red."""
    matrix, zero = (torch.from_numpy(part).to(means.device) for part in (TO_YCRCB, YCRCB_ZERO))
    offsets = (means.double() - 0.5 * matrix.sum(dim=0) - zero).flatten(0, 1)[..., None]
    inverse = covariances.double().flatten(0, 1).inverse()
    heights = weights.double().flatten().log() + 0.5 * inverse.logdet()
    constants = heights[:, None] - 0.5 * (offsets.mT @ inverse @ offsets)[:, :, 0]
    straight = (matrix @ inverse @ offsets)[..., 0]
    squares = -0.5 * matrix @ inverse @ matrix.T
    crossed = 2 * squares[:, [0, 1, 2], [1, 2, 0]]
    factors = torch.cat([straight, squares.diagonal(dim1=1, dim2=2), crossed], dim=1)
    return constants.float(), factors.float()
