"""The PyTorch layer: values as the package's own, gradients against finite differences and against areas."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

import Sim3DR
from Sim3DR.torch import antialias, find_edges, interpolate, rasterize, sample_texture

HEIGHT, WIDTH = 20, 24
# Both sides reckon in float64 and round to float32 in 0..1 (half a step: 6e-8).
WEIGHT_TOLERANCE = 1e-7
# Two far apart and two overlapping triangles whose edges keep off the pixels' centres by more than 1e-3, so that no
# finite difference of gradcheck (1e-6) changes what a pixel shows.
SCENE = [[0.3, 0.4, 1], [5.7, 1.1, 3], [1.2, 6.3, 2], [2.6, 0.7, 4], [8.2, 2.9, 0], [3.4, 7.6, 1.5]]
SCENE_TRIANGLES = torch.tensor([[0, 1, 2], [5, 4, 3]])


def scene(seed=None):
    """(2, 6, 3) float64 vertices and (2, 6) w: two pictures, the second one a little off the first."""
    first = torch.tensor(SCENE, dtype=torch.float64)
    vertices = torch.stack([first, first + 0.037 * torch.arange(18).reshape(6, 3).remainder(7)])
    return vertices, 1 + torch.linspace(0, 2, 12, dtype=torch.float64).reshape(2, 6)


def triangle_soup(batch, dtype=torch.float32):
    """Random vertices (B, 60, 3) and w (B, 60), most triangles overlapping, some outside, some nearly without area."""
    random = np.random.default_rng(4)
    vertices = random.uniform(-6, 30, (batch, 60, 3)).astype(np.float32)
    vertices[:, 2:18:3] = (vertices[:, :16:3] + vertices[:, 1:17:3]) / 2 + 1e-3
    w = random.uniform(0.5, 5, (batch, 60)).astype(np.float32)
    return torch.from_numpy(vertices).to(dtype), torch.arange(60).reshape(-1, 3), torch.from_numpy(w).to(dtype)


def rectangle(left, top, right, bottom, depth=0.0):
    """(4, 3) float64 vertices; with RECTANGLE_TRIANGLES, two triangles."""
    corners = [[left, top, depth], [right, top, depth], [left, bottom, depth], [right, bottom, depth]]
    return torch.tensor(corners, dtype=torch.float64)


RECTANGLE_TRIANGLES = torch.tensor([[0, 2, 1], [1, 2, 3]])
# Columns 5 to 7 of four rows, with a surface that ends at x = 6.3: column 6 reaches from 5.5 to 6.5.
BORDER_AT_6_3 = torch.tensor([[1, 0.8, 0]], dtype=torch.float64).expand(4, 3)


def globe(rings, steps):
    """A unit sphere: (N, 3) float64 vertices with z towards the viewer, and (F, 3) triangles."""
    polar, turn = torch.meshgrid(
        torch.linspace(0, math.pi, rings, dtype=torch.float64),
        torch.arange(steps, dtype=torch.float64) * (2 * math.pi / steps),
        indexing="ij",
    )
    vertices = torch.stack([polar.sin() * turn.cos(), polar.cos(), polar.sin() * turn.sin()], -1)
    index = torch.arange(rings * steps).reshape(rings, steps)
    a, b = index[:-1], index[:-1].roll(-1, 1)
    c, d = index[1:], index[1:].roll(-1, 1)
    # The poles are points: their rings' vertices are one.
    triangles = torch.cat(
        [torch.stack([a, c, b], -1)[1:].reshape(-1, 3), torch.stack([b, c, d], -1)[:-1].reshape(-1, 3)]
    )
    triangles[triangles < steps] = 0
    triangles[triangles >= (rings - 1) * steps] = (rings - 1) * steps
    return vertices.reshape(-1, 3), triangles


def silhouette(vertices, triangles, height, width, w=None, edges=None):
    """(B, H, W) coverage, antialiased."""
    fragments = rasterize(vertices, triangles, height, width, w)
    mask = (fragments.triangle >= 0).to(vertices.dtype)[..., None]
    return antialias(mask, fragments, vertices, triangles, w, edges)[..., 0]


class TestRasterize:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("perspective", [False, True])
    def test_gives_the_buffers_of_each_picture(self, dtype, perspective):
        vertices, triangles, w = triangle_soup(3, dtype)
        w = w if perspective else None
        fragments = rasterize(vertices, triangles, HEIGHT, WIDTH, w)
        assert fragments.barycentric.dtype == fragments.depth.dtype == dtype
        assert fragments.triangle.dtype == torch.int64
        for index in range(3):
            distance = w[index].numpy() if perspective else None
            wanted = Sim3DR.rasterize_buffers(vertices[index].numpy(), triangles.numpy(), HEIGHT, WIDTH, distance)
            np.testing.assert_array_equal(fragments.triangle[index], wanted.triangle)
            np.testing.assert_allclose(fragments.barycentric[index], wanted.barycentric, rtol=0, atol=WEIGHT_TOLERANCE)
            depth = np.where(wanted.triangle >= 0, wanted.depth, 0)
            np.testing.assert_allclose(fragments.depth[index], depth, rtol=1e-7, atol=1e-6)
        np.testing.assert_array_equal(fragments.pixel, np.flatnonzero(fragments.triangle >= 0))

    def test_whole_numbers_of_either_size_index(self):
        vertices, triangles, _ = triangle_soup(1)
        short, long = (rasterize(vertices, triangles.to(kind), HEIGHT, WIDTH) for kind in (torch.int32, torch.int64))
        assert all(torch.equal(one, other) for one, other in zip(short, long, strict=True))

    def test_gradients(self):
        vertices, w = scene()

        def values(vertices, w):
            return rasterize(vertices, SCENE_TRIANGLES, 8, 9, w)[1:3]

        assert len(rasterize(vertices, SCENE_TRIANGLES, 8, 9).pixel) > 40
        assert gradcheck(lambda vertices: values(vertices, None), vertices.requires_grad_())
        assert gradcheck(values, (vertices, w.requires_grad_()))

    def test_float32_gradients_are_those_of_float64(self):
        gradients = []
        for dtype in (torch.float32, torch.float64):
            vertices, triangles, w = triangle_soup(2, dtype)
            fragments = rasterize(vertices.requires_grad_(), triangles, HEIGHT, WIDTH, w)
            (fragments.depth.sum() + fragments.barycentric[..., 0].sum()).backward()
            gradients.append(vertices.grad.double())
        # Rounded pixel by pixel and once for each of the few hundred that are summed.
        torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5 * float(gradients[1].abs().max()))

    def test_nothing_visible(self):
        vertices, w = (tensor.float().requires_grad_() for tensor in scene())
        none = torch.zeros(0, 3, dtype=torch.int64)
        with torch.no_grad():
            far = vertices + 100
        far.requires_grad_()
        for points, triangles in ((vertices, none), (far, SCENE_TRIANGLES)):
            fragments = rasterize(points, triangles, 4, 5, w)
            assert (fragments.triangle == -1).all()
            assert not len(fragments.pixel)
            colors = torch.ones(6, 2, requires_grad=True)
            picture = antialias(interpolate(fragments, triangles, colors), fragments, points, triangles, w)
            assert picture.shape == (2, 4, 5, 2)
            (picture.sum() + fragments.depth.sum()).backward()
            for leaf in (points, w, colors):
                assert not leaf.grad.any()

    def test_what_is_dropped_gets_no_gradient(self):
        vertices, triangles, w = triangle_soup(2)
        vertices[0, 1, 0], vertices[0, 4, 2], vertices[1, 7, 1] = torch.nan, torch.inf, -torch.inf
        w[0, 9], w[1, 12], w[1, 15] = torch.nan, 0, -1
        vertices.requires_grad_()
        w.requires_grad_()
        fragments = rasterize(vertices, triangles, HEIGHT, WIDTH, w)
        color = interpolate(fragments, triangles, vertices)
        antialias(color, fragments, vertices, triangles, w).sum().backward()
        assert vertices.grad.isfinite().all()
        assert w.grad.isfinite().all()
        assert vertices.grad.any()
        for picture, first in ((0, 0), (0, 3), (1, 6), (0, 9), (1, 12), (1, 15)):
            assert not (fragments.triangle[picture] == first // 3).any()

    def test_an_area_lost_to_rounding(self):
        # The sliver along the diagonal holds the centre (5, 5), from where its first two corners look the same.
        vertices = torch.tensor([[[1e-30, 0, 3], [0, 1e-30, 3], [10, 10, 3]]], requires_grad=True)
        fragments = rasterize(vertices, torch.tensor([[0, 1, 2]]), 8, 8)
        assert fragments.triangle[0, 5, 5] == 0
        assert (fragments.barycentric[0, 5, 5] == torch.tensor(1 / 3)).all()
        fragments.depth[0, 5, 5].backward()
        torch.testing.assert_close(vertices.grad[..., 2], torch.full((1, 3), 1 / 3))
        assert not vertices.grad[..., :2].any()


class TestInterpolate:
    def test_gives_the_values_of_the_package(self):
        vertices, triangles, w = triangle_soup(2)
        fragments = rasterize(vertices, triangles, HEIGHT, WIDTH, w)
        attributes = torch.rand(2, 60, 5, generator=torch.Generator().manual_seed(0))
        values = interpolate(fragments, triangles, attributes)
        for index in range(2):
            buffers = Sim3DR.rasterize_buffers(vertices[index].numpy(), triangles.numpy(), HEIGHT, WIDTH, w[index])
            wanted = Sim3DR.interpolate(buffers, triangles.numpy(), attributes[index].numpy())
            # Weights to 1e-7 on values in 0..1, and some float32 roundings of 6e-8.
            np.testing.assert_allclose(values[index], wanted, rtol=0, atol=5e-7)
        shared = interpolate(fragments, triangles, attributes[0])
        assert torch.equal(shared[0], values[0])
        assert torch.equal(shared, interpolate(fragments, triangles, attributes[[0, 0]]))

    def test_triangles_may_index_other_rows_than_the_vertices(self):
        fragments = rasterize(scene()[0], SCENE_TRIANGLES, 8, 9)
        values = interpolate(fragments, torch.tensor([[0, 0, 0], [1, 1, 1]]), torch.tensor([[10.1], [20.2]]))
        # The value of three equal corners comes back as it is.
        shown = fragments.triangle[..., None]
        wanted = torch.where(shown == 0, 10.1, torch.where(shown == 1, 20.2, 0.0))
        assert torch.equal(values, wanted.to(values.dtype))

    @pytest.mark.parametrize("shape", [(6, 2), (2, 6, 2)])
    def test_gradients(self, shape):
        vertices, w = scene()
        attributes = torch.linspace(-1, 1, math.prod(shape), dtype=torch.float64).reshape(shape).cos()

        def values(vertices, w, attributes):
            return interpolate(rasterize(vertices, SCENE_TRIANGLES, 8, 9, w), SCENE_TRIANGLES, attributes)

        assert gradcheck(values, [tensor.requires_grad_() for tensor in (vertices, w, attributes)])


class TestSampleTexture:
    def test_gives_the_picture_of_the_package(self):
        vertices, triangles, w = triangle_soup(2)
        random = np.random.default_rng(5)
        texture = random.integers(0, 256, (2, 13, 17, 3), dtype=np.uint8)
        uv = random.uniform(-0.2, 1.2, (60, 2)).astype(np.float32)
        fragments = rasterize(vertices, triangles, HEIGHT, WIDTH, w)
        picture_uv = interpolate(fragments, triangles, torch.from_numpy(uv))
        values = sample_texture(torch.from_numpy(texture / np.float32(255)), picture_uv)
        assert torch.equal(values[1], sample_texture(torch.from_numpy(texture[1] / np.float32(255)), picture_uv)[1])
        for index in range(2):
            bg = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            wanted = Sim3DR.render_texture(
                vertices[index].numpy(), triangles.numpy(), texture[index], uv, bg, w[index].numpy()
            )
            drawn = fragments.triangle[index] >= 0
            # Rounded to whole levels; float32 places texels to about 1e-5, with up to 255 levels between neighbours.
            np.testing.assert_allclose(255 * values[index][drawn], wanted[drawn], rtol=0, atol=0.5 + 5e-3)

    @pytest.mark.parametrize("shape", [(3, 4, 2), (2, 3, 4, 2)])
    def test_gradients(self, shape):
        texture = torch.linspace(0, 9, math.prod(shape), dtype=torch.float64).reshape(shape).sin()
        # Places between texel centres, and beyond the border, where the gradient to uv is zero.
        uv = (0.03 + 0.071 * torch.arange(24, dtype=torch.float64)).remainder(1.1).reshape(2, 3, 2, 2)
        assert gradcheck(sample_texture, (texture.requires_grad_(), uv.requires_grad_()))


class TestFindEdges:
    def test_each_edge_once(self):
        edges = find_edges(RECTANGLE_TRIANGLES)
        assert edges.ends.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
        assert edges.of_triangle.tolist() == [[2, 0, 1], [4, 3, 2]]

    def test_no_triangles(self):
        edges = find_edges(torch.zeros(0, 3, dtype=torch.int32))
        assert edges.ends.shape == (0, 2)
        assert edges.of_triangle.shape == (0, 3)


class TestAntialias:
    @pytest.mark.parametrize("border", [5.0, 5.2, 5.5, 5.75, 6.0, 6.000000001])
    @pytest.mark.parametrize("transposed", [False, True])
    @pytest.mark.parametrize("mirrored", [False, True])
    @pytest.mark.parametrize("flipped", [False, True])
    def test_a_straight_border_blends_by_the_pixels_share(self, border, transposed, mirrored, flipped):
        ends = (border, 40.0) if mirrored else (-40.0, border)
        vertices = rectangle(ends[0], -40, ends[1], 40)
        if transposed:
            vertices = vertices[:, [1, 0, 2]]
        vertices = vertices[None].requires_grad_()
        triangles = RECTANGLE_TRIANGLES.flip(1) if flipped else RECTANGLE_TRIANGLES
        picture = silhouette(vertices, triangles, 12, 12)[0]
        rows = picture.T if transposed else picture
        share = (border + 0.5 - torch.arange(12, dtype=torch.float64)).clamp(0, 1)
        wanted = (1 - share if mirrored else share).expand(12, 12)
        torch.testing.assert_close(rows, wanted, rtol=0, atol=1e-12)
        # Twelve rows gain a pixel each as the border moves by one; half of it hangs on either end of the edge.
        picture.sum().backward()
        gradient = vertices.grad[0, :, 1 if transposed else 0]
        moved = gradient[[0, 2]] if mirrored else gradient[[1, 3]]
        torch.testing.assert_close(moved.sum(), torch.tensor(-12.0 if mirrored else 12.0, dtype=torch.float64))
        torch.testing.assert_close(gradient.sum(), moved.sum())

    def test_colors_blend_towards_what_lies_behind(self):
        vertices = torch.cat([rectangle(-40, -40, 40, 40, -5), rectangle(-40, -40, 6.3, 40)])[None]
        triangles = torch.cat([RECTANGLE_TRIANGLES, RECTANGLE_TRIANGLES + 4])
        colors = torch.tensor([[0.2, 1.0]] * 4 + [[0.8, 0.0]] * 4, dtype=torch.float64)
        fragments = rasterize(vertices, triangles, 6, 12)
        picture = antialias(interpolate(fragments, triangles, colors), fragments, vertices, triangles)
        # Pixel 6 reaches from 5.5 to 6.5: 0.8 of it is in front.
        share = torch.tensor([1.0] * 6 + [0.8] + [0.0] * 5, dtype=torch.float64)[:, None]
        torch.testing.assert_close(picture, (colors[4] * share + colors[0] * (1 - share)).expand(1, 6, 12, 2))

    def test_seams_and_hidden_outlines_are_left_alone(self):
        # A sheet of unequal triangles over all of the picture, and a rectangle behind it.
        y, x = torch.meshgrid(torch.linspace(-3, 23, 12), torch.linspace(-3, 27, 14), indexing="ij")
        sheet = torch.stack([x, y, 3 + (x / 3).sin() + (y / 4).cos()], -1).reshape(-1, 3).double()
        sheet += 0.3 * torch.rand(sheet.shape, generator=torch.Generator().manual_seed(1))
        index = torch.arange(12 * 14).reshape(12, 14)
        a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
        halves = [torch.stack([a, c, b], -1).reshape(-1, 3), torch.stack([b, c, d], -1).reshape(-1, 3)]
        triangles = torch.cat([*halves, RECTANGLE_TRIANGLES + len(sheet)])
        vertices = torch.cat([sheet, rectangle(4.3, 5.2, 11.7, 14.6, -9)])[None]
        fragments = rasterize(vertices, triangles, HEIGHT, WIDTH)
        assert len(fragments.pixel) == HEIGHT * WIDTH
        color = torch.rand(1, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        assert torch.equal(antialias(color, fragments, vertices, triangles), color)

    def test_a_surface_of_one_pixel_blends_on_both_sides(self):
        vertices = rectangle(5.8, -40, 6.3, 40)[None].requires_grad_()
        picture = silhouette(vertices, RECTANGLE_TRIANGLES, 4, 12)[0]
        wanted = torch.zeros(4, 12, dtype=torch.float64)
        wanted[:, 6] = 0.5
        torch.testing.assert_close(picture, wanted)
        picture.sum().backward()
        torch.testing.assert_close(vertices.grad[0, :, 0].sum().item(), 0.0)

    @pytest.mark.parametrize(("axis", "value"), [(0, torch.inf), (1, torch.nan), (2, torch.nan), ("w", 0), ("w", -1)])
    def test_a_dropped_neighbour_leaves_an_outline(self, axis, value):
        vertices = torch.cat([rectangle(-40, -40, 6.3, 40), rectangle(-40, -40, 40, 40)[[1, 3]]])[None]
        w = None
        if axis == "w":
            w = torch.tensor([[1, 1, 1, 1, value, value]], dtype=torch.float64)
        else:
            vertices[:, 4:, axis] = value
        triangles = torch.tensor([[0, 2, 1], [1, 2, 3], [1, 3, 4], [3, 5, 4]])
        picture = silhouette(vertices, triangles, 4, 12, w)
        torch.testing.assert_close(picture[0, :, 5:8], BORDER_AT_6_3)

    def test_a_neighbour_without_area_has_no_side(self):
        vertices = rectangle(-40, -40, 6.3, 40)[None]
        triangles = torch.cat([RECTANGLE_TRIANGLES, torch.tensor([[1, 3, 3]])])
        torch.testing.assert_close(silhouette(vertices, triangles, 4, 12)[0, :, 5:8], BORDER_AT_6_3)

    def test_folds_are_outlines(self):
        # A sheet bent back over itself at x = 6.3: the fold is an edge of two triangles.
        corners = [[-40, -40, 5], [6.3, -40, 5], [-40, 40, 5], [6.3, 40, 5], [-40, -40, 1], [-40, 40, 1]]
        triangles = torch.tensor([[0, 2, 1], [1, 2, 3], [1, 3, 4], [4, 3, 5]])
        picture = silhouette(torch.tensor([corners], dtype=torch.float64), triangles, 4, 12)
        torch.testing.assert_close(picture[0, :, 5:8], BORDER_AT_6_3)

    @pytest.mark.parametrize("slope", [0.0, 0.5])
    def test_a_surface_between_the_centres_is_left_alone(self, slope):
        # Strips that no pixel shows, over the seam of a level sheet's two triangles and over a sloping triangle.
        sheet, triangles = rectangle(-40, -40, 52.3, 52.3), RECTANGLE_TRIANGLES
        if slope:
            sheet, triangles = rectangle(-40, -40, 200, 200), RECTANGLE_TRIANGLES[:1]
            sheet[:, 2] = -slope * sheet[:, 0]
        strips = rectangle(5.2, -40, 5.7, 40, 90), rectangle(-40, 5.7, 40, 5.9, 90)
        triangles = torch.cat([triangles, RECTANGLE_TRIANGLES + 4, RECTANGLE_TRIANGLES + 8])
        vertices = torch.cat([sheet, *strips])[None]
        fragments = rasterize(vertices, triangles, 12, 12)
        color = torch.rand(1, 12, 12, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        assert (fragments.triangle >= 0).all()
        assert torch.equal(antialias(color, fragments, vertices, triangles), color)

    @pytest.mark.parametrize("order", [[0, 1], [1, 0]])
    def test_of_several_edges_the_outermost_counts(self, order):
        nested = [rectangle(-40, -40, 6.3, 40, 2), rectangle(-40, -40, 6.4, 40, 1)]
        vertices = torch.cat([rectangle(-40, -40, 40, 40), *(nested[k] for k in order)])[None]
        triangles = torch.cat([RECTANGLE_TRIANGLES + first for first in (0, 4, 8)])
        fragments = rasterize(vertices, triangles, 6, 12)
        color = (fragments.triangle >= 2).double()[..., None]
        picture = antialias(color, fragments, vertices, triangles)[0, ..., 0]
        torch.testing.assert_close(picture[:, 5:8], torch.tensor([[1.0, 0.9, 0.0]], dtype=torch.float64).expand(6, 3))

    def test_depth_along_an_edge_is_perspective_correct(self):
        front = rectangle(-40, -40, 6.3, 60)
        front[2:, 2] = 10
        vertices = torch.cat([rectangle(-40, -40, 40, 60, 6), front])[None]
        triangles = torch.cat([RECTANGLE_TRIANGLES, RECTANGLE_TRIANGLES + 4])
        w = torch.tensor([[9.0] * 4 + [9.0, 9.0, 1.0, 1.0]], dtype=torch.float64)
        # In row 10, half way down, z is 5 in the picture but 10 * 1 / (1 + 1/9) = 9 in space, in front of the sheet.
        fragments = rasterize(vertices, triangles, 12, 12, w)
        color = (fragments.triangle >= 2).double()[..., None]
        picture = antialias(color, fragments, vertices, triangles, w)
        torch.testing.assert_close(picture[0, 10, 5:8, 0], torch.tensor([1.0, 0.8, 0.0], dtype=torch.float64))

    def test_the_total_changes_by_the_area_that_a_polygon_sweeps(self):
        polygon = torch.tensor([[12.3, 8.1], [52.6, 17.9], [44.2, 55.4], [7.8, 40.7]], dtype=torch.float64)
        vertices = torch.cat([polygon, torch.zeros(4, 1, dtype=torch.float64)], 1)[None].requires_grad_()
        picture = silhouette(vertices, torch.tensor([[0, 1, 2], [2, 3, 0]]), 64, 64)
        picture.sum().backward()
        ring = polygon.requires_grad_()
        after = ring.roll(-1, 0)
        area = (ring[:, 0] * after[:, 1] - ring[:, 1] * after[:, 0]).sum() / 2
        area.backward()
        # The corners' own pixels are the exception, and an edge is met in whole rows only: half a pixel at either end.
        torch.testing.assert_close(picture.sum(), area, rtol=0, atol=1.0)
        torch.testing.assert_close(vertices.grad[0, :, :2], ring.grad, rtol=0, atol=0.6)

    def test_triangles_smaller_than_pixels(self):
        # 8000 vertices, triangles of about 0.4 pixels: most outline edges are of triangles that no pixel shows.
        unit, triangles = globe(80, 100)
        radius = torch.tensor(22.3, dtype=torch.float64, requires_grad=True)
        shift = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        center = torch.tensor([31.3, 32.1], dtype=torch.float64) + shift
        vertices = torch.cat([radius * unit[:, :2] + center, 22 * unit[:, 2:]], 1)[None]
        picture = silhouette(vertices, triangles, 64, 64)
        columns = torch.arange(64, dtype=torch.float64)
        total, moment = picture.sum(), (picture * columns).sum()
        by_radius, by_shift = torch.autograd.grad(total, (radius, shift), retain_graph=True)
        # A hundred-sided disc has 0.1 % less than the round one; rows and columns round the rest.
        torch.testing.assert_close(total.item(), math.pi * 22.3**2, rtol=0.005, atol=0)
        torch.testing.assert_close(by_radius.item(), 2 * math.pi * 22.3, rtol=0.02, atol=0)
        torch.testing.assert_close(by_shift, torch.zeros(2, dtype=torch.float64), rtol=0, atol=1.0)
        (moment_by_shift,) = torch.autograd.grad(moment, shift)
        torch.testing.assert_close(moment_by_shift[0].item(), math.pi * 22.3**2, rtol=0.02, atol=0)

    @pytest.mark.parametrize("perspective", [False, True])
    def test_gradients(self, perspective):
        vertices, w = scene()
        color = torch.linspace(0, 20, 2 * 8 * 9 * 2, dtype=torch.float64).reshape(2, 8, 9, 2).sin()
        w = w if perspective else None

        def values(vertices, color):
            fragments = rasterize(vertices, SCENE_TRIANGLES, 8, 9, w)
            return antialias(color, fragments, vertices, SCENE_TRIANGLES, w)

        assert (values(vertices, color) != color).sum() > 40
        assert gradcheck(values, (vertices.requires_grad_(), color.requires_grad_()))

    def test_edges_may_be_found_once(self):
        vertices, triangles, w = triangle_soup(2)
        edges = find_edges(triangles.int())
        with_edges = silhouette(vertices, triangles.int(), HEIGHT, WIDTH, w, edges)
        assert torch.equal(with_edges, silhouette(vertices, triangles, HEIGHT, WIDTH, w))

    def test_pictures_do_not_mix(self):
        vertices, triangles, w = triangle_soup(3)
        together = silhouette(vertices, triangles, HEIGHT, WIDTH, w)
        alone = [silhouette(vertices[[k]], triangles, HEIGHT, WIDTH, w[[k]])[0] for k in range(3)]
        assert torch.equal(together, torch.stack(alone))


def test_fitting_a_pose_to_pictures():
    unit, triangles = globe(24, 32)
    unit, edges = unit.float() * torch.tensor([1, 1.4, 1]), find_edges(triangles)
    colors = torch.stack([0.5 + 0.4 * torch.sin(3 * unit[:, 0]), 0.5 + 0.4 * torch.cos(4 * unit[:, 1])], -1)
    background = torch.tensor([0.1, 0.9])

    def draw(pose):
        """pose (B, 4): turn in the picture in radians, logarithm of the scale, shift in tens of pixels."""
        cos, sin, scale = pose[:, 0, None].cos(), pose[:, 0, None].sin(), 14 * pose[:, 1, None].exp()
        x = scale * (cos * unit[:, 0] - sin * unit[:, 1]) + 31.5 + 10 * pose[:, 2, None]
        y = scale * (sin * unit[:, 0] + cos * unit[:, 1]) + 31.5 + 10 * pose[:, 3, None]
        vertices = torch.stack([x, y, 14 * unit[:, 2].expand_as(x)], -1)
        fragments = rasterize(vertices, triangles, 64, 64)
        covered = (fragments.triangle >= 0)[..., None]
        picture = torch.where(covered, interpolate(fragments, triangles, colors), background)
        picture = torch.cat([picture, covered.float()], -1)
        return antialias(picture, fragments, vertices, triangles, None, edges)

    wanted = torch.tensor([[0.2, 0.1, 0.3, -0.25], [-0.3, -0.1, -0.35, 0.2]])
    target = draw(wanted)
    pose = torch.zeros(2, 4, requires_grad=True)
    optimizer = torch.optim.Adam([pose], lr=0.06)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 80)
    for _ in range(80):
        optimizer.zero_grad()
        (draw(pose) - target).square().mean((1, 2, 3)).sum().backward()
        optimizer.step()
        schedule.step()
    # A twentieth of a pixel, and as much at the outline for turn and scale.
    torch.testing.assert_close(pose.detach(), wanted, rtol=0, atol=0.005)


VERTICES = torch.tensor([SCENE, SCENE])
FRAGMENTS = rasterize(VERTICES, SCENE_TRIANGLES, 4, 5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: rasterize(VERTICES.numpy(), SCENE_TRIANGLES, 4, 5), TypeError, "vertices: wanted a torch tensor"),
        (lambda: rasterize(VERTICES.int(), SCENE_TRIANGLES, 4, 5), TypeError, "vertices: wanted float32 or float64"),
        (lambda: rasterize(VERTICES.half(), SCENE_TRIANGLES, 4, 5), TypeError, "vertices: .* got torch.float16"),
        (lambda: rasterize(VERTICES[0], SCENE_TRIANGLES, 4, 5), ValueError, r"vertices: .*\(B, N, 3\), got \(6, 3\)"),
        (lambda: rasterize(VERTICES[:0], SCENE_TRIANGLES, 4, 5), ValueError, "vertices: wanted at least one picture"),
        (lambda: rasterize(VERTICES, SCENE_TRIANGLES.float(), 4, 5), TypeError, "triangles: wanted int32 or int64"),
        (lambda: rasterize(VERTICES, SCENE_TRIANGLES[None], 4, 5), ValueError, r"triangles: wanted shape \(F, 3\)"),
        (lambda: rasterize(VERTICES, [[0, 1, 2]], 4, 5), TypeError, "triangles: wanted a torch tensor"),
        (lambda: rasterize(VERTICES, SCENE_TRIANGLES + 1, 4, 5), ValueError, "triangles: .*below 6, got 1..6"),
        (lambda: rasterize(VERTICES, SCENE_TRIANGLES - 1, 4, 5), ValueError, "triangles: .*got -1..4"),
        (lambda: rasterize(VERTICES, SCENE_TRIANGLES, 0, 5), ValueError, "height"),
        (lambda: rasterize(VERTICES, SCENE_TRIANGLES, 4, 5.0), TypeError, "width"),
        (lambda: rasterize(VERTICES, SCENE_TRIANGLES, 4, 5, VERTICES), ValueError, r"w: wanted shape \(2, 6\)"),
        (lambda: rasterize(VERTICES, SCENE_TRIANGLES, 4, 5, VERTICES[:1, :, 0]), ValueError, r"w: .* got \(1, 6\)"),
        (lambda: interpolate(tuple(FRAGMENTS), SCENE_TRIANGLES, VERTICES), TypeError, "fragments: wanted Fragments"),
        (lambda: interpolate(FRAGMENTS, SCENE_TRIANGLES, VERTICES[:1]), ValueError, r"attributes: .*\(2, N, C\)"),
        (
            lambda: interpolate(FRAGMENTS, SCENE_TRIANGLES, VERTICES[:, :3]),
            ValueError,
            "triangles: .*below 3, got 0..5",
        ),
        (lambda: interpolate(FRAGMENTS, SCENE_TRIANGLES[:1], VERTICES), ValueError, "fragments.triangle: .*below 1"),
        (lambda: interpolate(FRAGMENTS, SCENE_TRIANGLES, VERTICES.int()), TypeError, "attributes: wanted float32"),
        (
            lambda: sample_texture(torch.ones(2, 2, 1).byte(), VERTICES[None, ..., :2]),
            TypeError,
            "texture: wanted float",
        ),
        (
            lambda: sample_texture(torch.ones(3, 2, 2, 1), VERTICES[None, ..., :2]),
            ValueError,
            r"texture: .*\(1, h, w, C",
        ),
        (lambda: sample_texture(torch.ones(2, 0, 1), VERTICES[None, ..., :2]), ValueError, "texture: wanted at least"),
        (
            lambda: sample_texture(torch.ones(2, 2, 1).double(), VERTICES[None, ..., :2]),
            TypeError,
            "texture: .*as uv has",
        ),
        (lambda: sample_texture(torch.ones(2, 2, 1), VERTICES), ValueError, r"uv: wanted shape \(B, H, W, 2\)"),
        (lambda: find_edges(SCENE_TRIANGLES - 1), ValueError, "triangles: wanted indices from 0, got -1..4"),
        (lambda: blend(torch.ones(2, 5, 4, 1)), ValueError, r"color: wanted shape \(2, 4, 5, C\), got \(2, 5, 4, 1\)"),
        (lambda: blend(torch.ones(2, 4, 5, 1).byte()), TypeError, "color: wanted float32 or float64, got torch.uint8"),
        (lambda: blend(vertices=VERTICES[:1]), ValueError, r"vertices: wanted shape \(2, N, 3\)"),
        (lambda: blend(triangles=SCENE_TRIANGLES + 1), ValueError, "triangles: .*got 1..6"),
        (lambda: blend(w=VERTICES[:, :5, 0]), ValueError, r"w: wanted shape \(2, 6\), got \(2, 5\)"),
        (lambda: blend(edges=SCENE_TRIANGLES), TypeError, "edges: wanted Edges, as find_edges returns"),
        (
            lambda: blend(edges=find_edges(SCENE_TRIANGLES[:1])),
            ValueError,
            r"edges.of_triangle: .*\(2, 3\), got \(1, 3\)",
        ),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def blend(color=None, vertices=VERTICES, triangles=SCENE_TRIANGLES, w=None, edges=None):
    color = torch.ones(2, 4, 5, 1) if color is None else color
    return antialias(color, FRAGMENTS, vertices, triangles, w, edges)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_what_the_processor_gives():
    results = []
    for device in ("cpu", "cuda"):
        vertices, triangles, w = (tensor.to(device) for tensor in triangle_soup(3))
        vertices.requires_grad_()
        fragments = rasterize(vertices, triangles, HEIGHT, WIDTH, w)
        color = sample_texture(
            torch.rand(9, 9, 2, generator=torch.Generator().manual_seed(0)).to(device),
            interpolate(fragments, triangles, vertices[..., :2] / 24),
        )
        picture = antialias(color, fragments, vertices, triangles, w)
        picture.square().sum().backward()
        results.append([picture.detach().cpu(), vertices.grad.cpu(), fragments.triangle.cpu()])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(one.abs().max()))


def test_the_package_does_without_torch():
    check = "import sys, Sim3DR; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=Path(__file__).parents[2], check=False).returncode == 0
