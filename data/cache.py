"""cache/, which step01 writes and the later steps read: what was found out about a data root once and for all.

source.json          which data root (path and fingerprint), how it was split, and digests of the images of the lists
train_list.csv, val_list.csv, test_list.csv
rejected.csv         the bad samples, each with its reason
label_mean_std.npz   label_6dof_mean, label_6dof_std (6,), verts_mean (N, 3), verts_basis (K, N, 3),
                     expression_basis (E, N, 3), landmark_mean (139,), landmark_whitening (139, 139), all of the
                     training fold
*.f32                the labels of the three lists, packed: see data/packed_labels.py
*_images.*           their images, where step01 was asked to pack them: see data/packed_images.py
morphable.npz        a morphable model, where step01 was asked for one: see models/morphable.py
topology.npz         template, triangles, keypoints, mirror, projection, image_size (width, height)
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.packed_images import PackedImages
from data.packed_labels import PackedLabels
from data.wcpa import BROKEN_ARRAYS, SampleId, WcpaRoot, read_sample_list
from data.windows import Picture
from util.errors import InputError
from util.mesh import Topology
from util.statistics import LabelStatistics

SPLITS = ("train", "val", "test")
FILES = (
    "source.json",
    *(f"{split}_list.csv" for split in SPLITS),
    *(f"{split}_landmarks.f32" for split in SPLITS),
    "label_mean_std.npz",
    "topology.npz",
)

# The names in label_mean_std.npz, in the order of util.statistics.LabelStatistics; the first two are as published.
STATISTICS = (
    "label_6dof_mean",
    "label_6dof_std",
    "verts_mean",
    "verts_basis",
    "expression_basis",
    "landmark_mean",
    "landmark_whitening",
)


@dataclass(frozen=True)
class Cache:
    """The cache in memory. directory: where it lies; fold: which of the five is validation; labels: of "train", "val"
    and "test", in the order of the lists; image_digests: of their images, by the same names; projection: (4, 4)
    float64; image_size: width and height."""

    directory: Path
    fold: int
    train: list[SampleId]
    val: list[SampleId]
    test: list[SampleId]
    topology: Topology
    statistics: LabelStatistics
    labels: dict[str, PackedLabels]
    image_digests: dict[str, str]
    projection: np.ndarray
    image_size: tuple[int, int]

    def packed_images(
        self,
        split: str,
        window_size: int,
        augmentation: Mapping[str, float] | None = None,
        windows: Sequence[str] = (),
    ) -> PackedImages:
        """The packed images of "train", "val" or "test", for windows that are moved like this. Raises InputError
        where they do not fit, or are not there."""
        digest = self.image_digests.get(split, "")
        return PackedImages(self.directory, split, getattr(self, split), digest, window_size, augmentation, windows)

    def split_digest(self) -> str:
        """A digest of the training and validation lists: two runs with the same one can be compared."""
        return split_digest(self.train, self.val)

    def lists_of_fold(self, root: WcpaRoot, fold: int) -> tuple[list[SampleId], list[SampleId]]:
        """The training and validation lists of any fold of the cache's data root, without the samples that the cache
        has rejected: those that step01 --fold writes."""
        good = {*self.train, *self.val}
        train, val = split_subjects(root.samples("train"), fold)
        return [sample for sample in train if sample in good], [sample for sample in val if sample in good]


@dataclass(frozen=True)
class Chosen:
    """Some of the packed labels or images of a split, by their places there, in an order of their own."""

    packed: PackedLabels | PackedImages
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> dict[str, np.ndarray] | Picture:
        return self.packed[self.places[index]]


def split_digest(train: list[SampleId], val: list[SampleId]) -> str:
    """A digest of a training and a validation list."""
    return hashlib.sha256(repr((train, val)).encode()).hexdigest()


def split_subjects(samples: list[SampleId], fold: int, num_folds: int = 5) -> tuple[list[SampleId], list[SampleId]]:
    """Splits the images by subject into a training and a validation list.

    The subjects, in the order of their first appearance, are shuffled and cut as scikit-learn's
    KFold(num_folds, shuffle=True, random_state=0) does; `fold` (0-based) is validation. This is the published split.
    Raises InputError where there are fewer subjects than folds.
    """
    subjects = list(dict.fromkeys(sample.subject for sample in samples))
    if len(subjects) < num_folds:
        raise InputError(f"split: wanted at least {num_folds} subjects for {num_folds} folds, got {len(subjects)}")
    order = np.arange(len(subjects))
    np.random.RandomState(0).shuffle(order)
    validation = {subjects[index] for index in np.array_split(order, num_folds)[fold]}
    train = [sample for sample in samples if sample.subject not in validation]
    return train, [sample for sample in samples if sample.subject in validation]


def read_cache(directory: str | Path, root: WcpaRoot) -> Cache:
    """Reads the cache of `root`. Raises FileNotFoundError where step01 has not run, InputError for another root's."""
    directory = Path(directory)
    missing = [name for name in FILES if not (directory / name).is_file()]
    if missing:
        raise FileNotFoundError(f"cache {directory}: no {', '.join(missing)}; run step01_preparation.py first")
    try:
        source = json.loads((directory / "source.json").read_text())
        fold = source["fold"]
        with np.load(directory / "topology.npz") as file:
            arrays = dict(file)
        with np.load(directory / "label_mean_std.npz") as file:
            statistics = LabelStatistics(*(file[name] for name in STATISTICS))
    except BROKEN_ARRAYS as error:
        raise InputError(
            f"cache {directory} is damaged, or of another version ({error}); run step01_preparation.py again"
        ) from None
    if source["fingerprint"] != root.fingerprint():
        raise InputError(
            f"cache {directory} belongs to another data root: wanted {root.root}, got one made from "
            f"{source['data_root']}; run step01_preparation.py again or choose another --cache_dir"
        )
    topology = Topology(*(arrays[name] for name in ("template", "triangles", "keypoints", "mirror")))
    lists = {split: read_sample_list(directory / f"{split}_list.csv") for split in SPLITS}
    labels = {
        split: PackedLabels(directory, split, len(samples), topology.num_vertices, labelled=split != "test")
        for split, samples in lists.items()
    }
    return Cache(
        directory,
        fold,
        **lists,
        topology=topology,
        labels=labels,
        image_digests=source.get("image_digests", {}),
        statistics=statistics,
        projection=arrays["projection"],
        image_size=(int(arrays["image_size"][0]), int(arrays["image_size"][1])),
    )
