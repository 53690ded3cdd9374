"""Figures of the comparison, against values made by hand."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.comparison import MESH_COLUMNS, ResizedRoot, compare_points, markdown_table, with_size_of
from data.wcpa import WcpaRoot
from util.camera import WCPA_PROJECTION, project
from util.errors import InputError

SIZE = (400, 400)


@pytest.fixture
def face():
    """(1, 68, 3) points half a metre in front of the camera."""
    return np.random.default_rng(0).normal(0, 0.04, (1, 68, 3)) + [0, 0, -0.5]


def figures_of(points, true_points):
    figures = compare_points(points, true_points, WCPA_PROJECTION, SIZE)
    return {name: value.item() for name, value in figures.items()}


def test_a_moved_face_is_off_by_the_motion_alone(face):
    turn = Rotation.from_rotvec(np.radians(12) * np.array([0.6, 0, 0.8])).as_matrix()
    figures = figures_of(face @ turn + [0.01, 0.02, -0.03], face)
    assert figures["points_angle_deg"] == pytest.approx(12)
    # float64 throughout
    assert figures["points_rigid_mm"] == pytest.approx(0, abs=1e-9)
    assert figures["points_similarity_mm"] == pytest.approx(0, abs=1e-9)
    moved = np.linalg.norm(face @ turn + [0.01, 0.02, -0.03] - face, axis=2).mean()
    assert figures["points_mm"] == pytest.approx(1000 * moved)


def test_a_larger_face_has_another_shape_but_for_a_similarity(face):
    centre = face.mean(axis=1, keepdims=True)
    figures = figures_of(centre + 1.1 * (face - centre), face)
    assert figures["points_angle_deg"] == pytest.approx(0, abs=1e-6)  # from the sine of half of it
    wanted = 100 * np.linalg.norm(face - centre, axis=2).mean()  # a tenth, in millimetres
    assert figures["points_rigid_mm"] == pytest.approx(wanted)
    assert figures["points_mm"] == pytest.approx(wanted)
    assert figures["points_similarity_mm"] == pytest.approx(0, abs=1e-9)


def test_a_face_farther_and_as_much_larger_is_seen_in_the_same_place(face):
    figures = figures_of(1.2 * face, face)
    assert figures["nme68_percent"] == pytest.approx(0, abs=1e-9)
    assert figures["points_mm"] == pytest.approx(200 * np.linalg.norm(face, axis=2).mean())


def test_what_is_seen_is_measured_in_sides_of_its_box():
    # a grid of 68 points, 4 by 17, 60 by 160 mm at one distance, moved by 1 mm
    grid = np.stack(np.meshgrid(np.linspace(-0.03, 0.03, 4), np.linspace(-0.08, 0.08, 17)), -1).reshape(1, -1, 2)
    flat = np.concatenate([grid, np.full((1, 68, 1), -0.5)], axis=2)
    figures = figures_of(flat + [0.001, 0, 0], flat)
    assert figures["nme68_percent"] == pytest.approx(100 / np.sqrt(60 * 160))
    assert figures["points_mm"] == pytest.approx(1)


def test_a_resized_root_has_the_same_camera(root_template):
    own, resized = WcpaRoot(root_template), ResizedRoot(root_template, (48, 48))
    topology, sample = own.topology(), own.samples("train")[0]
    verts, R_t = resized.read_label(sample, topology.num_vertices)
    points, _ = project(verts[topology.keypoints] @ R_t[:3, :3] + R_t[3, :3], resized.projection(), 48, 48)
    # the points are rounded to pixels, which are half as large
    np.testing.assert_allclose(resized.read_landmarks(sample), points, atol=0.26)
    image = resized.read_image(sample)
    # an average of areas, by hand
    wanted = own.read_image(sample).reshape(48, 2, 48, 2, 3).astype(np.float64).mean(axis=(1, 3))
    np.testing.assert_allclose(image, wanted, atol=0.51)


def test_pictures_of_another_size_are_told(data_root):
    root = ResizedRoot(data_root, (48, 48))
    samples = root.samples("train")
    cv2.imwrite(str(root.image_path(samples[0])), np.zeros((8, 16, 3), np.uint8))
    with pytest.raises(InputError, match=r"7_ar.jpg: wanted \(96, 96\) pixels, got \(16, 8\)"):
        root.read_image(samples[0])


def test_tables_leave_out_what_is_not_known():
    figures = dict.fromkeys([key for key, _ in MESH_COLUMNS.values()][:12], 1.25) | {"score": 20.0}
    lines = markdown_table([{"title": "a", "minutes": 3.2, "heldout": figures}], MESH_COLUMNS, "heldout").splitlines()
    assert [line.count("|") for line in lines] == [len(MESH_COLUMNS) + 2] * 3
    assert (
        lines[2]
        == "| a | 20.00 | 1.25 | 1.25 | 1.25 | 1.25 | 1.25 | 1.250 | 1.25 | 1.25 | 1.25 | 1.2 | 1.25 |  |  | 3 |"
    )


def test_the_size_is_told_and_what_is_seen_stays(face):
    """A face that is a fifth too large and as much too far away, and one that is turned, too."""
    turn = Rotation.from_rotvec([0.1, -0.2, 0.3]).as_matrix()
    R_t = np.tile(np.eye(4), (2, 1, 1))
    R_t[:, :3, :3], R_t[:, 3, :3] = turn, [0.01, 0.02, -0.6]
    true = np.concatenate([face, face]) + [0, 0, 0.5]
    verts, moved = with_size_of(np.float32(1.2 * true), np.float32(R_t), true)
    np.testing.assert_allclose(verts, true, atol=1e-8)  # float32 of some centimetres
    np.testing.assert_allclose(moved[:, 3, :3], R_t[:, 3, :3] / 1.2, rtol=1e-6)
    seen = [
        project(shape @ turn + pose[:, 3:, :3], WCPA_PROJECTION, *SIZE)[0]
        for shape, pose in ((1.2 * true, R_t), (verts, moved))
    ]
    np.testing.assert_allclose(*seen, atol=1e-3)  # pixels, of float32
