"""Checks a data root, shows its numbers, splits it by subject and writes the cache that the later steps read.

python step01_preparation.py --data_root wcpa_challenge_face_data
"""

import argparse
import csv
import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data import get_dataset_class
from data.aflw import FaceModel, write_resources
from data.cache import SPLITS, STATISTICS, read_cache, split_subjects
from data.check import Expected, Finding, StatisticsAccumulator, check_samples, usual_image_size
from data.image_packing import pack_images
from data.packed_images import PackHeader, packing_images
from data.packed_labels import packing_labels
from data.streaming import write_shards
from data.wcpa import SampleId, WcpaRoot, write_sample_list
from data.wcpa_dataset import WcpaDataset, window_error
from data.windows import face_box
from models.morphable import write_bases
from models.morphable_building import TrainingImages, build_bases
from models.morphable_files import read_morphable
from models.morphable_picture import draw_model
from models.threeddfa import MICROMETRE
from options.base_options import plain
from options.preparation_options import parse_preparation_options
from util.checkpoint import write_whole
from util.distributed import join_team
from util.errors import InputError, run_step
from util.mesh import Topology
from util.pictures import draw_box, draw_landmarks, label, mosaic, overlay_mesh, save_picture
from util.statistics import LabelStatistics

NUM_SHOWN = 12
NUM_COMPARED = 64


def main() -> None:
    options = parse_preparation_options()
    with join_team() as team:
        if team.size > 1:
            raise InputError(
                f"step01_preparation.py waits for the disk and is no faster by {team.size} processes of a team: start "
                "it without torchrun, with --num_workers"
            )
    if options.face_model:
        write_face_model(options.data_root, options.face_model)
    root = get_dataset_class(options.dataset).root_class(options.data_root)
    topology, projection = root.topology(), root.projection()
    train, val = split_subjects(root.samples("train"), options.fold)
    test = root.samples("test")
    image_size = usual_image_size(root, train + val)

    options.cache_dir.mkdir(parents=True, exist_ok=True)
    (options.cache_dir / "source.json").unlink(missing_ok=True)  # there is no cache until it is written anew
    for name in ("morphable.npz", "morphable.jpg"):  # they may be of other subjects
        (options.cache_dir / name).unlink(missing_ok=True)
    rejected, good, digests = [], {}, {}
    statistics = StatisticsAccumulator(len(train))
    for split, samples in (("train", train), ("val", val), ("test", test)):
        expected = Expected(topology.num_vertices, image_size, labelled=split != "test")
        good[split], digest = [], hashlib.sha256()
        findings = check_samples(root, samples, expected, options.num_workers)
        with packing_labels(options.cache_dir, split, topology.num_vertices, expected.labelled) as pack:
            for finding in tqdm(findings, total=len(samples), desc=f"check {split}", unit="image"):
                if finding.reason:
                    rejected.append(finding)
                    continue
                good[split].append(finding.sample)
                digest.update(finding.fingerprint())
                pack(vars(finding))
                if split == "train":
                    statistics.add(finding)
        digests[split] = digest.hexdigest()

    total = len(train) + len(val) + len(test)
    write_rejected(options.cache_dir / "rejected.csv", rejected)
    if len(rejected) > options.max_rejected * total:
        raise InputError(
            f"data root {root.root}: {len(rejected)} of {total} samples are bad, more than --max_rejected "
            f"{options.max_rejected:g}; see {options.cache_dir / 'rejected.csv'}, first: {rejected[0].reason}"
        )
    if not all(good.values()):
        raise InputError(
            f"data root {root.root}: no good sample is left in {' and '.join(s for s in good if not good[s])}"
        )

    found = statistics.result()
    print(describe_root(root, topology, image_size, good, rejected, found))
    write_cache(options, root, good, topology, projection, image_size, found, digests)
    sheet = draw_check_sheet(root, good, topology, projection)
    save_picture(options.cache_dir / "check.jpg", sheet)
    print(f"cache: {options.cache_dir} (look at {options.cache_dir / 'check.jpg'})")
    if options.pack != "none":
        pack_splits(options, root)
    if options.build_morphable:
        build_morphable(options, root)


def write_face_model(data_root: Path, path: Path) -> None:
    """Writes what labels of 3DDFA's parameters are decoded by into a data root, from a user's face model."""
    model = read_morphable(path)
    if not np.isclose(model.metres, MICROMETRE) or not len(model.triangles):
        wanted = "the Basel Face Model as 3DDFA has it, in micrometres and with triangles"
        got = f"{model.metres:g} metres and {len(model.triangles)} triangles"
        raise InputError(f"--face_model {path}: wanted {wanted}, got {got}")
    metres = np.float32(model.metres)
    write_resources(
        data_root,
        FaceModel(model.mean * metres, model.identity * metres, model.expression * metres),
        model.triangles,
        model.keypoints,
    )
    print(
        f"face model: {data_root / 'resources'}, {model.num_vertices} vertices; of the labels' coefficients count the "
        f"first {len(model.identity)} of identity and {len(model.expression)} of expression"
    )


def build_morphable(options: argparse.Namespace, root: WcpaRoot) -> None:
    """Learns the morphable model of the training list of the cache, says how good it is, and writes and draws it."""
    cache = read_cache(options.cache_dir, root)
    read = partial(root.read, num_vertices=cache.topology.num_vertices, labelled=True)
    images = TrainingImages(
        cache.train, cache.labels["train"], read, cache.topology, cache.projection, cache.image_size
    )
    components = options.identity_components, options.expression_components, options.albedo_components
    bases, described = build_bases(images, *components, options.num_workers)
    print(described)
    path = options.cache_dir / "morphable.npz"
    write_bases(path, bases)
    save_picture(path.with_suffix(".jpg"), draw_model(bases.model))
    print(f"morphable model: {path} (look at {path.with_suffix('.jpg')})")


def pack_splits(options: argparse.Namespace, root: WcpaRoot) -> None:
    """Packs the images of the three lists of the cache, and says how large they have become and how exact they are."""
    cache = read_cache(options.cache_dir, root)
    for split in SPLITS:
        samples = getattr(cache, split)
        header = PackHeader(
            cache.image_digests[split], options.pack, options.pack_margin, options.pack_size, cache.image_size
        )
        with packing_images(options.cache_dir, split, header) as (done, pack):
            images = pack_images(root, header, samples[done:], options.num_workers)
            for image in tqdm(images, initial=done, total=len(samples), desc=f"pack {split}", unit="image"):
                pack(image)
        packed = cache.packed_images(split, options.pack_size)
        kilobytes = packed.path.stat().st_size / len(samples) / 1000
        print(f"packed {split}: {packed.path}, {options.pack}, {kilobytes:.1f} kB an image")
    if options.shards:
        packed = cache.packed_images("train", options.pack_size)
        write_shards(options.cache_dir / "shards", packed, cache.labels["train"], options.shards)
        print(f"shards: {options.cache_dir / 'shards'}, {options.shards}")
    if options.pack == "reencoded":
        look = cache.val, cache.topology, ("local", "global"), options.pack_size, True
        exact = WcpaDataset(root, *look, labels=cache.labels["val"])
        packed = WcpaDataset(
            root, *look, labels=cache.labels["val"], images=cache.packed_images("val", options.pack_size)
        )
        chosen = range(0, len(cache.val), max(1, len(cache.val) // NUM_COMPARED))[:NUM_COMPARED]
        mean, largest = window_error(exact, packed, chosen)
        print(
            f"reencoded windows are not exact: at {options.pack_size} pixels they differ by {mean:.2f} levels on "
            f"average, by {largest} at most ({len(chosen)} validation images)"
        )


def write_rejected(path: Path, rejected: list[Finding]) -> None:
    """rejected.csv: the three keys of every bad sample, and why it is bad."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["subject_id", "facial_action", "img_id", "reason"])
        writer.writerows([*finding.sample, finding.reason] for finding in rejected)


def write_cache(
    options: argparse.Namespace,
    root: WcpaRoot,
    good: dict[str, list[SampleId]],
    topology: Topology,
    projection: np.ndarray,
    image_size: tuple[int, int],
    labels: LabelStatistics,
    image_digests: dict[str, str],
) -> None:
    """The files that data.cache.read_cache reads; source.json last, because it says that the others are there."""
    cache = options.cache_dir
    write_sample_list(cache / "train_list.csv", good["train"])
    write_sample_list(cache / "val_list.csv", good["val"])
    write_sample_list(cache / "test_list.csv", good["test"])
    np.savez(cache / "label_mean_std.npz", **dict(zip(STATISTICS, vars(labels).values(), strict=True)))
    np.savez(cache / "topology.npz", **vars(topology), projection=projection, image_size=image_size)
    source = {"fingerprint": root.fingerprint(), **plain(options), "data_root": str(root.root.resolve())}
    source["image_digests"] = image_digests
    write_whole(cache / "source.json", lambda file: file.write(json.dumps(source, indent=1).encode()))


def describe_root(
    root: WcpaRoot,
    topology: Topology,
    image_size: tuple[int, int],
    good: dict[str, list[SampleId]],
    rejected: list[Finding],
    labels: LabelStatistics,
) -> str:
    """The numbers of a data root, for people."""
    lines = [f"data root {root.root}", f"  topology: {topology.num_vertices} vertices, {len(topology.triangles)} faces"]
    lines.append("  images: {}x{} pixels".format(*image_size))
    for split, samples in good.items():
        subjects, actions = len({s.subject for s in samples}), len({s.action for s in samples})
        lines.append(f"  {split:>5}: {len(samples):7d} images, {subjects:4d} subjects, {actions:3d} facial actions")
    lines.append(f"  rejected: {len(rejected)}" + ("" if not rejected else f", first: {rejected[0].reason}"))
    lines.append("  6DoF labels of the training images:")
    for name, mean, deviation in zip(
        ("pitch", "yaw", "roll", "tx", "ty", "tz"), labels.six_mean, labels.six_std, strict=True
    ):
        unit = "m" if name.startswith("t") else "rad"
        lines.append(f"  {name:>7}: mean {mean:+.4f} {unit}, deviation {deviation:.4f} {unit}")
    return "\n".join(lines)


def draw_check_sheet(
    root: WcpaRoot, good: dict[str, list[SampleId]], topology: Topology, projection: np.ndarray
) -> np.ndarray:
    """A contact sheet of labelled samples spread over the list: 68 points, face box and projected mesh."""
    samples = good["train"] + good["val"]
    tiles = []
    for sample in samples[:: max(1, len(samples) // NUM_SHOWN)][:NUM_SHOWN]:
        record = root.read(sample, topology.num_vertices, labelled=True)
        picture = overlay_mesh(record.image, record.verts, record.R_t, topology.triangles, projection)
        picture = draw_box(draw_landmarks(picture, record.landmarks), face_box(record.landmarks))
        tiles.append(label(picture, str(sample)))
    return mosaic(tiles, columns=4, tile=400)


if __name__ == "__main__":
    run_step(main)
