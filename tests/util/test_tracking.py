"""Faces that move, meet, leave and come back, with a detector and a network that always see them right."""

import numpy as np
import pytest

from util.camera import project
from util.mesh import Topology
from util.pose import pose_from_6dof
from util.prediction import FacePrediction
from util.tracking import DETECT_EVERY, LONGEST_LOST, LONGEST_UNSEEN, Tracker, moved
from util.views import PhotoCamera

CAMERA = PhotoCamera(600.0, 640, 480)
RANDOM = np.random.default_rng(0)
VERTS = RANDOM.uniform([-0.07, -0.08, 0], [0.07, 0.08, 0.05], (68, 3)).astype(np.float32)
TOPOLOGY = Topology(VERTS, np.int32([[0, 1, 2]]), np.arange(68), np.arange(68))
IMAGE = np.zeros((480, 640, 3), np.uint8)


def face_at(x, y=0.0, z=-0.8, yaw=0.0):
    pose = pose_from_6dof([0, yaw, 0, x, y, z])
    box = np.zeros(4)
    return FacePrediction(VERTS, pose, TOPOLOGY, CAMERA.projection, (640, 480), box, "made up", 1.0)


class World:
    """Where faces are: `faces` can be changed between frames. A look at a place finds the face that is near it."""

    def __init__(self, *faces, blind=False):
        self.faces, self.blind, self.detections = list(faces), blind, 0

    def look(self, image, places):
        return [self.nearest(points) for points in places]

    def nearest(self, points):
        distances = [np.linalg.norm(face.landmarks2d.mean(0) - points.mean(0)) for face in self.faces]
        if distances and min(distances) < 60:
            return self.faces[int(np.argmin(distances))]
        return face_at(*np.random.default_rng(len(self.faces)).uniform(-0.3, 0.3, 2), z=-0.5)  # what it makes of walls

    def find(self, image):
        self.detections += 1
        return [] if self.blind else list(self.faces)


def tracker(world, **options):
    return Tracker(world.look, world.find, **{"max_faces": 5, **options})


def test_a_face_keeps_its_number():
    world = World(face_at(-0.2))
    follow = tracker(world)
    for step in range(40):
        world.faces[0] = face_at(-0.2 + 0.01 * step)
        assert list(follow(IMAGE, 1 / 30)) == [0]
    assert (follow.count, follow.times_lost) == (1, 0)
    assert world.detections == 1 + 39 // DETECT_EVERY


def test_a_face_that_comes_later_is_another():
    world = World(face_at(-0.2))
    follow = tracker(world)
    follow(IMAGE, 1 / 30)
    world.faces.append(face_at(0.2))
    seen = [sorted(follow(IMAGE, 1 / 30)) for _ in range(DETECT_EVERY + 1)]
    assert seen[0] == [0]
    assert seen[-1] == [0, 1]


def test_a_lost_face_is_found_again():
    world = World(face_at(0.0))
    follow = tracker(world)
    follow(IMAGE, 1 / 30)
    gone, world.faces = world.faces, []
    assert follow(IMAGE, 1 / 30) == {}
    assert follow.times_lost == 1
    for _ in range(LONGEST_LOST // 2):
        assert follow(IMAGE, 1 / 30) == {}
    world.faces = gone
    assert list(follow(IMAGE, 1 / 30)) == [0]


def test_a_face_that_is_long_gone_is_forgotten():
    world = World(face_at(0.0))
    follow = tracker(world)
    follow(IMAGE, 1 / 30)
    gone, world.faces = world.faces, []
    for _ in range(LONGEST_LOST + 2):
        follow(IMAGE, 1 / 30)
    world.faces = gone
    assert list(follow(IMAGE, 1 / 30)) == [1]


def test_what_no_detector_sees_is_no_face_in_the_end():
    world = World(face_at(0.0))
    follow = tracker(world)
    follow(IMAGE, 1 / 30)
    world.blind = True
    counts = [len(follow(IMAGE, 1 / 30)) for _ in range(LONGEST_UNSEEN + 1)]
    assert counts == [1] * LONGEST_UNSEEN + [0]


def test_no_more_faces_than_wanted():
    world = World(*(face_at(x) for x in (-0.25, 0.0, 0.25)))
    assert list(tracker(world, max_faces=2)(IMAGE, 1 / 30)) == [0, 1]


def test_two_that_became_one_are_one():
    world = World(face_at(-0.04), face_at(0.04))
    follow = tracker(world)
    assert sorted(follow(IMAGE, 1 / 30)) == [0, 1]
    world.faces = [face_at(0.0)]
    seen = [sorted(follow(IMAGE, 1 / 30)) for _ in range(DETECT_EVERY + 1)]
    assert seen[-1] == [0]


def test_a_face_that_is_detected_twice_is_one():
    world = World(face_at(0.0), face_at(0.002))
    follow = tracker(world)
    for _ in range(3 * DETECT_EVERY):
        assert list(follow(IMAGE, 1 / 30)) == [0]
    assert follow.count == 1


def test_what_is_not_a_number_is_lost():
    world = World(face_at(0.0))
    follow = tracker(world)
    follow(IMAGE, 1 / 30)
    world.look = lambda image, places: [face_at(np.nan)]
    follow.look, world.faces = world.look, []
    assert follow(IMAGE, 1 / 30) == {}


def test_smoothing_lowers_the_shake():
    results = {}
    for smooth in (False, True):
        random, world = np.random.default_rng(1), World(face_at(0.0))
        follow, places = tracker(world, smooth=smooth), []
        for _ in range(60):
            world.faces[0] = face_at(random.normal(0, 0.002), yaw=random.normal(0, 0.02))
            places.append(follow(IMAGE, 1 / 30)[0].R_t[3, 0])
        results[smooth] = np.std(places[20:])
    assert results[True] < 0.7 * results[False]


def test_move_by_hand():
    first, second = face_at(0.0), face_at(0.08)
    points, _ = project(first.camera_verts, CAMERA.projection, 640, 480)
    side = np.sqrt(np.prod(np.ptp(points, axis=0)))
    way = np.linalg.norm(second.landmarks2d - first.landmarks2d, axis=1).mean()
    assert moved(first, second) == pytest.approx(way / side)
