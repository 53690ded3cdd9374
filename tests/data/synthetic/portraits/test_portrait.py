"""Pictures of people: places by the camera of the project, parts as in the whole, nearer things before others."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from data.synthetic.portraits.head import FACE
from data.synthetic.portraits.light import Lights, draw_lights, surroundings
from data.synthetic.portraits.outfit import make_outfit
from data.synthetic.portraits.pieces import Piece
from data.synthetic.portraits.portrait import Frame, Mesh, draw_portrait, join, whole_frame
from data.synthetic.portraits.texels import DETAIL_MEAN
from Sim3DR import vertex_visibility
from tests.portraits import RECIPE, portrait_world
from util.camera import project, screen_vertices, transform
from util.pose import pose_from_6dof

SIZE, PROJECTION = 200, RECIPE.projection
NOTHING = np.float32([3.0, 0.0, 3.0])  # a light that no skin has


@pytest.fixture(scope="module")
def world():
    return portrait_world(image_size=SIZE)


@pytest.fixture(scope="module")
def people(world):
    """Three persons, each with vertices, labels and a pose."""
    found = []
    for seed, six in enumerate(
        ([0.1, 0.3, 0.1, 0.02, 0.01, -0.5], [0, -1.2, 0, 0, 0, -0.6], [-0.4, 0, 0.3, 0, 0, -0.4])
    ):
        rng = np.random.default_rng(seed)
        person = world.studio.person(world.studio.draw_character(rng), world.studio.draw_identity(rng))
        found.append((person, *world.make_shot(person, {"jawOpen": 0.3 * seed}, (0.1, 0.0), pose_from_6dof(six))))
    return found


def evenly_lit():
    """Light from everywhere, and no lamp."""
    return Lights(surroundings(np.ones(3), np.ones(3)), (), 1.0)


def picture_of(person, vertices, R_t, lights, frame):
    behind = np.tile(NOTHING, (frame.rows, frame.columns, 1))
    return draw_portrait(np.random.default_rng(0), person, vertices, R_t, lights, frame, behind)


def covered(picture):
    return np.abs(picture - NOTHING).max(axis=2) > 1e-6


def test_places_are_those_of_the_camera():
    rng = np.random.default_rng(0)
    points = (rng.normal(0, 0.1, (500, 3)) - [0, 0, 0.6]).astype(np.float32)
    wanted = screen_vertices(points.astype(float), PROJECTION, SIZE, SIZE)
    placed = whole_frame(PROJECTION, SIZE).place(points)
    assert placed.dtype == np.float32
    np.testing.assert_allclose(placed, wanted, atol=1e-3)  # pixels; float32 of some hundred
    # a part, enlarged: what lay at its corner, as pixels are counted from there, is at 0
    part = Frame(PROJECTION, SIZE, SIZE, 40.0, 25.0, 2.5, 90, 80).place(points)
    np.testing.assert_allclose(part[:, :2], (wanted[:, :2] + 0.5 - [40, 25]) * 2.5 - 0.5, atol=3e-3)
    np.testing.assert_array_equal(part[:, 2], points[:, 2])
    wide = Frame(np.diag([1.0, 2.0, 1, 1]), 300, 100, 0.0, 0.0, 1.0, 300, 100).place(points)
    projection = PROJECTION.copy()
    projection[0, 0], projection[1, 1] = 1.0, 2.0
    np.testing.assert_allclose(wide, screen_vertices(points.astype(float), projection, 300, 100), atol=1e-3)


def test_pixels_of_a_metre():
    frame = Frame(PROJECTION, SIZE, SIZE, 0.0, 0.0, 3.0, 10, 10)
    ends = frame.place(np.float32([[0, 0, -0.7], [1, 0, -0.7]]))
    assert frame.pixels_per_metre(0.7) == pytest.approx(ends[1, 0] - ends[0, 0], rel=1e-5)


def test_meshes_are_joined():
    one = Mesh(np.zeros((3, 3)), np.ones((3, 3)), np.int32([[0, 1, 2]]))
    both = join([one, one._replace(points=np.ones((3, 3)))])
    np.testing.assert_array_equal(both.triangles, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(both.points, np.repeat([[0.0], [1.0]], 3, axis=0).repeat(3, axis=1))
    assert both.normals.shape == (6, 3)


def test_a_part_is_that_part_of_the_whole(world, people):
    rng = np.random.default_rng(5)
    for person, vertices, _, R_t in people:
        lights = draw_lights(rng, np.float32([0.4, 0.5, 0.6]))
        whole = picture_of(person, vertices, R_t, lights, whole_frame(PROJECTION, SIZE))
        part = picture_of(person, vertices, R_t, lights, Frame(PROJECTION, SIZE, SIZE, 50, 37, 1.0, 90, 101))
        cut = whole[37:138, 50:140]
        assert covered(cut).mean() > 0.3
        # Places are rounded to float32 on another scale, which moves the odd edge across a pixel's centre.
        assert (np.abs(part - cut).max(axis=2) > 1e-3).mean() < 0.003


def test_labels_fall_on_the_head(world, people):
    frame = whole_frame(PROJECTION, SIZE)
    for person, vertices, verts, R_t in people:
        screen = screen_vertices(transform(verts, R_t), PROJECTION, SIZE, SIZE)
        seen = vertex_visibility(screen, world.topology.triangles, SIZE, SIZE, w=-screen[:, 2])
        assert seen.mean() > 0.2
        picture = picture_of(person, vertices, R_t, evenly_lit(), frame)
        # A vertex on the outline may lie just beside the pixels whose centres are covered.
        head = cv2.dilate(covered(picture).astype(np.uint8), np.ones((3, 3), np.uint8))
        places = np.floor(project(transform(verts[seen], R_t), PROJECTION, SIZE, SIZE)[0]).astype(int)
        assert head[places[:, 1], places[:, 0]].all()


def test_the_head_alone_is_as_large_as_its_labels_say(world, people):
    """Without hair and clothes, the picture of the face's surface against the head's own outline."""
    person, vertices, _, R_t = people[0]
    head = world.studio.head
    bald = replace(person.character.hairdo, scalp=None, others=())
    person = replace(person, character=replace(person.character, hairdo=bald, thinned={}))
    picture = picture_of(person, vertices, R_t, evenly_lit(), whole_frame(PROJECTION, SIZE))
    screen = screen_vertices(transform(vertices, R_t), PROJECTION, SIZE, SIZE)
    above = np.zeros((SIZE, SIZE), np.uint8)
    for triangle in head.triangles[head.surface == FACE]:
        cv2.fillConvexPoly(above, np.rint(screen[triangle, :2] * 16).astype(np.int32), 1, shift=4)
    forehead = int(screen[head.landmarks68[27], 1])  # hats begin above; eyes are behind the face's surface
    rows = slice(forehead - 10, int(screen[head.landmarks68[30], 1]))
    assert (above[rows] > covered(picture)[rows]).mean() < 0.01  # OpenCV also fills pixels on edges


def screen_piece(distance, color):
    """A square of 6 cm before (or behind) the middle of the eyes, of one colour."""
    x, y = np.float32([-0.03, 0.03, 0.03, -0.03]), np.float32([-0.03, -0.03, 0.03, 0.03])
    corners = np.stack([x, y, np.full(4, distance, np.float32)], axis=1)
    albedo = np.tile(np.float32(color), (4, 1))
    return Piece(
        corners, np.int32([[0, 1, 2], [0, 2, 3]]), np.zeros((4, 2), np.float32), albedo, np.zeros(4, np.float32)
    )


@pytest.mark.parametrize(("distance", "shown"), [(0.2, True), (-0.25, False)])
def test_what_is_before_the_face_hides_it(world, people, distance, shown):
    person, vertices, _, _ = people[0]
    R_t = pose_from_6dof(np.array([0.0, 0.0, 0.0, 0.0, 0.0, -0.7]))
    frame = whole_frame(PROJECTION, SIZE)

    def wearing(color):
        outfit = make_outfit([screen_piece(distance, color)], world.studio.head)
        character = replace(person.character, outfit=outfit)
        own = replace(person, character=character, worn=outfit.vertices)
        return picture_of(own, vertices, R_t, evenly_lit(), frame)

    green, blue = wearing([0, 0.8, 0]), wearing([0, 0, 0.8])
    corners = whole_frame(PROJECTION, SIZE).place(
        transform(screen_piece(distance, [0, 0, 0]).vertices, R_t).astype(np.float32)
    )
    left, top = np.ceil(corners[:, :2].min(axis=0)).astype(int)
    right, bottom = np.floor(corners[:, :2].max(axis=0)).astype(int)
    inside = np.zeros((SIZE, SIZE), bool)
    inside[top : bottom + 1, left : right + 1] = True
    changed = np.abs(green - blue).max(axis=2) > 1e-4
    assert covered(green)[inside].all()
    assert not changed[~inside].any()
    assert changed[inside].all() == shown
    assert changed.any() == shown
    if shown:
        assert (green[inside][:, 1] > 5 * green[inside][:, 2]).all()


def test_skin_below_hair_takes_its_colour(world):
    studio = world.studio
    head, character = studio.head, studio.draw_character(np.random.default_rng(0))
    paint = np.zeros_like(character.hairdo.paint)
    crown = int(head.mean[head.skin, 1].argmax())
    paint[crown] = [0.02, 0.3, 0.04, 1.0]
    look = studio.paint_below(character.look, replace(character.hairdo, paint=paint))
    # what is drawn is the albedo times a texel, which is DETAIL_MEAN on average
    np.testing.assert_allclose(DETAIL_MEAN * look.albedo[head.source == crown], [[0.02, 0.3, 0.04]], rtol=1e-6)
    assert (look.gloss[head.source == crown] < character.look.gloss[head.source == crown]).all()
    np.testing.assert_array_equal(look.albedo[head.source != crown], character.look.albedo[head.source != crown])
