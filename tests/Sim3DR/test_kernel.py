"""The kernel's parts: instruction sets, threads and batches give the same bytes, and those of the exact twin."""

import os
import subprocess
import sys

import numpy as np
import pytest

from Sim3DR import (
    RasterBuffers,
    RenderPipeline,
    _rasterize,
    get_normal,
    interpolate,
    rasterize,
    rasterize_batch,
    rasterize_buffers,
    render_texture,
)
from tests.Sim3DR.twin import assert_like_twin, instruction_set, separate_triangles

SETS = _rasterize.instruction_sets()
THREADS = (1, 2, 3, 7)
ROWS, COLUMNS = 70, 45
COUNT = 240  # vertices; 80 triangles are more than the kernel sets up at a time


@pytest.fixture(autouse=True)
def best_instruction_set_again():
    yield
    _rasterize.use_instruction_set(SETS[0])


def scattered(rng, count=COUNT):
    """(count, 3), on and around the picture, in triangles some fifteen pixels across; few depths, so that some tie."""
    middle = np.repeat(rng.uniform([-5, -5], [COLUMNS + 5, ROWS + 5], (count // 3, 2)), 3, axis=0)
    points = middle + rng.uniform(-12, 12, (count, 2))
    return np.column_stack([points, rng.integers(-2, 3, count)]).astype(np.float32)


def on_lattice(rng):
    vertices = scattered(rng)
    vertices[:, :2] = np.round(vertices[:, :2] * 256) / 256
    return vertices


def partly_on_lattice(rng):
    vertices = scattered(rng)
    vertices[::2, :2] = np.round(vertices[::2, :2])
    return vertices


def slivers(rng):
    vertices = scattered(rng)
    share = rng.uniform(0, 1, (COUNT // 3, 1)).astype(np.float32)
    vertices[2::3] = share * vertices[0::3] + (1 - share) * vertices[1::3]
    vertices[2::3, 1] += rng.choice(np.float32([0, 1e-6, 1e-3, 0.3]), COUNT // 3)
    return vertices


def far_away(size):
    def make(rng):
        vertices = scattered(rng)
        vertices[:90, :2] = rng.uniform(-size, size, (90, 2))
        vertices[90:180:3, :2] *= np.float32(size / 100)
        vertices[:180, 2] -= 5  # behind the small ones, which they would hide
        return vertices

    return make


MESHES = {
    "lattice": on_lattice,
    "off the lattice": scattered,
    "partly on the lattice": partly_on_lattice,
    "slivers": slivers,
    "up to 1e6": far_away(1e6),
    "up to 1e30": far_away(1e30),
}
DISTANCES = {
    "no w": lambda rng: None,
    "in front": lambda rng: (10 ** rng.uniform(-2, 2, COUNT)).astype(np.float32),
    "behind": lambda rng: (rng.choice([-1] + 15 * [1], COUNT) * 10 ** rng.uniform(-2, 2, COUNT)).astype(np.float32),
}


def everything(vertices, triangles, w, height, threads):
    """What every function makes of a mesh, by name."""
    rng = np.random.default_rng(5)
    colors = rng.uniform(-0.1, 1.1, (len(vertices), 5)).astype(np.float32)
    background = rng.integers(0, 256, (height, COLUMNS, 4), dtype=np.uint8)
    floats = rng.uniform(0, 1, (height, COLUMNS, 4)).astype(np.float32)
    texture, uv = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8), colors[:, 3:]
    buffers = rasterize_buffers(vertices, triangles, height, COLUMNS, w, threads=threads)
    options = {"w": w, "threads": threads}
    grey, three, three_floats = background[..., 0], background[..., :3], floats[..., :3]
    return {
        **buffers._asdict(),
        "interpolate": interpolate(buffers, triangles, colors),
        "bytes": rasterize(vertices, triangles, colors[:, :3], three, **options),
        "upside down": rasterize(vertices, triangles, colors[:, :3], three, reverse=True, **options),
        "four bytes": rasterize(vertices, triangles, colors[:, :4], background, **options),
        "floats": rasterize(vertices, triangles, colors[:, :4], floats, **options),
        "grey": rasterize(vertices, triangles, colors[:, 0], grey, **options),
        "alpha": rasterize(vertices, triangles, colors[:, :3], three, alpha=0.3, **options),
        "alpha at vertices": rasterize(
            vertices, triangles, colors[:, :3], three, alpha=np.clip(colors[:, 3], 0, 1), **options
        ),
        "samples": rasterize(np.clip(vertices, -1e37, 1e37), triangles, colors[:, 0], grey, samples=3, **options),
        "texture": render_texture(vertices, triangles, texture, uv, three, **options),
        "texture of floats": render_texture(vertices, triangles, texture / 255, uv, three_floats, **options),
        "texture, alpha": render_texture(vertices, triangles, texture, uv, three, alpha=0.6, **options),
        "light": RenderPipeline()(vertices, triangles, three, **options),
        "light, texture": RenderPipeline(specular_exp=8)(vertices, triangles, three_floats, colors[:, :3], **options),
        "normals": get_normal(vertices, triangles),
    }


def assert_same_bytes(got, wanted):
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype
        assert got[name].tobytes() == array.tobytes(), name


class TestSameBytes:
    @pytest.mark.parametrize("distances", DISTANCES.values(), ids=DISTANCES)
    @pytest.mark.parametrize("mesh", MESHES.values(), ids=MESHES)
    def test_of_every_instruction_set_and_number_of_threads(self, mesh, distances):
        rng = np.random.default_rng(1)
        vertices, w = mesh(rng), distances(rng)
        triangles = separate_triangles(vertices)
        wanted = everything(vertices, triangles, w, ROWS, 1)
        assert len(np.unique(wanted["triangle"])) > 10
        for name in SETS:
            _rasterize.use_instruction_set(name)
            for threads in THREADS:
                assert_same_bytes(everything(vertices, triangles, w, ROWS, threads), wanted)

    @pytest.mark.parametrize("height", [1, 2, 7, 9, 17])
    def test_with_more_threads_than_rows(self, height):
        rng = np.random.default_rng(2)
        vertices, w = scattered(rng), DISTANCES["behind"](rng)
        vertices[:, 1] *= height / ROWS
        triangles = separate_triangles(vertices)
        wanted = everything(vertices, triangles, w, height, 1)
        for name in SETS:
            _rasterize.use_instruction_set(name)
            for threads in (3, 64, 1024):
                assert_same_bytes(everything(vertices, triangles, w, height, threads), wanted)

    def test_of_a_picture_in_many_bands(self):
        # Wide enough for the kernel to cut the picture into bands for one thread, too.
        rng = np.random.default_rng(3)
        vertices = scattered(rng) * np.float32([60, 3, 1])
        triangles = separate_triangles(vertices)
        wanted = rasterize_buffers(vertices, triangles, 200, 2700)
        assert len(np.unique(wanted.triangle)) > 40
        for name in SETS:
            with instruction_set(name):
                for threads in (1, 2, 3):
                    got = rasterize_buffers(vertices, triangles, 200, 2700, threads=threads)
                    assert_same_bytes(got._asdict(), wanted._asdict())

    def test_wherever_the_triangles_stand_in_the_list(self):
        # The kernel sets up many at a time; who the neighbours are must not matter.
        rng = np.random.default_rng(4)
        vertices = scattered(rng)
        vertices[:, 2] = np.repeat(np.arange(COUNT // 3), 3)  # no ties
        triangles = separate_triangles(vertices)
        wanted = rasterize_buffers(vertices, triangles, ROWS, COLUMNS)
        order = rng.permutation(len(triangles))
        got = rasterize_buffers(vertices, triangles[order], ROWS, COLUMNS)
        np.testing.assert_array_equal(np.where(got.triangle < 0, -1, order[got.triangle]), wanted.triangle)
        assert got.barycentric.tobytes() == wanted.barycentric.tobytes()


class TestChoosing:
    def test_the_portable_one_is_there_and_last(self):
        assert SETS[-1] == "portable"
        assert len(set(SETS)) == len(SETS)

    def test_an_unknown_one_is_refused(self):
        with pytest.raises(ValueError, match=r"name: wanted one of .*portable, got sse9"):
            _rasterize.use_instruction_set("sse9")


class TestBatch:
    @staticmethod
    def meshes(count=5):
        rng = np.random.default_rng(6)
        vertices = np.stack([make(rng) for make in list(MESHES.values())[:count]])
        w = np.stack([DISTANCES["behind"](rng) for _ in vertices])
        return vertices, separate_triangles(vertices[0]), w

    @pytest.mark.parametrize("threads", [None, 1, 2, 16])
    @pytest.mark.parametrize("name", SETS)
    @pytest.mark.parametrize("perspective", [False, True])
    def test_gives_what_single_meshes_give(self, name, threads, perspective):
        vertices, triangles, w = self.meshes()
        _rasterize.use_instruction_set(name)
        distances = w if perspective else None
        batch = rasterize_batch(vertices, triangles, ROWS, COLUMNS, distances, threads=threads)
        assert batch.barycentric.shape == (5, ROWS, COLUMNS, 3)
        for item in range(5):
            single = rasterize_buffers(vertices[item], triangles, ROWS, COLUMNS, w[item] if perspective else None)
            assert (single.triangle >= 0).any()
            assert_same_bytes({field: getattr(batch, field)[item] for field in batch._fields}, single._asdict())

    def test_writes_into_out(self):
        vertices, triangles, w = self.meshes()
        wanted = rasterize_batch(vertices, triangles, ROWS, COLUMNS, w)
        out = RasterBuffers(*(np.full_like(array, 77) for array in wanted))
        assert rasterize_batch(vertices, triangles, ROWS, COLUMNS, w, out) is out
        assert_same_bytes(out._asdict(), wanted._asdict())

    def test_of_no_meshes_and_of_empty_ones(self):
        none = np.zeros((0, 3), np.int32)
        assert rasterize_batch(np.zeros((0, 4, 3)), none, 5, 6).depth.shape == (0, 5, 6)
        batch = rasterize_batch(np.zeros((2, 0, 3)), none, 5, 6, np.zeros((2, 0)))
        assert (batch.triangle == -1).all()
        assert (batch.depth == -np.inf).all()
        assert not batch.barycentric.any()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"vertices": np.zeros((4, 3))}, r"vertices: wanted shape \(B, N, 3\), got \(4, 3\)"),
            ({"w": np.ones(4)}, r"w: wanted shape \(2, 4\), got \(4,\)"),
            ({"w": np.ones((1, 4))}, r"w: wanted shape \(2, 4\), got \(1, 4\)"),
            ({"triangles": [[0, 1, 4]]}, r"triangles: wanted indices of 4 vertices, got 0\.\.4"),
            ({"threads": 0}, r"threads: wanted 1\.\.1024, got 0"),
        ],
    )
    def test_bad_arguments(self, change, message):
        arguments = {"vertices": np.zeros((2, 4, 3)), "triangles": [[0, 1, 2]], "height": 5, "width": 6}
        with pytest.raises(ValueError, match=message):
            rasterize_batch(**{**arguments, **change})

    def test_out_of_the_wrong_shape_or_place_is_refused(self):
        vertices, triangles, _ = self.meshes()
        out = rasterize_batch(vertices, triangles, ROWS, COLUMNS)
        with pytest.raises(ValueError, match=r"out\.triangle: wanted shape \(5, 70, 45\), got \(4, 70, 45\)"):
            rasterize_batch(vertices, triangles, ROWS, COLUMNS, out=RasterBuffers(*(array[:4] for array in out)))
        shared = out._replace(depth=out.triangle.view(np.float32))
        with pytest.raises(ValueError, match=r"out\.depth: .* overlaps out\.triangle"):
            rasterize_batch(vertices, triangles, ROWS, COLUMNS, out=shared)


class TestThreads:
    TRIANGLE = (np.float32([[0, 0, 0], [4, 0, 0], [0, 4, 0]]), np.int32([[0, 1, 2]]))

    @pytest.mark.parametrize(
        ("threads", "error"),
        [(0, ValueError), (-1, ValueError), (1025, ValueError), (1.0, TypeError), ("2", TypeError), (True, TypeError)],
    )
    def test_out_of_range_or_of_the_wrong_kind(self, threads, error):
        picture = np.zeros((5, 5, 3), np.uint8)
        calls = [
            lambda: rasterize_buffers(*self.TRIANGLE, 5, 5, threads=threads),
            lambda: rasterize(*self.TRIANGLE, np.ones((3, 3)), picture, threads=threads),
            lambda: render_texture(*self.TRIANGLE, picture, np.zeros((3, 2)), picture, threads=threads),
            lambda: RenderPipeline()(*self.TRIANGLE, picture, threads=threads),
        ]
        for call in calls:
            with pytest.raises(error, match="threads: wanted"):
                call()

    def test_numpy_numbers_will_do(self):
        assert rasterize_buffers(*self.TRIANGLE, 5, 5, threads=np.int64(2)).triangle[0, 0] == 0

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_after_a_fork(self):
        # Threads live no longer than a call, so a child process finds none missing.
        vertices = scattered(np.random.default_rng(7))
        triangles = separate_triangles(vertices)
        wanted = rasterize_buffers(vertices, triangles, ROWS, COLUMNS, threads=3).depth.tobytes()
        child = os.fork()
        if child == 0:
            again = rasterize_buffers(vertices, triangles, ROWS, COLUMNS, threads=3).depth.tobytes()
            os._exit(0 if again == wanted else 1)
        assert os.waitpid(child, 0)[1] == 0


def with_depths(points, rng):
    """Few depths, zero with either sign among them: of equal ones the lower index wins."""
    return np.column_stack([points, rng.choice([-1.0, -0.0, 0.0, 1.0], len(points))]).astype(np.float32)


def flat_depths(points, rng):
    """As with_depths, the same for all corners of a triangle: whole triangles tie."""
    return np.column_stack([points, np.repeat(rng.choice([-1.0, -0.0, 0.0], len(points) // 3), 3)]).astype(np.float32)


class TestAgainstTwin:
    """Scenes of the kinds that go through different parts of the kernel; every instruction set."""

    @pytest.mark.parametrize("step", [1, 0.5, 1 / 256, 1 / 512])
    @pytest.mark.parametrize("depths", [with_depths, flat_depths])
    def test_coordinates_in_steps(self, step, depths):
        # Those of 1/256 are the finest that take the path for whole numbers.
        rng = np.random.default_rng(10)
        vertices = depths(np.round(rng.uniform(-8, 32, (120, 2)) / step) * step, rng)
        w = rng.choice(np.float32([0.5, 1, 3]), len(vertices))
        assert assert_like_twin(vertices, separate_triangles(vertices)) > 300
        if depths is with_depths:
            vertices[:, 2] = rng.uniform(-1, 1, len(vertices))  # no ties, which rounding would break
            assert assert_like_twin(vertices, separate_triangles(vertices), w) > 300

    def test_a_grid_of_whole_numbers(self):
        index = np.arange(99).reshape(9, 11)
        y, x = np.mgrid[0:9, 0:11] * 2.0
        corners = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
        a, b, c, d = (part.ravel() for part in corners)
        triangles = np.vstack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)])
        vertices = np.stack([x.ravel(), y.ravel(), np.zeros(99)], -1)
        # 10 by 8 cells of four pixels each: every pixel once.
        assert assert_like_twin(vertices, triangles) == 320

    @pytest.mark.parametrize("step", [1, 0.5])
    def test_an_atlas_of_small_islands(self, step):
        # 300 triangles of up to six steps, packed anyhow.
        rng = np.random.default_rng(11)
        middle = np.repeat(rng.integers(0, 64, (300, 2)), 3, axis=0)
        points = middle + rng.integers(-3, 4, (900, 2)) * step
        vertices = flat_depths(points, rng)
        assert assert_like_twin(vertices, separate_triangles(vertices), height=64, width=64) > 200

    def test_slivers_across_a_wide_picture(self):
        # 1,920 pixels long, from a thousandth of a pixel to two pixels high, in four rows.
        rng = np.random.default_rng(12)
        row = rng.integers(0, 4, 60)
        y = row[:, None] + rng.uniform(-1, 1, (60, 3)) * 10.0 ** rng.uniform(-3, 0, (60, 1))
        x = np.stack([rng.uniform(-9, 9, 60), rng.uniform(1910, 1930, 60), rng.uniform(0, 1920, 60)], -1)
        vertices = np.stack([x, y, rng.uniform(-1, 1, (60, 3))], -1).reshape(-1, 3)
        w = rng.uniform(0.2, 5, 180).astype(np.float32)
        assert assert_like_twin(vertices, separate_triangles(vertices), height=4, width=1920) > 4000
        assert assert_like_twin(vertices, separate_triangles(vertices), w, height=4, width=1920) > 4000
        turned = vertices[:, [1, 0, 2]]
        assert assert_like_twin(turned, separate_triangles(turned), height=1920, width=4) > 4000

    @pytest.mark.parametrize("axes", [[0, 1, 2], [1, 0, 2]])
    def test_whole_numbers_on_one_axis_alone(self, axes):
        # Sides that miss a row of centres by less than the path for whole numbers tells apart.
        rng = np.random.default_rng(17)
        vertices = np.column_stack(
            [rng.integers(-9, 30, 90), rng.choice([-1, 1], 90) * 10.0 ** rng.uniform(-20, -10, 90), np.zeros(90)]
        )
        vertices[::3, 1] = rng.integers(-9, 30, 30)
        vertices[:, 2] = np.repeat(rng.permutation(30), 3)
        assert assert_like_twin(vertices[:, axes], separate_triangles(vertices)) > 100

    def test_a_near_corner_makes_a_small_weight_large(self):
        # The side from a to b misses the centre (3, 5) by 1e-13 to 1e-8 of the triangle's size, and doubles resolve
        # 1e-16. The opposite corner is nearer than the others by as much, which makes its weight a large one.
        rng = np.random.default_rng(16)
        a = (rng.uniform(-1, 1, (200000, 2)) * 1e-3).astype(np.float32).astype(np.longdouble)
        b = (8 * np.array([3, 5]) - 7 * a).astype(np.float32).astype(np.longdouble)
        to_centre, to_b = np.array([3, 5]) - a, b - a
        miss = np.abs(to_b[:, 0] * to_centre[:, 1] - to_b[:, 1] * to_centre[:, 0])
        order = np.argsort(miss)
        narrow = order[np.searchsorted(miss[order], np.logspace(-10, -5, 40))]
        nearness = 0
        for a_point, b_point, missed in zip(a[narrow], b[narrow], miss[narrow], strict=True):
            for third in ([40.3, 0.7], [-20.3, 30.7]):
                area = abs(np.linalg.det(np.array([b_point - a_point, third - a_point], float)))
                w = np.array([1, 1, max(missed / area, 1e-30)], np.float32)
                vertices = np.column_stack([np.array([a_point, b_point, third], np.float32), [0, 1, 2]])
                covered = assert_like_twin(vertices, [[0, 1, 2]], w, 9, 9)
                buffers = rasterize_buffers(vertices, [[0, 1, 2]], 9, 9, w)
                nearness += covered > 0 and 0.4 < buffers.barycentric[5, 3, 2] < 0.6
        assert nearness > 20

    @pytest.mark.parametrize("step", [None, 1, 1 / 256])
    def test_corners_up_to_a_million_away(self, step):
        rng = np.random.default_rng(13)
        points = rng.uniform(-1e6, 1e6, (150, 2)).astype(np.float32)
        points[1::3] = rng.uniform(0, 20, (50, 2))
        points = np.round(points / step) * step if step else points
        # Each at a depth of its own: two depths may not round to one.
        vertices = np.column_stack([points, np.repeat(rng.permutation(50), 3)])
        assert assert_like_twin(vertices, separate_triangles(vertices)) > 300

    def test_the_largest_whole_number_path(self):
        # +-2**15 in steps of 1/256 takes the path for whole numbers, one step more does not.
        rng = np.random.default_rng(14)
        for beyond in (0, 1 / 256):
            points = rng.integers(-8, 32 * 256, (60, 2)) / 256
            points[::3] = rng.choice([-1, 1], (20, 2)) * (2**15 - rng.integers(0, 3, (20, 2)) / 256)
            points[0, 0] = 2**15 + beyond
            vertices = np.column_stack([points, np.repeat(rng.permutation(20), 3)])
            assert assert_like_twin(vertices, separate_triangles(vertices)) > 200

    @pytest.mark.parametrize("offset", [0, -1, 1])
    def test_borders_of_the_picture(self, offset):
        # Corners on, one float32 step before and one beyond the centres of the outermost pixels, and half way out.
        values = np.float32([-1, -0.5, 0, 0.5, 6, 6.5, 7, 7.5, 8])
        if offset:
            values = np.nextafter(values, np.float32(offset * 100))
        rng = np.random.default_rng(15)
        vertices = with_depths(rng.choice(values, (240, 2)), rng)
        vertices[:, 2] = np.repeat(rng.permutation(80), 3)
        assert assert_like_twin(vertices, separate_triangles(vertices), height=8, width=8) > 40

    @pytest.mark.parametrize("z", [[0.0, 0.0, 0.0], [-0.0, -0.0, -0.0], [-0.0, -1e-45, 0.0]])
    @pytest.mark.parametrize(("offset", "w"), [(0.0, None), (0.3, None), (0.3, [1, 1e12, 1e12])])
    def test_zero_has_no_sign_in_depth(self, z, offset, w):
        # A fiftieth of float32's smallest number below 0 rounds to -0. On the lattice, off it, by exact tests alone.
        corners = np.array([[-1, -1], [50, -1], [-1, 50]]) + offset
        w = None if w is None else [*w, *w]
        for second in (0.0, -0.0):
            vertices = np.column_stack([np.vstack([corners, corners]), [*z, second, second, second]])
            for name in SETS:
                with instruction_set(name):
                    buffers = rasterize_buffers(vertices, [[0, 1, 2], [3, 4, 5]], 1, 1, w)
                assert buffers.triangle[0, 0] == 0
                assert buffers.depth.view(np.int32)[0, 0] == 0


def test_a_process_that_flushes_subnormal_numbers():
    torch = pytest.importorskip("torch")
    # The left edge is subnormally far right of the centre of the pixel (0, 0), which is therefore outside.
    vertices = np.float32([[1e-40, -9, 0], [9, -9, 0], [1e-40, 9, 0]])
    expected = rasterize_buffers(vertices, [[0, 1, 2]], 4, 4)
    assert expected.triangle[0, 0] == -1
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush subnormal numbers")
    try:
        for threads in (1, 2):
            got = rasterize_buffers(vertices, [[0, 1, 2]], 4, 4, threads=threads).triangle
            np.testing.assert_array_equal(got, expected.triangle)
        # The process still does as it was told.
        assert torch.tensor([1e-40]).mul(1.0).item() == 0
    finally:
        torch.set_flush_denormal(False)


MEMORY_PROGRAM = """
import resource
import numpy as np
from Sim3DR import rasterize

bg = np.zeros((12_000, 12_000, 1), np.uint8)
vertices = np.random.default_rng(0).uniform(0, 12_000, (3_000, 3))
triangles = np.arange(3_000).reshape(-1, 3)  # too scattered for narrow bands: the canvas takes gigabytes
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    rasterize(vertices, triangles, np.ones((3_000, 1)), bg, out=bg)
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
def test_no_memory_is_an_error():
    done = subprocess.run([sys.executable, "-c", MEMORY_PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.stdout == "no memory to rasterize with\n", done.stderr
