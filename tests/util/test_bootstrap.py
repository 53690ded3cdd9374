"""Bootstrap intervals against SciPy's, a slow twin and what a normal mean should give."""

import numpy as np
import pytest
import scipy.stats

from util.bootstrap import mean_intervals


def test_images_that_are_groups_of_their_own_are_plain_resampling():
    random = np.random.default_rng(1)
    values = random.gamma(2.0, 3.0, 120)
    low, high = mean_intervals({"x": values}, [str(i) for i in range(120)], resamples=20_000)["x"]
    wanted = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    # An end's standard error is sqrt(0.025 * 0.975 / 20000) / density, 0.019 standard errors of the mean; two of them
    # differ by 1.4 times that, and four times this is allowed.
    tolerance = 4 * 1.4 * 0.019 * values.std() / np.sqrt(120)
    assert (low, high) == pytest.approx(tuple(wanted), abs=tolerance)


def test_normal_means_of_groups_have_their_analytic_interval():
    """Four equal images a subject say no more than one: the interval is that of 500 values, not of 2,000."""
    subjects = np.random.default_rng(3).normal(10.0, 2.0, 500)
    groups = np.repeat([f"{i:03d}" for i in range(500)], 4)
    low, high = mean_intervals({"x": np.repeat(subjects, 4)}, groups, resamples=20_000)["x"]
    error = subjects.std() / np.sqrt(500)
    # as above, of one interval alone
    assert (low, high) == pytest.approx(tuple(subjects.mean() + np.array([-1.96, 1.96]) * error), abs=4 * 0.019 * error)


def test_groups_of_different_sizes_count_by_their_images():
    groups = ["a"] * 5 + ["b"] * 2 + ["c"]
    values = np.array([1.0, 2, 3, 4, 5, 20, 22, 40])
    intervals = mean_intervals({"x": values, "double": 2 * values}, groups, 0.9, resamples=500, seed=7)
    draws = np.random.default_rng(7).multinomial(3, [1 / 3] * 3, size=500)
    means = []
    for times in draws:
        drawn = [
            v for group, n in zip("abc", times, strict=True) for v in values[np.array(groups) == group].tolist() * n
        ]
        means.append(sum(drawn) / len(drawn))
    assert intervals["x"] == pytest.approx(tuple(np.quantile(means, [0.05, 0.95])))
    assert intervals["double"] == pytest.approx(tuple(2 * end for end in intervals["x"]))
    assert intervals == mean_intervals({"x": values, "double": 2 * values}, groups, 0.9, resamples=500, seed=7)


def test_one_group_says_nothing():
    assert np.isnan(mean_intervals({"x": np.arange(4.0)}, ["a"] * 4)["x"]).all()
