"""How fast training is beside a plain re-implementation of the published loop, in one run.

    python step01_preparation.py --data_root DIR --cache_dir CACHE --pack
    python -m benchmarks.bench_train --data_root DIR --cache_dir CACHE [--img_size 256] [--batch_size 16] [--gpu_ids 0]

The published loop: torch's worker processes, windows as floats, float32, torch's default Adam. Ours: what step02 does
with --precision auto, from the image files and from the packed ones. Both train the published network. "Computing
alone" trains on one batch again and again, with nothing to wait for.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path

import cv2
import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from tqdm import tqdm

from benchmarks.bench_data import PublishedDataset
from data.augment import augment_batch
from data.cache import Cache, read_cache
from data.wcpa import WcpaRoot
from data.wcpa_dataset import epoch_batches
from models.dual_resnet_model import DualResNetModel
from options.base_options import plain
from options.train_options import build_parser
from step02_train import make_datasets
from util.device import choose_device
from util.loader import Batch, load_batches
from util.training import TrainingState

Step = Callable[[Batch], object]


class PublishedModel(DualResNetModel):
    """The published network on windows that are floats already."""

    def pixels(self, batch: Batch, window: str) -> torch.Tensor:
        return batch[window]


def published_step(model: PublishedModel, device: torch.device) -> Step:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5, betas=(0.5, 0.999))

    def step(batch: Batch) -> float:
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        outputs = model(batch)
        six = (batch["six"] - model.six_mean) / model.six_std
        loss = 5 * functional.l1_loss(outputs["verts"], batch["verts"]) + functional.l1_loss(outputs["6dof"], six)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def images_per_second(batches: Iterator[Batch], step: Step, steps: int, batch_size: int) -> float:
    """Over so many steps, after one that is not counted: it fills the loader and chooses kernels."""
    step(next(batches))
    start = time.perf_counter()
    for batch in islice(batches, steps):
        step(batch)
    return steps * batch_size / (time.perf_counter() - start)


def prepare(options: argparse.Namespace, root: WcpaRoot, cache: Cache) -> dict[str, Callable[[], float]]:
    """The rows of the table: name -> a function that measures it once."""
    device, line = choose_device(options.gpu_ids)
    words = ["--data_root", options.data_root, "--cache_dir", options.cache_dir, "--img_size", options.img_size]
    words += ["--batch_size", options.batch_size, "--precision", "auto"]
    parser = build_parser("dual_resnet", "published")
    ours = {data: parser.parse_args([*map(str, words), "--data", data]) for data in ("files", "packed")}
    build = plain(ours["files"]), cache.topology, cache.statistics, cache.projection, cache.image_size
    state = TrainingState(DualResNetModel.build(*build), plain(ours["files"]), 1, device)
    print(f"{line}, {state.precision}, {options.img_size} px, {options.batch_size} images a batch")
    mirror = torch.from_numpy(cache.topology.mirror).to(device)
    theirs = PublishedModel.build(*build).to(device)
    published = published_step(theirs, device)
    published_set = PublishedDataset(root, cache.train, options.img_size)
    order = list(islice(cycle(epoch_batches(len(cache.train), options.batch_size, 0, 0)), options.steps + 1))
    measure = {"steps": options.steps, "batch_size": options.batch_size}

    def train_ours(data: str) -> float:
        loaded = load_batches(make_datasets(ours[data], root, cache)[0], order, options.num_workers, device)
        return images_per_second(
            loaded, lambda batch: state.train_step(augment_batch(batch, mirror, cache.image_size[0])), **measure
        )

    def train_published() -> float:
        workers = {"num_workers": options.num_workers, "pin_memory": device.type == "cuda"}
        return images_per_second(iter(DataLoader(published_set, batch_sampler=order, **workers)), published, **measure)

    one_of_theirs = next(iter(DataLoader(published_set, batch_sampler=order[:1])))
    (one_of_ours,) = load_batches(make_datasets(ours["files"], root, cache)[0], order[:1], 0, device)
    return {
        "published loop": train_published,
        "published, computing alone": lambda: images_per_second(cycle([one_of_theirs]), published, **measure),
        "ours, image files": lambda: train_ours("files"),
        "ours, packed": lambda: train_ours("packed"),
        "ours, computing alone": lambda: images_per_second(cycle([one_of_ours]), state.train_step, **measure),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data_root", type=Path, required=True, help="a data root in the WCPA layout")
    parser.add_argument("--cache_dir", type=Path, default=Path("cache"), help="its cache, with packed images")
    parser.add_argument("--img_size", type=int, default=256, help="side of a window (default: 256)")
    parser.add_argument("--batch_size", type=int, default=16, help="images a step (default: 16)")
    parser.add_argument("--num_workers", type=int, default=2, help="processes of theirs, threads of ours (default: 2)")
    parser.add_argument("--steps", type=int, default=10, help="steps in a measurement (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each row, in turn (default: 3)")
    parser.add_argument("--gpu_ids", type=int, nargs="*", default=[], help="GPU to use (default: the CPU)")
    options = parser.parse_args()
    cv2.setNumThreads(0)
    root = WcpaRoot(options.data_root)
    rows = prepare(options, root, read_cache(options.cache_dir, root))
    rates: dict[str, list[float]] = {name: [] for name in rows}
    for _ in tqdm(range(options.rounds), desc="measure", unit="round"):
        for name, measure in rows.items():
            rates[name].append(measure())
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{'':<28}{'images/s':>10}{'to published':>14}{'step to computing alone':>26}")
    for name, rate in medians.items():
        alone = medians["published, computing alone" if name.startswith("published") else "ours, computing alone"]
        print(f"{name:<28}{rate:10.1f}{rate / medians['published loop']:14.2f}{alone / rate:26.3f}")


if __name__ == "__main__":
    main()
