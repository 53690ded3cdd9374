"""What Sim3DR's functions cost, in ms, if wanted beside another module of the same names, such as 3DDFA_V2's.

    python -m benchmarks.bench_sim3dr [--rounds N] [--threads N] [--peer PATH]

Medians; ours and the peer's take turns, call by call, on one core. Only the rows with threads get all cores.
"""

import argparse
import importlib.util
import os
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import Sim3DR
from Sim3DR import _rasterize

WARM_UP = 3  # untimed rounds
# Shares of the sheet's radius, and how far round the head they reach. Beyond 90 degrees it folds behind, as a jaw does.
RIM = (0, 0.93, 1), np.radians((0, 90, 120))
LIGHT = {
    "intensity_ambient": 0.3,
    "color_ambient": (1, 1, 1),
    "intensity_directional": 0.6,
    "color_directional": (1, 1, 1),
    "intensity_specular": 0.1,
    "specular_exp": 5,
    "light_pos": (0, 0, 5),
    "view_pos": (0, 0, 5),
}
BATCH, BATCH_SIDE = 32, 256


class Scene(NamedTuple):
    name: str
    vertices: np.ndarray  # (N, 3) float32
    triangles: np.ndarray  # (F, 3) int32
    colors: np.ndarray  # (N, 3) float32, 0..1
    picture: np.ndarray  # (H, W, 3) uint8, what to draw over


def face_points(rows: int, columns: int) -> np.ndarray:
    """(rows, columns, 3): a sheet bent round the front of a head with a nose and fine waves, x and y in -1..1."""
    v, u = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    x, y = u * np.sqrt(1 - v**2 / 2), v * np.sqrt(1 - u**2 / 2)  # the square sheet made round
    radius = np.hypot(x, y)
    angle = np.interp(radius, *RIM)
    reach = np.sin(angle) / np.maximum(radius, 1e-9)
    swell = 1 + 0.01 * np.sin(20 * u) * np.sin(24 * v)
    nose = 0.3 * np.exp(-((x / 0.12) ** 2) - (y / 0.18) ** 2)
    points = np.stack([x * reach * swell, y * reach * swell, np.cos(angle) * swell + nose], axis=2)
    low, high = points.min(axis=(0, 1)), points.max(axis=(0, 1))
    points[..., :2] = (2 * points - low - high)[..., :2] / (high - low)[:2]
    return points


def grid_triangles(rows: int, columns: int) -> np.ndarray:
    """(F, 3) int32, wound so that the side with larger z is the front."""
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    return np.stack([a, b, c, b, d, c], axis=2).reshape(-1, 3)


def make_scene(name: str, grid: tuple[int, int], size: tuple[float, float], picture: tuple[int, int]) -> Scene:
    """A face of `size` pixels (across, down) in the middle of a grey picture (height, width)."""
    points = face_points(*grid).reshape(-1, 3)
    height, width = picture
    vertices = points * (size[0] / 2, size[1] / 2, size[0] / 2) + (width / 2 + 0.137, height / 2 + 0.291, size[0])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    colors = (vertices - low) / (high - low)
    return Scene(
        name,
        vertices.astype(np.float32),
        grid_triangles(*grid),
        colors.astype(np.float32),
        np.full((height, width, 3), 128, np.uint8),
    )


def describe(scene: Scene) -> str:
    """Counts of a scene; overdraw is the triangles' area over the covered pixels."""
    height, width = scene.picture.shape[:2]
    shown = Sim3DR.rasterize_buffers(scene.vertices, scene.triangles, height, width).triangle
    covered = np.count_nonzero(shown >= 0)
    a, b, c = scene.vertices[scene.triangles, :2].astype(np.float64).transpose(1, 2, 0)
    area = np.abs((b - a)[0] * (c - a)[1] - (b - a)[1] * (c - a)[0]).sum() / 2
    return (
        f"{scene.name}: {len(scene.vertices)} vertices, {len(scene.triangles)} triangles, "
        f"{covered} px of {width}x{height}, overdraw {area / covered:.2f}"
    )


def load_peer(folder: Path):
    """The package folder/Sim3DR under another name; while it loads, its compiled part may be in it or beside it."""
    package = folder.resolve() / "Sim3DR"
    spec = importlib.util.spec_from_file_location("peer_sim3dr", package / "__init__.py")
    if spec is None or not Path(spec.origin).is_file():
        raise SystemExit(f"--peer: no package {package}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    path = list(sys.path)
    sys.path += [str(package), str(package.parent)]
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = path
    return module


def medians(calls: list, rounds: int) -> list[float]:
    """Median ms of each call; they take turns, and in which order alternates."""
    times = [[] for _ in calls]
    for number in range(-WARM_UP, rounds):
        for i in range(len(calls)) if number % 2 == 0 else reversed(range(len(calls))):
            start = time.perf_counter()
            calls[i]()
            if number >= 0:
                times[i].append(time.perf_counter() - start)
    return [1000 * statistics.median(column) for column in times]


def print_row(name: str, ours: float, other: float | None = None) -> None:
    beside = "" if other is None else f"{other:10.3f}{other / ours:9.2f}"
    print(f"{name:<24}{ours:10.3f}{beside}")


def compare(name: str, ours, peer, rounds: int) -> None:
    """A row of the table; peer: a call or None."""
    print_row(name, *medians([ours] if peer is None else [ours, peer], rounds))


def normals_row(name: str, scene: Scene, peer, rounds: int) -> None:
    mesh = scene.vertices, scene.triangles
    theirs = peer and (lambda: peer.get_normal(*mesh))
    compare(f"normals {name}", lambda: Sim3DR.get_normal(*mesh), theirs, rounds)


def drawing_rows(scene: Scene, peer, rounds: int) -> None:
    """Colours in place and on a copy, and the lit mesh in place. The peer always draws in place: it gets the copy."""
    name, *mesh, colors, picture = scene
    mine, its = picture.copy(), picture.copy()
    theirs = peer and (lambda: peer.rasterize(*mesh, colors, bg=its))
    compare(f"colours {name}", lambda: Sim3DR.rasterize(*mesh, colors, bg=mine, out=mine), theirs, rounds)
    theirs = peer and (lambda: peer.rasterize(*mesh, colors, bg=picture.copy()))
    compare(f"colours {name}, copy", lambda: Sim3DR.rasterize(*mesh, colors, bg=picture), theirs, rounds)
    our_light, its_light = Sim3DR.RenderPipeline(**LIGHT), peer and peer.RenderPipeline(**LIGHT)
    theirs = peer and (lambda: its_light(*mesh, its))
    compare(f"lit overlay {name}", lambda: our_light(*mesh, mine, out=mine), theirs, rounds)


def buffers_row(scene: Scene, rounds: int) -> None:
    arguments = scene.vertices, scene.triangles, *scene.picture.shape[:2]
    buffers = Sim3DR.rasterize_buffers(*arguments)
    compare(f"buffers {scene.name}", lambda: Sim3DR.rasterize_buffers(*arguments, out=buffers), None, rounds)


def lit_rows(scene: Scene, rounds: int) -> None:
    """A lit picture with a texture of 512 x 512, on several samples: each beside rasterize_buffers of the same size."""
    height, width = scene.picture.shape[:2]
    points = scene.vertices - scene.vertices.min(axis=0)
    texture = np.random.default_rng(0).integers(128, 256, (512, 512, 4), dtype=np.uint8)  # without a hole
    picture = np.zeros((height, width, 3), np.float32)
    surface = np.zeros(len(scene.triangles), np.uint8)
    looks = scene.colors, np.zeros_like(scene.colors), points[:, :2] / points.max(), surface
    buffers = Sim3DR.rasterize_buffers(scene.vertices, scene.triangles, height, width)
    for samples in (1, 2, 3):
        calls = [
            lambda samples=samples: Sim3DR.draw_lit(
                picture, scene.vertices, scene.triangles, *looks, [texture], samples=samples, out=picture
            ),
            lambda: Sim3DR.rasterize_buffers(scene.vertices, scene.triangles, height, width, out=buffers),
        ]
        lit, plain = medians(calls, rounds)
        print(f"{f'lit {scene.name}, samples {samples}':<24}{lit:10.3f}{lit / plain:9.2f} x buffers")


def instruction_set_rows(scene: Scene, rounds: int) -> None:
    """Colours in place with each instruction set that this machine has."""
    picture = scene.picture.copy()
    mesh = scene.vertices, scene.triangles, scene.colors
    names = _rasterize.instruction_sets()
    for name in names:
        _rasterize.use_instruction_set(name)
        compare(f"colours {scene.name}, {name}", lambda: Sim3DR.rasterize(*mesh, bg=picture, out=picture), None, rounds)
    _rasterize.use_instruction_set(names[0])


def difference(scene: Scene, peer) -> float:
    """The share of the drawn pixels in which ours and the peer's colours differ by more than one level."""
    mesh = scene.vertices, scene.triangles, scene.colors
    ours, theirs = (module.rasterize(*mesh, bg=scene.picture.copy()).astype(int) for module in (Sim3DR, peer))
    drawn = ((ours != scene.picture) | (theirs != scene.picture)).any(axis=2)
    return np.count_nonzero((np.abs(ours - theirs) > 1).any(axis=2)) / np.count_nonzero(drawn)


def threads_rows(scene: Scene, counts: list[int], rounds: int) -> None:
    """Colours in place with several threads beside one; raises where the pictures are not the same bytes."""
    pictures = [scene.picture.copy() for _ in range(2)]
    mesh = scene.vertices, scene.triangles, scene.colors
    for count in counts:
        calls = [
            lambda picture=picture, threads=threads: Sim3DR.rasterize(*mesh, bg=picture, out=picture, threads=threads)
            for picture, threads in zip(pictures, (count, 1), strict=True)
        ]
        print_row(f"colours {scene.name}, {count} threads", *medians(calls, rounds))
        if pictures[0].tobytes() != pictures[1].tobytes():
            raise SystemExit(f"{count} threads draw another picture than one")


def batch_row(scene: Scene, count: int, rounds: int) -> None:
    """A batch of small pictures with several threads beside one; raises where their buffers are not the same bytes."""
    scale = BATCH_SIDE / scene.picture.shape[0]
    shifts = np.linspace(-5, 5, BATCH, dtype=np.float32)[:, None, None]
    vertices = (scene.vertices * scale + shifts).astype(np.float32)
    arguments = vertices, scene.triangles, BATCH_SIDE, BATCH_SIDE
    calls = [lambda threads=threads: Sim3DR.rasterize_batch(*arguments, threads=threads) for threads in (count, 1)]
    several, one = (call() for call in calls)
    if any(a.tobytes() != b.tobytes() for a, b in zip(several, one, strict=True)):
        raise SystemExit(f"{count} threads give other buffers than one")
    print_row(f"{BATCH}x{scene.name} batch, {count} threads", *medians(calls, rounds))


def set_cores(cores: set[int]) -> None:
    """Where the system allows: the cores that this thread, and those that it starts, may run on."""
    if cores:
        os.sched_setaffinity(0, cores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=60, help="timed calls of each (default: 60)")
    parser.add_argument("--threads", type=int, help="the most threads to try (default: one a core, at least 2)")
    parser.add_argument("--peer", type=Path, help="a folder with another package named Sim3DR, to time beside ours")
    options = parser.parse_args()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    threads = options.threads or max(2, len(cores) or os.cpu_count() or 1)
    peer = load_peer(options.peer) if options.peer else None

    small = make_scene("A", (37, 33), (290.5, 300), (800, 800))
    large = make_scene("B800", (240, 160), (348, 400), (800, 800))
    larger = make_scene("B1080", (240, 160), (609.5, 700), (1080, 1920))
    scenes = [small, large, larger]
    print("; ".join(map(describe, scenes)))

    set_cores(set(sorted(cores)[-1:]))
    print(f"{'ms, one core':<24}{'ours':>10}" + (f"{'peer':>10}{'peer/ours':>11}" if peer else ""))
    normals_row("A", small, peer, options.rounds)
    normals_row("B", large, peer, options.rounds)
    for scene in scenes:
        drawing_rows(scene, peer, options.rounds)
    for scene in scenes:
        buffers_row(scene, options.rounds)
    for scene in scenes:
        lit_rows(scene, options.rounds)
    for scene in scenes:
        instruction_set_rows(scene, options.rounds)
    if peer:
        shares = ", ".join(f"{100 * difference(scene, peer):.2f} % of {scene.name}" for scene in scenes)
        print(f"colours that differ by more than one level (the fill rules do): {shares}")

    set_cores(cores)
    print(f"{'ms, all cores':<24}{'threads':>10}{'one':>10}{'one/threads':>13}")
    threads_rows(larger, sorted({2, threads}), options.rounds)
    batch_row(small, threads, options.rounds)


if __name__ == "__main__":
    main()
