"""Colours, textures, hair, clothes, backgrounds and the camera."""

import cv2
import numpy as np
import pytest

from data.synthetic import appearance, background, camera, garments, hair, noise


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def look():
    return appearance.draw_look(np.random.default_rng(5))


def test_noise_is_normalised_and_repeatable():
    field = noise.fractal_noise(np.random.default_rng(1), 60, 90, 5.0)
    assert field.shape == (60, 90)
    assert field.std() == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_array_equal(field, noise.fractal_noise(np.random.default_rng(1), 60, 90, 5.0))


def test_srgb_goes_there_and_back():
    values = np.linspace(0.0, 1.0, 101, dtype=np.float32)
    np.testing.assert_allclose(noise.to_srgb(noise.to_linear(values)), values, atol=1e-5)
    assert noise.to_linear(np.array(0.5)) == pytest.approx(0.2140, abs=1e-4)  # IEC 61966-2-1


def test_melanin_darkens_and_blood_reddens():
    fair, dark = appearance.pigment_colour(np.array([0.2, 1.6]), np.array([0.4, 0.4]), 0.0)
    assert np.all(dark < 0.5 * fair)
    pale, flushed = appearance.pigment_colour(np.array([0.2, 0.2]), np.array([0.2, 1.0]), 0.0)
    assert flushed[0] / flushed[1] > 1.3 * pale[0] / pale[1]


def test_baking_keeps_a_constant_and_fills_beyond_the_seams():
    uv = np.array([[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    baked = appearance.bake(uv, triangles, np.full((4, 2), 0.7), 64)
    assert baked.shape == (64, 64, 2)
    np.testing.assert_allclose(baked[10:54, 10:54], 0.7, atol=1e-4)  # 2 texels beyond each side too


def flat_regions(names: tuple[str, ...]) -> appearance.RegionMaps:
    """Regions on a square patch of skin: each name one of the vertical stripes from left to right."""
    place = np.linspace(0, 1, 65, dtype=np.float32)
    u, v = np.meshgrid(place, place)
    uv = np.stack([u.ravel(), v.ravel()], axis=1)
    row, column = np.divmod(np.arange(64 * 64), 64)
    corner = row * 65 + column
    triangles = np.concatenate([corner[:, None] + [[0, 1, 65]], corner[:, None] + [[1, 66, 65]]]).astype(np.int32)
    edges = np.linspace(0, 1, len(names) + 1)
    masks = {
        name: ((uv[:, 0] > edges[i]) & (uv[:, 0] < edges[i + 1])).astype(np.float32) for i, name in enumerate(names)
    }
    return appearance.RegionMaps(uv, triangles, masks)


def test_skin_texture_paints_its_regions(rng, look):
    texture = appearance.paint_skin(rng, look, flat_regions(("face", "lips", "scalp")), hair_cover=1.0)
    size = appearance.SKIN_SIZE
    assert texture.shape == (size, size, 4)
    assert texture.dtype == np.float32
    assert np.isfinite(texture).all()
    assert texture[..., :3].min() >= 0.0
    assert texture[..., :3].max() < 0.9
    face, lips, scalp = (texture[100:-100, int((i + 0.3) * size / 3) : int((i + 0.7) * size / 3)] for i in range(3))
    assert lips[..., 0].mean() / lips[..., 1].mean() > 1.15 * face[..., 0].mean() / face[..., 1].mean()
    np.testing.assert_allclose(scalp[..., :3].mean(axis=(0, 1)), 0.7 * look.hair, atol=0.06)


def test_an_unknown_region_is_empty():
    assert flat_regions(("face",))["nostrils"].max() == 0.0


def test_eye_has_a_black_pupil_a_coloured_iris_and_a_white(rng, look):
    x, y = np.meshgrid(np.linspace(-1, 1, 128), np.linspace(1, -1, 128))
    z = np.sqrt(np.maximum(1 - x**2 - y**2, 0.0))
    eye = appearance.paint_eye(rng, look, np.dstack([x, y, z]))
    off_axis = np.arccos(np.clip(z, -1, 1))
    pupil = eye[off_axis < 0.8 * look.pupil_angle, :3].mean()
    iris = eye[(off_axis > 1.2 * look.pupil_angle) & (off_axis < 0.8 * look.iris_angle), :3].mean()
    white = eye[(off_axis > 1.2 * look.iris_angle) & (off_axis < 0.7), :3].mean()
    assert pupil < 0.02
    assert pupil < iris < 0.6 * white


def test_looks_cover_the_human_range():
    looks = [appearance.draw_look(np.random.default_rng(i)) for i in range(200)]
    melanin = [one.melanin for one in looks]
    assert min(melanin) < 0.2
    assert max(melanin) > 1.5
    assert {one.iris for one in looks} == set(appearance.IRIS_COLOURS)
    assert any(one.beard for one in looks)
    assert any(one.lipstick is not None for one in looks)


def ball(radius: float = 0.1) -> hair.Surface:
    """A ball of skin."""
    turns, heights = np.meshgrid(np.linspace(0, 2 * np.pi, 49), np.linspace(0.05, np.pi - 0.05, 30))
    normals = np.stack(
        [np.sin(heights) * np.sin(turns), np.cos(heights), np.sin(heights) * np.cos(turns)], axis=-1
    ).reshape(-1, 3)
    row, column = np.divmod(np.arange(29 * 48), 48)
    corner = row * 49 + column
    triangles = np.concatenate([corner[:, None] + [[0, 49, 1]], corner[:, None] + [[1, 49, 50]]])
    empty = np.zeros((0, 3), np.float32)
    vertices = (radius * normals).astype(np.float32)
    return hair.Surface(vertices, normals.astype(np.float32), triangles.astype(np.int32), empty, empty)


@pytest.mark.parametrize("style", hair.STYLES, ids=lambda style: style.name)
def test_hair_grows_out_of_its_mask_and_stays_out_of_the_head(rng, style):
    surface = ball()
    mask = (surface.normals[:, 1] > 0.3).astype(np.float32)
    clear = np.zeros(len(mask), bool)
    strands = hair.grow_scalp_hair(rng, style, surface, mask, clear, np.full((4, 3), 0.1, np.float32))
    assert strands.points.shape == (style.count, style.steps + 1, 3)
    assert strands.points[:, 0, 1].min() > 0.02  # the mask ends at 0.03, triangles are 0.01 high
    radius = np.linalg.norm(strands.points, axis=2)
    # The chords of the coarse ball lie up to 1 mm inside it; curls and locks may dip in by some more.
    assert np.quantile(radius, 0.01) > 0.1 - 0.004 - style.curl
    length = np.linalg.norm(np.diff(strands.points, axis=1), axis=2).sum(axis=1)
    assert length.max() < 1.5 * style.length[1] + 20 * style.curl
    assert strands.colours.min() > 0.0


def test_hair_is_cut_off_where_the_face_stays_clear(rng):
    surface = ball()
    mask = (surface.normals[:, 1] > 0.6).astype(np.float32)
    clear = (surface.normals[:, 2] > 0.2) & (surface.normals[:, 1] < 0.2)
    style = next(style for style in hair.STYLES if style.name == "fringe")
    points = hair.grow_scalp_hair(rng, style, surface, mask, clear, np.full((4, 3), 0.1)).points
    hanging = points[(points[..., 2] > 0.05) & (points[..., 1] < 0.0)]
    assert len(hanging) < 0.01 * points.shape[0] * points.shape[1]


def test_an_empty_mask_grows_nothing(rng):
    surface = ball()
    strands = hair.grow_short_hair(
        rng,
        surface,
        np.zeros(len(surface.vertices), np.float32),
        np.full((2, 3), 0.1),
        50,
        (0.01, 0.02),
        surface.normals,
        0.5,
        0.001,
    )
    assert strands.points.shape[0] == 0


@pytest.mark.parametrize("turns", [False, True])
def test_strands_stay_with_the_skin(rng, turns):
    surface = ball()
    mask = np.ones(len(surface.vertices), np.float32)
    strands = hair.grow_short_hair(
        rng, surface, mask, np.full((2, 3), 0.1), 60, (0.01, 0.02), surface.normals, 0.2, 0.001
    )
    strands = hair.Strands(**{**strands.__dict__, "turns": turns})
    same = hair.move_strands(strands, surface.triangles, surface.vertices, surface.vertices)
    np.testing.assert_allclose(same, strands.points, atol=1e-6)
    turn = cv2.Rodrigues(np.array([0.3, -0.8, 0.2]))[0].astype(np.float32)
    moved = hair.move_strands(strands, surface.triangles, surface.vertices, surface.vertices @ turn.T)
    rigid = strands.points @ turn.T
    if turns:
        np.testing.assert_allclose(moved, rigid, atol=1e-5)
    np.testing.assert_allclose(moved[:, 0], rigid[:, 0], atol=5e-4 if not turns else 1e-5)  # roots lie 0.3 mm inside


def test_ribbons_face_the_camera():
    points = np.array([[[0.0, 0.0, -1.0], [0.0, -0.1, -1.0], [0.0, -0.2, -1.1]]], np.float32)
    vertices, tangents = hair.ribbons(points, np.full((1, 3), 0.01, np.float32))
    assert vertices.shape == (6, 3)
    np.testing.assert_allclose(np.abs(vertices[:, 0]), 0.01, atol=1e-6)  # as wide as it can look from the origin
    np.testing.assert_allclose(np.linalg.norm(tangents, axis=1), 1.0, atol=1e-5)
    triangles = hair.ribbon_triangles(1, 3)
    assert triangles.shape == (4, 3)
    assert set(triangles.ravel()) == set(range(6))


def test_clothes_are_of_possible_colours(rng):
    for _ in range(6):
        albedo, folds = garments.paint_clothes(rng)
        assert albedo.shape == (garments.CLOTHES_SIZE, garments.CLOTHES_SIZE, 4)
        assert folds.shape == (garments.CLOTHES_SIZE, garments.CLOTHES_SIZE, 3)
        assert 0.0 < albedo[..., :3].min() <= albedo[..., :3].max() <= 0.9


@pytest.mark.parametrize("paint", background.PAINTERS)
def test_backgrounds_are_finite_light_and_repeatable(paint):
    picture = paint(np.random.default_rng(3), 120)
    assert picture.shape == (120, 120, 3)
    assert np.isfinite(picture).all()
    assert 0.001 < np.maximum(picture, 0.0).mean() < 5.0
    np.testing.assert_array_equal(picture, paint(np.random.default_rng(3), 120))


def test_background_has_the_wanted_size(rng):
    picture = background.draw_background(rng, 77)
    assert picture.shape == (77, 77, 3)
    assert picture.dtype == np.float32
    assert picture.min() >= 0.0


def plain_camera(**changes) -> camera.Camera:
    settings = {
        "exposure": 1.0,
        "white_balance": np.ones(3, np.float32),
        "vignette": 0.0,
        "blur": 0.0,
        "motion": np.zeros(2),
        "shot_noise": 0.0,
        "read_noise": 0.0,
        "grain": 0.0,
        "saturation": 1.0,
        "quality": 95,
        "full_chroma": True,
    }
    return camera.Camera(**(settings | changes))


def test_a_plain_camera_writes_srgb(rng):
    light = np.tile(np.linspace(0.0, 0.6, 256, dtype=np.float32)[None, :, None], (8, 1, 3))
    picture = camera.develop(rng, plain_camera(), light)
    assert picture.dtype == np.uint8
    # half a level of rounding, half a level of dither, and the table's steps
    np.testing.assert_allclose(picture, 255 * noise.to_srgb(light), atol=1.6)


def test_highlights_do_not_wrap_round(rng):
    light = np.full((8, 8, 3), 50.0, np.float32)
    assert camera.develop(rng, plain_camera(shot_noise=0.05), light).min() > 235


def test_motion_blur_stays_centred(rng):
    light = np.zeros((101, 101, 3), np.float32)
    light[50, 50] = 0.6
    moved = camera.develop(rng, plain_camera(motion=np.array([40.0, 24.0])), light).astype(float)[..., 0]
    moved[moved < 4] = 0
    rows, columns = np.nonzero(moved)
    assert np.ptp(columns) >= 3
    assert (rows * moved[rows, columns]).sum() / moved.sum() == pytest.approx(50.0, abs=0.1)
    assert (columns * moved[rows, columns]).sum() / moved.sum() == pytest.approx(50.0, abs=0.1)


@pytest.mark.parametrize("full_chroma", [False, True])
def test_jpegs_decode_to_the_same_picture(rng, full_chroma):
    picture = np.dstack([np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))] * 3)
    picture[..., 2] = 40
    data = np.frombuffer(camera.encode_jpeg(plain_camera(full_chroma=full_chroma), picture), np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decoded.astype(int) - picture).mean() < 4.0


def test_drawn_cameras_write_good_jpegs():
    cameras = [camera.draw_camera(np.random.default_rng(i)) for i in range(100)]
    assert {one.full_chroma for one in cameras} == {False, True}
    assert min(one.quality for one in cameras) >= 85
    assert max(one.quality for one in cameras) <= 95
