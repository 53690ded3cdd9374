"""Pictures agree with their labels, light behaves as light, and the same seed gives the same picture."""

from dataclasses import replace

import numpy as np
import pytest

from data.synthetic import hair, lighting, scene, sweep
from data.synthetic.glasses import draw_glasses
from data.synthetic.shape import procedural_face, skin_of
from data.synthetic.subject import SKIN, Subject, make_subject, smooth_normals, weld
from util.camera import WCPA_PROJECTION, project, transform
from util.pose import pose_from_6dof

SIZE = 400


@pytest.fixture(scope="module")
def subject():
    face = procedural_face()
    identity = np.random.default_rng(8).normal(0, 0.7, len(face.identity_names)).astype(np.float32)
    return make_subject(face, identity, np.random.default_rng(8))


def even_light(level: float = 1.0) -> lighting.Lights:
    """The same light from everywhere and no key light."""
    grey = np.full(3, level, np.float32)
    return lighting.Lights(grey, grey, (), np.float32([0, 0, 1]), np.zeros(3, np.float32), 3.0)


def dotted(subject: Subject, vertices: np.ndarray) -> Subject:
    """The subject without hair, its skin black with a white dot at each of the given skin vertices."""
    size = 2048
    rows, columns = np.mgrid[0:size, 0:size]
    texture = np.zeros((size, size, 4), np.float32)
    uv = skin_of(subject.face).uv[vertices]
    for u, v in uv * size - 0.5:
        box = np.s_[max(0, int(v) - 30) : int(v) + 31, max(0, int(u) - 30) : int(u) + 31]
        spot = np.exp(-((rows[box] - v) ** 2 + (columns[box] - u) ** 2) / (2 * 8.0**2))
        texture[box][..., :3] = np.maximum(texture[box][..., :3], spot[..., None])
    skin_only = subject.mesh.material == SKIN
    surface = sum(len(vertices) for vertices in subject.rest.values())
    mesh = replace(
        subject.mesh,
        triangles=subject.mesh.triangles[skin_only],
        material=subject.mesh.material[skin_only],
        strand=subject.mesh.strand[skin_only],
        uv=subject.mesh.uv[:surface],
        shadow_triangles=subject.mesh.shadow_triangles[:1],
    )
    directions = subject.transfer.shape[1]
    return replace(
        subject,
        strands=(),
        mesh=mesh,
        transfer=np.full((surface, directions), 1.0 / directions, np.float32),
        textures={**subject.textures, SKIN: [texture]},
    )


def spread_out(points: np.ndarray, candidates: np.ndarray, distance: float) -> list[int]:
    """Greedily picks candidates whose points (N, 2) keep a distance from those picked before."""
    picked: list[int] = []
    for index in candidates:
        if all(np.hypot(*(points[index] - points[other])) > distance for other in picked):
            picked.append(int(index))
    return picked


POSES = {
    "frontal": ([0.0, 0.0, 0.0, 0.0, 0.0, -0.42], {}),
    "turned, mouth open": ([0.1, 0.5, -0.1, 0.02, -0.03, -0.45], {"jaw_open": 0.8}),
    "looking up, smiling": ([-0.4, -0.2, 0.2, -0.03, 0.04, -0.50], {"smile_left": 0.9, "smile_right": 0.9}),
}


@pytest.mark.parametrize("name", POSES)
def test_labelled_points_lie_where_the_picture_shows_them(subject, name):
    six, weights = POSES[name]
    face, R_t = subject.face, pose_from_6dof(np.array(six))
    expression = np.array([weights.get(one, 0.0) for one in face.expression_names], np.float32)
    skin = face.vertices(subject.identity, expression)["skin"]
    labels = face.face_vertices(skin)
    # Labelled points that are skin vertices carry the dots; the generator's own face has nothing but such points.
    on_skin = np.abs(skin[: len(labels)] - labels).max(axis=1) < 1e-6
    image, _ = project(transform(labels, R_t), WCPA_PROJECTION, SIZE, SIZE)
    triangles = skin_of(face).triangles
    facing = transform(smooth_normals(skin, weld(skin, triangles)), R_t)[: len(labels)] - R_t[3, :3]
    order = np.random.default_rng(0).permutation(np.flatnonzero(on_skin & (facing[:, 2] > 0.6)))
    points = spread_out(image, order, 16.0)
    assert len(points) >= 15

    marked = dotted(subject, np.array(points))
    posed = scene.pose_subject(marked, R_t, expression, (0.0, 0.0), even_light())
    black = np.zeros((SIZE, SIZE, 3), np.float32)
    picture = scene.composite(marked, replace(posed, glint=0 * posed.glint), even_light(), black, WCPA_PROJECTION)
    errors = []
    for x, y in image[points]:
        left, top = int(x) - 7, int(y) - 7
        patch = picture[top : top + 15, left : left + 15].mean(axis=2)
        patch = np.where(patch > 0.25 * patch.max(), patch, 0.0)
        if patch.max() < 0.5:  # hidden behind the nose or the like, at least in part
            continue
        rows, columns = np.mgrid[top : top + 15, left : left + 15] + 0.5  # pixel i covers [i, i + 1)
        errors.append([(columns * patch).sum() / patch.sum() - x, (rows * patch).sum() / patch.sum() - y])
    errors = np.array(errors)
    assert len(errors) >= 12
    # A dot is some 5 pixels wide on a curved skin, which moves its centre by a fraction of a pixel, to no one side: the
    # medians of four other people came out below 0.09 pixels, their mean distances below 0.4.
    assert np.hypot(*errors.T).mean() < 0.5
    assert np.abs(np.median(errors, axis=0)).max() < 0.15


def test_same_random_state_same_picture_and_another_state_another(subject):
    R_t = pose_from_6dof(np.array([0.0, 0.2, 0.0, 0.0, 0.0, -0.5]))
    neutral = np.zeros(len(subject.face.expression_names), np.float32)

    def take(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return scene.render(subject, R_t, neutral, (0.0, 0.0), scene.draw_setting(rng, 96), rng)

    first = take(1)
    assert first.shape == (96, 96, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, take(1))
    assert np.abs(first.astype(int) - take(2)).mean() > 5


def test_a_subject_outside_the_picture_leaves_the_background(subject):
    R_t = pose_from_6dof(np.array([0.0, 0.0, 0.0, 5.0, 0.0, -0.5]))
    neutral = np.zeros(len(subject.face.expression_names), np.float32)
    posed = scene.pose_subject(subject, R_t, neutral, (0.0, 0.0), even_light())
    background = np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)
    picture = scene.composite(subject, posed, even_light(), background, WCPA_PROJECTION)
    np.testing.assert_array_equal(picture, background)


def test_shoulders_stay_behind_when_the_head_turns(subject):
    neutral = np.zeros(len(subject.face.expression_names), np.float32)
    parts = [part.name for part in subject.face.parts]
    sizes = [len(subject.rest[name]) for name in parts]
    starts = dict(zip(parts, np.concatenate([[0], np.cumsum(sizes)[:-1]]), strict=True))
    ahead, aside = (pose_from_6dof(np.array([0.0, yaw, 0.0, 0.0, 0.0, -0.5])) for yaw in (0.0, 0.6))
    for pose in (ahead, aside):  # both heads turn about the same neck
        pose[3, :3] += sweep.NECK_PIVOT - sweep.NECK_PIVOT @ pose[:3, :3]
    first, second = (
        scene.pose_subject(subject, pose, neutral, (0.0, 0.0), even_light()).vertices for pose in (ahead, aside)
    )
    moved = np.linalg.norm(second - first, axis=1)
    skin = slice(starts["skin"], starts["skin"] + len(subject.rest["skin"]))
    nose = starts["skin"] + subject.face.topology.keypoints[30]
    np.testing.assert_allclose(second[nose], transform(subject.rest["skin"], aside)[nose - skin.start], atol=1e-5)
    clothes = moved[starts["clothes"] : starts["clothes"] + len(subject.rest["clothes"])]
    assert moved[nose] > 0.05
    assert clothes.mean() < 0.5 * moved[nose]


def test_normals_agree_across_a_seam():
    vertices = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 1, 1]])
    triangles = np.array([[0, 1, 2], [3, 5, 4]], np.int32)
    normals = smooth_normals(vertices, weld(vertices, triangles))
    np.testing.assert_allclose(normals[1], normals[3])
    np.testing.assert_allclose(normals[2], normals[4])


def plate(height: float) -> tuple[np.ndarray, np.ndarray]:
    corners = np.float32([[-1, height, -1], [1, height, -1], [1, height, 1], [-1, height, 1]]) * [0.2, 1, 0.2]
    return corners.astype(np.float32), np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def test_light_transfer_of_an_open_and_of_a_covered_place():
    directions = lighting.sphere_directions(200)
    place, up = np.float32([[0.0, 0.0, -0.03]]), np.float32([[0.0, 1.0, 0.0]])
    below, above = plate(-0.01), plate(0.01)
    clearance = np.float32([0.001])
    open_sky = lighting.light_transfer(place, up, clearance, *below, directions).sum()
    covered = lighting.light_transfer(place, up, clearance, *above, directions).sum()
    assert open_sky == pytest.approx(1.0, abs=0.03)  # 200 directions
    assert covered < 0.02  # a plate of 40 cm, 1 cm above


def test_what_stands_in_the_light_throws_a_shadow():
    lights = replace(even_light(), key_direction=np.float32([0, 1, 0]), key_colour=np.ones(3, np.float32))
    shadow = lighting.Shadow(*plate(0.1), lights, np.zeros(3))
    points = np.float32([[0.0, 0.0, 0.0], [0.0, 0.15, 0.0], [0.3, 0.0, 0.0]]).T
    under, over, beside = shadow.lit(points, bias=0.003)
    assert under < 0.01
    assert over == pytest.approx(1.0)
    assert beside > 0.95


def test_twice_the_light_is_twice_as_bright():
    lights = lighting.draw_lights(np.random.default_rng(4), np.float32([0.2, 0.3, 0.5]))
    directions = lighting.sphere_directions(20)
    double = lighting.scale_lights(lights, 2.0)
    np.testing.assert_allclose(double.sky(directions), 2.0 * lights.sky(directions), rtol=1e-5)
    np.testing.assert_allclose(double.key_colour, 2.0 * lights.key_colour)


def test_glasses_sit_in_front_of_the_eyes_and_on_the_head(subject):
    triangles = skin_of(subject.face).triangles
    frame = draw_glasses(np.random.default_rng(1), subject.rest, triangles)
    left, right, bridge, *temples = frame.points
    for rim, name in ((left, "eye_left"), (right, "eye_right")):
        eye = subject.rest[name]
        middle = (eye.min(axis=0) + eye.max(axis=0)) / 2
        assert np.all(rim.min(axis=0)[:2] < middle[:2])
        assert np.all(rim.max(axis=0)[:2] > middle[:2])
        assert rim[:, 2].min() > eye[:, 2].max()
    assert bridge[:, 0].min() < 0 < bridge[:, 0].max()
    for temple in temples:
        assert temple[-1, 2] < -0.02  # behind the ear's front
    rest = subject.rest["skin"]
    np.testing.assert_allclose(hair.move_strands(frame, triangles, rest, rest), frame.points, atol=1e-6)


def test_lit_teeth_need_an_open_mouth(subject):
    names = subject.face.expression_names
    closed = np.zeros(len(names), np.float32)
    opened = np.array([float(name == "jaw_open") for name in names])
    assert scene.mouth_opening(names, closed) == pytest.approx(0.1)
    assert scene.mouth_opening(names, opened) == 1.0
