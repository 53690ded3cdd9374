"""What is hidden from the light, on plates and balls whose shadows follow by hand, and on the scan-based head."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from data.synthetic.portraits.light import Lamp, Lights, surroundings
from data.synthetic.portraits.shadows import (
    Shadow,
    Transfer,
    coarse_triangles,
    head_transfer,
    irradiance,
    mesh_transfer,
    mouth_opening,
    open_transfer,
    reach,
)

FACEKIT = Path(__file__).parents[5] / "shared" / "ict_facekit"
needs_head = pytest.mark.skipif(not FACEKIT.is_dir(), reason="no ICT-FaceKit beside the project")
WHITE = Lights(surroundings(np.ones(3), np.ones(3)), (), 0.2)


def disc(radius: float, height: float) -> tuple[np.ndarray, np.ndarray]:
    """(65, 3) vertices and (64, 3) triangles of a level disc, seen from above counter-clockwise."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    rim = np.stack([radius * np.cos(angle), np.full(64, height), -radius * np.sin(angle)], axis=1)
    index = np.arange(1, 65)
    triangles = np.stack([np.zeros(64, int), index, np.roll(index, -1)], axis=1)
    return np.concatenate([[[0, height, 0]], rim]).astype(np.float32), triangles.astype(np.int32)


@pytest.fixture(scope="module")
def transfer(head) -> Transfer:
    return head_transfer(head)


@pytest.mark.parametrize("radius", [0.03, 0.06, 0.12])
def test_a_disc_overhead_hides_its_part_of_the_sky(radius):
    (floor, floor_triangles), (roof, roof_triangles) = disc(0.02, -0.04), disc(radius, 0.02)
    vertices = np.concatenate([floor, roof])
    triangles = np.concatenate([floor_triangles, roof_triangles + len(floor)])
    got = reach(np.asfortranarray(mesh_transfer(vertices, triangles, np.array([0]))), WHITE.sh)
    hidden = radius**2 / (radius**2 + 0.06**2)  # squared sine of the half angle under which the disc is seen
    # 60 directions over the sphere: each of the 30 above is some 3 % of the light, and the rim may cut a few
    np.testing.assert_allclose(got, 1 - hidden, atol=0.06)


def test_what_nothing_hides_is_exact():
    vertices, triangles = disc(0.05, 0.0)
    got = mesh_transfer(vertices, triangles, np.array([0, 7]))
    # The disc hides from itself nothing but the direction nearest to level, whose cosine is 1/60, in part.
    np.testing.assert_allclose(got, open_transfer(np.float32([[0, 1, 0]] * 2)), atol=1e-3)


def test_shadow_of_a_plate():
    lamp = Lamp(np.float32([0, 1, 0]), np.ones(3, np.float32), 0.002)
    roof, triangles = disc(0.05, -0.1)
    # below the middle, on top of the plate, just inside and well outside its rim, beyond the map
    points = np.float32([[0, -0.2, 0], [0, -0.1, 0], [0.044, -0.2, 0], [0.06, -0.2, 0], [0.5, -0.2, 0]])
    lit = Shadow(lamp, roof, triangles, np.float32([0, -0.15, 0]), 0.2).lit(points)
    assert lit.dtype == np.float32
    # light has faded by exp(-140 * (0.1 - bias)) behind the plate; at the rim, by that of the blur's share
    np.testing.assert_allclose(lit, [0, 1, 0, 1, 1], atol=1e-3)


def test_light_fades_behind_what_stands_before_it():
    lamp = Lamp(np.float32([0, 1, 0]), np.ones(3, np.float32), 0.002)
    roof, triangles = disc(0.05, 0.0)
    points = np.float32([[0, -0.005, 0], [0, -0.010, 0]])
    lit = Shadow(lamp, roof, triangles, np.zeros(3, np.float32), 0.2).lit(points, bias=0.0)
    # float32 rounds the exponents, of up to 28, to 2e-6
    np.testing.assert_allclose(lit, np.exp([-140 * 0.005, -140 * 0.010]), rtol=1e-4)


def test_soft_lamps_have_wide_edges():
    roof, triangles = disc(0.05, -0.1)
    across = np.zeros((200, 3), np.float32)
    across[:, 0], across[:, 1] = np.linspace(0.02, 0.12, 200), -0.12
    widths = []
    for softness in (0.002, 0.012):
        lamp = Lamp(np.float32([0, 1, 0]), np.ones(3, np.float32), softness)
        lit = Shadow(lamp, roof, triangles, np.float32([0, -0.11, 0]), 0.2).lit(across)
        assert (np.diff(lit) > -1e-3).all()
        widths.append(((lit > 0.2) & (lit < 0.9)).sum())
    assert widths[1] > 2 * widths[0]


def test_shadows_move_with_the_lamp():
    direction = np.float32([0.6, 0.8, 0.0])
    roof, triangles = disc(0.03, 0.0)
    shadow = Shadow(Lamp(direction, np.ones(3, np.float32), 0.002), roof, triangles, np.zeros(3, np.float32), 0.2)
    # the middle's shadow lies where the ray through it goes on, 0.075 to the left and 0.1 down
    np.testing.assert_allclose(shadow.lit(np.float32([[-0.075, -0.1, 0], [0, -0.1, 0]])), [0, 1], atol=1e-3)


@needs_head
def test_hollows_are_darker_than_open_skin(head, transfer):
    light = irradiance(WHITE, transfer, np.eye(3)).mean(axis=1)
    assert transfer.shut.dtype == transfer.open.dtype == light.dtype == np.float32
    nose_tip, chin = light[head.landmarks68[[30, 8]]]
    assert nose_tip > 0.85
    assert light[head.regions["teeth"]].max() < 0.35 < chin
    mirrored = np.abs(head.mean[head.skin] * [-1, 1, 1] - head.mean[head.landmarks68[36]]).sum(axis=1).argmin()
    # the directions are not mirror-symmetric, nor need the mesh be
    assert abs(light[mirrored] - light[head.landmarks68[36]]) < 0.1


@needs_head
def test_light_turns_with_the_head(head, transfer):
    """A head turned by a right angle to its left shows its right side to what shines from behind the camera."""
    lights = Lights(surroundings(np.zeros(3), np.zeros(3)), (), 0.2)
    sh = lights.sh.copy()
    sh[0], sh[2] = 1.0, 0.8  # brighter from +z, the camera's side
    lights = Lights(sh, (), 0.2)
    turn = Rotation.from_euler("y", np.pi / 2).as_matrix().T.astype(np.float32)
    light = irradiance(lights, transfer, turn)
    facing = (head.normals @ turn)[:, 2]
    skin = np.arange(head.skin.stop)
    front, back = skin[facing[skin] > 0.9], skin[facing[skin] < -0.9]
    assert np.median(light[front]) > 1.5 * np.median(light[back])
    assert head.mean[front, 0].mean() < -0.03  # +x is the face's left


@needs_head
def test_an_open_mouth_lets_light_in(head, transfer):
    opened = head.express(head.mean, {"jawOpen": 0.8})
    assert mouth_opening(head, head.mean) == 0.0
    assert mouth_opening(head, opened) > 0.9
    teeth = head.regions["teeth"]
    shut, half, wide = (irradiance(WHITE, transfer, np.eye(3), opening)[teeth].mean() for opening in (0.0, 0.5, 1.0))
    assert wide > 1.5 * shut
    assert half == pytest.approx((shut + wide) / 2, rel=1e-4)


@needs_head
def test_coarse_triangles_keep_to_the_head(head):
    coarse = coarse_triangles(head)
    assert coarse.dtype == np.int32
    assert 3000 <= len(coarse) <= 6000
    assert len(np.unique(coarse)) < 3200
    assert coarse.max() < head.skin.stop
    # no triangle is stretched between the lips when the mouth opens, but at its corners
    opened = head.express(head.mean, {"jawOpen": 1.0})
    edges = opened[coarse] - opened[np.roll(coarse, 1, axis=1)]
    assert np.linalg.norm(edges, axis=2).max() < 0.03
    # every skin vertex lies near the coarse surface's vertices
    gaps = np.linalg.norm(head.mean[head.skin][::50, None] - head.mean[np.unique(coarse)][None], axis=2).min(axis=1)
    assert gaps.max() < 0.02
