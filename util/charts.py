"""Many figures made few enough to draw: all images count, and what is drawn does not grow with them."""

from collections.abc import Sequence

import numpy as np

# Bins of a condition have at least so many images, so that their quartiles mean something.
IMAGES_A_BIN = 10
MOST_BINS = 12


def shared_histogram(values: Sequence[np.ndarray], bins: int = 40) -> tuple[np.ndarray, list[np.ndarray]]:
    """Histograms of several arrays over the same equal bins: edges (bins + 1,), and the counts (bins,) of each array.

    Bins begin at 0, or at the lowest value where that is negative, and end at the highest of the arrays' 99th
    percentiles; what lies beyond is counted in the last bin.
    """
    low = min(0.0, *(float(each.min()) for each in values))
    high = max(float(np.percentile(each, 99)) for each in values)
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    return edges, [np.histogram(np.minimum(each, edges[-1]), edges)[0] for each in values]


def quantiles(values: np.ndarray, steps: int = 100) -> np.ndarray:
    """(steps + 1,) the values under which 0, 1/steps, ..., all of the values lie: a cumulative curve on its side."""
    return np.quantile(values, np.linspace(0, 1, steps + 1))


def binned_quartiles(condition: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    """How values (B,) go with a condition (B,), in bins of equally many images.

    Returns condition, the bin's median, and low, median and high, the quartiles of the values in it.
    """
    bins = int(np.clip(len(values) // IMAGES_A_BIN, 1, MOST_BINS))
    parts = np.array_split(np.argsort(condition, kind="stable"), bins)
    low, median, high = np.transpose([np.percentile(values[part], [25, 50, 75]) for part in parts])
    return {"condition": np.array([np.median(condition[part]) for part in parts])} | {
        "low": low,
        "median": median,
        "high": high,
    }


def boxes(values: np.ndarray, labels: Sequence[str]) -> dict[str, np.ndarray]:
    """For each label, in alphabetical order, the 5th, 25th, 50th, 75th and 95th percentile of its values, (5,)."""
    labels = np.asarray(labels)
    return {str(name): np.percentile(values[labels == name], [5, 25, 50, 75, 95]) for name in np.unique(labels)}


def some(count: int, most: int, seed: int = 0) -> np.ndarray:
    """Indices of at most `most` of `count` things, drawn without replacement, in ascending order."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])
