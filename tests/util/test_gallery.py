"""Which images are shown, and what their pictures show."""

import numpy as np

from tests.conftest import bowl
from util.camera import WCPA_PROJECTION, project, transform
from util.gallery import choose_cases, draw_case, face_view
from util.mesh import make_topology


def pose(x: float, z: float) -> np.ndarray:
    R_t = np.eye(4)
    R_t[3, :3] = [x, 0, z]
    return R_t


def test_cases_are_the_best_the_median_the_worst_and_the_worst_of_each_action():
    scores = np.array([5.0, 1, 4, 2, 3, 9, 8, 7, 6])
    actions = ["b", "a", "a", "a", "a", "b", "b", "b", "a"]
    found = choose_cases(scores, actions, each=2)
    assert found == {
        1: ["best"],
        3: ["best"],
        2: ["median"],
        0: ["median"],
        5: ["worst", "worst of its action"],
        6: ["worst"],
        8: ["worst of its action"],
    }
    assert list(found)[:2] == [1, 3]


def test_few_images_are_of_several_kinds():
    assert choose_cases(np.array([2.0, 1.0]), ["a", "a"]) == {
        1: ["best", "median", "worst"],
        0: ["best", "median", "worst", "worst of its action"],
    }


def test_a_score_that_is_not_finite_is_the_worst():
    assert choose_cases(np.array([2.0, np.nan, 1.0]), ["a", "a", "a"], each=1)[1] == ["worst", "worst of its action"]


def test_the_view_is_around_the_face_and_within_the_image():
    verts, _ = bowl()
    points, _ = project(transform(verts, pose(0, -0.5)), WCPA_PROJECTION, 800, 600)
    rows, columns = face_view(verts, pose(0, -0.5), WCPA_PROJECTION, 800, 600)
    side = int(1.8 * np.ptp(points, axis=0).max())
    assert rows.stop - rows.start == columns.stop - columns.start == side
    assert abs(rows.start + rows.stop - 600) <= 1
    assert abs(columns.start + columns.stop - 800) <= 1
    # at the edge, and nearer than the image is high
    rows, columns = face_view(verts, pose(0.3, -0.5), WCPA_PROJECTION, 800, 600)
    assert (columns.stop, rows.stop - rows.start) == (800, columns.stop - columns.start)
    rows, columns = face_view(verts, pose(0, -0.15), WCPA_PROJECTION, 800, 600)
    assert (rows.start, rows.stop, columns.stop - columns.start) == (0, 600, 600)


def test_pictures_show_the_prediction():
    template, triangles = bowl()
    topology = make_topology(template, triangles, np.arange(68))
    image = np.full((800, 800, 3), (0, 0, 255), np.uint8)
    exact, far = (template, pose(0, -0.5)), (template * np.float32(1.5), pose(0.05, -0.5))
    case = draw_case(3, ["best"], image, exact, [exact, far], topology, WCPA_PROJECTION, 8.0)
    assert (case.photo == (0, 0, 255)).all()
    assert case.photo.shape == case.predictions[0].overlay.shape == case.predictions[0].error_map.shape == (256, 256, 3)
    blue, red = ((p.error_map[110:140, 100:140].astype(int) @ [-1, 0, 1]).mean() for p in case.predictions)
    assert blue == 59 - 48  # turbo begins at (48, 18, 59)
    assert red < -20
    drawn = [(p.overlay != case.photo).any(axis=2) for p in case.predictions]
    assert drawn[1].sum() > 1.5 * drawn[0].sum()
    # the mesh lies in the middle: 256 / 1.8 is its larger side
    rows, columns = np.nonzero(drawn[0])
    assert abs(np.ptp(rows) - 142) <= 2
    assert abs(columns.mean() - 127.5) < 1
