"""How fast training samples are read, beside a plain re-implementation of the published loader, in one run.

    python -m benchmarks.bench_data --data_root DIR [--img_size 256] [--workers 2] [--images 400]

The published loader reads with torch's worker processes and hands over float32 windows; ours reads with threads, takes
the labels that step01 packs and hands over uint8 windows, which the device turns into floats: from the image files, or
from those that step01 --pack has packed. The windows are the same to the bit, but for reencoded images; the script
checks it. No augmentation. Last, a cache as large as that of the real data is opened, simulated by files with holes.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch.utils.data import DataLoader, Dataset

from data.cache import STATISTICS, read_cache
from data.image_packing import pack_images
from data.packed_images import RECORD, PackedImage, PackedImages, PackHeader, header_path, packing_images, slot_paths
from data.packed_labels import PackedLabels, label_path, label_shapes, packing_labels
from data.wcpa import SampleId, WcpaRoot, write_sample_list
from data.wcpa_dataset import WcpaDataset, window_error
from data.windows import FACE_BOX_REACH
from util.loader import in_order, load_batches
from util.mesh import Topology

BATCH = 32
ROUNDS = 5
CPU = torch.device("cpu")
# How long the lists of the real data are, and how many images of each the simulated cache has data of.
SIMULATED = {"train": 285_312, "val": 71_328, "test": 90_545}
READ_BACK = 2000


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


def packed_dataset(files: WcpaDataset, header: PackHeader, folder: Path) -> WcpaDataset:
    """The data set with its images packed into the folder."""
    folder.mkdir()
    with packing_images(folder, "train", header) as (_, pack):
        for image in pack_images(files.root, header, files.samples, num_workers=0):
            pack(image)
    images = PackedImages(folder, "train", files.samples, header.digest, files.size)
    look = files.samples, files.topology, files.windows, files.size, True
    return WcpaDataset(files.root, *look, labels=files.labels, images=images)


def samples_per_second(batches, count: int) -> float:
    start = time.perf_counter()
    for _ in batches:
        pass
    return count / (time.perf_counter() - start)


def compare_loaders(published: PublishedDataset, ours: dict[str, WcpaDataset], workers: int) -> None:
    """Prints a row a loader and number of workers: the median rate, and its ratios to the published loader's."""
    count = len(published)
    order = in_order(np.random.default_rng(0).permutation(count).tolist(), BATCH)
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for number in (0, workers):
            theirs = DataLoader(published, batch_sampler=order, num_workers=number)
            rates.setdefault(("published", number), []).append(samples_per_second(theirs, count))
            for name, dataset in ours.items():
                mine = load_batches(dataset, order, number, CPU)
                rates.setdefault((name, number), []).append(samples_per_second(mine, count))
    medians = {row: statistics.median(values) for row, values in rates.items()}
    print(f"{count} images a round, {published.size} px windows, median of {ROUNDS} rounds")
    print(f"{'':<26}{'samples/s':>10}{'of published, 0':>18}{f'of published, {workers}':>18}")
    for (name, number), rate in sorted(medians.items(), key=lambda row: row[0][1]):
        kind = "processes" if name == "published" else "threads"
        ratios = "".join(f"{rate / medians['published', reference]:18.2f}" for reference in (0, workers))
        print(f"{f'{name}, {number} {kind}':<26}{rate:10.0f}{ratios}")


def simulate_root(folder: Path, lists: dict[str, list[SampleId]], root: WcpaRoot) -> None:
    """A data root with these lists, the resources of another one and no samples."""
    for name in ("image", "68landmarks", "list"):
        (folder / name).mkdir(parents=True)
    (folder / "resources").symlink_to((root.root / "resources").resolve())
    write_sample_list(folder / "list" / "WCPA_track2_train.csv", lists["train"] + lists["val"])
    write_sample_list(folder / "list" / "WCPA_track2_test.csv", lists["test"])


def simulate_cache(folder: Path, root: WcpaRoot, topology: Topology, images: list[PackedImage], size: int) -> None:
    """root/ and cache/ in the folder with SIMULATED samples; only those to read back have an image's data."""
    lists = {
        split: [SampleId(f"{split}{i // 1000}", f"action{i // 30 % 33}", f"{i % 1000:05d}") for i in range(count)]
        for split, count in SIMULATED.items()
    }
    simulate_root(folder / "root", lists, root)
    cache, header = folder / "cache", PackHeader("digest", "lossless", 0.15, size, (800, 800), "a")
    cache.mkdir()
    spacing = max(len(image.data) for image in images)
    for split, samples in lists.items():
        write_sample_list(cache / f"{split}_list.csv", samples)
        for name, shape in label_shapes(topology.num_vertices, labelled=split != "test").items():
            with open(label_path(cache, split, name), "wb") as file:
                file.truncate(4 * len(samples) * int(np.prod(shape)))
        records = np.zeros(len(samples), RECORD)
        data_path, index_path = slot_paths(cache, split, header.slot)
        with open(data_path, "wb") as file:
            file.truncate(spacing * len(samples))
            for number, index in enumerate(read_back(len(samples))):
                image = images[number % len(images)]
                file.seek(spacing * index)
                file.write(image.data)
                place = spacing * index, len(image.data), image.checksum()
                records[index] = (image.left, image.top, image.scale, *place)
        records.tofile(index_path)
        header_path(cache, split).write_text(json.dumps(asdict(header)))
    np.savez(cache / "label_mean_std.npz", **dict.fromkeys(STATISTICS, np.zeros(1)))
    np.savez(cache / "topology.npz", **vars(topology), projection=np.eye(4), image_size=header.image_size)
    source = {
        "fold": 0,
        "fingerprint": WcpaRoot(folder / "root").fingerprint(),
        "image_digests": dict.fromkeys(SIMULATED, header.digest),
    }
    (cache / "source.json").write_text(json.dumps(source))


def read_back(count: int) -> list[int]:
    return np.random.default_rng(0).permutation(count)[:READ_BACK].tolist()


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def measure_opening(folder: Path, size: int) -> str:
    """Opens the simulated cache as a training would, and reads some images from all over it."""
    before, start = resident_megabytes(), time.perf_counter()
    root = WcpaRoot(folder / "root")
    cache = read_cache(folder / "cache", root)
    images = {split: cache.packed_images(split, size) for split in ("train", "val")}
    seconds, opened = time.perf_counter() - start, resident_megabytes()
    look = cache.train, cache.topology, ("local", "global"), size, True
    dataset = WcpaDataset(root, *look, labels=cache.labels["train"], images=images["train"])
    count = sum(SIMULATED.values())
    indices, levels = read_back(len(dataset)), []
    for half in (indices[: READ_BACK // 2], indices[READ_BACK // 2 :]):
        for batch in in_order(half, BATCH):
            dataset.read_batch(batch)
        levels.append(resident_megabytes())
    return (
        f"a cache of {count} samples: opened in {seconds:.2f} s, its lists are {opened - before:.0f} MB; "
        f"resident {opened:.0f} MB,\nafter {READ_BACK // 2} random images {levels[0]:.0f} MB, "
        f"after {READ_BACK} {levels[1]:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data_root", type=Path, required=True, help="a data root in the WCPA layout")
    parser.add_argument("--img_size", type=int, default=256, help="side of a window (default: 256)")
    parser.add_argument("--workers", type=int, default=2, help="processes of theirs, threads of ours (default: 2)")
    parser.add_argument("--images", type=int, default=400, help="images to read in a round (default: 400)")
    options = parser.parse_args()
    root, topology, size = WcpaRoot(options.data_root), WcpaRoot(options.data_root).topology(), options.img_size
    samples = root.samples("train")[: options.images]
    published = PublishedDataset(root, samples, size)
    # For both: the workers are what works at once, and a torch worker process has one thread as well.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with packing_labels(folder, "train", topology.num_vertices, labelled=True) as pack:
            for sample in samples:
                pack(root.read_arrays(sample, topology.num_vertices, labelled=True))
        labels = PackedLabels(folder, "train", len(samples), topology.num_vertices, labelled=True)
        files = WcpaDataset(root, samples, topology, ("local", "global"), size, True, labels=labels)
        height, width = root.read_image(samples[0]).shape[:2]
        header = PackHeader("digest", "lossless", 0.15, size, (width, height))
        lossless = packed_dataset(files, header, folder / "lossless")
        reencoded = packed_dataset(files, replace(header, mode="reencoded"), folder / "reencoded")
        for exact in (files, lossless):
            check_same_windows(published, exact)
        compare_loaders(published, {"files": files, "lossless": lossless, "reencoded": reencoded}, options.workers)
        mean, largest = window_error(files, reencoded, range(0, len(samples), max(1, len(samples) // 64)))
        print(f"reencoded windows differ by {mean:.2f} levels on average, by {largest} at most; the others are exact")
        simulate_cache(folder, root, topology, list(pack_images(root, header, samples[:50], 0)), size)
        with multiprocessing.get_context("spawn").Pool(1) as pool:  # a process with nothing in its memory yet
            print(pool.apply(measure_opening, (folder, size)))


if __name__ == "__main__":
    main()
