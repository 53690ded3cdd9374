"""The One-Euro filter: slow things are smoothed, fast things follow (Casiez, Roussel and Vogel, CHI 2012)."""

import numpy as np

# Cutoff of the low-pass filter on speeds, Hz (the paper's choice).
SPEED_CUTOFF = 1.0


class OneEuroFilter:
    """Smooths an array that comes at times, each number by itself.

    min_cutoff: Hz, of the low-pass filter for what stands still; beta: Hz by which the cutoff rises for each unit a
    second of speed.
    """

    def __init__(self, min_cutoff: float, beta: float):
        self.min_cutoff, self.beta = min_cutoff, beta
        self.value: np.ndarray | None = None
        self.speed = np.zeros(())

    def __call__(self, value: np.ndarray, seconds: float) -> np.ndarray:
        """The smoothed value. seconds: since the one before, more than 0; without meaning at the first."""
        value = np.asarray(value, dtype=np.float64)
        if self.value is None:
            self.value = value
            return value
        speed = (value - self.value) / seconds
        self.speed = self.speed + smoothing_share(SPEED_CUTOFF, seconds) * (speed - self.speed)
        cutoff = self.min_cutoff + self.beta * np.abs(self.speed)
        self.value = self.value + smoothing_share(cutoff, seconds) * (value - self.value)
        return self.value


def smoothing_share(cutoff: float | np.ndarray, seconds: float) -> float | np.ndarray:
    """How much of the way to a newcomer a low-pass filter of that cutoff, Hz, goes."""
    return 1.0 / (1.0 + 1.0 / (2 * np.pi * cutoff * seconds))
