import numpy as np

from util.statistics import principal_components


def test_components_of_a_known_spread():
    random = np.random.default_rng(0)
    directions = np.linalg.qr(random.normal(size=(12, 2)))[0].T.reshape(2, 4, 3)
    weights = random.normal(size=(500, 2))
    weights = (weights - weights.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(weights.T, bias=True))).T
    mean = random.normal(size=(4, 3))
    samples = mean + np.einsum("nk,kvc->nvc", weights * [0.3, 0.1], directions)
    basis = principal_components(samples, mean, most=10)
    # only two directions vary, by 0.3 and 0.1; signs are free
    assert basis.shape == (2, 4, 3)
    for found, expected in zip(basis, directions * np.array([0.3, 0.1])[:, None, None], strict=True):
        np.testing.assert_allclose(found * np.sign((found * expected).sum()), expected, atol=1e-6)  # float32


def test_components_are_limited():
    samples = np.random.default_rng(0).normal(size=(6, 4, 3))
    assert principal_components(samples, samples.mean(axis=0), most=3).shape == (3, 4, 3)
    assert principal_components(samples, samples.mean(axis=0), most=99).shape == (5, 4, 3)
