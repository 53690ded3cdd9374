"""Arguments: converted where that is right, refused by name where it is not, never changed."""

import numpy as np
import pytest

from Sim3DR import (
    RasterBuffers,
    RenderPipeline,
    get_normal,
    interpolate,
    rasterize,
    rasterize_buffers,
    render_texture,
    unwrap_texture,
    vertex_visibility,
    wireframe,
)

RNG = np.random.default_rng(0)
VERTICES = RNG.uniform(-2, 12, (12, 3)).astype(np.float32)
VERTICES[9:] = [[1, 1, 20], [8, 2, 20], [3, 7, 20]]  # the last triangle is in front
TRIANGLES = np.arange(12, dtype=np.int32).reshape(4, 3)
W = RNG.uniform(1, 2, 12).astype(np.float32)
COLORS = RNG.uniform(0, 1, (12, 3)).astype(np.float32)
UV = RNG.uniform(0, 1, (12, 2)).astype(np.float32)
BG = RNG.integers(0, 256, (9, 10, 3), dtype=np.uint8)
TEXTURE = RNG.integers(0, 256, (6, 7, 3), dtype=np.uint8)
BUFFERS = rasterize_buffers(VERTICES, TRIANGLES, 9, 10, W)

# Every function with a full set of good array arguments.
CALLS = {
    "rasterize_buffers": (
        lambda **arrays: rasterize_buffers(height=9, width=10, **arrays),
        {"vertices": VERTICES, "triangles": TRIANGLES, "w": W},
    ),
    "interpolate": (
        lambda triangle, barycentric, **arrays: interpolate(
            RasterBuffers(triangle, barycentric, BUFFERS.depth), **arrays
        ),
        {
            "triangles": TRIANGLES,
            "attributes": COLORS,
            "triangle": BUFFERS.triangle,
            "barycentric": BUFFERS.barycentric,
        },
    ),
    "rasterize": (rasterize, {"vertices": VERTICES, "triangles": TRIANGLES, "colors": COLORS, "bg": BG, "w": W}),
    "render_texture": (
        render_texture,
        {
            "vertices": VERTICES,
            "triangles": TRIANGLES,
            "texture": TEXTURE,
            "uv": UV,
            "bg": BG,
            "w": W,
            "uv_triangles": TRIANGLES,
        },
    ),
    "get_normal": (get_normal, {"vertices": VERTICES, "triangles": TRIANGLES}),
    "vertex_visibility": (
        lambda **arrays: vertex_visibility(height=9, width=10, **arrays),
        {"vertices": VERTICES, "triangles": TRIANGLES, "w": W},
    ),
    "unwrap_texture": (
        lambda **arrays: unwrap_texture(height=8, width=8, **arrays),
        {"picture": BG, "vertices": VERTICES, "triangles": TRIANGLES, "uv": UV, "w": W, "uv_triangles": TRIANGLES},
    ),
    "wireframe": (
        wireframe,
        {"vertices": VERTICES, "triangles": TRIANGLES, "bg": BG, "color": COLORS[0], "w": W},
    ),
    "RenderPipeline": (
        RenderPipeline(),
        {"vertices": VERTICES, "triangles": TRIANGLES, "texture": COLORS, "bg": BG, "w": W},
    ),
}
every_call = pytest.mark.parametrize(("call", "arrays"), CALLS.values(), ids=CALLS)


def flatten(result):
    return result if isinstance(result, tuple) else (result,)


def assert_same(result, expected):
    for got, wanted in zip(flatten(result), flatten(expected), strict=True):
        np.testing.assert_array_equal(got, wanted)


def every_other(array):
    """The same numbers as a view with gaps."""
    wide = np.repeat(array, 2, axis=-1)
    return wide[..., ::2]


def backwards(array):
    """The same numbers as a view whose first axis runs backwards in memory."""
    return array[::-1].copy()[::-1]


def unaligned(array):
    """The same numbers, one byte off."""
    memory = bytearray(array.nbytes + 1)
    memory[1:] = array.tobytes()
    return np.frombuffer(memory, array.dtype, offset=1).reshape(array.shape)


@every_call
class TestEveryFunction:
    def test_read_only_arguments_are_read_and_not_changed(self, call, arrays):
        expected = call(**arrays)
        given = {name: array.copy() for name, array in arrays.items()}
        for array in given.values():
            array.setflags(write=False)
        assert_same(call(**given), expected)
        for name, array in given.items():
            np.testing.assert_array_equal(array, arrays[name])

    def test_results_share_no_memory_with_arguments(self, call, arrays):
        for result in flatten(call(**arrays)):
            assert result.flags.writeable
            for array in arrays.values():
                assert not np.shares_memory(result, array)

    @pytest.mark.parametrize("layout", [np.asfortranarray, every_other, backwards, unaligned])
    def test_any_layout_in_memory(self, call, arrays, layout):
        given = {name: layout(array) for name, array in arrays.items()}
        assert_same(call(**given), call(**arrays))

    def test_other_number_types(self, call, arrays):
        wider = {"f": np.float64, "i": np.int64}
        given = {name: array.astype(wider.get(array.dtype.kind, array.dtype)) for name, array in arrays.items()}
        if "triangle" in given:
            given["triangle"] = arrays["triangle"]  # that of the buffers keeps its type
        assert_same(call(**given), call(**arrays))

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.uint64, ">i4"])
    def test_other_types_of_index(self, call, arrays, dtype):
        given = {**arrays, "triangles": arrays["triangles"].astype(dtype)}
        assert_same(call(**given), call(**arrays))

    @pytest.mark.parametrize("bad", [-1, 12, 2**31, -(2**31) - 1, 2**32])
    def test_index_out_of_range(self, call, arrays, bad):
        triangles = arrays["triangles"].astype(np.int64)
        triangles[2, 1] = bad
        with pytest.raises(ValueError, match=rf"triangles: wanted indices of 12 vertices, got .*{bad}"):
            call(**{**arrays, "triangles": triangles})

    def test_wrong_kind_of_triangles(self, call, arrays):
        for triangles in (arrays["triangles"].astype(float), arrays["triangles"] > 0, "abc", None):
            with pytest.raises(TypeError, match="triangles: wanted whole numbers, got"):
                call(**{**arrays, "triangles": triangles})

    def test_wrong_shape(self, call, arrays):
        for name, array in arrays.items():
            # Attributes may have any number of columns; they can lack a row.
            smaller = array[:-1] if name == "attributes" else array[..., :-1]
            # A photo may be of any size and number of channels, or have no axis for them.
            for wrong in (array[None],) if name == "picture" else (smaller, array[None], array[0]):
                with pytest.raises(ValueError, match=r"wanted (shape|indices of) .*, got"):
                    call(**{**arrays, name: wrong})

    def test_wrong_kind_of_number(self, call, arrays):
        for name, array in arrays.items():
            with pytest.raises(TypeError, match=rf"{name}: wanted .*, got (complex|object|bool)"):
                call(**{**arrays, name: array.astype(complex)})


class TestNamedMessages:
    """name, wanted, got."""

    def test_vertices_with_four_columns(self):
        with pytest.raises(ValueError, match=r"vertices: wanted shape \(N, 3\), got \(12, 4\)"):
            rasterize_buffers(np.zeros((12, 4)), TRIANGLES, 9, 10)

    def test_one_w_too_few(self):
        with pytest.raises(ValueError, match=r"w: wanted shape \(12,\), got \(11,\)"):
            rasterize_buffers(VERTICES, TRIANGLES, 9, 10, W[:11])

    @pytest.mark.parametrize(("height", "width"), [(0, 10), (9, -1), (9, 1 << 17)])
    def test_size_out_of_range(self, height, width):
        with pytest.raises(ValueError, match=r"(height|width): wanted 1\.\.65536, got"):
            rasterize_buffers(VERTICES, TRIANGLES, height, width)

    @pytest.mark.parametrize("height", [9.0, "9", None, True])
    def test_size_that_is_not_a_whole_number(self, height):
        with pytest.raises(TypeError, match="height: wanted a whole number of pixels, got"):
            rasterize_buffers(VERTICES, TRIANGLES, height, 10)

    def test_numpy_sizes_are_whole_numbers(self):
        assert rasterize_buffers(VERTICES, TRIANGLES, np.int64(9), np.uint8(10)).depth.shape == (9, 10)

    def test_colors_narrower_than_the_picture(self):
        with pytest.raises(ValueError, match=r"colors: wanted shape \(12, 3\), got \(12, 1\)"):
            rasterize(VERTICES, TRIANGLES, COLORS[:, :1], BG)

    def test_colors_of_whole_numbers_are_not_taken_for_fractions(self):
        with pytest.raises(TypeError, match="colors: wanted floating-point numbers, got uint8"):
            rasterize(VERTICES, TRIANGLES, (COLORS * 255).astype(np.uint8), BG)

    def test_background_of_floats(self):
        with pytest.raises(TypeError, match="bg: wanted uint8 or float32, got float64"):
            rasterize(VERTICES, TRIANGLES, COLORS, BG.astype(float))

    def test_empty_background(self):
        with pytest.raises(ValueError, match=r"bg: wanted 1\.\.65536 rows, columns and channels, got \(0, 10, 3\)"):
            rasterize(VERTICES, TRIANGLES, COLORS, BG[:0])

    @pytest.mark.parametrize("shape", [(1, 65537, 3), (2**32 + 8, 1, 3), (1, 1, 65537)])
    def test_too_large_a_background(self, shape):
        # A view of one byte: the shape is refused before anything is copied.
        with pytest.raises(ValueError, match=r"bg: wanted 1\.\.65536 rows, columns and channels, got"):
            rasterize(VERTICES, TRIANGLES, COLORS, np.broadcast_to(np.uint8(0), shape))

    def test_too_large_a_background_for_its_samples(self):
        with pytest.raises(ValueError, match="samples: wanted at most 65536 in all on an axis, got 8 x"):
            rasterize(VERTICES, TRIANGLES, COLORS, np.broadcast_to(np.uint8(0), (1, 10_000, 3)), samples=8)

    def test_rows_of_different_lengths(self):
        with pytest.raises(ValueError, match=r"vertices: wanted numbers, got .*inhomogeneous"):
            rasterize_buffers([[0, 0, 0], [1, 1]], TRIANGLES, 9, 10)

    @pytest.mark.parametrize("name", ["vertices", "texture"])
    def test_lit_over_an_argument(self, name):
        memory = np.zeros((12, 12, 3), np.float32)
        arrays = {"vertices": VERTICES, "triangles": TRIANGLES, "bg": memory.copy(), "texture": COLORS}
        arrays[name] = memory[0]
        with pytest.raises(ValueError, match=f"out: wanted memory of its own, got an array that overlaps {name}"):
            RenderPipeline()(**arrays, out=memory)

    def test_neither_background_nor_size(self):
        with pytest.raises(ValueError, match="wanted bg, or height, width and channel; got 9, None and 3"):
            rasterize(VERTICES, TRIANGLES, COLORS, height=9, channel=3)

    def test_size_that_contradicts_the_background(self):
        with pytest.raises(ValueError, match="width: wanted none or bg's 10, got 11"):
            rasterize(VERTICES, TRIANGLES, COLORS, BG, width=11)

    def test_texture_with_other_channels(self):
        with pytest.raises(ValueError, match=r"texture: wanted shape \(H, W, 3\), got \(6, 7, 1\)"):
            render_texture(VERTICES, TRIANGLES, TEXTURE[..., :1], UV, BG)

    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_empty_texture(self, dtype):
        with pytest.raises(ValueError, match=r"texture: wanted 1\.\.65536 rows"):
            render_texture(VERTICES, TRIANGLES, np.zeros((0, 7, 3), dtype), UV, BG)

    def test_texture_triangles_out_of_range(self):
        with pytest.raises(ValueError, match=r"uv_triangles: wanted indices of 5 vertices, got 0\.\.11"):
            render_texture(VERTICES, TRIANGLES, TEXTURE, UV[:5], BG, uv_triangles=TRIANGLES)

    def test_buffers_that_are_not_buffers(self):
        with pytest.raises(TypeError, match="buffers: wanted RasterBuffers, got a tuple"):
            interpolate(tuple(BUFFERS), TRIANGLES, COLORS)

    def test_buffers_of_another_mesh(self):
        assert BUFFERS.triangle.max() == 3
        with pytest.raises(ValueError, match=r"buffers\.triangle: wanted indices below 2, as triangles has, got 3"):
            interpolate(BUFFERS, TRIANGLES[:2], COLORS)

    def test_attributes_without_columns(self):
        with pytest.raises(ValueError, match="attributes: wanted at least one column"):
            interpolate(BUFFERS, TRIANGLES, COLORS[:, :0])


def fresh_buffers(height=9, width=10):
    return RasterBuffers(
        np.zeros((height, width), np.int32),
        np.zeros((height, width, 3), np.float32),
        np.zeros((height, width), np.float32),
    )


class TestOut:
    def test_buffers_are_overwritten_and_returned(self):
        out = fresh_buffers()
        assert rasterize_buffers(VERTICES, TRIANGLES, 9, 10, W, out=out) is out
        assert_same(out, BUFFERS)

    @pytest.mark.parametrize("field", RasterBuffers._fields)
    def test_read_only_buffers_are_refused(self, field):
        out = fresh_buffers()
        getattr(out, field).setflags(write=False)
        with pytest.raises(ValueError, match=rf"out\.{field}: wanted a writable array, got a read-only one"):
            rasterize_buffers(VERTICES, TRIANGLES, 9, 10, out=out)

    def test_read_only_pixels_are_refused(self):
        out = np.zeros((9, 10, 3), np.float32)
        out.setflags(write=False)
        with pytest.raises(ValueError, match="out: wanted a writable array, got a read-only one"):
            interpolate(BUFFERS, TRIANGLES, COLORS, out=out)
        assert not out.any()

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"triangle": np.zeros((9, 10), np.int64)}, TypeError, r"out\.triangle: wanted int32, got int64"),
            ({"depth": np.zeros((9, 10))}, TypeError, r"out\.depth: wanted float32, got float64"),
            ({"depth": [[0.0]]}, TypeError, r"out\.depth: wanted a numpy array, got a list"),
            (
                {"depth": np.zeros((10, 9), np.float32)},
                ValueError,
                r"out\.depth: wanted shape \(9, 10\), got \(10, 9\)",
            ),
            ({"depth": np.zeros((10, 9), np.float32).T}, ValueError, r"out\.depth: wanted an aligned array in C order"),
        ],
    )
    def test_buffers_of_the_wrong_kind_are_refused(self, change, error, message):
        with pytest.raises(error, match=message):
            rasterize_buffers(VERTICES, TRIANGLES, 9, 10, out=fresh_buffers()._replace(**change))

    def test_a_tuple_is_refused(self):
        with pytest.raises(TypeError, match="out: wanted RasterBuffers, got a tuple"):
            rasterize_buffers(VERTICES, TRIANGLES, 9, 10, out=tuple(fresh_buffers()))

    def test_overlapping_memory_is_refused(self):
        memory = np.zeros((90, 3), np.float32)
        memory[:12] = VERTICES
        out = fresh_buffers()._replace(barycentric=memory.reshape(9, 10, 3))
        with pytest.raises(ValueError, match=r"out\.barycentric: wanted memory of its own, got .* overlaps vertices"):
            rasterize_buffers(memory[:12], TRIANGLES, 9, 10, out=out)
        with pytest.raises(ValueError, match=r"out: wanted memory of its own, got .* overlaps buffers\.barycentric"):
            interpolate(BUFFERS, TRIANGLES, COLORS, out=BUFFERS.barycentric)
        out = fresh_buffers()
        shared = out._replace(depth=out.triangle.view(np.float32))
        with pytest.raises(ValueError, match=r"out\.depth: wanted memory of its own, got .* overlaps out\.triangle"):
            rasterize_buffers(VERTICES, TRIANGLES, 9, 10, out=shared)
