"""True conditions, against poses and boxes made by hand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from util.camera import WCPA_PROJECTION
from util.conditions import image_conditions


def test_conditions_of_a_plate_in_front_of_the_camera():
    """68 points on a plate of 0.1 m x 0.2 m, of which vertex 0 is none; half a metre away, then turned."""
    random = np.random.default_rng(0)
    plate = np.column_stack([random.uniform(-0.05, 0.05, 69), random.uniform(-0.1, 0.1, 69), np.zeros(69)])
    plate[0], plate[1], plate[2] = [9, 9, 9], [-0.05, -0.1, 0], [0.05, 0.1, 0]
    R_t = np.tile(np.eye(4), (2, 1, 1))
    R_t[:, 3, 2] = [-0.5, -0.8]
    R_t[1, :3, :3] = Rotation.from_euler("yxz", [30, -10, 5], degrees=True).as_matrix().T
    found = image_conditions(
        np.tile(plate, (2, 1, 1)).astype(np.float32), R_t, np.arange(1, 69), WCPA_PROJECTION, (800, 800)
    )
    # float32 vertices: 1e-7 of a metre is 1e-4 of a pixel here
    assert found["yaw_deg"] == pytest.approx([0, 30])
    assert found["pitch_deg"] == pytest.approx([0, -10])
    assert found["distance_m"] == pytest.approx([0.5, 0.8])
    focal = 1.57443701 * 400
    assert found["face_size_px"][0] == pytest.approx(np.sqrt(0.1 * 0.2) * focal / 0.5, abs=1e-3)
