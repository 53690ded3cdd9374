import math

import numpy as np

from util.smoothing import OneEuroFilter


def one_euro(values, seconds, min_cutoff, beta):
    """The paper's filter, number by number."""

    def alpha(cutoff):
        tau = 1 / (2 * math.pi * cutoff)
        return 1 / (1 + tau / seconds)

    results, smooth, speed = [], None, 0.0
    for value in values:
        if smooth is None:
            smooth = value
        else:
            rate = (value - smooth) / seconds
            speed = alpha(1.0) * rate + (1 - alpha(1.0)) * speed
            share = alpha(min_cutoff + beta * abs(speed))
            smooth = share * value + (1 - share) * smooth
        results.append(smooth)
    return results


def test_like_the_paper():
    values = np.cumsum(np.random.default_rng(0).normal(0, 1, (50, 3)), axis=0)
    smooth = OneEuroFilter(1.5, 0.3)
    got = np.array([smooth(value, 0.04) for value in values])
    wanted = np.array([one_euro(column, 0.04, 1.5, 0.3) for column in values.T]).T
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_noise_goes_and_motion_stays():
    random = np.random.default_rng(1)
    still = random.normal(0, 0.01, 300)
    smooth = OneEuroFilter(1.5, 7.0)
    assert np.std([smooth(value, 1 / 30) for value in still][50:]) < 0.6 * np.std(still[50:])
    smooth = OneEuroFilter(1.5, 7.0)
    ramp = np.arange(60) / 30  # one unit a second
    behind = ramp[-1] - [smooth(value, 1 / 30) for value in ramp][-1]
    assert behind < 0.03  # a frame's way


def test_arrays_keep_their_shape():
    smooth = OneEuroFilter(1.0, 0.0)
    for _ in range(3):
        assert smooth(np.ones((4, 3)), 0.1).shape == (4, 3)
