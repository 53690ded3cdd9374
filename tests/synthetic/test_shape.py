"""The procedural face: proportions, symmetry, how it moves, and how much people differ."""

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from data.synthetic.shape import procedural_face
from Sim3DR import rasterize_buffers
from util.uv import uv_layout

MILLIMETRE = 1e-3


@pytest.fixture(scope="module")
def face():
    return procedural_face()


@pytest.fixture(scope="module")
def neutral(face):
    return face.vertices(*rest(face))


@pytest.fixture(scope="module")
def mirror(face, neutral):
    """(V_skin,) the skin vertex that lies, on the head and on its unwrapping, where each one's mirror image does."""
    uv = face.parts[0].uv
    mirrored = np.concatenate([neutral["skin"] * [-1, 1, 1], [1, 0] + uv * [-1, 1]], axis=1)
    distance, image = cKDTree(np.concatenate([neutral["skin"], uv], axis=1)).query(mirrored)
    assert distance.max() < 1e-5
    np.testing.assert_array_equal(image[image], np.arange(len(image)))
    return image


def rest(face):
    return np.zeros(len(face.identity_names), np.float32), np.zeros(len(face.expression_names), np.float32)


def posed(face, identity=None, gaze=(0.0, 0.0), **expression):
    coefficients, amounts = rest(face)
    for name, amount in expression.items():
        amounts[face.expression_names.index(name)] = amount
    return face.vertices(coefficients if identity is None else identity, amounts, gaze)


def random_people(face, count, seed=0, expressions=True):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        identity = rng.standard_normal(len(face.identity_names))
        amounts = rng.random(len(face.expression_names)) * (rng.random(len(face.expression_names)) < 0.15)
        yield identity, amounts * expressions


def triangle_normals(vertices, triangles):
    a, b, c = (vertices[triangles[:, k]].astype(float) for k in range(3))
    return np.cross(b - a, c - a)


def keypoints(face, vertices):
    return face.face_vertices(vertices["skin"])[face.topology.keypoints]


def test_template_is_the_neutral_face(face, neutral):
    np.testing.assert_allclose(face.face_vertices(neutral["skin"]), face.topology.template, atol=1e-6)
    assert face.topology.num_vertices == 1220


def test_mean_face_is_exactly_symmetric(face):
    template, mirror = face.topology.template, face.topology.mirror
    np.testing.assert_array_equal(template[mirror], template * np.float32([-1, 1, 1]))
    assert np.count_nonzero(template[:, 0] == 0) == np.count_nonzero(mirror == np.arange(1220))


def test_proportions_are_human(face, neutral):
    points = keypoints(face, neutral)
    between = [
        (36, 45, 82, 98),  # outer corners of the eyes, millimetres
        (39, 42, 27, 38),  # inner corners
        (0, 16, 125, 155),  # width at the ears
        (48, 54, 44, 58),  # mouth
        (31, 35, 20, 30),  # base of the nose
        (27, 8, 105, 128),  # nasion to chin
        (27, 33, 44, 58),  # nasion to base of the nose
    ]
    for a, b, low, high in between:
        assert low < np.linalg.norm(points[a] - points[b]) / MILLIMETRE < high, (a, b)
    centres = [neutral[name].mean(axis=0) for name in ("eye_left", "eye_right")]
    assert 58 < np.linalg.norm(centres[0] - centres[1]) / MILLIMETRE < 68
    head = neutral["skin"][face.neck_weight < 0.01]
    assert 145 < np.ptp(neutral["skin"][face.regions["scalp"] > 0.9, 0]) / MILLIMETRE < 165
    assert 180 < np.ptp(head[:, 2]) / MILLIMETRE < 225
    assert 215 < (head[:, 1].max() - points[8, 1]) / MILLIMETRE < 245


def test_everything_faces_outwards(face, neutral):
    inside = {
        "skin": (0, 0, -0.035),
        "teeth_upper": (0, -0.05, 0),
        "teeth_lower": (0, -0.05, 0),
        "clothes": (0, -0.3, -0.05),
    }
    triangles = face.topology.triangles
    template = face.topology.template
    outward = template[triangles].mean(axis=1) - inside["skin"]
    assert np.mean(np.sum(triangle_normals(template, triangles) * outward, axis=1) > 0) > 0.995
    for part in face.parts:
        if part.name == "mouth":
            continue
        vertices = neutral[part.name]
        centre = np.array(inside.get(part.name, vertices.mean(axis=0)))
        outward = vertices[part.triangles].mean(axis=1) - centre
        facing = np.sum(triangle_normals(vertices, part.triangles) * outward, axis=1) > 0
        # backs of ears, folds behind lids and lips, and teeth seen from the tongue's side turn away
        assert facing.mean() > 0.9, part.name


def test_parts_fit_their_vertices(face, neutral):
    assert [part.name for part in face.parts] == list(neutral)
    for part in face.parts:
        vertices = neutral[part.name]
        assert vertices.dtype == np.float32
        assert part.triangles.dtype == np.int32
        assert part.uv.dtype == np.float32
        assert part.uv.shape == (len(vertices), 2)
        assert part.uv.min() >= 0
        assert part.uv.max() <= 1
        assert part.triangles.max() < len(vertices)
    assert 15_000 < len(neutral["skin"]) < 40_000


def test_labels_lie_on_the_skin(face):
    identity, amounts = next(random_people(face, 1))
    skin = face.vertices(identity, amounts)["skin"]
    np.testing.assert_array_equal(face.face_vertices(skin), skin[:1220])


def test_unwrapping_is_one_to_one_and_symmetric(face, mirror):
    skin = face.parts[0]
    uv = skin.uv.astype(float)
    np.testing.assert_allclose(uv[mirror], [1, 0] + uv * [-1, 1], atol=2e-6)
    a, b, c = (uv[skin.triangles[:, k]] for k in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert np.all(area < 0)  # v runs down, so outward triangles go the other way round
    in_face = face.regions["face"][skin.triangles].mean(axis=1) > 0.5
    assert area[in_face].sum() / area.sum() > 0.5


def test_regions(face, mirror):
    names = "lips brows scalp beard moustache eyelids lash_line cheeks nose nostrils ears face inner_lid inner_mouth"
    assert set(names.split()) <= set(face.regions)
    for name, mask in face.regions.items():
        assert mask.shape == (len(mirror),)
        assert mask.dtype == np.float32
        assert mask.min() >= 0
        assert 0.5 < mask.max() <= 1, name
        np.testing.assert_allclose(mask, mask[mirror], atol=1e-5, err_msg=name)
    assert face.neck_weight[:1220].max() < 0.2
    assert face.neck_weight.max() == 1.0


def test_mirrored_coefficients_mirror_the_head(face, mirror):
    rng = np.random.default_rng(3)
    identity = rng.standard_normal(len(face.identity_names)).astype(np.float32)
    odd = np.array([name.startswith("asymmetry") for name in face.identity_names])
    amounts = rng.random(len(face.expression_names)).astype(np.float32)
    swapped = [
        face.expression_names.index(
            name.replace("left", "*").replace("right", "left").replace("*", "right")
        )
        for name in face.expression_names
    ]  # fmt: skip
    one = face.vertices(identity, amounts, (0.2, -0.1))
    other = face.vertices(np.where(odd, -identity, identity), amounts[swapped], (-0.2, -0.1))
    np.testing.assert_allclose(other["skin"], one["skin"][mirror] * [-1, 1, 1], atol=2e-6)
    np.testing.assert_allclose(other["eye_left"].mean(axis=0), one["eye_right"].mean(axis=0) * [-1, 1, 1], atol=2e-6)


def eye_pixels(face, vertices, name):
    """Pixels of an eyeball seen from the front, 0.1 mm each, behind the skin or not."""
    centre = vertices[name].mean(axis=0)
    skin = face.parts[0]
    eye = next(part for part in face.parts if part.name == name)
    points = np.concatenate([vertices["skin"], vertices[name]]).astype(float)
    triangles = np.concatenate([skin.triangles, eye.triangles + len(vertices["skin"])])
    size = 400
    screen = np.stack(
        [(points[:, 0] - centre[0]) * 1e4 + size / 2, size / 2 - (points[:, 1] - centre[1]) * 1e4, points[:, 2]], axis=1
    )
    near = np.all(np.abs(screen[triangles][..., :2] - size / 2) < size, axis=(1, 2))
    buffers = rasterize_buffers(screen.astype(np.float32), np.ascontiguousarray(triangles[near]), size, size)
    is_eye = (np.nonzero(near)[0] >= len(skin.triangles))[np.maximum(buffers.triangle, 0)] & (buffers.triangle >= 0)
    return int(is_eye.sum())


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_blink_hides_the_eye(face, seed):
    identity = None if seed is None else np.random.default_rng(seed).standard_normal(len(face.identity_names))
    opened = posed(face, identity)
    shut = posed(face, identity, blink_left=1.0)
    assert eye_pixels(face, opened, "eye_left") > 8000  # 80 square millimetres
    assert eye_pixels(face, shut, "eye_left") == 0
    assert eye_pixels(face, shut, "eye_right") > 8000
    points = keypoints(face, shut)
    for upper, lower in ((43, 47), (44, 46)):
        # the lids' thirds lie at different places along the lid: heights differ by the lid's slope alone
        assert abs(points[upper, 1] - points[lower, 1]) < 1.5 * MILLIMETRE


@pytest.mark.parametrize("name", ["wide_eyes", "cheek_squint_left", "smile_left", "brow_down"])
def test_eyes_stay_open_otherwise(face, name):
    assert eye_pixels(face, posed(face, **{name: 1.0}), "eye_left") > 4000


def test_eye_does_not_come_through_the_lids(face):
    for identity, amounts in random_people(face, 10, seed=5):
        vertices = face.vertices(identity, amounts)
        for side, loop in enumerate(lids.loop for lids in face._lids):
            eye = vertices["eye_left" if side == 0 else "eye_right"].astype(float)
            centre = (eye.max(axis=0) + eye.min(axis=0)) / 2
            radius = np.ptp(eye[:, 0]) / 2
            assert np.linalg.norm(vertices["skin"][loop] - centre, axis=1).min() > radius


def test_gaze_turns_the_eye(face):
    ahead, aside = posed(face), posed(face, gaze=(0.4, 0.0))
    pole = np.argmin(np.abs(face.parts[1].uv - 0.5).sum(axis=1))
    moved = aside["eye_left"][pole] - ahead["eye_left"][pole]
    assert moved[0] > 4 * MILLIMETRE
    assert eye_pixels(face, posed(face, gaze=(0.0, -0.4)), "eye_left") < eye_pixels(face, ahead, "eye_left")


def test_open_jaw(face, neutral):
    opened = posed(face, jaw_open=1.0)
    before, after = keypoints(face, neutral), keypoints(face, opened)
    assert np.linalg.norm(before[62] - before[66]) < 0.5 * MILLIMETRE
    assert 20 < np.linalg.norm(after[62] - after[66]) / MILLIMETRE < 45
    forehead = neutral["skin"][:, 1] > 0.03
    np.testing.assert_allclose(opened["skin"][forehead], neutral["skin"][forehead], atol=1e-7)  # float32 rounding
    assert opened["teeth_lower"][:, 1].mean() < neutral["teeth_lower"][:, 1].mean() - 0.01
    np.testing.assert_array_equal(opened["teeth_upper"], neutral["teeth_upper"])


def test_lips_do_not_cross(face):
    for identity, amounts in random_people(face, 10, seed=7):
        points = keypoints(face, face.vertices(identity, amounts))
        for upper, lower in ((61, 67), (62, 66), (63, 65)):
            assert points[upper, 1] - points[lower, 1] > -0.1 * MILLIMETRE


@pytest.mark.parametrize(
    "expression",
    [
        {"jaw_open": 0.3, "smile_left": 0.6, "smile_right": 0.6},
        {"lips_press": 0.7, "lip_roll_in": 0.3},
        {"jaw_open": 1},
    ],
)
def test_inside_of_the_mouth_stays_behind_the_lips(face, expression):
    """Seen from the front, 0.2 mm a pixel, folds, teeth and mouth show between the lips alone."""
    identity, _ = rest(face)
    thin = {"lower_lip_thickness": -2.5, "lip_fullness": 2.5, "chin_fold": 1.6, "face_height": -2.4, "face_depth": 2.5}
    for name, amount in thin.items():
        identity[face.identity_names.index(name)] = amount
    vertices = posed(face, identity, **expression)
    names = ("skin", "teeth_upper", "teeth_lower", "mouth")
    parts = {part.name: part for part in face.parts}
    points = np.concatenate([vertices[name] for name in names])
    starts = np.cumsum([0] + [len(vertices[name]) for name in names])
    triangles = np.concatenate([parts[name].triangles + start for name, start in zip(names, starts, strict=False)])
    size = 500
    screen = points * np.float32([5000, -5000, 1]) + np.float32([size / 2, size / 2 - 5000 * 0.046, 0])
    triangles = triangles[np.all(np.abs(screen[triangles][..., :2] - size / 2) < size, axis=(1, 2))]
    shown = rasterize_buffers(screen, triangles, size, size).triangle
    inside = (shown >= 0) & np.all(triangles[shown] >= face._mouth.start, axis=2)
    between_lips = np.zeros((size, size), np.uint8)
    cv2.fillPoly(between_lips, [np.round(screen[face._mouth.loop, :2]).astype(np.int32)], 1)
    between_lips = cv2.dilate(between_lips, np.ones((5, 5)))
    assert np.count_nonzero(inside & (between_lips == 0)) == 0


def test_smile_raises_and_widens(face, neutral):
    smile = keypoints(face, posed(face, smile_left=1.0, smile_right=1.0)) - keypoints(face, neutral)
    assert smile[54, 0] > 4 * MILLIMETRE
    assert smile[54, 1] > 4 * MILLIMETRE
    np.testing.assert_allclose(smile[48], smile[54] * [-1, 1, 1], atol=1e-6)


def test_every_identity_direction_moves_something(face, neutral):
    for index, name in enumerate(face.identity_names):
        identity, amounts = rest(face)
        identity[index] = 1.0
        vertices = face.vertices(identity, amounts)
        moved = max(np.linalg.norm(vertices[part] - neutral[part], axis=1).max() for part in ("skin", "clothes"))
        assert 0.25 < moved / MILLIMETRE < 25, name
        assert all(np.isfinite(part).all() for part in vertices.values())


def test_every_expression_moves_the_face(face, neutral):
    for name in face.expression_names:
        vertices = posed(face, **{name: 1.0})
        moved = np.linalg.norm(face.face_vertices(vertices["skin"]) - face.topology.template, axis=1)
        assert 1.0 < moved.max() / MILLIMETRE < 50, name
        assert all(np.isfinite(part).all() for part in vertices.values())


def test_population_spread(face):
    people = [
        face.face_vertices(face.vertices(*person)["skin"]) for person in random_people(face, 80, expressions=False)
    ]
    people = np.array(people, dtype=float)
    people -= people.mean(axis=1, keepdims=True)
    away = people - people.mean(axis=0)
    assert 2.8 < np.sqrt(np.sum(away**2, axis=2).mean()) / MILLIMETRE < 4.2
    spacing = np.linalg.norm(people[:, face.topology.keypoints[36]] - people[:, face.topology.keypoints[45]], axis=1)
    assert 1.5 < spacing.std() / MILLIMETRE < 6


def test_triangles_neither_flip_nor_vanish(face, neutral):
    triangles, skin_triangles = face.topology.triangles, face.parts[0].triangles
    normals = triangle_normals(face.topology.template, triangles)
    skin_normals = triangle_normals(neutral["skin"], skin_triangles)
    for identity, amounts in random_people(face, 15, seed=11):
        skin = face.vertices(identity, amounts)["skin"]
        now = triangle_normals(face.face_vertices(skin), triangles)
        assert np.linalg.norm(now, axis=1).min() / 2 > 0.1 * MILLIMETRE**2
        # a turn of more than a right angle against the mean face: at most two of 2,300 triangles, at the lips
        assert np.count_nonzero(np.sum(now * normals, axis=1) < 0) <= 2
        flipped = np.sum(triangle_normals(skin, skin_triangles) * skin_normals, axis=1) < 0
        assert flipped.mean() < 2e-3


def test_wrong_coefficients_are_refused(face):
    identity, amounts = rest(face)
    with pytest.raises(ValueError, match="identity coefficients"):
        face.vertices(identity[:-1], amounts)
    with pytest.raises(ValueError, match="expression coefficients"):
        face.vertices(identity, amounts[:-1])


def test_the_topology_has_a_chart_without_overlaps(face):
    a, b, c = uv_layout(face.topology).astype(np.float64)[face.topology.triangles].transpose(1, 2, 0)
    assert ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])).min() > 0
