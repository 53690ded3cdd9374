"""How fast training samples are read, beside a plain re-implementation of the published loader, in one run.

    python -m benchmarks.bench_data --data_root DIR [--img_size 256] [--workers 2] [--images 400]

The published loader reads with torch's worker processes and hands over float32 windows; ours reads with threads, takes
the labels that step01 packs and hands over uint8 windows, which the device turns into floats. The windows are the same
to the bit; the script checks it. No augmentation.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch.utils.data import DataLoader, Dataset

from data.packed_labels import PackedLabels, packing_labels
from data.wcpa import SampleId, WcpaRoot
from data.wcpa_dataset import WcpaDataset
from data.windows import FACE_BOX_REACH
from util.loader import in_order, load_batches

BATCH = 32
ROUNDS = 5
CPU = torch.device("cpu")


def published_windows(image: np.ndarray, box: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """The two windows (size, size, 3) of an image, made from all of it, for a face box (left, top, right, bottom)."""
    left, top, right, bottom = box
    corners, last = np.float32([[left, top], [left, bottom], [right, top]]), size - 1
    affine = cv2.getAffineTransform(corners, np.float32([[0, 0], [0, last], [last, 0]]))
    local = cv2.warpAffine(image, affine, (size, size))
    height, width = image.shape[:2]
    blackened = np.zeros_like(image)
    columns = slice(int(max(left, 0)), max(0, int(min(right, width))))
    rows = slice(int(max(top, 0)), max(0, int(min(bottom, height))))
    blackened[rows, columns] = image[rows, columns]
    return {"local": local, "global": cv2.resize(blackened, (size, size))}


class PublishedDataset(Dataset):
    """One item as the published baseline makes it: everything from its own file, windows as floats in -1..1."""

    def __init__(self, root: WcpaRoot, samples: list[SampleId], size: int):
        self.root, self.samples, self.size = root, samples, size

    def __len__(self) -> int:
        return len(self.samples)

    def windows(self, sample: SampleId) -> dict[str, np.ndarray]:
        image = cv2.cvtColor(cv2.imread(str(self.root.image_path(sample))), cv2.COLOR_BGR2RGB)
        points = np.array(
            [line.split() for line in self.root.landmarks_path(sample).read_text().splitlines()], np.float32
        )
        low, high = points.min(axis=0), points.max(axis=0)
        (x, y), extent = (low + high) / 2, (high - low).max()
        left, right, up, down = (reach * extent for reach in FACE_BOX_REACH)
        return published_windows(image, np.float32([x - left, y - up, x + right, y + down]), self.size)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        sample = self.samples[index]
        windows = self.windows(sample)
        with np.load(self.root.label_path(sample)) as label:
            verts, R_t = label["verts"], label["R_t"]
        yaw, pitch, roll = Rotation.from_matrix(R_t[:3, :3].T).as_euler("yxz")
        return {
            **{n: torch.from_numpy(w.transpose(2, 0, 1).copy()).float() / 127.5 - 1 for n, w in windows.items()},
            "verts": torch.from_numpy(verts * 10),
            "six": torch.tensor([pitch, yaw, roll, *R_t[3, :3]], dtype=torch.float32),
        }


def check_same_windows(published: PublishedDataset, ours: WcpaDataset) -> None:
    for index in range(0, len(published), max(1, len(published) // 20)):
        wanted, item = published.windows(published.samples[index]), ours[index]
        for name, window in wanted.items():
            np.testing.assert_array_equal(item[name].numpy().transpose(1, 2, 0), window)


def samples_per_second(batches, count: int) -> float:
    start = time.perf_counter()
    for _ in batches:
        pass
    return count / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data_root", type=Path, required=True, help="a data root in the WCPA layout")
    parser.add_argument("--img_size", type=int, default=256, help="side of a window (default: 256)")
    parser.add_argument("--workers", type=int, default=2, help="processes of theirs, threads of ours (default: 2)")
    parser.add_argument("--images", type=int, default=400, help="images to read in a round (default: 400)")
    options = parser.parse_args()
    root, topology = WcpaRoot(options.data_root), WcpaRoot(options.data_root).topology()
    samples = root.samples("train")[: options.images]
    published = PublishedDataset(root, samples, options.img_size)
    order = in_order(np.random.default_rng(0).permutation(len(samples)).tolist(), BATCH)
    # For both: the workers are what works at once, and a torch worker process has one thread as well.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)

    with tempfile.TemporaryDirectory() as folder:
        with packing_labels(Path(folder), "train", topology.num_vertices, labelled=True) as pack:
            for sample in samples:
                pack(vars(root.read(sample, topology.num_vertices, labelled=True)))
        labels = PackedLabels(Path(folder), "train", len(samples), topology.num_vertices, labelled=True)
        ours = WcpaDataset(root, samples, topology, ("local", "global"), options.img_size, True, labels=labels)
        check_same_windows(published, ours)
        rates: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for workers in (0, options.workers):
                theirs = DataLoader(published, batch_sampler=order, num_workers=workers)
                rates.setdefault(f"published, {workers} processes", []).append(samples_per_second(theirs, len(samples)))
                mine = load_batches(ours, order, workers, CPU)
                rates.setdefault(f"ours, {workers} threads", []).append(samples_per_second(mine, len(samples)))
    reference = statistics.median(rates["published, 0 processes"])
    print(f"{len(samples)} images a round, {options.img_size} px windows, median of {ROUNDS} rounds, same windows")
    for name, values in rates.items():
        rate = statistics.median(values)
        print(f"{name:<24}{rate:8.0f} samples/s{rate / reference:8.2f}")


if __name__ == "__main__":
    main()
