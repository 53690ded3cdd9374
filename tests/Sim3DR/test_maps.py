"""Visibility, unwrapped textures and pictures of normals, depth, coordinates and edges, against independent truth."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from Sim3DR import RasterBuffers, get_normal, rasterize, rasterize_buffers, render_texture
from Sim3DR.maps import coordinate_colors, depth_picture, normal_picture, wireframe
from Sim3DR.visibility import unwrap_texture, vertex_visibility

HEIGHT, WIDTH = 30, 40
VERTICES = np.array([[1, 1, 0], [12, 2, 1], [3, 9, 2]], np.float32)
TRIANGLE = np.array([[0, 1, 2]], np.int32)
UV = np.array([[0, 0], [1, 0], [0, 1]], np.float32)


def soup(rng, count, reach):
    """Separate triangles with `count` corners, which are up to `reach` pixels from a triangle's middle."""
    middles = rng.uniform([-5, -5, -1], [WIDTH + 5, HEIGHT + 5, 1], (count // 3, 3)).repeat(3, axis=0)
    vertices = middles + rng.uniform(-1, 1, (count, 3)) * [reach, reach, 0.4]
    return vertices.astype(np.float32), np.arange(count, dtype=np.int32).reshape(-1, 3)


def inside(vertices, height=HEIGHT, width=WIDTH):
    x, y = vertices[:, 0], vertices[:, 1]
    return (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)


def cast_rays(origins, directions, corners, own):
    """(P,) how far rays (P, 3) go, in their directions' lengths, until they first hit a triangle (F, 3, 3) that is not
    their own (P, F), by Cramer's rule in space; infinite where they do not."""
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(ab, ac)  # (F, 3)
    offset = origins[:, None] - a  # (P, F, 3)
    along = directions @ normal.T
    turned = np.cross(offset, directions[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = -(offset * normal).sum(axis=2) / along
        second = -(turned * ac).sum(axis=2) / along
        third = (turned * ab).sum(axis=2) / along
    hit = (second >= 0) & (third >= 0) & (second + third <= 1) & (distance > 0) & ~own
    return np.where(hit, distance, np.inf).min(axis=1)


def own_triangles(vertices, triangles):
    return (np.arange(len(vertices))[:, None, None] == triangles).any(axis=2)


def in_space(vertices, w):
    """Camera space of x, y in pixels and w, the camera being at the origin and looking along the third axis."""
    w = w.astype(np.float64)
    return np.column_stack([vertices[:, 0] * w, vertices[:, 1] * w, w])


class TestVertexVisibility:
    @pytest.mark.parametrize(("count", "reach"), [(1500, 1.0), (300, 6.0), (300, 40.0)])
    @pytest.mark.parametrize("seed", range(3))
    def test_like_rays_cast_at_every_triangle(self, seed, count, reach):
        vertices, triangles = soup(np.random.default_rng(seed), count, reach)
        above = np.column_stack([vertices[:, :2], np.full(len(vertices), 10)]).astype(np.float64)
        reached = cast_rays(
            above,
            np.tile([0.0, 0, -1], (count, 1)),
            vertices[triangles].astype(float),
            own_triangles(vertices, triangles),
        )
        expected = (reached > 10 - vertices[:, 2].astype(float)) & inside(vertices)
        visible = vertex_visibility(vertices, triangles, HEIGHT, WIDTH)
        assert visible.dtype == bool
        np.testing.assert_array_equal(visible, expected)
        assert 0 < visible.sum() < inside(vertices).sum()

    @pytest.mark.parametrize("behind", [0, 1])
    @pytest.mark.parametrize("seed", range(3))
    def test_like_rays_cast_from_a_camera(self, seed, behind):
        rng = np.random.default_rng(10 + seed)
        vertices, triangles = soup(rng, 300, 6.0)
        w = (3 - vertices[:, 2] * 1.5).astype(np.float32)
        w[rng.choice(300, behind, replace=False)] *= -1
        vertices[:, 2] = -w
        points = in_space(vertices, w)
        reached = cast_rays(np.zeros((300, 3)), points, points[triangles], own_triangles(vertices, triangles))
        expected = (reached > 1) & (w > 0) & inside(vertices)
        np.testing.assert_array_equal(vertex_visibility(vertices, triangles, HEIGHT, WIDTH, w), expected)
        assert 0 < expected.sum() < (inside(vertices) & (w > 0)).sum()

    @pytest.mark.parametrize("side", [8, 50, 1000])
    def test_a_convex_body_shows_the_vertices_of_the_faces_towards_the_viewer(self, side):
        # 5000 of them in front: hundreds to a pixel, a few, and all apart.
        points = np.random.default_rng(20).normal(size=(10000, 3))
        points = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
        hull = ConvexHull(points)
        vertices = (points * np.float32(side / 2) + np.float32([side / 2, side / 2, 0])).astype(np.float32)
        expected = np.zeros(len(points), bool)
        expected[hull.simplices[hull.equations[:, 2] > 0]] = True
        visible = vertex_visibility(vertices, hull.simplices, side + 1, side + 1)
        # Rounding the shifted vertices dents the body a little where faces are seen from their edges.
        clear = np.ones(len(points), bool)
        clear[hull.simplices[np.abs(hull.equations[:, 2]) < 1e-3]] = False
        assert clear.mean() > 0.95
        np.testing.assert_array_equal(visible[clear], expected[clear])

    def test_vertices_on_pixel_centres_are_seen_where_the_buffers_show_their_depth(self):
        rng = np.random.default_rng(30)
        vertices = rng.integers([0, 0, 0], [WIDTH, HEIGHT, 1000], (90, 3)).astype(np.float32)
        triangles = np.arange(90).reshape(-1, 3)
        depth = rasterize_buffers(vertices, triangles, HEIGHT, WIDTH).depth
        column, row = vertices[:, :2].astype(int).T
        hidden = depth[row, column] > vertices[:, 2] * (1 + 1e-6)
        visible = vertex_visibility(vertices, triangles, HEIGHT, WIDTH)
        assert not (visible & hidden).any()
        # Pixels leave out a triangle's right and lower edges, rays do not.
        assert (visible == ~hidden).mean() > 0.95

    def test_a_cover_hides_without_gap_what_lies_under_its_own_edges(self):
        cover = np.array([[5, 5, 1], [15, 5, 1], [15, 15, 1], [5, 15, 1]])
        under = np.array([[10, 10, 0], [5, 10, 0], [5, 5, 0], [15.5, 10, 0], [4.9, 4.9, 0]])
        visible = vertex_visibility(np.vstack([cover, under]), [[0, 1, 2], [0, 2, 3]], 20, 20)
        np.testing.assert_array_equal(visible, [True] * 4 + [False, False, False, True, True])

    @pytest.mark.parametrize("w", [None, np.full(8, 2.0)])
    def test_surfaces_that_touch_do_not_hide_each_other(self, w):
        # Twice the same triangle with vertices of its own, and points on its plane.
        rng = np.random.default_rng(40)
        weights = rng.dirichlet([1, 1, 1], 2)
        vertices = np.vstack([VERTICES, VERTICES, weights @ VERTICES])
        assert vertex_visibility(vertices, [[0, 1, 2], [3, 4, 5]], 20, 20, w).all()

    def test_a_surface_a_little_nearer_hides(self):
        for depth, nearer in ((100.0, 100.0001), (-500.0, -499.9995), (0.0, 1e-30)):
            vertices = np.array([[0, 0, nearer], [9, 0, nearer], [0, 9, nearer], [2, 2, depth]])
            assert not vertex_visibility(vertices, TRIANGLE, 20, 20)[3]

    def test_what_is_outside_behind_or_not_a_number_is_not_seen(self):
        edge = np.array([[-0.5, -0.5, 0], [9.499, 19.499, 0], [9.5, 3, 0], [3, 19.5, 0], [-0.501, 3, 0]])
        odd = np.array([[np.nan, 1, 0], [1, np.inf, 0], [1, 1, np.nan], [1, 1, 1e300]])
        none = np.zeros((0, 3), np.int32)
        np.testing.assert_array_equal(vertex_visibility(edge, none, 20, 10), [True, True, False, False, False])
        assert not vertex_visibility(odd, none, 20, 10).any()
        # Nor does what is dropped hide anything.
        vertices = np.vstack([odd[:1], [[0, 0, 5], [9, 0, 5], [2, 1, 0]]])
        assert vertex_visibility(vertices, [[0, 1, 2]], 20, 10)[1:].all()
        w = np.array([1, -1, 0, np.nan, np.inf])
        vertices = np.tile([3.0, 3, 0], (5, 1))
        np.testing.assert_array_equal(vertex_visibility(vertices, none, 20, 10, w), [True] + [False] * 4)

    def test_nothing_at_all(self):
        assert vertex_visibility(np.zeros((0, 3)), np.zeros((0, 3), int), 5, 5).shape == (0,)
        assert vertex_visibility([[1, 1, 1]], np.zeros((0, 3), int), 5, 5).all()

    def test_in_parts_the_same(self, monkeypatch):
        vertices, triangles = soup(np.random.default_rng(50), 300, 20.0)
        expected = vertex_visibility(vertices, triangles, HEIGHT, WIDTH)
        monkeypatch.setattr("Sim3DR.visibility.BLOCK", 7)
        np.testing.assert_array_equal(vertex_visibility(vertices, triangles, HEIGHT, WIDTH), expected)


def sheet(rows, columns):
    """uv (N, 2) of a grid over the texture, and its triangles."""
    v, u = np.meshgrid(np.linspace(1, 0, rows), np.linspace(0, 1, columns), indexing="ij")
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    triangles = np.stack([a, b, c, b, d, c], axis=2).reshape(-1, 3)
    return np.stack([u, v], axis=2).reshape(-1, 2), triangles


def texel_centres(height, width):
    return np.meshgrid((np.arange(width) + 0.5) / width, 1 - (np.arange(height) + 0.5) / height)


def posed_sheet(size):
    """A wavy sheet in a photo of size x size, seen at an angle from near by: vertices, triangles, uv, w."""
    uv, triangles = sheet(6, 6)
    x, y = uv.T - 0.5
    z = 0.1 * np.sin(5 * x) + 0.05 * np.cos(7 * y) + 0.5 * x
    w = 1.6 - z
    picture = np.column_stack([x / w, -y / w, -w]) * [size * 1.3, size * 1.3, 1] + [size / 2, size / 2, 0]
    return picture, triangles, uv, w


def smooth_texture(u, v):
    return np.stack([0.5 + 0.4 * np.sin(6 * u + 2 * v), 0.5 + 0.4 * np.cos(5 * v), 0.2 + 0.5 * u * v], axis=2)


class TestUnwrapTexture:
    @pytest.mark.parametrize("height", [16, 37])
    def test_a_linear_photo_comes_back_exactly(self, height):
        # A level sheet under an affine camera: the place of a texel is linear in it, and so is the photo.
        uv, triangles = sheet(4, 5)
        vertices = np.column_stack([10 + 20 * uv[:, 0] + 5 * uv[:, 1], 40 - 3 * uv[:, 0] - 30 * uv[:, 1], uv[:, 0]])
        y, x = np.mgrid[:50, :60]
        photo = np.stack([2 * x + 3 * y, 100 - x], axis=2).astype(np.float32)
        texture, visible = unwrap_texture(photo, vertices, triangles, uv, height, 20)
        assert texture.dtype == np.float32
        assert visible.all()
        u, v = texel_centres(height, 20)
        x, y = 10 + 20 * u + 5 * v, 40 - 3 * u - 30 * v
        # Weights are rounded to float32, places reach 60 pixels, values grow by up to 3 a pixel.
        np.testing.assert_allclose(texture, np.stack([2 * x + 3 * y, 100 - x], axis=2), rtol=0, atol=5e-5)

    @pytest.mark.parametrize(("dtype", "tolerance"), [(np.uint8, 2.0), (np.float32, 1.0)])
    def test_drawn_and_unwrapped_a_texture_comes_back(self, dtype, tolerance):
        # Both ways bilinear (less than half a level off each time on so smooth a texture), and twice rounded.
        vertices, triangles, uv, w = posed_sheet(160)
        expected = smooth_texture(*texel_centres(64, 64))
        fine = smooth_texture(*texel_centres(512, 512))
        bg = np.zeros((160, 160, 3), dtype)
        photo = render_texture(vertices, triangles, fine, uv, bg, w)
        texture, visible = unwrap_texture(photo, vertices, triangles, uv, 64, 64, w)
        assert visible.mean() > 0.99
        assert not texture[~visible].any()
        levels = texture * (255 if dtype == np.float32 else 1.0)
        inner = np.zeros_like(visible)
        inner[2:-2, 2:-2] = visible[2:-2, 2:-2]  # beside the border the background enters
        np.testing.assert_allclose(levels[inner], 255 * expected[inner], rtol=0, atol=tolerance)
        # It takes the right camera.
        flat = unwrap_texture(photo, vertices, triangles, uv, 64, 64).texture
        assert np.abs(flat.astype(float) - texture)[inner].max() > (5 if dtype == np.uint8 else 0.02)

    @pytest.mark.parametrize("turned", [False, True])
    @pytest.mark.parametrize("perspective", [False, True])
    def test_a_folded_sheet_hides_a_part_of_itself(self, perspective, turned):
        # x goes from 10 to 50 as u goes to 2/3, and back to 30 behind that.
        uv, triangles = sheet(7, 31)
        u = uv[:, 0]
        x = np.where(u <= 2 / 3, 10 + 60 * u, 50 - 60 * (u - 2 / 3))
        z = np.where(u <= 2 / 3, 0.0, -(u - 2 / 3))
        x, y = x - 30, 40 * (0.5 - uv[:, 1])
        w = 1 - z if perspective else np.ones_like(z)
        vertices = np.column_stack([30 + x / w, 30 + y / w, -w if perspective else z])
        if turned:
            triangles = triangles[:, ::-1]
        photo = np.full((60, 60), 200, np.uint8)
        texture, visible = unwrap_texture(photo, vertices, triangles, uv, 20, 100, w if perspective else None)
        u, _ = texel_centres(20, 100)
        # Smaller by perspective, the part behind stays within the outline of the part in front.
        np.testing.assert_array_equal(visible, u <= 2 / 3)
        np.testing.assert_array_equal(texture, np.where(visible, 200, 0))

    def test_like_rays_cast_from_a_camera(self):
        rng = np.random.default_rng(60)
        vertices, triangles = soup(rng, 60, 12.0)
        w = (3 - vertices[:, 2] * 1.5).astype(np.float32)
        w[rng.choice(60, 1)] *= -1
        vertices[:, 2] = -w
        # One texel for each triangle: all its corners but one far away from it.
        count = len(triangles)
        corner = (np.arange(count) + 0.5) / count
        uv = np.stack(
            [
                np.stack([corner + at, np.full(count, 0.5 + up)], 1)
                for at, up in ((0, 0.4), (-0.01, -0.4), (0.012, -0.4))
            ],
            1,
        )
        share = np.linalg.solve(
            np.concatenate([uv, np.ones((count, 3, 1))], axis=2).transpose(0, 2, 1),
            np.column_stack([corner, np.full(count, 0.5), np.ones(count)])[..., None],
        )
        points = in_space(vertices, w)
        places = (share * points[triangles]).sum(axis=1)
        reached = cast_rays(np.zeros((count, 3)), places, points[triangles], np.eye(count, dtype=bool))
        expected = (reached > 1) & (places[:, 2] > 0) & inside(places[:, :2] / places[:, 2:])
        photo = np.full((HEIGHT, WIDTH, 1), 9, np.uint8)
        uv_triangles = np.arange(3 * count).reshape(-1, 3)
        texture, visible = unwrap_texture(
            photo, vertices, triangles, uv.reshape(-1, 2), 1, count, w, uv_triangles=uv_triangles
        )
        np.testing.assert_array_equal(visible[0], expected)
        np.testing.assert_array_equal(texture[0, :, 0], 9 * expected)
        assert 3 < expected.sum() < count - 3

    def test_outside_the_photo_and_of_no_triangle(self):
        # Half of a square of texels, of which the photo shows u <= 1/2.
        vertices = [[-0.5, 9.5, 0], [19.5, 9.5, 0], [-0.5, -0.5, 0]]
        photo = np.full((10, 10, 2), 7, np.uint8)
        texture, visible = unwrap_texture(photo, vertices, TRIANGLE, UV, 20, 20)
        u, v = texel_centres(20, 20)
        np.testing.assert_array_equal(visible[u + v != 1], ((u < 0.5) & (u + v < 1))[u + v != 1])
        np.testing.assert_array_equal(texture, 7 * np.repeat(visible[..., None], 2, axis=2))

    def test_a_seam_with_its_own_triangles(self):
        photo = np.arange(100, dtype=np.uint8).reshape(10, 10)
        square = [[0, 0, 0], [9, 0, 0], [0, 9, 0], [9, 9, 0]]
        # The two halves of the square, moved apart in the texture.
        uv = np.array([[0, 1], [0.5, 1], [0, 0], [0.5, 0], [1, 1], [1, 0]])
        texture, visible = unwrap_texture(
            photo, square, [[0, 1, 2], [2, 1, 3]], uv, 8, 8, uv_triangles=[[0, 1, 2], [3, 4, 5]]
        )
        u, v = texel_centres(8, 8)
        left = u / 0.5 + (1 - v) < 1
        right = ~left & (u > 0.5) & ((u - 0.5) / 0.5 + (1 - v) > 1)
        expected = np.where(left, 9 * u / 0.5 + 90 * (1 - v), 9 * (u - 0.5) / 0.5 + 90 * (1 - v))
        sure = left | right
        assert visible[sure].all()
        assert np.abs(texture - expected)[sure].max() <= 0.5 + 1e-4

    def test_triangles_that_are_not_drawn_are_not_seen(self):
        photo = np.full((20, 20), 5, np.uint8)
        for value, w in ((np.nan, None), (np.inf, None), (0, [1, 0, 1]), (0, [1, np.inf, 1]), (0, [-1, -1, -1])):
            vertices = VERTICES.copy()
            vertices[1, 2] = value
            assert not unwrap_texture(photo, vertices, TRIANGLE, UV, 9, 9, w).visible.any()
        assert unwrap_texture(photo, VERTICES, TRIANGLE, UV, 9, 9).visible.any()

    def test_in_parts_the_same(self, monkeypatch):
        vertices, triangles, uv, w = posed_sheet(30)
        photo = np.random.default_rng(70).integers(0, 256, (30, 30, 3), dtype=np.uint8)
        expected = unwrap_texture(photo, vertices, triangles, uv, 12, 12, w)
        monkeypatch.setattr("Sim3DR.visibility.BLOCK", 50)
        for got, wanted in zip(unwrap_texture(photo, vertices, triangles, uv, 12, 12, w), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


class TestNormalPicture:
    def test_a_sphere(self):
        points = np.random.default_rng(80).normal(size=(3000, 3))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        triangles = ConvexHull(points).simplices
        vertices = points * 30 + [32, 32, 0]
        buffers = rasterize_buffers(vertices, triangles, 65, 65)
        # Of any length; interpolated they get shorter and are made long again.
        picture = normal_picture((points * 5).astype(np.float32), buffers, triangles)
        assert picture.dtype == np.uint8
        y, x = (np.mgrid[:65, :65] - 32) / 30
        inner = np.hypot(x, y) < 0.9
        z = np.sqrt(np.where(inner, 1 - x**2 - y**2, 0))
        expected = 255 * (np.stack([x, y, z], axis=2) + 1) / 2
        # A flat triangle's middle is up to 1 % of the radius off the sphere.
        assert np.abs(picture - expected)[inner].max() < 3
        assert not picture[buffers.triangle < 0].any()

    @pytest.mark.parametrize(
        ("normal", "expected"),
        [
            ((0, 0, 2), (128, 128, 255)),
            ((-1, 0, 0), (0, 128, 128)),
            ((0, 1e30, 0), (128, 255, 128)),
            ((0, 0, 1e-30), (128, 128, 255)),
            ((0, 0, 0), (128, 128, 128)),
            ((np.nan, 0, 1), (128, 128, 128)),
            ((np.inf, 0, 1), (128, 128, 128)),
        ],
    )
    def test_never_wraps(self, normal, expected):
        buffers = rasterize_buffers(VERTICES, TRIANGLE, 12, 14)
        picture = normal_picture(np.tile(np.float32(normal), (3, 1)), buffers, TRIANGLE)
        assert (picture[buffers.triangle == 0] == expected).all()


class TestDepthPicture:
    def test_nearest_farthest_and_empty(self):
        vertices = np.array([[0, 0, -7], [8, 0, -7], [0, 8, -3], [8, 8, -3]])
        buffers = rasterize_buffers(vertices, [[0, 1, 2], [2, 1, 3]], 9, 9)
        picture = depth_picture(buffers)
        assert picture.dtype == np.uint8
        assert (picture[8] == 0).all()
        assert (picture[:, 8] == 0).all()
        # Rows 0 to 7 are drawn, their depth grows evenly.
        expected = np.floor(1 + 254 * np.arange(8) / 7 + 0.5)
        np.testing.assert_array_equal(picture[:8, :8], np.tile(expected[:, None], (1, 8)))

    @pytest.mark.parametrize("depth", [0.0, -3e38, 1e-40])
    def test_all_equally_near(self, depth):
        buffers = rasterize_buffers(VERTICES * [1, 1, 0] + [0, 0, depth], TRIANGLE, 12, 14)
        np.testing.assert_array_equal(depth_picture(buffers), np.where(buffers.triangle == 0, 255, 0))

    def test_nothing_drawn(self):
        buffers = rasterize_buffers(VERTICES, np.zeros((0, 3), int), 12, 14)
        assert not depth_picture(buffers).any()

    def test_the_whole_range_of_floats(self):
        vertices = VERTICES.copy()
        vertices[:, 2] = [-3e38, 3e38, 3e38]
        picture = depth_picture(rasterize_buffers(vertices, TRIANGLE, 12, 14))
        assert picture.max() == 255
        assert picture[picture > 0].min() == 1


class TestCoordinateColors:
    def test_each_axis_for_itself(self):
        colors = coordinate_colors([[-1, 100, 5], [3, 100, 7], [1, 100, 5.5]])
        assert colors.dtype == np.float32
        np.testing.assert_array_equal(colors, [[0, 0, 0], [1, 0, 1], [0.5, 0, 0.25]])

    def test_the_whole_range_of_floats(self):
        colors = coordinate_colors([[-3e38, 1e-40, 0], [3e38, 3e-40, 0]])
        np.testing.assert_array_equal(colors, [[0, 0, 0], [1, 1, 0]])

    def test_no_vertices(self):
        assert coordinate_colors(np.zeros((0, 3))).shape == (0, 3)

    def test_drawn_they_tell_the_place_on_the_mesh(self):
        mean = np.random.default_rng(90).uniform(-1, 1, (3, 3))
        picture = rasterize(VERTICES, TRIANGLE, coordinate_colors(mean), height=12, width=14, channel=3)
        buffers = rasterize_buffers(VERTICES, TRIANGLE, 12, 14)
        drawn = buffers.triangle == 0
        place = buffers.barycentric[drawn] @ mean
        decoded = mean.min(axis=0) + picture[drawn] / 255 * (mean.max(axis=0) - mean.min(axis=0))
        assert np.abs(place - decoded).max() < 2 / 255


def segment_distance(x, y, a, b):
    """(H, W) distance to the segment from a to b."""
    along = np.subtract(b, a)
    share = np.clip(((x - a[0]) * along[0] + (y - a[1]) * along[1]) / (along @ along), 0, 1)
    return np.hypot(x - a[0] - share * along[0], y - a[1] - share * along[1])


def line_coverage(segments, width, height=HEIGHT, columns=WIDTH):
    y, x = np.mgrid[:height, :columns]
    distance = np.min([segment_distance(x, y, a, b) for a, b in segments], axis=0)
    return np.clip(width / 2 + 0.5 - distance, 0, min(width, 1))


def edges_of(vertices, triangles):
    pairs = {tuple(sorted(pair)) for t in triangles for pair in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0]))}
    return [(vertices[a, :2], vertices[b, :2]) for a, b in pairs]


def drawn_coverage(vertices, triangles, width=1.0, w=None, shape=(HEIGHT, WIDTH)):
    return wireframe(vertices, triangles, np.zeros((*shape, 1), np.float32), [1.0], width, w)[..., 0]


class TestWireframe:
    @pytest.mark.parametrize("width", [0.4, 1.0, 1.5, 4.0])
    def test_all_edges_of_a_level_mesh_with_both_their_halves(self, width):
        rng = np.random.default_rng(100)
        uv, triangles = sheet(4, 5)
        vertices = np.column_stack([6 + 28 * uv[:, 0], 5 + 20 * uv[:, 1], np.zeros(20)])
        vertices[:, :2] += rng.uniform(-2, 2, (20, 2))
        vertices = vertices.astype(np.float32)
        expected = line_coverage(edges_of(vertices.astype(float), triangles), width)
        coverage = drawn_coverage(vertices, triangles, width)
        inner = rasterize_buffers(vertices, triangles, HEIGHT, WIDTH).triangle >= 0
        np.testing.assert_allclose(coverage[inner], expected[inner], rtol=0, atol=1e-6)
        np.testing.assert_allclose(coverage[~inner], expected[~inner], rtol=0, atol=1e-6)

    def test_an_upright_line_covers_its_width(self):
        vertices = np.array([[-40, -40, 0], [20.3, -40, 0], [20.3, 80, 0], [39, 20, 0]])
        for width in (0.3, 1.0, 2.0, 5.7):
            coverage = drawn_coverage(vertices, [[0, 1, 2], [1, 3, 2]], width)
            np.testing.assert_allclose(coverage[15, 14:27].sum(), width, rtol=1e-6)

    def test_hidden_lines_are_not_drawn(self):
        far = np.array([[2, 2, 0], [90, 3, 0], [4, 28, 0]])
        near = np.array([[0, 0, 1], [20, 0, 1], [0, 29, 1], [20, 29, 1]])
        mesh = np.vstack([near, far])
        cover = [[0, 1, 2], [2, 1, 3]]
        both = drawn_coverage(mesh, [*cover, [4, 5, 6]], 2.0)
        near_alone = drawn_coverage(near, cover, 2.0)
        np.testing.assert_array_equal(both[:, :20], near_alone[:, :20])
        # The near one's border is drawn over the far one with both halves.
        expected = np.maximum(line_coverage(edges_of(far, TRIANGLE), 2.0), near_alone)
        np.testing.assert_allclose(both[:, 21:], expected[:, 21:], rtol=0, atol=1e-6)

    def test_edges_that_reach_behind_the_camera_go_on_for_ever(self):
        # Two corners behind the camera: what is in front is the opposite angle at the third.
        vertices = np.array([[20, 15, 0], [50, 5, 0], [48, 30, 0]], float)
        coverage = drawn_coverage(vertices, TRIANGLE, 1.0, [1, -1, -1])
        rays = [(vertices[0, :2], 10 * vertices[0, :2] - 9 * vertices[i, :2]) for i in (1, 2)]
        np.testing.assert_allclose(coverage, line_coverage(rays, 1.0), rtol=0, atol=1e-6)
        # The places that the projection gives those behind are not in the picture, though they be close by.
        close = np.array([[20, 15, 0], [18, 15, 0], [18, 17, 0]], float)
        rays = [(close[0, :2], 20 * close[0, :2] - 19 * close[i, :2]) for i in (1, 2)]
        coverage = drawn_coverage(close, TRIANGLE, 4.0, [1, -1, -1])
        assert (coverage <= line_coverage(rays, 4.0) + 1e-6).all()
        # One behind: the edge between the others, and two that leave from it.
        coverage = drawn_coverage(vertices, TRIANGLE, 1.0, [-1, 1, 1])
        rays = [(vertices[i, :2], 10 * vertices[i, :2] - 9 * vertices[0, :2]) for i in (1, 2)]
        expected = line_coverage([*rays, (vertices[1, :2], vertices[2, :2])], 1.0, columns=80)
        coverage = drawn_coverage(vertices, TRIANGLE, 1.0, [-1, 1, 1], shape=(HEIGHT, 80))
        np.testing.assert_allclose(coverage, expected, rtol=0, atol=1e-6)

    def test_blended_once_and_rounded(self):
        bg = np.random.default_rng(110).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        kept = bg.copy()
        vertices = VERTICES * [3, 3, 1]
        share = 0.6 * drawn_coverage(vertices, TRIANGLE, 1.5).astype(np.float64)[..., None]
        picture = wireframe(vertices, TRIANGLE, bg, [0.2, 2.0, -1.0], 1.5, alpha=0.6)
        np.testing.assert_array_equal(bg, kept)
        assert picture.dtype == np.uint8
        exact = (1 - share) * bg + share * [51, 255, 0]
        assert np.abs(picture - exact).max() <= 0.5 + 1e-4
        untouched = (share == 0)[..., 0]
        np.testing.assert_array_equal(picture[untouched], bg[untouched])

    def test_into_out_or_bg_itself(self):
        bg = np.full((HEIGHT, WIDTH), 9, np.uint8)
        expected = wireframe(VERTICES, TRIANGLE, bg, [1.0])
        assert expected.shape == bg.shape
        out = np.zeros_like(bg)
        assert wireframe(VERTICES, TRIANGLE, bg, [1.0], out=out, threads=2) is out
        assert wireframe(VERTICES, TRIANGLE, bg, [1.0], out=bg) is bg
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(bg, expected)

    def test_a_mesh_finer_than_pixels_is_filled(self):
        uv, triangles = sheet(80, 80)
        vertices = np.column_stack([uv * 30 + 5, np.zeros(len(uv))])
        coverage = drawn_coverage(vertices, triangles, 1.0, shape=(40, 40))
        assert coverage[6:34, 6:34].min() > 0.7

    def test_in_parts_the_same(self, monkeypatch):
        vertices, triangles = soup(np.random.default_rng(120), 60, 10.0)
        expected = drawn_coverage(vertices, triangles, 2.0)
        monkeypatch.setattr("Sim3DR.maps.BLOCK", 11)
        np.testing.assert_array_equal(drawn_coverage(vertices, triangles, 2.0), expected)

    def test_corners_that_are_not_finite(self):
        vertices = np.vstack([VERTICES, [[np.inf, 0, 0], [np.nan, 0, 0]]])
        coverage = drawn_coverage(vertices, [[0, 1, 2], [0, 1, 3], [0, 4, 2]])
        np.testing.assert_array_equal(coverage, drawn_coverage(VERTICES, TRIANGLE))

    def test_a_picture_smaller_than_the_reach(self):
        assert drawn_coverage(VERTICES, TRIANGLE, 16.0, shape=(2, 3)).shape == (2, 3)


BG = np.zeros((20, 20, 3), np.uint8)
BUFFERS = rasterize_buffers(VERTICES, TRIANGLE, 20, 20)
NORMALS = get_normal(VERTICES, TRIANGLE)
CALLS = {
    "visibility": (vertex_visibility, {"vertices": VERTICES, "triangles": TRIANGLE, "height": 20, "width": 20}),
    "unwrap": (
        unwrap_texture,
        {"picture": BG, "vertices": VERTICES, "triangles": TRIANGLE, "uv": UV, "height": 8, "width": 8},
    ),
    "normals": (normal_picture, {"normals": NORMALS, "buffers": BUFFERS, "triangles": TRIANGLE}),
    "depth": (depth_picture, {"buffers": BUFFERS}),
    "coordinates": (coordinate_colors, {"vertices": VERTICES}),
    "wireframe": (wireframe, {"vertices": VERTICES, "triangles": TRIANGLE, "bg": BG, "color": [1.0, 0, 0]}),
}
WRONG = [
    ("visibility", "vertices", VERTICES[:, :2], ValueError, r"vertices: wanted shape \(N, 3\), got \(3, 2\)"),
    ("visibility", "vertices", VERTICES * 1j, TypeError, "vertices: wanted numbers, got complex64"),
    ("visibility", "triangles", [[0, 1, 3]], ValueError, r"triangles: wanted indices of 3 vertices, got 0\.\.3"),
    ("visibility", "height", 0, ValueError, r"height: wanted 1\.\.65536, got 0"),
    ("visibility", "width", 2.5, TypeError, "width: wanted a whole number of pixels, got 2.5"),
    ("visibility", "w", [1, 2], ValueError, r"w: wanted shape \(3,\), got \(2,\)"),
    ("unwrap", "picture", BG.astype(float), TypeError, "picture: wanted uint8 or float32, got float64"),
    ("unwrap", "picture", BG[:0], ValueError, "picture: wanted 1\\.\\.65536 rows"),
    ("unwrap", "uv", UV[:2], ValueError, r"uv: wanted shape \(3, 2\), got \(2, 2\)"),
    ("unwrap", "uv_triangles", [[0, 1, 3]], ValueError, r"uv_triangles: wanted indices of 3 vertices, got 0\.\.3"),
    ("unwrap", "uv_triangles", [[0, 1, 2]] * 2, ValueError, r"uv_triangles: wanted shape \(1, 3\), got \(2, 3\)"),
    ("unwrap", "width", True, TypeError, "width: wanted a whole number of pixels, got True"),
    ("unwrap", "w", "abc", TypeError, "w: wanted numbers, got <U3"),
    ("normals", "normals", NORMALS.astype(int), TypeError, "normals: wanted floating-point numbers, got int64"),
    ("normals", "normals", NORMALS[:, :2], ValueError, r"normals: wanted shape \(N, 3\), got \(3, 2\)"),
    ("normals", "buffers", tuple(BUFFERS), TypeError, "buffers: wanted RasterBuffers, got a tuple"),
    ("depth", "buffers", BUFFERS.depth, TypeError, "buffers: wanted RasterBuffers, got a ndarray"),
    ("depth", "buffers", BUFFERS._replace(depth=NORMALS[0]), ValueError, r"buffers\.depth: wanted shape \(H, W\)"),
    ("coordinates", "vertices", VERTICES[0], ValueError, r"vertices: wanted shape \(N, 3\), got \(3,\)"),
    ("coordinates", "vertices", VERTICES * np.nan, ValueError, "vertices: wanted finite numbers, got NaN"),
    ("wireframe", "bg", BG.astype(float), TypeError, "bg: wanted uint8 or float32, got float64"),
    ("wireframe", "color", [1.0, 0], ValueError, r"color: wanted shape \(3,\), got \(2,\)"),
    ("wireframe", "color", [255, 0, 0], TypeError, "color: wanted floating-point numbers, got int64"),
    ("wireframe", "line_width", 0, ValueError, "line_width: wanted more than 0, up to 16, got 0"),
    ("wireframe", "line_width", np.nan, ValueError, "line_width: wanted more than 0, up to 16, got nan"),
    ("wireframe", "line_width", "1", TypeError, "line_width: wanted numbers, got <U1"),
    ("wireframe", "alpha", 1.5, ValueError, r"alpha: wanted 0\.\.1, got 1\.5"),
    ("wireframe", "alpha", [1, 1, 1], ValueError, r"alpha: wanted shape \(\), got \(3,\)"),
    ("wireframe", "threads", 0, ValueError, r"threads: wanted 1\.\.1024, got 0"),
    ("wireframe", "out", BG[:5].copy(), ValueError, r"out: wanted shape \(20, 20, 3\), got \(5, 20, 3\)"),
]


@pytest.mark.parametrize(("name", "argument", "value", "error", "message"), WRONG)
def test_wrong_arguments_are_named(name, argument, value, error, message):
    call, arguments = CALLS[name]
    with pytest.raises(error, match=message):
        call(**{**arguments, argument: value})


@pytest.mark.parametrize(("call", "arguments"), CALLS.values(), ids=CALLS)
def test_arguments_are_read_and_not_changed(call, arguments):
    given = {}
    for name, value in arguments.items():
        if isinstance(value, RasterBuffers):
            given[name] = RasterBuffers(*(array.copy() for array in value))
        else:
            given[name] = np.array(value) if isinstance(value, np.ndarray | list) else value
        for array in given[name] if isinstance(value, RasterBuffers) else [given[name]]:
            if isinstance(array, np.ndarray):
                array.setflags(write=False)
    np.testing.assert_equal(call(**given), call(**arguments))
