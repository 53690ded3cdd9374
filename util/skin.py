"""Which pixels are skin, by their colour alone: two mixtures of Gaussians, one of skin and one of what is not.

Colours are the levels of Y, Cr and Cb, 0 to 255, with the constants and in the order of OpenCV's COLOR_RGB2YCrCb, but
not rounded. Deep3DFaceRecon_pytorch has such mixtures, four components each, and the same share of skin.
"""

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
        red, green, blue = (pictures.float() - 0.5).unbind(1)
        products = red * red, green * green, blue * blue, red * green, red * blue, green * blue
        terms = torch.stack([torch.ones_like(red), red, green, blue, *products], dim=1).flatten(2)
        logarithms = (_polynomials(weights, means, covariances) @ terms).unflatten(1, weights.shape)
        skin, other = logarithms.logsumexp(dim=2).unbind(1)
        prior = np.log(SKIN_SHARE / (1 - SKIN_SHARE))
        return torch.sigmoid(skin - other + prior).unflatten(1, pictures.shape[2:])


def _polynomials(weights: torch.Tensor, means: torch.Tensor, covariances: torch.Tensor) -> torch.Tensor:
    """(2 * M, 10) the coefficients of each weighted Gaussian's logarithm, up to a constant of all of them: of 1, of
    red, green and blue less 0.5, and of their products."""
    matrix = torch.from_numpy(TO_YCRCB).to(means.device)
    grey = 0.5 * matrix.sum(dim=0) + torch.from_numpy(YCRCB_ZERO).to(means.device)
    offsets = (means.double() - grey).flatten(0, 1)
    inverse = covariances.double().flatten(0, 1).inverse()
    squares = -0.5 * matrix @ inverse @ matrix.T
    straight = (matrix @ inverse @ offsets[..., None])[..., 0]
    constants = weights.double().flatten().log() + 0.5 * inverse.logdet()
    constants = constants - 0.5 * (offsets[:, None] @ inverse @ offsets[..., None])[:, 0, 0]
    crossed = 2 * torch.stack([squares[:, 0, 1], squares[:, 0, 2], squares[:, 1, 2]], dim=1)
    parts = constants[:, None], straight, squares.diagonal(dim1=1, dim2=2), crossed
    return torch.cat(parts, dim=1).float()
