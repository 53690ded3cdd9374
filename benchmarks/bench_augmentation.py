"""What augmentation costs a training sample on one core, beside cutting its windows from an image in memory.

python -m benchmarks.bench_augmentation --data_root DIR [--img_size 112] [--windows local] [--images 64]
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from data.augment import PIXEL_CHANGES
from data.wcpa import WcpaRoot
from data.wcpa_dataset import WcpaDataset
from data.windows import Picture

ROUNDS = 9


class HeldDataset(WcpaDataset):
    """Images and labels are read once."""

    def __init__(self, *arguments: Any, **keywords: Any):
        super().__init__(*arguments, **keywords)
        self.held = list(map(super().read, range(len(self))))

    def read(self, index: int) -> tuple[int, Picture | None, dict[str, np.ndarray]]:
        _, picture, label = self.held[index]
        return index, picture, dict(label)


def milliseconds(dataset: HeldDataset) -> float:
    """The median processor time of a sample, of ROUNDS cuttings of all."""
    times = []
    dataset.read_batch(range(len(dataset)))
    for _ in range(ROUNDS):
        start = time.thread_time()
        dataset.read_batch(range(len(dataset)))
        times.append(1e3 * (time.thread_time() - start) / len(dataset))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_root", type=Path, required=True)
    parser.add_argument("--img_size", type=int, default=112)
    parser.add_argument("--windows", nargs="+", default=["local"])
    parser.add_argument("--images", type=int, default=64)
    options = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    root = WcpaRoot(options.data_root)
    look = root, root.samples("train")[: options.images], root.topology(), options.windows, options.img_size, True
    plain = milliseconds(HeldDataset(*look))
    print(f"without augmentation: {plain:.2f} ms a sample of {options.img_size} pixels, {', '.join(options.windows)}")
    rows = {"rotation": {"rotation": 20.0}, **{name: {name: 1.0} for name in PIXEL_CHANGES}}
    rows["all of these"] = {name: amount for row in rows.values() for name, amount in row.items()}
    for name, augmentation in rows.items():
        print(f"{name:12s} {milliseconds(HeldDataset(*look, augmentation=augmentation)) - plain:6.2f} ms more")


if __name__ == "__main__":
    main()
