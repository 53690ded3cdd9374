"""Subjects and single pictures of the scan-based world."""

import cv2
import numpy as np
import pytest
import simplejpeg
from scipy.spatial import cKDTree

from data.synthetic import sweep
from data.synthetic.portraits.portrait import whole_frame
from data.synthetic.portraits.world import make_portrait_world
from data.synthetic.recipe import Recipe
from tests.portraits import RECIPE, portrait_world
from util.camera import project, transform
from util.errors import InputError
from util.pose import check_pose, pose_to_6dof


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_subjects_depend_on_their_numbers_alone():
    world = portrait_world(image_size=64)
    first = list(world.draw_subject(3, 7, 2, 2))
    list(world.draw_subject(1, 7, 1, 1))
    assert [same(*pair) for pair in zip(world.draw_subject(3, 7, 2, 2), first, strict=True)] == [True] * 4
    for other in (world.draw_subject(4, 7, 2, 2), world.draw_subject(3, 8, 2, 2)):
        assert not any(np.array_equal(a.verts, b.verts) for a, b in zip(other, first, strict=True))
    actions = [action.name for action in sweep.actions_of_subject(3, 2, 7)]
    assert [drawn.action for drawn in first] == [actions[0]] * 2 + [actions[1]] * 2
    for drawn in first:
        assert simplejpeg.decode_jpeg(drawn.jpeg, "RGB").shape == (64, 64, 3)
        assert drawn.verts.dtype == drawn.R_t.dtype == np.float32
        assert drawn.verts.shape == world.topology.template.shape
        check_pose("R_t", drawn.R_t)


@pytest.mark.parametrize(("poses", "fov"), [("challenge", None), ("wide", 50.0)])
def test_shots_are_in_the_picture(poses, fov):
    world = portrait_world(poses=poses, fov=fov)
    rng = np.random.default_rng(0)
    person = world.studio.person(world.studio.draw_character(rng), world.studio.draw_identity(rng))
    six = []
    for number in range(60):
        sequence = sweep.draw_sequence(sweep.ACTIONS[number % len(sweep.ACTIONS)], rng)
        shot = world.draw_shot(rng, person, sequence, rng.random())
        assert shot.vertices.dtype == shot.verts.dtype == np.float32
        # Labels lie on the face of the same shape: the vertices about them are some millimetres apart.
        distance, _ = cKDTree(shot.vertices[world.studio.head.skin]).query(shot.verts)
        assert distance.max() < 0.012
        assert distance.mean() < 0.003
        points, _ = project(transform(shot.verts, shot.R_t), world.recipe.projection, 100, 100)
        assert points.min() > -2  # the challenge's are shifted by what a point in the middle needs
        assert points.max() < 102
        six.append(pose_to_6dof(shot.R_t))
    yaw, distance = np.degrees(np.array(six)[:, 1]), -np.array(six)[:, 5]
    if poses == "wide":
        assert np.abs(yaw).max() > 55
        assert distance.max() > 1.0
    else:
        assert np.abs(yaw).max() < 60
        assert distance.min() > 0.3
        assert distance.max() < 0.8


def test_pictures_of_the_same_shot_differ_in_light_alone():
    world = portrait_world()
    rng = np.random.default_rng(1)
    person = world.studio.person(world.studio.draw_character(rng), world.studio.draw_identity(rng))
    shot = world.draw_shot(rng, person, sweep.draw_sequence(sweep.ACTIONS[0], rng), 0.3)
    frame = whole_frame(world.recipe.projection, 96)
    before = shot.vertices.copy()
    one, again, other = (world.draw_picture(np.random.default_rng(seed), person, shot, frame) for seed in (2, 2, 3))
    assert (one.shape, one.dtype) == ((96, 96, 3), np.uint8)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one.astype(int) - other).mean() > 5
    np.testing.assert_array_equal(shot.vertices, before)


def test_backgrounds_that_vanish(tmp_path):

    cv2.imwrite(str(tmp_path / "one.png"), np.zeros((50, 50, 3), np.uint8))
    world = portrait_world(backgrounds=str(tmp_path))
    (tmp_path / "one.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"one\.png"):
        next(world.draw_subject(0, 0, 1, 1))


def test_models_without_what_is_drawn(tmp_path):
    portrait_world()  # there is a head
    with np.load(RECIPE.face_model) as arrays:
        whole = dict(arrays)
    path = tmp_path / "model.npz"
    np.savez(path, **{name: array for name, array in whole.items() if name not in ("uv", "triangle_uv")})
    with pytest.raises(InputError, match=r"model\.npz: wanted texture places and all regions of a head, got none"):
        make_portrait_world(Recipe(face_model=str(path)))
    names = whole["region_names"].copy()
    names[list(names).index("teeth")] = "tooth"
    np.savez(path, **whole | {"region_names": names})
    with pytest.raises(InputError, match="got no teeth"):
        make_portrait_world(Recipe(face_model=str(path)))
