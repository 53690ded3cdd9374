"""get_normal and RenderPipeline, against shapes and shading worked out by hand."""

import numpy as np
import pytest

from Sim3DR import RenderPipeline, get_normal

BLACK = np.zeros((5, 5, 3), np.uint8)
# A square over the pixels 0..4, turned towards the viewer: (b - a) x (c - a) is along +z.
SQUARE = np.array([[-1, -1, 3], [5, -1, 3], [-1, 5, 3], [5, 5, 3]], np.float32)
TRIANGLES = np.array([[0, 1, 2], [2, 1, 3]], np.int32)


def sphere(rows=40, columns=80):
    """Unit sphere (N, 3) and its triangles (F, 3), wound so that normals point outwards."""
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns, endpoint=False), indexing="ij"
    )
    vertices = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1)
    index = np.arange(rows * columns).reshape(rows, columns)
    here, beside = index[:-1], np.roll(index, -1, axis=1)[:-1]
    below, across = index[1:], np.roll(index, -1, axis=1)[1:]
    triangles = [np.stack([here, below, beside], -1), np.stack([below, across, beside], -1)]
    return vertices.reshape(-1, 3), np.concatenate(triangles).reshape(-1, 3)


class TestGetNormal:
    def test_a_sphere_has_normals_along_its_radii(self):
        vertices, triangles = sphere()
        normals = get_normal(vertices, triangles)
        assert normals.dtype == np.float32
        inner = np.abs(vertices[:, 2]) < 0.95  # round the poles the facets are long slivers
        # Facets of 4.6 degrees: a normal's error is of the order of the angle squared, 0.006.
        np.testing.assert_allclose(normals[inner], vertices[inner], rtol=0, atol=6e-3)
        # Float32 rounding of three components.
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, rtol=0, atol=2e-7)

    def test_larger_triangles_weigh_more(self):
        # Vertex 0 in a triangle of area 1/2 along +z and one of area 2 along +x.
        vertices = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 2, 0], [0, 0, 2]]
        normals = get_normal(vertices, [[0, 1, 2], [0, 3, 4]])
        np.testing.assert_allclose(normals[0], np.array([4, 0, 1]) / np.sqrt(17), rtol=1e-7)  # float32 rounding
        np.testing.assert_array_equal(normals[1:], [[0, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 0]])

    def test_winding_turns_the_normal(self):
        np.testing.assert_array_equal(get_normal(SQUARE, TRIANGLES), [[0, 0, 1]] * 4)
        np.testing.assert_array_equal(get_normal(SQUARE, TRIANGLES[:, ::-1]), [[0, 0, -1]] * 4)

    def test_zero_without_a_triangle_or_without_area(self):
        vertices = [[0, 0, 0], [1, 0, 0], [2, 0, 0], [9, 9, 9]]
        np.testing.assert_array_equal(get_normal(vertices, [[0, 1, 2]]), 0)
        np.testing.assert_array_equal(get_normal(vertices, np.zeros((0, 3), int)), 0)

    def test_opposite_triangles_cancel_to_zero(self):
        np.testing.assert_array_equal(get_normal(SQUARE, [[0, 1, 2], [0, 2, 1]]), 0)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_triangles_that_are_not_finite_add_nothing(self, value):
        vertices = SQUARE.copy()
        vertices[0, 2] = value
        np.testing.assert_array_equal(get_normal(vertices, TRIANGLES), [[0, 0, 0]] + [[0, 0, 1]] * 3)

    @pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e30, 5e37])
    def test_any_size(self, scale):
        np.testing.assert_array_equal(get_normal(SQUARE * np.float32(scale), TRIANGLES), [[0, 0, 1]] * 4)


class TestRenderPipeline:
    def test_defaults_are_those_of_3ddfa_v2(self):
        pipeline = RenderPipeline()
        shares = (pipeline.intensity_ambient, pipeline.intensity_directional, pipeline.intensity_specular)
        assert shares == (0.3, 0.6, 0.1)
        assert pipeline.specular_exp == 5
        for color in (pipeline.color_ambient, pipeline.color_directional):
            np.testing.assert_array_equal(color, 1)
        for position in (pipeline.light_pos, pipeline.view_pos):
            np.testing.assert_array_equal(position, [0, 0, 5])

    def test_a_flat_square(self):
        # Scaled to -1..1, the corners lie at (+-1, +-1, 0); light and viewer at (0, 0, 5); the normal is (0, 0, 1).
        # n.l = 5 / sqrt(27). r = 2 (n.l) n - l = (-l_x, -l_y, l_z) and e = l, so the products by axis are -1/27, -1/27
        # and 25/27; the sum of their fifth powers is the highlight.
        light = 0.3 + 0.6 * 5 / 27**0.5 + 0.1 * (25**5 - 2) / 27**5
        # All four corners have this light, so all pixels do; the rounding has no near half.
        np.testing.assert_array_equal(RenderPipeline()(SQUARE, TRIANGLES, BLACK), round(255 * light))

    def test_the_square_moved_and_scaled_is_lit_alike(self):
        picture = RenderPipeline()(SQUARE * [2, 2, 7] - [3, 3, 50], TRIANGLES, BLACK)
        np.testing.assert_array_equal(picture, RenderPipeline()(SQUARE, TRIANGLES, BLACK))

    def test_ambient_alone_takes_its_colour(self):
        pipeline = RenderPipeline(intensity_ambient=0.5, intensity_directional=0, color_ambient=(1, 0.5, 0))
        np.testing.assert_array_equal(pipeline(SQUARE, TRIANGLES, BLACK), np.broadcast_to([128, 64, 0], BLACK.shape))

    def test_a_side_turned_away_gets_no_diffuse_light(self):
        pipeline = RenderPipeline(intensity_ambient=0.2, intensity_specular=0)
        np.testing.assert_array_equal(pipeline(SQUARE, TRIANGLES[:, ::-1], BLACK), 51)

    def test_light_moves(self):
        pipeline = RenderPipeline(intensity_ambient=0, intensity_directional=1, intensity_specular=0)
        pipeline.update_light_pos((0, 0, -5))
        np.testing.assert_array_equal(pipeline(SQUARE, TRIANGLES, BLACK), 0)
        pipeline.update_light_pos([4, 0, 4])
        picture = pipeline(SQUARE, TRIANGLES, BLACK).astype(int)
        # It stands over x = 4: the right is lit more steeply than the left.
        assert (picture[:, 4] > picture[:, 0]).all()

    def test_light_is_clipped(self):
        pipeline = RenderPipeline(intensity_ambient=3.0)
        np.testing.assert_array_equal(pipeline(SQUARE, TRIANGLES, BLACK), 255)

    def test_texture_is_multiplied_by_the_light_and_kept(self):
        texture = np.full((4, 3), 0.5, np.float32)
        pipeline = RenderPipeline(intensity_ambient=0.6, intensity_directional=0)
        picture = pipeline(SQUARE, TRIANGLES, BLACK, texture)
        np.testing.assert_array_equal(picture, 77)  # 76.5
        assert (texture == 0.5).all()

    def test_draws_over_a_copy_of_the_background(self):
        bg = np.full((5, 9, 3), 9, np.uint8)
        picture = RenderPipeline()(SQUARE, TRIANGLES, bg)
        assert (bg == 9).all()
        assert (picture[:, 5:] == 9).all()
        assert (picture[:, :5] != 9).all()

    def test_a_vertex_that_is_not_finite_changes_only_its_own_triangles(self):
        vertices = np.vstack([SQUARE, [[np.nan, 0, 0]]])
        triangles = np.vstack([TRIANGLES, [[0, 1, 4]]])
        expected = RenderPipeline()(SQUARE, TRIANGLES, BLACK)
        np.testing.assert_array_equal(RenderPipeline()(vertices, triangles, BLACK), expected)
        nothing = RenderPipeline()(SQUARE * np.nan, TRIANGLES, BLACK)
        np.testing.assert_array_equal(nothing, 0)

    def test_behind_the_camera(self):
        assert not RenderPipeline()(SQUARE, TRIANGLES, BLACK, w=[1, 1, -1, 1]).any()

    def test_light_standing_on_a_vertex(self):
        # No direction to it, so no light from it there; and no NaN.
        pipeline = RenderPipeline(intensity_ambient=0.2, light_pos=(-1, -1, 0), view_pos=(-1, -1, 0))
        assert (pipeline(SQUARE, TRIANGLES, BLACK) >= 51).all()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"ambient": 1}, "unknown option ambient; wanted one of intensity_ambient"),
            ({"light_pos": (0, 0)}, r"light_pos: wanted shape \(3,\), got \(2,\)"),
            ({"color_ambient": (0, 0, np.nan)}, "color_ambient: wanted finite numbers"),
            ({"intensity_ambient": "bright"}, "intensity_ambient: wanted numbers"),
            ({"intensity_specular": np.inf}, "intensity_specular: wanted a finite number"),
            ({"specular_exp": 2.5}, "specular_exp: wanted a whole number, 1..65536, got 2.5"),
        ],
    )
    def test_wrong_options(self, options, message):
        with pytest.raises((TypeError, ValueError), match=message):
            RenderPipeline(**options)
