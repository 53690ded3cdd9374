import numpy as np
import pytest
import torch

from util.landmarks import CHAINS_68, LANDMARK_PRECISION, MIRROR_68, landmark_numbers, whitening_matrix


def test_landmark_mirror_is_an_involution_that_keeps_chains():
    np.testing.assert_array_equal(MIRROR_68[MIRROR_68], np.arange(68))
    chains = [set(chain) for chain, _ in CHAINS_68]
    assert sorted(i for chain in chains for i in chain) == list(range(68))
    assert all(set(MIRROR_68[list(chain)]) in chains for chain in chains)
    # corners of eyes and mouth, tips of jaw and nose
    assert [int(MIRROR_68[i]) for i in (36, 39, 48, 60, 8, 33, 0)] == [45, 42, 54, 64, 8, 33, 16]


def test_landmark_numbers_by_hand():
    points = torch.zeros(1, 68, 2)
    points[0, 0], points[0, 1] = torch.tensor([-0.5, -0.5]), torch.tensor([0.5, 0.0])
    points[0, 2:] = torch.tensor([0.0, -0.25])
    numbers = landmark_numbers(points)[0]
    # the box goes from (-0.5, -0.5) to (0.5, 0): centre (0, -0.25), half of the larger side 0.5
    assert numbers.shape == (139,)
    assert numbers[:6].tolist() == [-1, -0.5, 1, 0.5, 0, 0]
    assert numbers[136:].tolist() == pytest.approx([0, -0.25, np.log(0.5)])


def test_whitened_numbers_are_uncorrelated_and_small_ones_stay_small():
    random = np.random.default_rng(0)
    deviations = np.array([3.0, 1.0, 0.1, LANDMARK_PRECISION / 10])
    rotation = np.linalg.qr(random.normal(size=(4, 4)))[0]
    numbers = random.normal(size=(2000, 4)) * deviations @ rotation
    covariance = np.cov(numbers.T, bias=True)
    whitened = numbers @ whitening_matrix(covariance)
    found = np.cov(whitened.T, bias=True)
    np.testing.assert_allclose(found, np.diag(np.diag(found)), atol=1e-9)  # float64 rounding
    # variance / (variance + precision^2), with the 2,000 draws' own variances: 1/101, and nearly 1
    np.testing.assert_allclose(np.sqrt(np.diag(found)), [0.0995, 0.995, 1, 1], rtol=0.05)
