"""What graph convolutions and the Chamfer loss cost, beside a dense matrix and a table of all distances.

    python -m benchmarks.bench_mesh --obj DIR/resources/example.obj [--batch_size 32] [--rounds 7] [--gpu_ids 0]

Convolutions forward and back, the two in turn in one run; medians of the rounds. A search's memory is the most that is
taken meanwhile beside the points themselves. Runs on Linux, which tells it.
"""

import argparse
import ctypes
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from scipy.sparse import csr_array
from torch import nn
from tqdm import tqdm

from models.graph_layers import GraphConvolution, SparseMatrix, chebyshev_matrix, sparse_product
from models.mesh_losses import BLOCK_BYTES, chamfer_loss, nearest, nearest_of_all_pairs, sample_surface
from util.device import choose_device
from util.mesh import read_obj

# Widths of Pixel2Mesh's features, and how many true points there are.
WIDTHS, TRUE_POINTS = (64, 192), 10_000
# How far predicted vertices are from true ones, metres.
DEVIATION = 0.003
# More than any table of distances takes.
UNBOUNDED = 1 << 60

Ways = dict[str, Callable[[], object]]


class DenseConvolution(nn.Module):
    """The sums of a graph convolution, with its weights, by a matrix in full."""

    def __init__(self, matrix: csr_array, twin: GraphConvolution):
        super().__init__()
        self.twin = twin
        self.register_buffer("matrix", torch.tensor(matrix.toarray(), dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mix(self.twin.neighbours(x)) + self.twin.own(x)

    def mix(self, x: torch.Tensor) -> torch.Tensor:
        return (self.matrix @ x.flatten(1)).view_as(x)


def there_and_back(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The result, after all gradients are made of one like x that comes from behind."""
    result = layer(x)
    torch.autograd.grad(result, [x, *layer.parameters()], x.detach())
    return result.detach()


def finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(ways: Ways, rounds: int, device: torch.device, title: str) -> dict[str, float]:
    """The median seconds of each way, in turn, after one round that is not counted."""
    seconds = {name: [] for name in ways}
    for _ in tqdm(range(rounds + 1), desc=title, unit="round", leave=False):
        for name, way in ways.items():
            finish(device)
            start = time.perf_counter()
            way()
            finish(device)
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def resident(kind: str) -> int:
    """Bytes of this process's memory: VmRSS, those held, or VmHWM, the most that were."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind))
    return 1024 * int(line.split()[1])


def peak_bytes(way: Callable[[], object], device: torch.device) -> int:
    """The most memory, of the GPU where one computes, that is taken while it runs, beyond what was before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        way()
        return torch.cuda.max_memory_allocated(device) - before
    ctypes.CDLL(None).malloc_trim(0)  # hands back what is free, so that taking it again is seen
    Path("/proc/self/clear_refs").write_text("5")  # forgets the most that were
    before = resident("VmRSS")
    way()
    return resident("VmHWM") - before


def show(title: str, ways: Ways, rounds: int, device: torch.device) -> None:
    """Measures the ways and prints them beside the first."""
    seconds = seconds_of(ways, rounds, device, title)
    first = next(iter(seconds.values()))
    print(title)
    for name, value in seconds.items():
        print(f"  {name:<28}{1000 * value:10.1f} ms{first / value:8.1f} times as fast")


def bench_convolutions(matrix: csr_array, options: argparse.Namespace, device: torch.device) -> None:
    for width in WIDTHS:
        sparse = GraphConvolution(SparseMatrix(matrix), width, width).to(device)
        dense = DenseConvolution(matrix, sparse).to(device)
        x = torch.randn(matrix.shape[0], options.batch_size, width, device=device, requires_grad=True)
        torch.testing.assert_close(there_and_back(sparse, x), there_and_back(dense, x), rtol=1e-2, atol=1e-2)
        layers = {"dense": dense, "sparse": sparse}
        ways = {name: partial(there_and_back, layer, x) for name, layer in layers.items()}
        show(f"graph convolution, {width} channels, forward and back", ways, options.rounds, device)
        plain = x.detach()
        products = {"dense": partial(dense.mix, plain), "sparse": partial(sparse_product, sparse.matrix, plain)}
        show(f"the product with the matrix alone, {width} channels", products, options.rounds, device)


def all_pairs(points: torch.Tensor, truth: torch.Tensor, room: int) -> None:
    nearest_of_all_pairs(points.detach(), truth, room)
    nearest_of_all_pairs(truth, points.detach(), room)


def bench_chamfer(verts: torch.Tensor, triangles: torch.Tensor) -> None:
    truth, _ = sample_surface(verts, triangles, TRUE_POINTS)
    points = (verts + DEVIATION * torch.randn_like(verts)).requires_grad_()
    ways = {
        "as the loss does": lambda: (nearest(points, truth), nearest(truth, points)),
        "the loss, forward and back": lambda: torch.autograd.grad(chamfer_loss(points, truth)[0], points),
    }
    for name, room in (("all pairs in blocks", BLOCK_BYTES), ("all pairs in one table", UNBOUNDED)):
        ways[name] = partial(all_pairs, points, truth, room)
    ways["as the loss does"]()  # starts threads and loads what is loaded once
    print(f"nearest points, {verts.shape[1]:,} and {TRUE_POINTS:,}, both ways, each once")
    for name, way in ways.items():
        start = time.perf_counter()
        peak = peak_bytes(way, verts.device)
        finish(verts.device)
        print(f"  {name:<28}{time.perf_counter() - start:8.3f} s{peak / 2**20:8.0f} MiB at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--obj", type=Path, required=True, help="a mesh, as a data root's resources/example.obj")
    parser.add_argument("--batch_size", type=int, default=32, help="meshes at once (default: 32)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds that are measured (default: 7)")
    parser.add_argument("--gpu_ids", type=int, nargs="*", default=[], help="GPU to use (default: the CPU)")
    options = parser.parse_args()
    device, line = choose_device(options.gpu_ids)
    verts, triangles = read_obj(options.obj)
    print(f"{line}; {len(verts):,} vertices, {options.batch_size} meshes")
    torch.manual_seed(0)
    edges = triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    bench_convolutions(chebyshev_matrix(edges, len(verts)), options, device)
    batch = torch.from_numpy(verts).expand(options.batch_size, -1, -1).to(device)
    bench_chamfer(batch, torch.from_numpy(triangles).long().to(device))


if __name__ == "__main__":
    main()
