"""rasterize, interpolate and render_texture, against values worked out by hand."""

import numpy as np
import pytest

from Sim3DR import RasterBuffers, interpolate, rasterize, rasterize_buffers, render_texture

# One triangle whose weights at (x, y) are (4 - x - y, x, y) / 4: exact in float32.
VERTICES = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0]], np.float32)
TRIANGLE = np.array([[0, 1, 2]], np.int32)
COVERED = np.array([[y + x < 4 for x in range(5)] for y in range(5)])
# A square over the pixels 0..4 of both axes.
SQUARE = np.array([[-0.5, -0.5, 0], [4.5, -0.5, 0], [-0.5, 4.5, 0], [4.5, 4.5, 0]], np.float32)
SQUARE_TRIANGLES = np.array([[0, 1, 2], [2, 1, 3]], np.int32)
SQUARE_UV = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], np.float32)  # v runs up


class TestRasterize:
    def test_colours_between_the_corners(self):
        colors = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.5]])
        picture = rasterize(VERTICES, TRIANGLE, colors, height=5, width=5, channel=3)
        assert picture.dtype == np.uint8
        # Row 1, column 2: half of the second corner, a quarter of the third; 127.5, 63.75 and 31.875 rounded.
        np.testing.assert_array_equal(picture[1, 2], [128, 64, 32])
        np.testing.assert_array_equal(picture[0, 0], 0)
        assert not picture[~COVERED].any()

    def test_drawn_over_a_copy_of_the_background(self):
        bg = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        kept = bg.copy()
        picture = rasterize(VERTICES, TRIANGLE, np.ones((3, 3)), bg)
        np.testing.assert_array_equal(bg, kept)
        np.testing.assert_array_equal(picture[~COVERED], bg[~COVERED])
        assert (picture[COVERED] == 255).all()

    @pytest.mark.parametrize(
        ("color", "expected"),
        [(-1e30, 0), (-0.1, 0), (0.5, 128), (1.0, 255), (1.004, 255), (2.0, 255), (1e38, 255), (np.nan, 0)],
    )
    def test_clipped_and_never_wrapped(self, color, expected):
        picture = rasterize(VERTICES, TRIANGLE, np.full((3, 1), color), height=5, width=5, channel=1)
        assert (picture[COVERED] == expected).all()

    @pytest.mark.parametrize("color", [np.nan, np.inf, -np.inf])
    def test_one_colour_that_is_not_finite(self, color):
        picture = rasterize(VERTICES, TRIANGLE, [[0.5], [color], [0.5]], height=5, width=5, channel=1)
        assert set(picture[COVERED].ravel()) <= {0, 128, 255}
        assert picture[1, 1, 0] == (255 if color == np.inf else 0)

    def test_every_level_comes_back_exactly(self):
        levels = np.arange(256)
        colors = np.tile((levels / 255).astype(np.float32), (3, 1))
        skewed = VERTICES + np.array([[-0.3, -0.2, 0], [0.4, -0.1, 0], [-0.2, 0.3, 0]])
        picture = rasterize(skewed, TRIANGLE, colors, height=5, width=5, channel=256)
        np.testing.assert_array_equal(picture[COVERED], np.tile(levels, (COVERED.sum(), 1)))

    def test_reverse_mirrors_the_drawing_but_not_the_background(self):
        bg = np.random.default_rng(1).integers(0, 256, (5, 5, 1), dtype=np.uint8)
        colors = np.array([[0.0], [0.4], [0.8]])
        upright = rasterize(VERTICES, TRIANGLE, colors, bg)
        mirrored = rasterize(VERTICES, TRIANGLE, colors, bg, reverse=True)
        np.testing.assert_array_equal(mirrored, np.where(COVERED[::-1, :, None], upright[::-1], bg))

    def test_the_nearer_triangle_hides_the_other(self):
        vertices = np.vstack([VERTICES, np.add(VERTICES, (0, 0, 1))])
        colors = np.repeat([[0.2], [0.6]], 3, axis=0)
        picture = rasterize(vertices, [[3, 4, 5], [0, 1, 2]], colors, height=5, width=5, channel=1)
        assert (picture[COVERED] == 153).all()

    def test_perspective(self):
        picture = rasterize(VERTICES, TRIANGLE, [[1.0], [0.0], [0.0]], height=5, width=5, channel=1, w=[1, 3, 1])
        # Row 0, column 2: half and half in the picture, 1/2 : 1/6 in space.
        assert picture[0, 2, 0] == 191

    def test_height_and_width_may_repeat_those_of_the_background(self):
        bg = np.zeros((5, 6, 1), np.uint8)
        assert rasterize(VERTICES, TRIANGLE, np.ones((3, 1)), bg, 5, 6, 1).shape == (5, 6, 1)


class TestInterpolate:
    def test_values_and_empty_pixels(self):
        buffers = rasterize_buffers(VERTICES, TRIANGLE, 5, 5)
        values = interpolate(buffers, TRIANGLE, [[8.0, -1], [4, -1], [0, -1]])
        assert values.dtype == np.float32
        y, x = np.mgrid[:5, :5]
        # Exact: quarters times small whole numbers.
        np.testing.assert_array_equal(values[..., 0], np.where(COVERED, 2 * (4 - x - y) + x, 0))
        np.testing.assert_array_equal(values[..., 1], np.where(COVERED, -1, 0))

    def test_gives_back_the_pixel_itself(self):
        rng = np.random.default_rng(2)
        vertices = rng.uniform(-10, 60, (60, 3))
        triangles = np.arange(60).reshape(-1, 3)
        buffers = rasterize_buffers(vertices, triangles, 40, 50)
        values = interpolate(buffers, triangles, vertices)
        drawn = buffers.triangle >= 0
        assert drawn.sum() > 1000
        # Weights rounded to float32 (6e-8 each) times coordinates of up to 60.
        np.testing.assert_allclose(values[drawn, :2], np.argwhere(drawn)[:, ::-1], rtol=0, atol=2e-5)
        np.testing.assert_allclose(values[drawn, 2], buffers.depth[drawn], rtol=0, atol=2e-5)

    def test_triangles_may_index_other_rows_than_the_vertices(self):
        buffers = rasterize_buffers(SQUARE, SQUARE_TRIANGLES, 5, 5)
        values = interpolate(buffers, [[0, 0, 0], [1, 1, 1]], [[10.1], [20.2]])
        # The value of three equal corners comes back as it is.
        np.testing.assert_array_equal(values[..., 0], np.where(buffers.triangle == 0, 10.1, 20.2).astype(np.float32))

    def test_any_list_of_pixels_will_do(self):
        buffers = rasterize_buffers(VERTICES, TRIANGLE, 5, 5)
        chosen = np.resize(np.argwhere(buffers.triangle == 0), (100_000, 2)).T
        pixels = RasterBuffers(*(array[tuple(chosen)][None] for array in buffers))
        values = interpolate(pixels, TRIANGLE, [[8.0], [4], [0]])
        whole = interpolate(buffers, TRIANGLE, [[8.0], [4], [0]])
        np.testing.assert_array_equal(values[0], whole[tuple(chosen)])

    def test_writes_into_out(self):
        buffers = rasterize_buffers(VERTICES, TRIANGLE, 5, 5)
        out = np.full((5, 5, 2), np.nan, np.float32)
        attributes = np.array([[8.0, -1], [4, -1], [0, -1]])
        assert interpolate(buffers, TRIANGLE, attributes, out=out) is out
        np.testing.assert_array_equal(out, interpolate(buffers, TRIANGLE, attributes))


class TestRenderTexture:
    @staticmethod
    def draw(texture, uv=SQUARE_UV, **options):
        bg = np.zeros((5, 5, np.shape(texture)[2]), np.uint8)
        return render_texture(SQUARE, SQUARE_TRIANGLES, texture, uv, bg, **options)

    def test_texels_on_pixels_come_back_exactly(self):
        # Five by five texels over five by five pixels: texel centres on pixel centres, the top row at v = 1.
        texture = np.random.default_rng(3).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        np.testing.assert_array_equal(self.draw(texture), texture)
        np.testing.assert_array_equal(self.draw(texture / 255), texture)

    def test_bilinear_between_texels_and_constant_beyond_them(self):
        # Two texels over five pixels: texel centres at u = 1/4, 3/4; pixel centres at u = 0.1, 0.3, 0.5, 0.7, 0.9.
        across = self.draw(np.array([[[0.0], [250 / 255]]]))
        np.testing.assert_array_equal(across[..., 0], np.tile([0, 25, 125, 225, 250], (5, 1)))
        down = self.draw(np.array([[[0]], [[200]]], np.uint8))
        np.testing.assert_array_equal(down[..., 0], np.tile([[0], [20], [100], [180], [200]], (1, 5)))

    def test_coordinates_beyond_the_texture_take_its_border(self):
        texture = np.array([[[10], [20]], [[30], [40]]], np.uint8)
        for uv, expected in (((7, 7), 20), ((-7, 7), 10), ((-7, -7), 30), ((1e30, -1e30), 40), ((0, 0), 30)):
            assert (self.draw(texture, np.tile(uv, (4, 1))) == expected).all()

    def test_coordinates_that_are_not_numbers_stay_inside_the_texture(self):
        for value in (np.nan, np.inf, -np.inf):
            assert (self.draw(np.full((3, 3, 1), 9, np.uint8), np.full((4, 2), value)) == 9).all()

    def test_floats_are_clipped(self):
        assert (self.draw(np.full((1, 1, 1), 1.5)) == 255).all()
        assert (self.draw(np.full((1, 1, 1), -0.5)) == 0).all()

    def test_perspective(self):
        texture = np.linspace(0, 1, 256).reshape(1, 256, 1)
        vertices, uv = VERTICES - [0, 0.5, 0], [[0, 0], [1, 0], [0, 0]]
        bg = np.zeros((5, 5, 1), np.uint8)
        flat = render_texture(vertices, TRIANGLE, texture, uv, bg)
        deep = render_texture(vertices, TRIANGLE, texture, uv, bg, w=[1, 3, 1])
        # Row 0, column 2: u = 1/2 in the picture; (1/2 / 3) / (1/2 / 3 + 1/2) = 1/4 in space; times 256, less half.
        assert flat[0, 2, 0] == 128  # 127.5
        assert deep[0, 2, 0] == 64  # 63.5

    def test_a_seam_with_its_own_triangles(self):
        texture = np.array([[[10], [20], [30], [40]]], np.uint8)
        uv = np.array([[0.125, 0.5], [0.875, 0.5]])
        picture = self.draw(texture, uv, uv_triangles=[[0, 0, 0], [1, 1, 1]])
        index = rasterize_buffers(SQUARE, SQUARE_TRIANGLES, 5, 5).triangle
        np.testing.assert_array_equal(picture[..., 0], np.where(index == 0, 10, 40))

    def test_drawn_over_a_copy_of_the_background(self):
        bg = np.full((5, 5, 1), 7, np.uint8)
        picture = render_texture(VERTICES, TRIANGLE, np.full((2, 2, 1), 9, np.uint8), SQUARE_UV[:3], bg)
        np.testing.assert_array_equal(picture[..., 0], np.where(COVERED, 9, 7))
        assert (bg == 7).all()
