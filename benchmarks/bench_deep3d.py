"""Where the time of a training step of --model deep3d goes, part by part.

    python step01_preparation.py --data_root DIR --cache_dir CACHE --build_morphable
    python -m benchmarks.bench_deep3d --data_root DIR --cache_dir CACHE [--img_size 112 224] [--gpu_ids 0]

Each part is stepped forward and back on its own: what it gives is cut from the graph, and its gradient handed on.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import torch
from tqdm import tqdm

from data.cache import Cache, read_cache
from data.wcpa import WcpaRoot
from models.arcface import ArcFace, Recognition
from models.deep3d_decoder import Face
from models.deep3d_model import Deep3dModel
from models.morphable import read_bases
from options.base_options import plain
from options.train_options import build_parser
from step02_train import make_datasets
from util.device import choose_device
from util.loader import Batch, load_batches
from util.training import make_optimizer

Seconds = dict[str, list[float]]
Tensors = dict[str, torch.Tensor]


class Clock:
    """Seconds by the names of what took them."""

    def __init__(self, device: torch.device):
        self.device = device
        self.seconds: Seconds = defaultdict(list)

    @contextmanager
    def taken(self, name: str) -> Iterator[None]:
        start = self.now()
        yield
        self.seconds[name].append(self.now() - start)

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def cut(tensors: Tensors) -> Tensors:
    """The same numbers, without what they came from; gradients stop there and stay."""
    return {
        name: tensor.detach().requires_grad_() if tensor.requires_grad else tensor for name, tensor in tensors.items()
    }


def hand_on(tensors: Tensors, leaves: Tensors) -> None:
    """Goes back from tensors with the gradients that their cut twins have gathered."""
    chosen = [name for name, leaf in leaves.items() if leaf.grad is not None]
    torch.autograd.backward([tensors[name] for name in chosen], [leaves[name].grad for name in chosen])


def step(model: Deep3dModel, batch: Batch, optimizer: torch.optim.Optimizer, clock: Clock) -> None:
    """One training step, with the time of each part."""
    with clock.taken("network"):
        outputs = model(batch)
    seen = cut(outputs)
    with clock.taken("shape, light"):
        face = model.face(seen)
    told = cut(face._asdict())
    with clock.taken("rendering"):
        rendering = model.render(Face(**told), batch[model.windows[0]].shape[-1])
    drawn = cut(rendering._asdict())
    with clock.taken("losses"):
        total = sum(model.compare(seen, Face(**told), type(rendering)(**drawn), batch).values())
    with clock.taken("losses back"):
        total.backward()
    with clock.taken("rendering back"):
        hand_on(rendering._asdict(), drawn)
    with clock.taken("shape, light back"):
        hand_on(face._asdict(), told)
    with clock.taken("network back"):
        hand_on(outputs, seen)
    with clock.taken("optimizer"):
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def measure(options: argparse.Namespace, root: WcpaRoot, cache: Cache, size: int, device: torch.device) -> Seconds:
    """The seconds of each part in each step but the first, which is not counted."""
    words = ["--data_root", options.data_root, "--cache_dir", options.cache_dir, "--img_size", size]
    words += ["--batch_size", options.batch_size, "--backbone", options.backbone]
    settings = build_parser("deep3d", "standard").parse_args([*map(str, words)])
    world = cache.topology, cache.statistics, cache.projection, cache.image_size
    model = Deep3dModel.build(plain(settings), *world, read_bases(options.cache_dir / "morphable.npz")).to(device)
    if options.perceptual:
        model.recognition = Recognition(ArcFace())  # made-up weights are as slow as any other
    order = [list(range(options.batch_size))]
    (batch,) = load_batches(make_datasets(settings, root, cache)[1], order, 0, device)
    optimizer = make_optimizer(model, plain(settings))
    model.train()
    step(model, batch, optimizer, Clock(device))
    clock = Clock(device)
    for _ in tqdm(range(options.steps), desc=f"{size} px", unit="step"):
        step(model, batch, optimizer, clock)
    return clock.seconds


def show(seconds: Seconds, title: str) -> None:
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    whole = sum(medians.values())
    print(f"{title}: {1000 * whole:.0f} ms a step\n{'':<16}{'forward':>10}{'back':>10}{'share':>9}")
    for name in (name for name in medians if not name.endswith(" back")):
        there, back = medians[name], medians.get(f"{name} back", 0.0)
        print(f"{name:<16}{1000 * there:7.1f} ms{1000 * back:7.1f} ms{100 * (there + back) / whole:7.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data_root", type=Path, required=True, help="a data root in the WCPA layout")
    parser.add_argument("--cache_dir", type=Path, default=Path("cache"), help="its cache, with a morphable model")
    parser.add_argument("--img_size", type=int, nargs="+", default=[112, 224], help="sides (default: 112 224)")
    parser.add_argument("--batch_size", type=int, default=32, help="images a step (default: 32)")
    parser.add_argument("--backbone", default="resnet50", help="the encoder (default: resnet50, as published)")
    parser.add_argument("--perceptual", action="store_true", help="with the perceptual loss, of made-up weights")
    parser.add_argument("--steps", type=int, default=5, help="steps that are measured (default: 5)")
    parser.add_argument("--gpu_ids", type=int, nargs="*", default=[], help="GPU to use (default: the CPU)")
    options = parser.parse_args()
    cv2.setNumThreads(0)
    root = WcpaRoot(options.data_root)
    cache = read_cache(options.cache_dir, root)
    device, line = choose_device(options.gpu_ids)
    print(f"{line}, {options.backbone}, {options.batch_size} images a batch")
    for size in options.img_size:
        show(measure(options, root, cache, size, device), f"{size} px")


if __name__ == "__main__":
    main()
