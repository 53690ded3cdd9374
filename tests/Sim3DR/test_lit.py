"""draw_lit, against a slow twin made from rasterize_buffers at the samples' size, and values worked out by hand."""

import numpy as np
import pytest

from Sim3DR import _rasterize, draw_lit, rasterize_buffers
from Sim3DR.lit import LINEAR_LIGHT
from tests.Sim3DR.twin import instruction_set, separate_triangles

# The twin reckons in float64, draw_lit blends values of up to 2 in float32 (6e-8 each step, a dozen of them) and
# texture coordinates of up to 3 times 9 texels, whose colours differ by up to 1 from one to the next (2e-7 * 27).
TOLERANCE = 2e-5
ROWS, COLUMNS = 19, 23
WHITE = np.full((1, 1, 4), 255, np.uint8)
# Over the whole of an 8 x 8 picture; u and v run from 0 to 1 over its pixels.
SQUARE = np.array([[-0.5, -0.5, 0], [7.5, -0.5, 0], [-0.5, 7.5, 0], [7.5, 7.5, 0]], np.float32)
SQUARE_TRIANGLES = np.array([[0, 1, 2], [1, 3, 2]], np.int32)
SQUARE_UV = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)


def decoded(byte):
    """sRGB as its standard writes it."""
    value = byte / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def bilinear(texels, u, v):
    """texels (h, w, C) at one place, repeating, in float64."""
    height, width, _ = texels.shape
    x, y = u * width - 0.5, v * height - 0.5
    left, top = int(np.floor(x)), int(np.floor(y))
    total = 0.0
    for row, row_share in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, share in ((left, 1 - (x - left)), (left + 1, x - left)):
            total = total + row_share * share * texels[row % height, column % width].astype(np.float64)
    return total


def sample_places(vertices, samples):
    scale = np.float32(samples)
    return np.column_stack([vertices[:, :2] * scale + (scale - 1) / 2, vertices[:, 2]]).astype(np.float32)


def shown_samples(vertices, triangles, size, uv, surface, textures, w, samples):
    """(H * s, W * s) which triangle each sample shows: from front to back, the first without a hole there."""
    fine = sample_places(vertices, samples)
    shown = np.full(size, -1)
    depth = np.full(size, -np.inf)
    for index, corners in enumerate(triangles):
        alone = rasterize_buffers(fine, [corners], *size, w)
        for row, column in zip(*np.nonzero((alone.triangle == 0) & (alone.depth > depth)), strict=True):
            u, v = alone.barycentric[row, column].astype(np.float64) @ uv[corners]
            if bilinear(textures[surface[index]], u, v)[3] > 128 - 1e-9:  # its shares sum to 1 up to rounding
                shown[row, column], depth[row, column] = index, alone.depth[row, column]
    return shown


def weights_at(points, w, x, y):
    """(3,) of a triangle with corners (3, 2), in front of the camera or not, perspective-correct."""
    areas = []
    for k in range(3):
        a, b = points[(k + 1) % 3] - (x, y), points[(k + 2) % 3] - (x, y)
        areas.append((a[0] * b[1] - a[1] * b[0]) / w[k])
    return np.array(areas) / sum(areas)


def twin(picture, vertices, triangles, light, shine, uv, surface, textures, w, samples):
    """draw_lit, pixel by pixel."""
    height, width, _ = picture.shape
    size = height * samples, width * samples
    shown = shown_samples(vertices, triangles, size, uv, surface, textures, w, samples)
    fine = sample_places(vertices, samples).astype(np.float64)
    distances = np.ones(len(vertices)) if w is None else w.astype(np.float64)
    linear = [np.vectorize(decoded)(texture[..., :3]) for texture in textures]
    drawn = np.zeros(picture.shape)
    for row, column in np.ndindex(height, width):
        block = shown[row * samples : (row + 1) * samples, column * samples : (column + 1) * samples]
        for index in np.unique(block):
            downs, acrosses = np.nonzero(block == index)
            color = picture[row, column]
            if index >= 0:
                corners = triangles[index]
                place = column * samples + acrosses.mean(), row * samples + downs.mean()
                share = weights_at(fine[corners, :2], distances[corners], *place)
                texel = bilinear(linear[surface[index]], *(share @ uv[corners]))
                color = share @ light[corners] * texel + share @ shine[corners]
            drawn[row, column] += len(downs) / samples**2 * color
    return drawn


def scene(seed, count=45, holes=False, near=False):
    """Arguments of draw_lit: triangles of up to fifteen pixels, three textures, texture coordinates beyond 0..1."""
    rng = np.random.default_rng(seed)
    middle = np.repeat(rng.uniform([-3, -3], [COLUMNS + 3, ROWS + 3], (count // 3, 2)), 3, axis=0)
    vertices = np.column_stack([middle + rng.uniform(-8, 8, (count, 2)), rng.uniform(-1, 1, count)])
    textures = [rng.integers(0, 256, (*size, 4), dtype=np.uint8) for size in ((5, 9), (1, 1), (4, 3))]
    for texture in textures:
        if not holes:
            texture[..., 3] = 255
    textures[1][..., 3] = 128  # just enough
    w = rng.uniform(0.5, 2, count).astype(np.float32)
    if near:
        w[::6] *= -1
    return {
        "picture": rng.uniform(0, 2, (ROWS, COLUMNS, 3)).astype(np.float32),
        "vertices": vertices.astype(np.float32),
        "triangles": separate_triangles(vertices),
        "light": rng.uniform(0, 2, (count, 3)).astype(np.float32),
        "shine": rng.uniform(0, 0.5, (count, 3)).astype(np.float32),
        "uv": rng.uniform(-1, 2, (count, 2)).astype(np.float32),
        "surface": rng.integers(0, 3, count // 3).astype(np.uint8),
        "textures": textures,
        "w": w,
    }


def square(texture, samples=2, uv=SQUARE_UV, light=1.0, shine=0.0, picture=None):
    """The square with one texture on a picture of 8 x 8, black unless told otherwise."""
    picture = np.zeros((8, 8, 3), np.float32) if picture is None else picture
    constant = np.ones((4, 3), np.float32)
    surface = np.zeros(2, np.uint8)
    arguments = constant * np.float32(light), constant * np.float32(shine), np.float32(uv), surface, [texture]
    return draw_lit(picture, SQUARE, SQUARE_TRIANGLES, *arguments, samples=samples)


class TestAgainstTwin:
    @pytest.mark.parametrize("samples", [1, 2, 3])
    @pytest.mark.parametrize("kind", [{}, {"holes": True}, {"near": True}, {"holes": True, "near": True}])
    def test_scattered_triangles(self, samples, kind):
        arguments = scene(samples, **kind)
        drawn = draw_lit(**arguments, samples=samples)
        np.testing.assert_allclose(drawn, twin(**arguments, samples=samples), rtol=0, atol=TOLERANCE)
        assert (drawn != arguments["picture"]).any(axis=2).mean() > 0.25

    def test_without_distances(self):
        arguments = scene(9) | {"w": None}
        np.testing.assert_allclose(draw_lit(**arguments), twin(**arguments, samples=2), rtol=0, atol=TOLERANCE)

    def test_on_a_lattice(self):
        arguments = scene(10, holes=True)
        arguments["vertices"][:, :2] = np.round(arguments["vertices"][:, :2])
        np.testing.assert_allclose(draw_lit(**arguments), twin(**arguments, samples=2), rtol=0, atol=TOLERANCE)

    @pytest.mark.parametrize("samples", range(1, 9))
    def test_the_coverage_of_rasterize_buffers(self, samples):
        # Light of 1 on black, and no texture: what is drawn is the share of covered samples.
        arguments = scene(11, near=True)
        count = len(arguments["vertices"])
        arguments |= {"picture": np.zeros((ROWS, COLUMNS, 3), np.float32), "textures": [WHITE] * 3}
        arguments |= {"light": np.ones((count, 3), np.float32), "shine": np.zeros((count, 3), np.float32)}
        fine = sample_places(arguments["vertices"], samples)
        buffers = rasterize_buffers(fine, arguments["triangles"], ROWS * samples, COLUMNS * samples, arguments["w"])
        covered = (buffers.triangle >= 0).reshape(ROWS, samples, COLUMNS, samples).mean(axis=(1, 3))
        drawn = draw_lit(**arguments, samples=samples)
        np.testing.assert_array_equal(drawn, np.repeat(covered[..., None].astype(np.float32), 3, axis=2))


class TestColors:
    @pytest.mark.parametrize("samples", range(1, 9))
    def test_constants_give_constants(self, samples):
        gray = np.full((3, 5, 4), 200, np.uint8)
        drawn = square(gray, samples, light=0.7, shine=0.1)
        np.testing.assert_array_equal(drawn, np.float32(0.7) * LINEAR_LIGHT[200] + np.float32(0.1))
        np.testing.assert_array_equal(square(WHITE, samples), 1)

    def test_every_byte_is_decoded(self):
        for byte in range(256):
            drawn = square(np.array([[[byte, 0, 255, 255]]], np.uint8), samples=1)
            np.testing.assert_allclose(drawn[0, 0], [decoded(byte), 0, 1], rtol=6e-8)  # half a step of float32

    def test_texels_lie_under_their_pixels(self):
        # u to the right, v down: an 8 x 8 texture on 8 x 8 pixels is seen as it is, and mirrored by 1 - u.
        texture = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
        texture[..., 3] = 255
        wanted = LINEAR_LIGHT[texture[..., :3]]
        # Places are good to a few float32 steps of 8 texels.
        np.testing.assert_allclose(square(texture, 1), wanted, rtol=0, atol=1e-5)
        mirrored = SQUARE_UV * [-1, 1] + [1, 0]
        np.testing.assert_allclose(square(texture, 1, mirrored), wanted[:, ::-1], rtol=0, atol=1e-5)

    @pytest.mark.parametrize("shift", [-3, -1, 1, 2, 100])
    def test_textures_repeat(self, shift):
        texture = np.random.default_rng(1).integers(0, 256, (4, 16, 4), dtype=np.uint8)
        texture[..., 3] = 255
        # Places are good to a float32 step of 100 textures (8e-6), times 16 texels.
        np.testing.assert_allclose(square(texture, uv=SQUARE_UV + shift), square(texture), rtol=0, atol=2e-4)

    def test_between_the_last_texel_and_the_first(self):
        texture = np.zeros((1, 2, 4), np.uint8)
        texture[..., 3] = 255
        texture[0, 1, :3] = 255
        drawn = square(texture, samples=1, uv=np.zeros((4, 2)))
        np.testing.assert_array_equal(drawn, 0.5)

    @pytest.mark.parametrize("place", [np.nan, np.inf, -np.inf, 3e38, -3e38])
    def test_places_that_are_nowhere(self, place):
        drawn = square(WHITE, uv=np.full((4, 2), place))
        np.testing.assert_array_equal(drawn, 1)

    def test_surfaces_have_their_textures(self):
        textures = [np.array([[[byte, byte, byte, 255]]], np.uint8) for byte in (255, 0)]
        ones = np.ones((4, 3), np.float32)
        picture = np.zeros((8, 8, 3), np.float32)
        arguments = picture, SQUARE, SQUARE_TRIANGLES, ones, 0 * ones, SQUARE_UV, np.uint8([0, 1]), textures
        drawn = draw_lit(*arguments, samples=1)[..., 0]
        # Centres on the diagonal belong to the second triangle, whose left edge it is.
        np.testing.assert_array_equal(drawn, np.add.outer(np.arange(8), np.arange(8)) < 7)


class TestHoles:
    def test_what_lies_behind_shows(self):
        # The left half of the front square is a hole; behind it lies another one, farther and of half the light.
        texture = np.full((1, 2, 4), 255, np.uint8)
        texture[0, 0, 3] = 0
        vertices = np.vstack([SQUARE, SQUARE - np.float32([0, 0, 1])])
        triangles = np.vstack([SQUARE_TRIANGLES, SQUARE_TRIANGLES + 4])
        light = np.repeat(np.float32([1, 0.5]), 4)[:, None] * np.ones(3, np.float32)
        uv = np.vstack([SQUARE_UV, SQUARE_UV])
        arguments = light, 0 * light, uv, np.uint8([0, 0, 1, 1]), [texture, WHITE]
        drawn = draw_lit(np.zeros((8, 8, 3), np.float32), vertices, triangles, *arguments, samples=1)
        # Opacity crosses one half between the centres of the texels, at u = 0.5 and, where the texture repeats, at 0.
        np.testing.assert_array_equal(drawn[..., 0], np.tile([0.5] * 4 + [1.0] * 4, (8, 1)))
        alone = draw_lit(np.zeros((8, 8, 3), np.float32), vertices[:4], triangles[:2], light[:4], 0 * light[:4],
                         uv[:4], np.uint8([0, 0]), [texture], samples=1)  # fmt: skip
        np.testing.assert_array_equal(alone[..., 0], np.tile([0.0] * 4 + [1.0] * 4, (8, 1)))

    @pytest.mark.parametrize(("opacity", "shown"), [(127, 0), (128, 1)])
    def test_where_a_hole_begins(self, opacity, shown):
        np.testing.assert_array_equal(square(np.uint8([[[255, 255, 255, opacity]]])), shown)


class TestCalls:
    @pytest.mark.parametrize("holes", [False, True])
    @pytest.mark.parametrize("samples", [1, 2, 3])
    def test_threads_and_instruction_sets_give_the_same_bytes(self, samples, holes):
        arguments = scene(4, count=600, holes=holes, near=True)
        arguments["picture"] = np.zeros((90, 80, 3), np.float32)
        arguments["vertices"] *= np.float32([4, 4.5, 1])
        wanted = draw_lit(**arguments, samples=samples).tobytes()
        for name in _rasterize.instruction_sets():
            with instruction_set(name):
                for threads in (1, 2, 5):
                    assert draw_lit(**arguments, samples=samples, threads=threads).tobytes() == wanted

    def test_no_triangles(self):
        arguments = scene(5)
        arguments |= {"triangles": np.zeros((0, 3), np.int32), "surface": np.zeros(0, np.uint8)}
        for textures in ([], arguments["textures"]):
            np.testing.assert_array_equal(draw_lit(**arguments | {"textures": textures}), arguments["picture"])
        empty = {name: arguments[name][:0] for name in ("vertices", "light", "shine", "uv", "w")}
        np.testing.assert_array_equal(draw_lit(**arguments | empty), arguments["picture"])

    def test_beside_the_mesh_the_picture_stays(self):
        arguments = scene(6)
        arguments["vertices"] = arguments["vertices"] * np.float32(0.5)
        arguments["picture"][...] = np.nan
        drawn = draw_lit(**arguments)
        assert np.isnan(drawn).any()
        assert not np.isnan(drawn).all()

    def test_out(self):
        arguments = scene(7)
        kept = {name: np.copy(value) for name, value in arguments.items() if name != "textures"}
        wanted = draw_lit(**arguments)
        for name, value in kept.items():
            np.testing.assert_array_equal(arguments[name], value)
        out = np.empty_like(wanted)
        assert draw_lit(**arguments, out=out) is out
        np.testing.assert_array_equal(out, wanted)
        picture = arguments["picture"]
        assert draw_lit(**arguments, out=picture) is picture
        np.testing.assert_array_equal(picture, wanted)

    def test_triangles_that_cannot_be_drawn(self):
        arguments = scene(8)
        arguments["vertices"][:] = np.float32([[np.nan, 0, 0], [1e38, 3e38, 0], [5, 5, np.inf]])[np.arange(45) % 3]
        np.testing.assert_array_equal(draw_lit(**arguments), arguments["picture"])

    def test_slivers_and_far_corners_stay_within_their_colours(self):
        # Weights are never negative, however little of a triangle there is.
        rng = np.random.default_rng(12)
        arguments = scene(12, count=900) | {"textures": [WHITE] * 3}
        vertices = arguments["vertices"]
        vertices[2::3, :2] = (vertices[0::3, :2] + vertices[1::3, :2]) / 2 + rng.choice([0, 1e-6, 1e-3], (300, 1))
        vertices[::9, :2] *= 1e30
        drawn = draw_lit(**arguments, samples=3)
        assert np.isfinite(drawn).all()
        assert drawn.min() >= 0
        assert drawn.max() <= 2.5 * (1 + 1e-6)  # light and shine at their largest, and rounding


class TestArguments:
    @pytest.mark.parametrize(
        ("name", "value", "error", "message"),
        [
            ("picture", np.zeros((9, 9, 3)), TypeError, "picture: wanted float32"),
            ("picture", np.zeros((9, 9, 4), np.float32), ValueError, r"picture: wanted shape \(H, W, 3\)"),
            ("picture", np.zeros((0, 9, 3), np.float32), ValueError, "picture: wanted 1.."),
            ("vertices", np.zeros((45, 2)), ValueError, "vertices: wanted shape"),
            ("triangles", np.full((15, 3), 45), ValueError, "triangles: wanted indices of 45"),
            ("light", np.zeros((44, 3)), ValueError, "light: wanted shape"),
            ("shine", np.zeros((45, 1)), ValueError, "shine: wanted shape"),
            ("uv", np.zeros((45, 3)), ValueError, "uv: wanted shape"),
            ("uv", "nowhere", TypeError, "uv: wanted numbers"),
            ("surface", np.zeros(15, np.int32), TypeError, "surface: wanted uint8"),
            ("surface", np.zeros(14, np.uint8), ValueError, "surface: wanted shape"),
            ("surface", np.full(15, 3, np.uint8), ValueError, "surface: wanted indices of 3 textures, got up to 3"),
            ("textures", [np.zeros((2, 2, 3), np.uint8)] * 3, ValueError, r"textures\[0\]: wanted shape"),
            ("textures", [WHITE, WHITE, WHITE / 255], TypeError, r"textures\[2\]: wanted uint8"),
            ("textures", [WHITE, WHITE[:0], WHITE], ValueError, r"textures\[1\]: wanted 1.."),
            ("textures", None, TypeError, "textures: wanted a list"),
            ("textures", [WHITE] * 257, ValueError, "textures: wanted at most 256"),
            ("w", np.ones(44), ValueError, "w: wanted shape"),
            ("samples", 9, ValueError, "samples: wanted 1..8"),
            ("samples", 2.0, TypeError, "samples: wanted a whole number"),
            ("threads", 0, ValueError, "threads: wanted 1.."),
            ("out", np.zeros((9, 9, 3), np.float32), ValueError, "out: wanted shape"),
            ("out", [], TypeError, "out: wanted a numpy array"),
        ],
    )
    def test_bad_ones_are_refused_by_name(self, name, value, error, message):
        with pytest.raises(error, match=message):
            draw_lit(**scene(0) | {name: value})

    def test_out_may_not_overlap_the_others(self):
        arguments = scene(0)
        memory = np.zeros(ROWS * COLUMNS * 3, np.float32)
        arguments["light"] = memory[:135].reshape(45, 3)
        with pytest.raises(ValueError, match="out: wanted memory of its own, got an array that overlaps light"):
            draw_lit(**arguments, out=memory.reshape(ROWS, COLUMNS, 3))

    def test_any_order_of_memory_will_do(self):
        arguments = scene(3)
        wanted = draw_lit(**arguments)
        for name in ("vertices", "triangles", "light", "shine", "uv", "picture"):
            arguments[name] = np.asfortranarray(arguments[name])
        arguments["textures"] = [texture[::-1, ::-1].copy()[::-1, ::-1] for texture in arguments["textures"]]
        np.testing.assert_array_equal(draw_lit(**arguments), wanted)
