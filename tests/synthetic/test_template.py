"""The coarse mesh: sizes, symmetry, openings and key points."""

import numpy as np
import pytest

from data.synthetic.template import NUM_FACE_VERTICES, build_template

# Where each key point of the iBUG order goes when the face is mirrored
MIRRORED_KEYPOINTS = np.array(
    [
        *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
        45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
        54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def template():
    return build_template()


@pytest.fixture(scope="module")
def face(template):
    return template.triangles[: template.num_face_triangles]


def border_loops(triangles):
    """The closed border loops of a manifold mesh, each a list of vertices."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    directed = set(map(tuple, edges.tolist()))
    assert len(directed) == len(edges), "an edge is used twice in one direction: no manifold, or mixed winding"
    following = {a: b for a, b in directed if (b, a) not in directed}
    loops = []
    while following:
        start, current = following.popitem()
        loop = [start]
        while current != start:
            loop.append(current)
            current = following.pop(current)
        loops.append(loop)
    return loops


def test_the_face_is_the_first_1220_vertices(face):
    np.testing.assert_array_equal(np.unique(face), np.arange(NUM_FACE_VERTICES))
    assert NUM_FACE_VERTICES == 1220


def test_mirror_is_exact(template):
    np.testing.assert_array_equal(template.directions[template.mirror], template.directions * [-1, 1, 1])
    np.testing.assert_array_equal(template.mirror[template.mirror], np.arange(len(template.mirror)))
    rows = {tuple(sorted(row)) for row in template.triangles.tolist()}
    assert {tuple(sorted(row)) for row in template.mirror[template.triangles].tolist()} == rows


def test_key_points_are_distinct_and_mirror_in_ibug_order(template):
    assert len(np.unique(template.keypoints)) == 68
    assert template.keypoints.max() < NUM_FACE_VERTICES
    np.testing.assert_array_equal(template.mirror[template.keypoints], template.keypoints[MIRRORED_KEYPOINTS])


def test_face_has_four_openings(face, template):
    loops = border_loops(face)
    assert len(loops) == 4
    border = {frozenset(loop) for loop in loops}
    for name in ("left_eye", "right_eye", "mouth"):
        assert frozenset(template.loops[name].tolist()) in border


def test_whole_head_has_lids_lips_and_one_cut(template):
    # neck and seam together are one loop: the head is unwrapped from the back
    assert len(border_loops(template.triangles)) == 4


def test_key_points_lie_on_the_openings(template):
    eyes = {42: "left_eye", 36: "right_eye"}
    for first, name in eyes.items():
        assert set(template.keypoints[first : first + 6]) <= set(template.loops[name])
    assert set(template.keypoints[60:68]) <= set(template.loops["mouth"])
    on_midline = template.keypoints[[8, 27, 28, 29, 30, 33, 51, 57, 62, 66]]
    np.testing.assert_array_equal(template.directions[on_midline, 0], 0.0)


def test_key_points_run_from_image_left_to_right(template):
    x = template.directions[template.keypoints, 0]
    for run in (range(3, 14), range(17, 27), range(31, 36), range(36, 40), range(42, 46), range(48, 55), range(60, 65)):
        assert np.all(np.diff(x[list(run)]) > 0)


def test_triangles_are_well_shaped(face, template):
    # angles on the chart, which keeps angles of the head: a sliver would have one near 180 degrees
    corners = template.directions[face]
    a, b = np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners
    cosine = np.sum(a * b, axis=2) / np.linalg.norm(a, axis=2) / np.linalg.norm(b, axis=2)
    assert np.degrees(np.arccos(cosine.min())) < 172
    assert np.mean(np.degrees(np.arccos(cosine.min(axis=1))) > 120) < 0.04


def test_building_again_gives_the_same(template):
    again = build_template.__wrapped__()
    np.testing.assert_array_equal(again.directions, template.directions)
    np.testing.assert_array_equal(again.triangles, template.triangles)
