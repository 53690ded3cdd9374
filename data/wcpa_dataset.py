"""The WCPA data root as a torch data set: windows and labels of one image an item."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from data.augmentation import jitter_box, jitter_light, mirror_record
from data.packed_labels import PackedLabels
from data.wcpa import Record, SampleId, WcpaRoot
from data.windows import WINDOWS, face_box
from util.errors import InputError
from util.mesh import Topology


class WcpaDataset(Dataset):
    """One item is a dict of tensors (models/base_model.py shows the batch that they become):

    <window> uint8 (3, S, S) RGB, <window>_affine f32 (2, 3), landmarks68 f32 (68, 2), index int64 (),
    and where `labelled`: verts f32 (N, 3), R_t f32 (4, 4).

    windows: names in data.windows.WINDOWS; size: S in pixels.
    augmentation: how much to change training records; empty for none. {"mirror": probability, "light": probability,
    "box": largest relative shift and scale, "landmarks": deviation of noise in box sides}. What is drawn depends on
    (seed, epoch, index) alone, so that the number of workers and a resumed run change nothing.
    labels: those of the samples, packed, in whose place the data root's own files are read without them.
    Raises ValueError for an unknown window; reading an item raises InputError or FileNotFoundError with the file's
    name, and never puts another sample in a broken one's place.
    """

    def __init__(
        self,
        root: WcpaRoot,
        samples: Sequence[SampleId],
        topology: Topology,
        windows: Sequence[str],
        size: int,
        labelled: bool,
        augmentation: dict[str, float] | None = None,
        seed: int = 0,
        labels: PackedLabels | None = None,
    ):
        unknown = [name for name in windows if name not in WINDOWS]
        if unknown:
            raise InputError(f"windows: unknown {', '.join(unknown)}; known are {', '.join(WINDOWS)}")
        self.root, self.samples, self.topology = root, list(samples), topology
        self.windows, self.size, self.labelled = tuple(windows), size, labelled
        self.augmentation, self.seed, self.epoch = augmentation or {}, seed, 0
        self.labels = labels

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, index: int) -> Record:
        """The record of an item, as yet unchanged."""
        sample = self.samples[index]
        if self.labels is None:
            return self.root.read(sample, self.topology.num_vertices, self.labelled)
        return Record(self.root.read_image(sample), **self.labels[index])

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        record = self.read(index)
        random = np.random.default_rng([self.seed, self.epoch, index])
        if random.random() < self.augmentation.get("mirror", 0.0):
            record = mirror_record(record, self.topology.mirror)
        box = face_box(record.landmarks)
        if self.augmentation.get("landmarks", 0.0) > 0:
            deviation = self.augmentation["landmarks"] * (box[2] - box[0])
            record.landmarks += random.normal(0.0, deviation, record.landmarks.shape).astype(np.float32)
        if self.augmentation.get("box", 0.0) > 0:
            amount = self.augmentation["box"]
            box = jitter_box(box, random, shift=amount, scale=amount)
        if random.random() < self.augmentation.get("light", 0.0):
            record.image = jitter_light(record.image, random, brightness=0.125, contrast=0.25)

        item = {"landmarks68": torch.from_numpy(record.landmarks), "index": torch.tensor(index)}
        for name in self.windows:
            window = WINDOWS[name](record.image, box, self.size)
            item[name] = torch.from_numpy(np.ascontiguousarray(window.image.transpose(2, 0, 1)))
            item[f"{name}_affine"] = torch.from_numpy(window.affine)
        if self.labelled:
            item["verts"] = torch.from_numpy(record.verts)
            item["R_t"] = torch.from_numpy(record.R_t)
        return item


def epoch_batches(length: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The shuffled batches of one epoch, the same for the same seed and epoch; the last, short one is left out.

    Raises InputError where there is not one whole batch.
    """
    if length < batch_size:
        raise InputError(f"--batch_size: wanted at most the {length} training images, got {batch_size}")
    order = np.random.default_rng([seed, epoch]).permutation(length).tolist()
    return [order[start : start + batch_size] for start in range(0, length - batch_size + 1, batch_size)]
