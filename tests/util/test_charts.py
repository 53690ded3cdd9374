"""What charts draw, against hand-computed values."""

import numpy as np
import pytest

from util.charts import binned_quartiles, boxes, quantiles, shared_histogram, some


def test_histograms_share_their_bins_and_count_everything():
    first, second = np.arange(100.0), np.append(np.full(199, 10.0), 1e6)
    edges, counts = shared_histogram([first, second], bins=2)
    # 98.01 is the 99th percentile of 0, 1, ..., 99
    assert edges == pytest.approx([0, 49.005, 98.01])
    assert [each.tolist() for each in counts] == [[50, 50], [199, 1]]


def test_histograms_of_negative_and_of_equal_values():
    edges, (counts,) = shared_histogram([np.array([-2.0, 0.0, 2.0])], bins=2)
    assert (edges[0], counts.tolist()) == (-2.0, [1, 2])
    edges, (counts,) = shared_histogram([np.zeros(5)], bins=4)
    assert (edges.tolist(), counts.tolist()) == ([0, 0.25, 0.5, 0.75, 1], [5, 0, 0, 0])


def test_quantiles_are_those_of_a_ramp():
    assert quantiles(np.arange(201.0)[::-1], steps=4).tolist() == [0, 50, 100, 150, 200]


def test_bins_have_equally_many_images_and_quartiles():
    condition = np.arange(100.0)[::-1]
    binned = binned_quartiles(condition, 2 * condition)
    assert binned["condition"].tolist() == [4.5 + 10 * i for i in range(10)]
    assert binned["median"].tolist() == [9 + 20 * i for i in range(10)]
    # the quartiles of 0, 2, ..., 18
    assert (binned["low"][0], binned["high"][0]) == (4.5, 13.5)
    assert len(binned_quartiles(np.arange(1000.0), np.arange(1000.0))["median"]) == 12
    assert binned_quartiles(np.array([3.0]), np.array([7.0]))["median"].tolist() == [7.0]


def test_boxes_by_label():
    found = boxes(np.array([5.0, *range(101)]), ["b", *["a"] * 101])
    assert list(found) == ["a", "b"]
    assert found["a"].tolist() == [5, 25, 50, 75, 95]
    assert found["b"].tolist() == [5, 5, 5, 5, 5]


def test_some_are_drawn_once_and_all_where_they_are_few():
    assert some(4, 10).tolist() == [0, 1, 2, 3]
    drawn = some(1000, 50)
    assert len(set(drawn.tolist())) == 50
    assert (np.diff(drawn) > 0).all()
    assert drawn.tolist() == some(1000, 50).tolist() != some(1000, 50, seed=1).tolist()
