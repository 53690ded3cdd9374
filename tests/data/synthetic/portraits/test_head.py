"""The scan-based head against the model that it was taken from."""

from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import griddata
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from data.synthetic.portraits.head import (
    ASYMMETRIES,
    EYES,
    FACE,
    SURFACES,
    make_head,
    nearest_weights,
    sphere_centre,
    split_seams,
    weighted_sum,
)
from tests.portraits import RECIPE, portrait_world
from util.ict_files import read_ict

TURN, SHIFT = Rotation.from_euler("yxz", [0.5, -0.2, 0.1]).as_matrix(), np.array([0.01, -0.02, -0.03])
SCLERAS = ("sclera_l", "sclera_r")


@pytest.fixture(scope="module")
def world():
    return portrait_world()


@pytest.fixture(scope="module")
def model(world):
    return read_ict(Path(RECIPE.face_model))


@pytest.fixture(scope="module")
def turned(model):
    """A head in a frame of its own."""
    return make_head(model, TURN, SHIFT)


def kept_vertices(model, head):
    """(V,) which of the model's vertices the head's are."""
    kept = np.full(len(head.mean), -1)
    for name, where in head.regions.items():
        kept[where] = np.arange(model.regions[name].vertices.start, model.regions[name].vertices.stop)
    return kept


def fitted_turn(points, others):
    """The rotation that takes points about their sphere's centre to others about theirs, which must fit."""
    moved = [cloud - sphere_centre(cloud) for cloud in (points, others)]
    rotation, rest = Rotation.align_vectors(moved[1], moved[0])
    assert rest < 1e-5 * len(points)  # metres, of all points together
    return rotation


def test_seams_are_split_where_a_vertex_has_two_places():
    # vertex 2 lies at 2 in one triangle and at 5 in the other one
    source, places, triangles = split_seams(np.array([[0, 1, 2], [2, 1, 3]]), np.array([[0, 1, 2], [5, 1, 4]]))
    np.testing.assert_array_equal(source, [0, 1, 2, 2, 3])
    np.testing.assert_array_equal(places, [0, 1, 2, 5, 4])
    np.testing.assert_array_equal(triangles, [[0, 1, 2], [3, 1, 4]])
    assert triangles.dtype == np.int32


def test_the_centre_of_a_cap():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(500, 3)) + [0, 0, 2.0]  # mostly one side, as of an eye
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    centre = np.array([0.03, 0.04, 0.9])
    found = sphere_centre((centre + 0.012 * directions).astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, centre, atol=2e-6)  # the points are rounded to 6e-8 metres


def test_sums_of_directions():
    rng = np.random.default_rng(1)
    start, directions = (rng.normal(size=size).astype(np.float32) for size in ((40, 3), (9, 40, 3)))
    weights = rng.normal(size=9).astype(np.float32)
    weights[[2, 5]] = 0.0
    before = start.copy()
    total = weighted_sum(start, weights, directions)
    assert total.dtype == np.float32
    expected = start + np.tensordot(weights.astype(float), directions.astype(float), axes=1)
    np.testing.assert_allclose(total, expected, atol=5e-6)  # nine roundings of numbers up to 10
    np.testing.assert_array_equal(start, before)


def test_weights_of_what_is_near():
    nearest, weights = nearest_weights(np.zeros((1, 3)), np.float32([[1, 0, 0], [0.096, 0, 0], [0.046, 0, 0]]), count=2)
    np.testing.assert_array_equal(nearest, [[2, 1]])
    np.testing.assert_allclose(weights, [[2 / 3, 1 / 3]], rtol=1e-5)  # 1 / 0.05 and 1 / 0.1


def test_the_model_is_moved_into_the_frame(model, turned):
    kept = kept_vertices(model, turned)
    np.testing.assert_allclose(turned.mean, model.neutral[kept].astype(float) @ TURN + SHIFT, atol=1e-7)
    np.testing.assert_array_equal(kept[turned.landmarks68], model.landmarks68)
    count = len(model.identity)
    assert turned.identity.shape == (count + ASYMMETRIES, len(kept), 3)
    for own, theirs in ((turned.identity[:count], model.identity), (turned.expression, model.expression)):
        np.testing.assert_allclose(own[::9], theirs[::9, kept].astype(float) @ TURN, atol=1e-7)  # float32 of 0.1 metres
    assert turned.expression_names == model.expression_names
    types = {name: getattr(turned, name).dtype.name for name in ("mean", "identity", "expression", "normals", "uv")}
    assert set(types.values()) == {"float32"}
    assert turned.triangles.dtype == turned.drawn_triangles.dtype == np.int32


def test_triangles_and_their_places_in_textures(model, turned):
    kept = kept_vertices(model, turned)
    start = 0
    for name, surface in SURFACES.items():
        own = model.triangles_of(name)
        part = slice(start, start := start + len(own))
        np.testing.assert_array_equal(kept[turned.triangles[part]], model.triangles[own])
        assert (turned.surface[part] == surface).all()
        uv = model.uv[model.triangle_uv[own]] % 1.0
        np.testing.assert_allclose(turned.uv[turned.drawn_triangles[part]], uv * [1, -1] + [0, 1], atol=1e-6)
    assert start == len(turned.triangles)
    np.testing.assert_array_equal(turned.source[turned.drawn_triangles], turned.triangles)
    np.testing.assert_array_equal(turned.face_triangles, turned.triangles[turned.surface == FACE])
    assert (turned.skin.start, turned.skin.stop) == (0, turned.regions["head_neck"].stop)


def test_normals_point_out(turned):
    triangles = turned.triangles[turned.surface == EYES]
    for name in SCLERAS:
        own = np.unique(triangles[(triangles >= turned.regions[name].start) & (triangles < turned.regions[name].stop)])
        outwards = ((turned.mean[own] - sphere_centre(turned.mean[own])) * turned.normals[own]).sum(axis=1)
        assert (outwards > 0).mean() > 0.99  # what is behind the eye may be open


def test_the_worlds_head_lies_where_its_topology_does(world):
    points = world.studio.head.mean[world.studio.head.landmarks68]
    wanted = world.topology.template[world.topology.keypoints]
    # Another face's: they lie apart by some millimetres, the jaw's by more, but neither turned nor shifted.
    assert np.abs((points - wanted).mean(axis=0)).max() < 0.005
    turn, _ = Rotation.align_vectors(wanted - wanted.mean(axis=0), points - points.mean(axis=0))
    assert turn.magnitude() < np.radians(3)
    # and the labels lie on the head
    places = world.face.express(np.zeros(len(world.studio.head.identity)), {})
    assert places.dtype == np.float32
    assert np.linalg.norm(places - world.topology.template, axis=1).mean() < 0.012


@pytest.mark.parametrize("gaze", [(0.3, 0.0), (-0.5, 0.0), (0.0, 0.25), (0.0, -0.3), (0.2, 0.1)])
def test_each_eye_turns_by_the_angle_wanted(world, gaze):
    head = world.studio.head
    neutral = head.neutral(world.studio.draw_identity(np.random.default_rng(3)))
    ahead, aside = head.express(neutral, {}), head.express(neutral, {}, gaze)
    for name in SCLERAS:
        turn = fitted_turn(ahead[head.regions[name]], aside[head.regions[name]])
        x, y, z = turn.apply([0.0, 0.0, 1.0])
        # first to the side, then up about the face's own axis
        left, up = gaze
        np.testing.assert_allclose([x, y, z], [np.sin(left), np.cos(left) * np.sin(up), np.cos(left) * np.cos(up)],
                                   atol=1e-4)  # fmt: skip
    eyes = np.concatenate([np.arange(len(neutral))[head.regions[name]] for name in SCLERAS])
    np.testing.assert_array_equal(np.delete(ahead, eyes, axis=0), np.delete(aside, eyes, axis=0))


def test_eyes_look_ahead_at_rest(world):
    """By where the pupil is in the texture that is painted on the eyes."""
    head = world.studio.head
    texture = world.studio.looks.draw(np.random.default_rng(0)).textures[EYES][..., :3].sum(axis=2)
    rows, columns = np.nonzero(texture < texture.min() + 20)
    assert 20 < len(rows) < 0.02 * texture.size  # one small dark disc
    assert np.ptp(rows) < 0.12 * len(texture)
    pupil = (np.array([columns.mean(), rows.mean()]) + 0.5) / len(texture)
    ahead = head.express(head.mean, {})
    for name in SCLERAS:
        own = np.flatnonzero((head.source >= head.regions[name].start) & (head.source < head.regions[name].stop))
        own = own[head.mean[head.source[own], 2] > sphere_centre(head.mean[head.regions[name]])[2]]
        for vertices, angle in ((head.mean, head.resting_gaze[name]), (ahead, 0.0)):
            off = vertices[head.source[own]] - sphere_centre(vertices[head.regions[name]])
            x, _, z = griddata(head.uv[own], off, pupil[None])[0]
            # A texel is a degree wide; corneas do not stand out about the pupil's middle to the degree.
            assert abs(np.arctan2(x, z) - angle) < np.radians(2), name
    assert head.resting_gaze["sclera_l"] == pytest.approx(-head.resting_gaze["sclera_r"], abs=1e-3)
    assert head.resting_gaze["sclera_l"] > np.radians(5)  # outwards: there is something to turn back


def test_expressions_add_up_and_unknown_ones_are_passed_over(world):
    head = world.studio.head
    weights = {"jawOpen": 0.5, "mouthSmile_L": 1.0, "nothingKnown": 1.0}
    moved = head.express(head.mean, weights) - head.express(head.mean, {})
    at = head.expression_names.index
    expected = 0.5 * head.expression[at("jawOpen")] + head.expression[at("mouthSmile_L")]
    np.testing.assert_allclose(moved[head.skin], expected[head.skin], atol=1e-7)


def test_asymmetries_are_small_and_not_symmetric(world):
    head = world.studio.head
    moves = head.identity[-ASYMMETRIES:]
    sizes = np.linalg.norm(moves, axis=2)
    # metres: a deviation of one moves something by more than a third of a millimetre, and nothing by more than two
    assert (sizes.max(axis=1) > 0.0003).all()
    assert sizes.max() < 0.002
    distance, mirrored = cKDTree(head.mean[head.skin]).query(head.mean[head.skin] * [-1, 1, 1])
    there = distance < 1e-4
    assert there.mean() > 0.9
    own = moves[:, head.skin][:, there]
    apart = np.linalg.norm(own - (moves[:, head.skin] * [-1, 1, 1])[:, mirrored[there]], axis=2)
    assert (apart.max(axis=1) > 0.0003).all()
    for name in ("teeth", "gums_tongue", *SCLERAS):
        assert np.ptp(moves[:, head.regions[name]], axis=1).max() == 0.0
    # a whole person, with the largest coefficients that are drawn
    rng = np.random.default_rng(4)
    drawn = np.clip(rng.standard_normal((50, ASYMMETRIES)), -2.5, 2.5)
    together = np.linalg.norm(np.tensordot(drawn, moves, axes=1), axis=2)
    assert together.max() < 0.008
