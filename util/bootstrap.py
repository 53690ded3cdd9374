"""How sure means over images are, where images come in groups that are not independent."""

from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 2000


def mean_intervals(
    values: dict[str, np.ndarray],
    groups: Sequence[str],
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Bootstrap intervals of means: low and high of each, at the percentiles that leave `confidence` between them.

    values: name -> one an image, (B,); groups: the group, such as the subject, of each image. Whole groups are drawn
    with replacement, as many as there are, and the mean is that of all images drawn (cluster bootstrap: Davison and
    Hinkley, Bootstrap Methods and their Application, 3.8). All values see the same draws. With fewer than two groups
    nothing is known, and both ends are NaN.
    """
    _, membership = np.unique(np.asarray(groups), return_inverse=True)
    sizes = np.bincount(membership)
    if len(sizes) < 2:
        return dict.fromkeys(values, (np.nan, np.nan))
    # How often each group is drawn decides the mean, so that no image is copied.
    chances = np.full(len(sizes), 1 / len(sizes))
    draws = np.random.default_rng(seed).multinomial(len(sizes), chances, size=resamples).astype(np.float64)
    images = draws @ sizes
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    intervals = {}
    for name, each in values.items():
        means = draws @ np.bincount(membership, weights=each) / images
        low, high = np.quantile(means, ends)
        intervals[name] = (float(low), float(high))
    return intervals
