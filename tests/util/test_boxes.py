import numpy as np
import pytest

from util.boxes import overlaps, tight_box


def test_tight_box():
    assert tight_box(np.array([[3, 1], [0, 5], [2, 2]])).tolist() == [0, 1, 3, 5]


def test_overlaps_by_hand():
    others = np.array([[1, 1, 3, 3], [2, 0, 3, 1], [0, 0, 2, 2], [0.5, 0.5, 1.5, 1.5]])
    wanted = [1 / 7, 0, 1, 1 / 4]
    assert overlaps(np.array([0, 0, 2, 2]), others) == pytest.approx(wanted)
    assert overlaps(np.array([0, 0, 2, 2]), others[:0]).shape == (0,)
