"""Each figure against a value computed by hand."""

import numpy as np
import pytest

from util.camera import WCPA_PROJECTION
from util.metrics import (
    YAW_BINS,
    chamfer_f1,
    image_metrics,
    landmark_nme,
    nme_by_yaw,
    pose_errors,
    rotation_geodesic,
    score_parts,
    summarise,
)
from util.pose import pose_from_6dof

# Two vertices 5 cm in front of the origin, 10 cm apart.
VERTS = np.array([[[-0.05, 0.0, 0.05], [0.05, 0.0, 0.05]]])
HALF_METRE = pose_from_6dof(np.array([[0, 0, 0, 0, 0, -0.5]]))
# Float64 rounding of millimetres and degrees.
EXACT = {"abs": 1e-9}


def score(verts, R_t, true_verts=VERTS, true_R_t=HALF_METRE):
    return {name: float(value[0]) for name, value in score_parts(verts, R_t, true_verts, true_R_t).items()}


def test_truth_scores_nothing():
    assert score(VERTS, HALF_METRE) == {"score": 0, "score_all": 0, "score_pose": 0, "score_shape": 0}


def test_wrong_place_counts_twice():
    moved = pose_from_6dof(np.array([[0, 0, 0, 0.003, 0.004, -0.5]]))  # 5 mm away
    assert score(VERTS, moved) == pytest.approx({"score": 10, "score_all": 5, "score_pose": 5, "score_shape": 0})


def test_wrong_shape_counts_eleven_times():
    moved = VERTS + [0, 0.002, 0]  # 2 mm
    assert score(moved, HALF_METRE) == pytest.approx({"score": 22, "score_all": 2, "score_pose": 0, "score_shape": 20})


def test_shape_and_pose_may_cancel_in_the_first_part_only():
    moved = VERTS + [0, 0, 0.01]
    back = pose_from_6dof(np.array([[0, 0, 0, 0, 0, -0.51]]))
    assert score(moved, back) == pytest.approx(
        {"score": 110, "score_all": 0, "score_pose": 10, "score_shape": 100}, **EXACT
    )


def test_half_a_turn_about_the_vertical_swaps_the_vertices():
    turned = pose_from_6dof(np.array([[0, np.pi, 0, 0, 0, -0.5]]))
    # (+-0.05, 0, 0.05) go to (-+0.05, 0, -0.05): 0.1 m sideways and 0.1 m back
    assert score(VERTS, turned)["score_pose"] == pytest.approx(1000 * np.hypot(0.1, 0.1))


def test_pose_errors_by_hand():
    true = pose_from_6dof(np.array([[0.1, 0.2, 0.3, 0.01, 0.02, -0.5], [0, 0, 3.1, 0, 0, -0.5]]))
    predicted = pose_from_6dof(np.array([[0.1, 0.25, 0.3, 0.02, 0.02, -0.45], [0, 0, -3.1, 0, 0, -0.54]]))
    errors = pose_errors(predicted, true)
    assert errors["yaw_error_deg"][0] == pytest.approx(np.degrees(0.05), **EXACT)
    assert errors["pitch_error_deg"] == pytest.approx([0, 0], **EXACT)
    assert errors["rotation_error_deg"][0] == pytest.approx(
        np.degrees(0.05), abs=1e-6
    )  # the order of angles: yaw first
    assert errors["tx_error_mm"] == pytest.approx([10, 0], **EXACT)
    assert errors["tz_error_mm"] == pytest.approx([50, 40], **EXACT)
    # across +-180 degrees the short way: 2 pi - 6.2
    assert errors["roll_error_deg"][1] == pytest.approx(np.degrees(2 * np.pi - 6.2), abs=1e-6)
    # 2.9 degrees but 51 mm; 4.8 degrees and 40 mm
    assert errors["success_5deg_5cm"].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("angle", [1e-7, 0.5, 3.0])
def test_geodesic_of_a_turn_about_any_axis(angle):
    from scipy.spatial.transform import Rotation

    axis = np.array([2.0, -1.0, 2.0]) / 3
    true = pose_from_6dof(np.array([[0.3, 0.2, 0.1, 0, 0, -0.5]]))
    turned = true.copy()
    turned[0, :3, :3] = true[0, :3, :3] @ Rotation.from_rotvec(angle * axis).as_matrix()
    # arcsin near its end costs half the digits: 1e-6 of an angle of 3
    assert rotation_geodesic(turned, true)[0] == pytest.approx(np.degrees(angle), rel=1e-6)


def test_nme_by_hand():
    true = np.zeros((1, 68, 2))
    true[0, 0], true[0, 1] = (0, 0), (40, 10)  # a box of 400 square pixels, root 20
    assert landmark_nme(true + [3, 4], true)[0] == pytest.approx(25.0)


# Published rows on AFLW2000-3D: three bins, their mean and standard deviation, and whether that is the population's.
YAW_ROWS = {
    "RCPR": (4.26, 5.96, 13.18, 7.80, 4.74, False),
    "ESR": (4.60, 6.70, 12.67, 7.99, 4.19, False),
    "SDM": (3.67, 4.94, 9.76, 6.12, 3.21, False),
    "3DDFA": (3.78, 4.54, 7.93, 5.42, 2.21, False),
    "DEFA": (4.50, 5.56, 7.33, 5.803, 1.169, True),
    "DAMDNet": (2.907, 3.830, 4.953, 3.897, 0.837, True),
    "MFIRRN": (2.841, 3.572, 4.561, 3.658, 0.705, True),
}


@pytest.mark.parametrize("method", YAW_ROWS)
def test_published_rows_by_yaw(method):
    *bins, mean, deviation, is_population = YAW_ROWS[method]
    # uneven numbers of images, which must not weigh: 3, 2 and 1 around the mean of their bin; both signs; the bounds
    nme = [bins[0] - 1, bins[0], bins[0] + 1, bins[1] - 0.5, bins[1] + 0.5, bins[2]]
    row = nme_by_yaw(np.array(nme), np.array([0.0, -30.0, 30.0, 30.1, -60.0, -351.0]))
    assert [row[f"nme_yaw_{name}"] for name in YAW_BINS] == pytest.approx(bins)
    assert [row[f"images_yaw_{name}"] for name in YAW_BINS] == [3, 2, 1]
    # the published bins are rounded to two decimals, and so are their figures: half a hundredth twice
    assert row["nme_yaw_mean"] == pytest.approx(mean, abs=0.01)
    assert row["nme_yaw_std"] == pytest.approx(deviation * (1 if is_population else np.sqrt(2 / 3)), abs=0.01)


def test_empty_bins_of_yaw_are_left_out():
    row = nme_by_yaw(np.array([2.0, 4.0, 9.0]), np.array([1.0, 2.0, 75.0]))
    assert np.isnan(row["nme_yaw_30_60"])
    assert row["images_yaw_30_60"] == 0
    assert (row["nme_yaw_mean"], row["nme_yaw_std"]) == (6.0, 3.0)
    for nme, yaw in (([1.0], [1.0, 2.0]), ([], []), ([np.nan], [0.0])):
        with pytest.raises(ValueError, match=r"nme|yaw"):
            nme_by_yaw(np.array(nme), np.array(yaw))


def test_chamfer_and_f1_by_hand():
    true = np.array([[[0.0, 0, 0], [0.01, 0, 0]]])
    # 1.5 mm off, twice: both are nearest to the first true point; the second true point is 8.5 mm from them
    points = np.array([[[0.0015, 0, 0], [0, 0.0015, 0], [-0.0015, 0, 0]]])
    figures = chamfer_f1(points, true)
    assert figures["chamfer_mm2"][0] == pytest.approx(1.5**2 + (1.5**2 + 8.5**2) / 2)
    assert figures["f1_1mm_percent"][0] == 0
    assert figures["f1_2mm_percent"][0] == pytest.approx(100 * 2 * 1 * 0.5 / 1.5)  # precision 1, recall 1/2
    assert list(chamfer_f1(points, true, [2.5]))[:2] == ["chamfer_mm2", "f1_2.5mm_percent"]
    # the true box has a diagonal of 10 mm, which is 0.57 in Pixel2Mesh's scale; 1.5 mm is there 0.0855
    assert figures["chamfer_p2m"][0] == pytest.approx(1000 * 0.057**2 * figures["chamfer_mm2"][0])
    assert figures["f1_tau_percent"][0] == figures["f1_2tau_percent"][0] == 0


@pytest.mark.parametrize(("offset", "tau", "two_tau"), [(0.0099, 100, 100), (0.0101, 0, 100), (0.0142, 0, 0)])
def test_thresholds_of_pixel2mesh_are_squares(offset, tau, two_tau):
    """Two far points of a box whose diagonal is 0.57, so in its scale: off by 0.01 and by the root of 2 as much."""
    true = np.array([[[0.0, 0, 0], [0.57, 0, 0]]])
    figures = chamfer_f1(true + [0, offset, 0], true)
    assert figures["f1_tau_percent"].tolist() == [tau]
    assert figures["f1_2tau_percent"].tolist() == [two_tau]
    small = chamfer_f1(0.4 * (true + [0, offset, 0]), 0.4 * true)  # whatever the size of the face
    for name in ("chamfer_p2m", "f1_tau_percent", "f1_2tau_percent"):
        np.testing.assert_allclose(small[name], figures[name], rtol=1e-9)  # float64 rounding


def test_figures_in_the_scale_of_pixel2mesh_against_all_pairs():
    random = np.random.default_rng(1)
    points, true = random.normal(0, 0.05, (2, 900, 3)), random.normal(0, 0.05, (2, 700, 3))
    figures = chamfer_f1(points, true)
    for image in range(2):
        box = true[image].max(axis=0) - true[image].min(axis=0)
        scale = 0.57 / np.sqrt((box**2).sum())
        squares = ((scale * (points[image, :, None] - true[image])) ** 2).sum(-1)
        near, true_near = squares.min(axis=1), squares.min(axis=0)
        assert figures["chamfer_p2m"][image] == pytest.approx(1000 * (near.mean() + true_near.mean()))
        for name, tau in (("f1_tau_percent", 1e-4), ("f1_2tau_percent", 2e-4)):
            precision, recall = (near < tau).mean(), (true_near < tau).mean()
            assert 0 < recall < 1
            assert figures[name][image] == pytest.approx(200 * precision * recall / (precision + recall))


def test_chamfer_and_f1_against_all_pairs():
    random = np.random.default_rng(0)
    points, true = random.normal(0, 0.01, (2, 90, 3)), random.normal(0, 0.01, (2, 70, 3))
    figures = chamfer_f1(points, true, [3.0])
    for image in range(2):
        squares = ((1e3 * (points[image, :, None] - true[image])) ** 2).sum(-1)
        near, true_near = squares.min(axis=1), squares.min(axis=0)
        assert figures["chamfer_mm2"][image] == pytest.approx(near.mean() + true_near.mean())
        precision, recall = (near < 9).mean(), (true_near < 9).mean()
        assert 0 < recall < 1
        assert figures["f1_3mm_percent"][image] == pytest.approx(200 * precision * recall / (precision + recall))


def test_chamfer_of_what_is_not_finite_is_no_crash():
    true = np.random.default_rng(0).normal(0, 0.01, (2, 9, 3))
    points = true.copy()
    points[1, 4, 0] = np.nan
    figures = chamfer_f1(points, true)
    assert figures["chamfer_mm2"][0] == 0
    assert np.isnan(figures["chamfer_mm2"][1])
    assert figures["f1_1mm_percent"].tolist() == [100, 0]


def test_reprojection_by_hand():
    moved = pose_from_6dof(np.array([[0, 0, 0, 0.009, 0, -0.5]]))
    keypoints = np.arange(68) % 3  # a triangle, so that the 68 points span a box
    verts = np.array([[[-0.05, 0.0, 0.05], [0.05, 0.0, 0.05], [0.0, 0.1, 0.05]]])
    figures = image_metrics(verts, moved, verts, HALF_METRE, keypoints, WCPA_PROJECTION, (800, 800))
    focal = 1.57443701 * 400
    # 9 mm at a distance of 0.5 - 0.05 m
    assert figures["reprojection_px"][0] == pytest.approx(focal * 0.009 / 0.45, **EXACT)
    box = focal / 0.45 * 0.1  # square
    assert figures["nme68_percent"][0] == pytest.approx(100 * 9 / 100 * (focal / 0.45 * 0.1) / box, **EXACT)
    assert figures["add_mm"][0] == pytest.approx(9, **EXACT)
    assert figures["vertex_error_mm"][0] == 0


def test_summary_means_and_medians():
    metrics = {"score": np.array([1.0, 2, 9]), "vertex_error_mm": np.ones(3), "rotation_error_deg": np.ones(3)}
    summary = summarise(metrics)
    assert summary["score"] == 4
    assert summary["score_median"] == 2


def test_summary_counts_each_group_once():
    ones = dict.fromkeys(("score", "vertex_error_mm", "rotation_error_deg", "f1_tau_percent", "f1_2tau_percent"))
    metrics = {name: np.ones(4) for name in ones} | {"chamfer_p2m": np.array([1.0, 2, 9, 3])}
    summary = summarise(metrics, ["smile", "smile", "neutral", "smile"])
    assert summary["chamfer_p2m"] == 15 / 4
    assert summary["chamfer_p2m_group_mean"] == (2 + 9) / 2
    assert summary["f1_tau_percent_group_mean"] == 1
    assert "chamfer_p2m_group_mean" not in summarise(metrics)
