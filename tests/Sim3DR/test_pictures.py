"""Kinds of picture and ways to draw on them: alpha, samples, out; bytes and floats, one to four channels."""

import numpy as np
import pytest

from Sim3DR import RenderPipeline, rasterize, render_texture

# One triangle whose weights at (x, y) are (4 - x - y, x, y) / 4: exact in float32.
VERTICES = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0]], np.float32)
TRIANGLE = np.array([[0, 1, 2]], np.int32)
COVERED = np.array([[y + x < 4 for x in range(5)] for y in range(5)])
WHITE = np.ones((3, 3), np.float32)
TEXTURE = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
UV = np.float32([[0, 0], [1, 0.2], [0.3, 1]])


def background(dtype=np.uint8, channels=3):
    rng = np.random.default_rng(1)
    if dtype == np.uint8:
        return rng.integers(0, 256, (5, 5, channels), dtype=np.uint8)
    return rng.uniform(-1, 2, (5, 5, channels)).astype(np.float32)


def rectangle(left, top, right, bottom, z=0.0):
    """Vertices and triangles."""
    corners = [[left, top, z], [right, top, z], [left, bottom, z], [right, bottom, z]]
    return np.array(corners, np.float32), np.array([[0, 1, 2], [2, 1, 3]], np.int32)


# Every drawing function on a picture of three channels, with the same options.
DRAWINGS = {
    "rasterize": lambda bg, **options: rasterize(VERTICES, TRIANGLE, WHITE * [0.2, 0.5, 0.9], bg, **options),
    "render_texture": lambda bg, **options: render_texture(VERTICES, TRIANGLE, TEXTURE, UV, bg, **options),
    "RenderPipeline": lambda bg, **options: RenderPipeline()(VERTICES, TRIANGLE, bg, WHITE * 0.7, **options),
}
every_drawing = pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS)


class TestAlpha:
    @pytest.mark.parametrize(
        ("alpha", "was", "color", "expected"),
        [(0.25, 100, 0.8, 126), (0.5, 100, 1.0, 178), (0.5, 255, 0.0, 128), (0.75, 0, 0.4, 77), (0.1, 200, 1.0, 206)],
    )
    def test_by_hand(self, alpha, was, color, expected):
        # (1 - alpha) * was + alpha * 255 * color: 126, 177.5, 127.5, 76.5, 205.5; halves go up.
        bg = np.full((5, 5, 1), was, np.uint8)
        picture = rasterize(VERTICES, TRIANGLE, np.full((3, 1), color), bg, alpha=alpha)[..., 0]
        np.testing.assert_array_equal(picture, np.where(COVERED, expected, was))

    def test_on_floats(self):
        bg = np.full((5, 5, 1), -3, np.float32)
        picture = rasterize(VERTICES, TRIANGLE, np.full((3, 1), 5.0), bg, alpha=0.25)[..., 0]
        np.testing.assert_array_equal(picture, np.where(COVERED, -1, -3))

    @pytest.mark.parametrize("order", [[0, 1], [1, 0]])
    def test_a_pixel_is_blended_once_with_what_is_in_front(self, order):
        vertices = np.vstack([VERTICES, np.add(VERTICES, (0, 0, 1))])
        colors = np.repeat([[0.2], [0.8]], 3, axis=0)
        bg = np.full((5, 5, 1), 100, np.uint8)
        picture = rasterize(vertices, np.array([[0, 1, 2], [3, 4, 5]])[order], colors, bg, alpha=0.5)[..., 0]
        # Half of 100 and half of 204: of what is behind, nothing.
        np.testing.assert_array_equal(picture, np.where(COVERED, 152, 100))

    def test_at_the_vertices(self):
        bg = np.full((5, 5, 1), 80, np.uint8)
        picture = rasterize(VERTICES, TRIANGLE, np.full((3, 1), 0.8), bg, alpha=[0.0, 1.0, 0.5])[..., 0]
        # Row 1, column 2: weights 1/4, 1/2, 1/4, so alpha is 5/8; 3/8 * 80 + 5/8 * 204 = 157.5.
        assert picture[1, 2] == 158
        assert picture[0, 0] == 80
        assert picture[0, 2] == 142  # 1/2
        np.testing.assert_array_equal(picture[~COVERED], 80)

    def test_at_the_vertices_is_perspective_correct(self):
        bg = np.zeros((5, 5, 1), np.float32)
        picture = rasterize(VERTICES, TRIANGLE, np.ones((3, 1)), bg, alpha=[1, 0, 0], w=[1, 3, 1])
        # Row 0, column 2: half and half in the picture, 1/2 : 1/6 in space.
        assert picture[0, 2, 0] == 0.75

    @every_drawing
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_none_leaves_the_picture_and_one_is_opaque(self, draw, dtype):
        bg = background(dtype)
        np.testing.assert_array_equal(draw(bg, alpha=0.0), bg)
        np.testing.assert_array_equal(draw(bg, alpha=1), draw(bg))
        np.testing.assert_array_equal(draw(bg, alpha=np.ones(3)), draw(bg))
        assert (draw(bg)[COVERED] != bg[COVERED]).mean() > 0.5

    @every_drawing
    def test_a_share_of_what_was_drawn_without(self, draw):
        bg = background(np.float32)
        wanted = np.where(COVERED[..., None], 0.75 * bg + 0.25 * draw(bg), bg)
        # Numbers of up to 2 (and from there three float32 roundings of 1.2e-7 each).
        np.testing.assert_allclose(draw(bg, alpha=0.25), wanted, rtol=0, atol=4e-7)
        np.testing.assert_array_equal(draw(bg, alpha=np.full(3, 0.25)), draw(bg, alpha=0.25))

    @pytest.mark.parametrize(("color", "expected"), [(2.0, 178), (-1.0, 50), (np.nan, 50)])
    def test_colours_are_clipped_first(self, color, expected):
        picture = rasterize(VERTICES, TRIANGLE, np.full((3, 1), color), np.full((5, 5, 1), 100, np.uint8), alpha=0.5)
        # Half of 100 and half of 255 or 0.
        np.testing.assert_array_equal(picture[..., 0], np.where(COVERED, expected, 100))

    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    @pytest.mark.parametrize("color", [np.nan, np.inf, -np.inf])
    def test_where_nothing_of_the_mesh_shows_no_colour_matters(self, color, dtype):
        bg = background(dtype)
        np.testing.assert_array_equal(rasterize(VERTICES, TRIANGLE, WHITE * color, bg, alpha=0), bg)
        picture = rasterize(VERTICES, TRIANGLE, WHITE * color, bg, alpha=[0, 1, 1])
        np.testing.assert_array_equal(picture[0, 0], bg[0, 0])

    @every_drawing
    @pytest.mark.parametrize("alpha", [-0.1, 1.1, 1 + 1e-9, np.nan, np.inf, [0, 1, 1.5], [0, np.nan, 1]])
    def test_out_of_range(self, draw, alpha):
        with pytest.raises(ValueError, match=r"alpha: wanted 0\.\.1, got"):
            draw(background(), alpha=alpha)

    @every_drawing
    def test_of_the_wrong_kind(self, draw):
        with pytest.raises(ValueError, match=r"alpha: wanted shape \(3,\), got \(2,\)"):
            draw(background(), alpha=[0.1, 0.2])
        for alpha in ("1", None, True, [True, False, True]):
            with pytest.raises(TypeError, match="alpha: wanted numbers"):
                draw(background(), alpha=alpha)


class TestSamples:
    @staticmethod
    def fine_drawing(bg, count, **options):
        """The same by hand: `count` times as large, then the mean of each pixel's."""
        vertices = VERTICES * [count, count, 1] + np.array([(count - 1) / 2, (count - 1) / 2, 0])
        fine = np.kron(bg, np.ones((count, count, 1), bg.dtype))
        fine = rasterize(vertices, TRIANGLE, np.array([[0, 0.3, 1], [1, 0.2, 0], [0.1, 0.9, 0.5]]), fine, **options)
        mean = fine.astype(np.float64).reshape(5, count, 5, count, 3).mean(axis=(1, 3))
        return np.floor(mean + 0.5).astype(np.uint8) if bg.dtype == np.uint8 else mean.astype(np.float32)

    @pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    @pytest.mark.parametrize("options", [{}, {"reverse": True}, {"alpha": 0.4}, {"w": [-1, 2, 3]}])
    def test_is_the_mean_of_a_larger_picture(self, count, dtype, options):
        bg = background(dtype)
        colors = np.array([[0, 0.3, 1], [1, 0.2, 0], [0.1, 0.9, 0.5]])
        picture = rasterize(VERTICES, TRIANGLE, colors, bg, samples=count, **options)
        wanted = self.fine_drawing(bg, count, **options)
        assert (wanted != bg).any()
        # The mean of up to 64 floats of up to 2 may be summed in another order: one float32 rounding.
        np.testing.assert_allclose(picture, wanted, rtol=0, atol=0 if dtype == np.uint8 else 2.4e-7)

    @pytest.mark.parametrize("count", [2, 4, 8])
    @pytest.mark.parametrize("step", range(9))
    def test_an_edge_gives_the_share_of_the_pixel_that_it_covers(self, count, step):
        # The left edge crosses column 2, which covers 1.5 to 2.5, at multiples of 1/count.
        share = min(step, count) / count
        for axis in (0, 1):
            vertices, triangles = rectangle(2.5 - share, -9, 20, 20)
            if axis == 1:
                vertices = vertices[:, [1, 0, 2]]
            picture = rasterize(vertices, triangles, np.ones(4), np.zeros((5, 5), np.float32), samples=count)
            wanted = np.tile([0, 0, share, 1, 1], (5, 1))
            np.testing.assert_array_equal(picture, wanted if axis == 0 else wanted.T)

    @every_drawing
    @pytest.mark.parametrize("count", [2, 3, 7])
    def test_pixels_beside_the_mesh_stay_exactly(self, draw, count):
        for bg in (background(np.uint8), background(np.float32)):
            # Samples lie nearer than half a pixel to the centre; the slanted edge is a whole pixel off on either axis.
            beside = np.add.outer(np.arange(5), np.arange(5)) > 4
            picture = draw(bg, samples=count)
            assert beside.sum() == 10
            np.testing.assert_array_equal(picture[beside], bg[beside])
            assert (picture[COVERED] != bg[COVERED]).any()

    def test_floats_that_are_not_finite_stay(self):
        bg = np.full((5, 5, 1), np.nan, np.float32)
        bg[4, 4], bg[4, 3] = np.inf, -np.inf
        picture = rasterize(VERTICES, TRIANGLE, np.ones((3, 1)), bg, samples=3)
        np.testing.assert_array_equal(picture[3:, 3:], bg[3:, 3:])
        assert picture[1, 1] == 1

    @every_drawing
    @pytest.mark.parametrize("samples", [0, -1, 9, 1 << 20])
    def test_out_of_range(self, draw, samples):
        with pytest.raises(ValueError, match=r"samples: wanted 1\.\.8, got"):
            draw(background(), samples=samples)

    @every_drawing
    @pytest.mark.parametrize("samples", [2.0, "2", None, True])
    def test_of_the_wrong_kind(self, draw, samples):
        with pytest.raises(TypeError, match="samples: wanted a whole number"):
            draw(background(), samples=samples)

    def test_a_corner_that_is_too_far_away_when_enlarged(self):
        # 3e38 is a float32, twice as much is none. Neither a warning nor a pixel beside the triangle.
        vertices = np.float32([[0, 0, 0], [3e38, 0, 0], [0, 4, 0]])
        picture = rasterize(vertices, TRIANGLE, np.ones((3, 1)), np.zeros((5, 5, 1), np.uint8), samples=2)
        assert not picture[4:].any()


class TestOut:
    @every_drawing
    @pytest.mark.parametrize("options", [{}, {"samples": 2}, {"alpha": 0.3}])
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_is_drawn_into_and_returned(self, draw, options, dtype):
        bg = background(dtype)
        kept, wanted = bg.copy(), draw(bg, **options)
        out = np.full_like(bg, 77)
        assert draw(bg, out=out, **options) is out
        np.testing.assert_array_equal(out, wanted)
        np.testing.assert_array_equal(bg, kept)

    @every_drawing
    @pytest.mark.parametrize("options", [{}, {"samples": 2}, {"alpha": 0.3}])
    def test_may_be_the_background(self, draw, options):
        bg = background()
        wanted = draw(bg, **options)
        assert draw(bg, out=bg, **options) is bg
        np.testing.assert_array_equal(bg, wanted)

    def test_without_a_background_is_black_first(self):
        out = np.full((5, 5, 3), 77, np.uint8)
        rasterize(VERTICES, TRIANGLE, WHITE, height=5, width=5, channel=3, out=out)
        np.testing.assert_array_equal(out, np.where(COVERED[..., None], [255, 255, 255], 0))

    def test_grey_and_upside_down(self):
        out = np.full((5, 5), 77, np.uint8)
        assert rasterize(VERTICES, TRIANGLE, np.ones(3), np.zeros((5, 5), np.uint8), reverse=True, out=out) is out
        np.testing.assert_array_equal(out, np.where(COVERED[::-1], 255, 0))

    @every_drawing
    @pytest.mark.parametrize(
        ("out", "error", "message"),
        [
            (np.zeros((5, 5, 3)), TypeError, "out: wanted uint8, got float64"),
            (np.zeros((5, 5, 3), np.float32), TypeError, "out: wanted uint8, got float32"),
            (np.zeros((5, 4, 3), np.uint8), ValueError, r"out: wanted shape \(5, 5, 3\), got \(5, 4, 3\)"),
            (np.zeros((5, 5), np.uint8), ValueError, r"out: wanted shape \(5, 5, 3\), got \(5, 5\)"),
            (np.zeros((3, 5, 5), np.uint8).T, ValueError, "out: wanted an aligned array in C order"),
            (np.zeros((5, 5, 4), np.uint8)[..., :3], ValueError, "out: wanted an aligned array in C order"),
            ([[[0] * 3] * 5] * 5, TypeError, "out: wanted a numpy array, got a list"),
        ],
    )
    def test_of_the_wrong_kind(self, draw, out, error, message):
        with pytest.raises(error, match=message):
            draw(background(), out=out)

    @every_drawing
    def test_read_only(self, draw):
        bg, out = background(), np.zeros((5, 5, 3), np.uint8)
        for array in (bg, out):
            array.setflags(write=False)
            with pytest.raises(ValueError, match="out: wanted a writable array, got a read-only one"):
                draw(bg, out=array)

    @every_drawing
    def test_that_overlaps_the_background(self, draw):
        memory = np.zeros((6, 5, 3), np.uint8)
        for bg, out in ((memory[:5], memory[1:]), (memory[4::-1], memory[:5])):
            with pytest.raises(ValueError, match="out: wanted memory of its own, got an array that overlaps bg"):
                draw(bg, out=out)

    @pytest.mark.parametrize("name", ["vertices", "triangles", "w", "colors", "alpha"])
    def test_that_overlaps_another_argument(self, name):
        memory = np.zeros((5, 5, 3), np.float32)
        arguments = {"vertices": VERTICES, "triangles": TRIANGLE, "colors": WHITE, "w": WHITE[0], "alpha": WHITE[0]}
        values = arguments[name]
        view = memory.reshape(-1)[: values.size].view(values.dtype).reshape(values.shape)
        view[...] = values
        kept = memory.copy()
        with pytest.raises(ValueError, match=f"out: wanted memory of its own, got an array that overlaps {name}"):
            rasterize(**{**arguments, name: view}, bg=np.zeros((5, 5, 3), np.float32), out=memory)
        np.testing.assert_array_equal(memory, kept)

    @pytest.mark.parametrize("name", ["texture", "uv", "uv_triangles", "alpha"])
    def test_that_overlaps_an_argument_of_the_texture(self, name):
        memory = np.zeros((5, 5, 3), np.float32)
        arguments = {"texture": np.ones((2, 2, 3), np.float32), "uv": UV, "uv_triangles": TRIANGLE, "alpha": WHITE[0]}
        values = arguments[name]
        view = memory.reshape(-1)[: values.size].view(values.dtype).reshape(values.shape)
        view[...] = values
        with pytest.raises(ValueError, match=f"out: wanted memory of its own, got an array that overlaps {name}"):
            render_texture(
                VERTICES, TRIANGLE, bg=np.zeros((5, 5, 3), np.float32), out=memory, **{**arguments, name: view}
            )

    def test_stays_as_it_is_if_another_argument_is_refused(self):
        out = np.full((5, 5, 3), 77, np.uint8)
        with pytest.raises(ValueError, match="colors: wanted shape"):
            rasterize(VERTICES, TRIANGLE, WHITE[:, :2], background(), out=out)
        with pytest.raises(ValueError, match="uv: wanted shape"):
            render_texture(VERTICES, TRIANGLE, TEXTURE, UV[:2], background(), out=out)
        with pytest.raises(ValueError, match="texture: wanted shape"):
            RenderPipeline()(VERTICES, TRIANGLE, background(), WHITE[:2], out=out)
        assert (out == 77).all()

    @every_drawing
    def test_may_be_a_background_of_a_subclass(self, draw):
        class Named(np.ndarray):
            pass

        bg = background().view(Named)
        wanted = draw(background())
        assert draw(bg, out=bg) is bg
        np.testing.assert_array_equal(bg, wanted)


class TestChannels:
    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_grey_with_and_without_an_axis(self, dtype):
        bg, colors = background(dtype, 1), np.array([0.1, 0.5, 0.9])
        deep = rasterize(VERTICES, TRIANGLE, colors[:, None], bg)
        for flat in (
            rasterize(VERTICES, TRIANGLE, colors, bg[..., 0]),
            rasterize(VERTICES, TRIANGLE, colors[:, None], bg[..., 0]),
            rasterize(VERTICES, TRIANGLE, colors, bg)[..., 0],
        ):
            assert flat.shape == (5, 5)
            assert flat.dtype == dtype
            np.testing.assert_array_equal(flat, deep[..., 0])

    def test_grey_textures(self):
        bg = background(np.uint8, 1)
        deep = render_texture(VERTICES, TRIANGLE, TEXTURE[..., :1], UV, bg)
        for texture in (TEXTURE[..., 0], TEXTURE[..., :1]):
            np.testing.assert_array_equal(render_texture(VERTICES, TRIANGLE, texture, UV, bg[..., 0]), deep[..., 0])
        np.testing.assert_array_equal(render_texture(VERTICES, TRIANGLE, TEXTURE[..., 0], UV, bg), deep)

    def test_one_number_is_no_colour_of_three_channels(self):
        with pytest.raises(ValueError, match=r"colors: wanted shape \(3, 3\), got \(3,\)"):
            rasterize(VERTICES, TRIANGLE, np.ones(3), background())
        with pytest.raises(ValueError, match=r"texture: wanted shape"):
            render_texture(VERTICES, TRIANGLE, TEXTURE[..., 0], UV, background())

    @pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.float32, 1)])
    def test_three_colours_on_four_channels_are_opaque(self, dtype, full):
        bg = background(dtype, 4)
        colors = np.random.default_rng(2).uniform(0, 1, (3, 4)).astype(np.float32)
        picture = rasterize(VERTICES, TRIANGLE, colors[:, :3], bg)
        np.testing.assert_array_equal(picture[COVERED][:, 3], full)
        np.testing.assert_array_equal(picture[~COVERED], bg[~COVERED])
        np.testing.assert_array_equal(picture[..., :3], rasterize(VERTICES, TRIANGLE, colors, bg)[..., :3])

    def test_four_colours_bring_their_own_fourth(self):
        picture = rasterize(VERTICES, TRIANGLE, np.tile([1, 0, 0, 0.4], (3, 1)), background(np.uint8, 4))
        np.testing.assert_array_equal(picture[COVERED], np.tile([255, 0, 0, 102], (COVERED.sum(), 1)))

    def test_the_fourth_channel_is_blended_like_the_others(self):
        bg = np.zeros((5, 5, 4), np.uint8)
        bg[..., 3] = 100
        picture = rasterize(VERTICES, TRIANGLE, WHITE, bg, alpha=0.2)
        # 0.2 * 255 over 0 and over 100.
        np.testing.assert_array_equal(picture[COVERED], np.tile([51, 51, 51, 131], (COVERED.sum(), 1)))

    def test_a_texture_of_three_channels_does_not_fit_four(self):
        with pytest.raises(ValueError, match=r"texture: wanted shape \(H, W, 4\), got \(4, 6, 3\)"):
            render_texture(VERTICES, TRIANGLE, TEXTURE, UV, background(np.uint8, 4))

    @pytest.mark.parametrize("channels", [1, 2, 4])
    def test_light_needs_three(self, channels):
        with pytest.raises(ValueError, match=r"bg: wanted shape \(H, W, 3\)"):
            RenderPipeline()(VERTICES, TRIANGLE, background(np.uint8, channels))

    @pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 9])
    def test_any_number_of_channels(self, channels):
        colors = np.random.default_rng(3).uniform(0, 1, (3, channels)).astype(np.float32)
        together = rasterize(VERTICES, TRIANGLE, colors, background(np.uint8, channels))
        for channel in range(channels):
            alone = rasterize(VERTICES, TRIANGLE, colors[:, channel], background(np.uint8, channels)[..., channel])
            np.testing.assert_array_equal(together[..., channel], alone)


class TestFloats:
    def test_are_neither_clipped_nor_rounded(self):
        bg = np.full((5, 5, 1), 0.3, np.float32)
        picture = rasterize(VERTICES, TRIANGLE, [[-8.0], [1e6], [0.5]], bg)[..., 0]
        y, x = np.mgrid[:5, :5]
        wanted = (-8.0 * (4 - x - y) + 1e6 * x + 0.5 * y) / 4  # exact
        np.testing.assert_array_equal(picture, np.where(COVERED, wanted, np.float32(0.3)))

    @pytest.mark.parametrize("color", [np.nan, np.inf, -np.inf])
    def test_that_are_not_finite_come_out_as_they_are(self, color):
        picture = rasterize(VERTICES, TRIANGLE, np.full(3, 1.0) * color, np.zeros((5, 5), np.float32))
        assert np.isnan(picture[COVERED]).all()  # infinity less itself is none
        np.testing.assert_array_equal(picture[~COVERED], 0)

    def test_a_texture_of_bytes_comes_out_in_0_to_1(self):
        vertices, triangles = rectangle(-0.5, -0.5, 5.5, 3.5)
        uv = np.float32([[0, 1], [1, 1], [0, 0], [1, 0]])
        picture = render_texture(vertices, triangles, TEXTURE, uv, np.zeros((4, 6, 3), np.float32))
        # Weights are rounded to float32, 6e-8 each: six texels' steps of up to 1, and one rounding.
        np.testing.assert_allclose(picture, TEXTURE / 255, rtol=0, atol=2e-6)
        floats = render_texture(vertices, triangles, TEXTURE / 255, uv, np.zeros((4, 6, 3), np.float32))
        np.testing.assert_allclose(floats, picture, rtol=0, atol=1.2e-7)

    def test_light(self):
        bg = background(np.float32)
        floats = RenderPipeline()(VERTICES, TRIANGLE, bg, WHITE * 0.7)
        picture = RenderPipeline()(VERTICES, TRIANGLE, np.zeros((5, 5, 3), np.uint8), WHITE * 0.7)
        assert floats.dtype == np.float32
        np.testing.assert_array_equal(floats[~COVERED], bg[~COVERED])
        # Half a level, and the float32's own rounding.
        np.testing.assert_allclose(255 * floats[COVERED], picture[COVERED], rtol=0, atol=0.5 + 2e-5)

    @pytest.mark.parametrize("dtype", [">f4", np.float16, np.float64, np.int32, bool])
    def test_other_numbers_are_refused(self, dtype):
        for draw in DRAWINGS.values():
            with pytest.raises(TypeError, match="bg: wanted uint8 or float32, got"):
                draw(np.zeros((5, 5, 3), dtype))

    @pytest.mark.parametrize("shape", [(5,), (5, 5, 3, 1), (0, 5, 3), (5, 0, 3), (5, 5, 0)])
    def test_other_shapes_are_refused(self, shape):
        for draw in DRAWINGS.values():
            with pytest.raises(ValueError, match="bg: wanted"):
                draw(np.zeros(shape, np.float32))
