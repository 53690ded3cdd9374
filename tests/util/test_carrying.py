"""Topologies carried onto heads: against where they were taken from, and ICT-FaceKit and WCPA's mesh where at hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csc_matrix
from scipy.spatial.transform import Rotation

from data.synthetic.shape import procedural_face, skin_of
from util.carrying import (
    Carried,
    Skin,
    barycentric_of,
    carry,
    is_symmetric,
    rigid_to,
    similarity_to,
    symmetric_points,
    trusted_points,
    untangled,
)
from util.errors import InputError
from util.ict_files import read_ict
from util.mesh import Topology, make_topology, read_topology

SHARED = Path(__file__).parents[3] / "shared"
TURN = Rotation.from_euler("yxz", [0.4, -0.3, 0.2]).as_matrix()


@pytest.fixture(scope="module")
def skin() -> np.ndarray:
    return shown({})


def shown(weights: dict[str, float]) -> np.ndarray:
    """The procedural face's skin in an expression."""
    face = procedural_face()
    amounts = np.array([weights.get(name, 0.0) for name in face.expression_names])
    return face.vertices(np.zeros(len(face.identity_names)), amounts)["skin"]


def carry_onto_face(topology: Topology, skin: np.ndarray) -> Carried:
    face = procedural_face()
    return carry(topology, skin, skin_of(face).triangles, face.topology.keypoints)


def millimetres(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    return 1000 * np.linalg.norm(points - others, axis=1)


def facing_in(points: np.ndarray, triangles: np.ndarray, carried: Carried, head: np.ndarray, skin: np.ndarray) -> int:
    """How many triangles face away from the head's surface under all their corners."""
    areas = [np.cross(x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]) for x in (points[triangles], skin[head])]
    outwards = (areas[0][:, None] * areas[1][carried.triangle[triangles]]).sum(axis=2)
    return int((outwards < 0).all(axis=1).sum())


def test_a_mesh_that_lies_on_the_head_stays_there_however_it_was_turned(skin):
    own = procedural_face().topology
    order = np.random.default_rng(0).permutation(own.num_vertices)
    numbers = np.argsort(order)  # where each vertex went
    template = (1.7 * own.template[order] @ TURN + [0.3, -0.2, 0.1]).astype(np.float32)
    topology = make_topology(template, numbers[own.triangles], numbers[own.keypoints], symmetric=False)
    carried = carry_onto_face(topology, skin)
    places = carried.places(skin, skin_of(procedural_face()).triangles)
    assert places.dtype == np.float32
    # float32 holds 0.4 m to 0.03 micrometres; the similarity comes of 68 such points
    assert millimetres(places, own.template[order]).max() < 1e-3
    opened = shown({"jaw_open": 1.0, "blink_left": 1.0})
    moved = carried.places(opened, skin_of(procedural_face()).triangles)
    assert millimetres(moved, opened[: own.num_vertices][order]).max() < 2e-2  # lips and lids part by centimetres
    assert millimetres(moved, places).max() > 20


@pytest.fixture(scope="module")
def bent() -> Topology:
    """Another person's face in the procedural topology: narrower, longer, more and less curved, and larger."""
    own = procedural_face().topology
    x, y, z = own.template.T.astype(np.float64)
    template = np.stack([0.95 * x, 1.08 * y, z + 2 * x**2 - (y + 0.02) ** 2], axis=1)
    return replace(own, template=(1.2 * template).astype(np.float32))


def test_a_mesh_of_another_shape_comes_to_its_place(skin, bent):
    triangles = skin_of(procedural_face()).triangles
    carried = carry_onto_face(bent, skin)
    places, own = carried.places(skin, triangles), procedural_face().topology
    assert (carried.barycentric >= 0).all()
    np.testing.assert_allclose(carried.barycentric.sum(axis=1), 1, atol=1e-6)
    errors = millimetres(places, own.template)
    # a similarity of the 68 points leaves 4.8 mm in the mean; at forehead and temples no point says where along them
    assert errors.mean() < 1.2
    assert np.median(errors) < 0.4
    np.testing.assert_allclose(errors[own.keypoints], 0, atol=1e-2)
    assert facing_in(places, own.triangles, carried, triangles, skin) == 0
    # the right lips and lids: where they part by centimetres, nothing else is farther off
    opened = shown({"jaw_open": 1.0, "blink_left": 1.0, "blink_right": 1.0})
    after = millimetres(carried.places(opened, triangles), opened[: own.num_vertices])
    assert (after - errors).max() < 1.5
    mirrored = places[own.mirror] * np.float32([-1, 1, 1])
    assert millimetres(places, mirrored).max() < 0.02  # quads are not cut along mirrored diagonals


def test_points_that_mean_something_else_are_not_gone_by(skin, bent):
    wrong = bent.keypoints.copy()
    for number in (4, 12):  # some way up the jaw, on both sides
        wrong[number] = bent.keypoints[number + np.sign(8 - number) * -2]
    places = carry_onto_face(replace(bent, keypoints=wrong), skin).places(skin, skin_of(procedural_face()).triangles)
    assert np.median(millimetres(places, procedural_face().topology.template)) < 0.4
    assert 4 not in trusted_points(bent.template[wrong] / 1.2, skin[bent.keypoints], np.arange(68))
    wrong[20] = 0  # no mirror image of 23 any more
    assert set(range(68)) - set(symmetric_points(replace(bent, keypoints=wrong))) == {20, 23}
    assert len(symmetric_points(replace(bent, mirror=np.arange(bent.num_vertices)))) == 68


def test_what_is_no_face_is_refused(skin, bent):
    shuffled = replace(bent, keypoints=np.random.default_rng(0).permutation(bent.keypoints))
    with pytest.raises(InputError, match="key points: wanted the 68 of a face in the iBUG order"):
        carry_onto_face(replace(shuffled, mirror=np.arange(bent.num_vertices)), skin)
    line = replace(bent, template=bent.template * np.float32([0, 1, 0]))
    with pytest.raises(InputError, match="key points: wanted points of a face, got points of a plane"):
        carry_onto_face(line, skin)
    with pytest.raises(InputError, match=r"head landmarks: wanted shape \(68\), got \(67,\)"):
        carry(bent, skin, skin_of(procedural_face()).triangles, np.arange(67))


def test_similarity_passes_over_a_few_wrong_points():
    points = np.random.default_rng(0).normal(0, 0.05, (68, 3))
    targets = 0.8 * points @ TURN + [0.1, 0.2, -0.3]
    targets[::7] += [0.02, 0, 0.01]  # ten of them
    scale, R, t = similarity_to(points, targets)
    # what the wrong ones weigh at the end, a ten-thousandth of the right ones
    assert scale == pytest.approx(0.8, abs=1e-4)
    np.testing.assert_allclose(R, TURN, atol=1e-4)
    np.testing.assert_allclose(t, [0.1, 0.2, -0.3], atol=1e-5)
    R, t = rigid_to(points, points @ TURN + [1, 2, 3])
    np.testing.assert_allclose(R, TURN, atol=1e-12)
    np.testing.assert_allclose(t, [1, 2, 3], atol=1e-12)
    R, _ = rigid_to(points, points * [-1, 1, 1])
    assert np.linalg.det(R) == pytest.approx(1)  # a mirror image is no rotation


# Two lips, 1 mm apart, each 2 cm wide: the lower one looks up, the upper one down.
LIPS = np.array([[x, y, z] for y in (0, 0.001) for x in (-0.01, 0.01) for z in (-0.01, 0.01)])
LIP_TRIANGLES = np.array([[0, 1, 3], [0, 3, 2], [4, 7, 5], [4, 6, 7]])


def test_the_nearest_place_that_faces_likewise():
    lips = Skin(LIPS, LIP_TRIANGLES)
    up, down = [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]
    points = np.array([[0, 0.0008, 0.002], [0, 0.0002, 0.002], [0, 0.0002, 0.002], [0, 0.0002, 0.002]])
    places, triangles, facing = lips.nearest(points, np.array([up, up, down, [1.0, 0, 0]]))
    np.testing.assert_allclose(places[:, 1], [0, 0, 0.001, 0], atol=1e-9)
    assert (triangles < 2).tolist() == [True, True, False, True]
    assert facing.tolist() == [True, True, True, False]


def test_triangles_that_face_inwards_are_smoothed_away():
    x, y = np.meshgrid(np.arange(5.0), np.arange(5.0))
    flat = np.stack([x.ravel(), y.ravel(), np.zeros(25)], axis=1) / 100
    corner = np.arange(25).reshape(5, 5)[:-1, :-1].ravel()
    triangles = np.concatenate(
        [np.stack([corner, corner + 1, corner + 6], 1), np.stack([corner, corner + 6, corner + 5], 1)]
    )
    topology = make_topology(flat, triangles, np.arange(68) % 25, symmetric=False)
    points = flat.copy()
    points[12, 0] += 0.015  # the middle one goes beyond the next
    edges = {tuple(sorted(pair)) for row in triangles.tolist() for pair in zip(row, [*row[1:], row[0]], strict=True)}
    bending = np.zeros((25, 25))
    for one, other in edges:
        bending[[one, other], [other, one]] = -1

    def inwards(places):
        a, b, c = places[topology.triangles].transpose(1, 0, 2)
        return (np.cross(b - a, c - a)[:, 2] < 0).sum()

    assert inwards(points) > 0
    ground = Skin(np.array([[-1.0, -1, 0], [3, -1, 0], [-1, 3, 0]]), np.array([[0, 1, 2]]))
    places, _ = untangled(topology.triangles, points, ground, csc_matrix(bending), np.ones(25, bool))
    assert inwards(places) == 0
    fixed, _ = untangled(topology.triangles, points, ground, csc_matrix(bending), np.arange(25) != 12)
    np.testing.assert_allclose(fixed[12], points[12], atol=1e-12)


def test_barycentric_weights_by_hand():
    triangle = np.array([[0.0, 0, 1], [4, 0, 1], [0, 2, 1]])
    places = np.array([[0, 0, 1], [2, 1, 1], [1, 0.5, 1], [0, 2, 1]])
    want = [[1, 0, 0], [0, 0.5, 0.5], [0.5, 0.25, 0.25], [0, 0, 1]]
    np.testing.assert_allclose(barycentric_of(places, np.broadcast_to(triangle, (4, 3, 3))), want, atol=1e-15)
    point = np.broadcast_to(triangle[0], (1, 3, 3))
    np.testing.assert_allclose(barycentric_of(point[0, :1], point), [[1, 0, 0]])  # a triangle without an area


def test_symmetric_heads_are_told_from_others(skin):
    assert is_symmetric(skin.astype(np.float64))
    assert not is_symmetric(skin + np.float32([2e-4, 0, 0]))


# --- real ones


@pytest.fixture(scope="module")
def wcpa():
    if not SHARED.is_dir():
        pytest.skip(f"no {SHARED}")
    return read_topology(SHARED / "wcpa_sample" / "resources")


@pytest.fixture(scope="module")
def facekit(wcpa):
    return read_ict(SHARED / "ict_facekit")


def test_real_topology_on_facekit(wcpa, facekit):
    triangles = facekit.triangles[facekit.triangles_of("face")]
    R, t = rigid_to(wcpa.template[wcpa.keypoints], facekit.neutral[facekit.landmarks68])
    # the sample's template lies on this head, 7 and 59 mm off its origin, to the six decimals of its .obj
    np.testing.assert_allclose(R, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(t, [0, 0.007, 0.059], atol=1e-6)
    carried = carry(wcpa, facekit.neutral, triangles, facekit.landmarks68)
    assert millimetres(carried.places(facekit.neutral, triangles), wcpa.template + t).max() < 0.01
    # and so its labels are this head's shapes, each subject shifted
    moves = [carried.places(offsets, triangles) for offsets in (*facekit.identity, *facekit.expression)]
    basis = np.array([move - move.mean(axis=0) for move in moves]).reshape(len(moves), -1).T
    rest = wcpa.template - wcpa.template.mean(axis=0)
    for path in sorted((SHARED / "wcpa_sample" / "info").glob("*/*/*.npz"))[::40]:
        verts = np.load(path)["verts"]
        wanted = (verts - verts.mean(axis=0) - rest).ravel().astype(np.float64)
        weights = np.linalg.lstsq(basis, wanted, rcond=None)[0]
        assert np.abs(wanted - basis @ weights).max() < 1e-5  # metres; shapes differ by centimetres


def test_real_topology_on_the_procedural_head(wcpa, skin):
    face = procedural_face()
    carried = carry_onto_face(wcpa, skin)
    triangles = skin_of(face).triangles
    places = carried.places(skin, triangles)
    assert facing_in(places, wcpa.triangles, carried, triangles, skin) == 0
    # both lips, by the points in the middle of their inner rims: the mouth opens by more than two centimetres
    opened = carried.places(shown({"jaw_open": 1.0}), triangles)[wcpa.keypoints]
    assert opened[62, 1] - opened[66, 1] > 0.02


def test_procedural_topology_on_facekit(facekit):
    topology = procedural_face().topology
    triangles = facekit.triangles[facekit.triangles_of("face")]
    carried = carry(topology, facekit.neutral, triangles, facekit.landmarks68)
    places = carried.places(facekit.neutral, triangles)
    assert facing_in(places, topology.triangles, carried, triangles, facekit.neutral) == 0
    # the head itself is symmetric to 0.05 mm, and its triangles are not
    assert millimetres(places[topology.mirror] * np.float32([-1, 1, 1]), places).max() < 0.15
    opened = facekit.neutral + facekit.expression[facekit.expression_names.index("jawOpen")]
    lips = carried.places(opened, triangles)[topology.keypoints]
    assert lips[62, 1] - lips[66, 1] > 0.02
