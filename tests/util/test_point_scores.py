"""Scores of 68 points by yaw, with predictions made by hand."""

import numpy as np
import pytest

from util.point_scores import format_yaw_table, point_metrics, yaw_row


def faces(count):
    """(B, 68, 3) points whose box is 40 x 90 x 30, the root of its area 60 and the cube root of its volume 47.6."""
    points = np.random.default_rng(0).uniform(0, 1, (count, 68, 3))
    points[:, 0], points[:, 1] = 0, 1
    return points * [40, 90, 30]


def test_errors_by_hand():
    true = faces(4)
    moves = np.array([0, 3, 6, 12])
    moved = true + moves[:, None, None] * [1, 0, 0]
    metrics = point_metrics(moved, true)
    # exact but for rounding
    np.testing.assert_allclose(metrics["nme68_percent"], 100 * moves / 60, rtol=1e-12)
    # stretched to the true box, points that are only moved or scaled have no error
    np.testing.assert_allclose(metrics["nme68_stretched_percent"], 0, atol=1e-12)
    scaled = point_metrics(true * [1, 1, 0.001], true)
    np.testing.assert_allclose(scaled["nme68_stretched_percent"], 0, atol=1e-12)
    assert point_metrics(true * [1, 1, -0.001], true)["nme68_stretched_percent"].min() > 5  # the depth's sign counts
    assert list(point_metrics(moved, true[..., :2])) == ["nme68_percent"]


def test_the_row_of_yaws_by_hand():
    nme = np.array([1.0, 2.0, 3.0, 5.0, 8.0])
    row = yaw_row({"nme68_percent": nme, "other": nme + 1}, np.array([-30.0, 10, 30.5, -60, -351]))
    assert (row["nme_yaw_0_30"], row["nme_yaw_30_60"], row["nme_yaw_60_90"]) == (1.5, 4, 8)
    assert row["nme_yaw_mean"] == pytest.approx(4.5)
    assert row["nme_yaw_std"] == pytest.approx(np.sqrt((3**2 + 0.5**2 + 3.5**2) / 3))
    assert (row["nme68_percent"], row["other"]) == (pytest.approx(3.8), pytest.approx(4.8))
    lines = format_yaw_table("run01", row).splitlines()
    assert lines[0].split() == ["0-30", "30-60", "60-90", "mean", "std"]
    assert lines[1].split() == ["run01", "1.500", "4.000", "8.000", "4.500", "2.677"]
    assert lines[2].split() == ["images", "2", "2", "1"]
    assert {len(line) for line in lines[:2]} == {len("images") + 5 * 8}
