"""The WCPA data root as a torch data set: windows and labels of one image an item."""

from collections.abc import Iterable, Sequence
from copy import copy
from typing import ClassVar

import numpy as np
import torch
from torch.utils.data import Dataset

from data.augment import change_pixels, draw_blocks, draw_light, jitter_box, turn_labels
from data.packed_images import PackedImages
from data.packed_labels import PackedLabels
from data.wcpa import SampleId, WcpaRoot
from data.windows import IMAGE_WINDOWS, WINDOWS, Picture, face_box
from util.blocks import BLOCKS
from util.errors import InputError
from util.loader import in_order
from util.mesh import Topology

# The most that --light changes: shares of the range of levels, and of the contrast.
BRIGHTNESS, CONTRAST = 0.125, 0.25


class WcpaDataset(Dataset):
    """One item is a dict of tensors (models/base_model.py shows the batch that they become):

    <window> uint8 (3, S, S) RGB, <window>_affine f32 (2, 3), landmarks68 f32 (68, 2), index int64 (),
    where `labelled`: verts f32 (N, 3), R_t f32 (4, 4),
    and where augmented, for data.augment.augment_batch: mirrored bool (), light f32 (2,), blocks int64 (16,).

    root: where files are read, if any; windows: names in data.windows.WINDOWS; size: S in pixels.
    augmentation: how much to change training records; empty for none. {"mirror": probability, "light": probability,
    "box": largest relative shift and scale, "scale": further relative scale, "rotation": largest angle in degrees,
    "landmarks": deviation of noise in box sides, "shuffle" and the names of data.augment.PIXEL_CHANGES: probabilities}.
    What is drawn depends on (seed, epoch, index) alone, so that the number of workers and a resumed run change nothing.
    epoch, and rank of num_ranks, the processes that share each batch, are set from outside as they become known.
    labels, images: those of the samples, packed, in whose place the data root's own files are read without them.
    root_class: what opens a data root of such images.
    Raises ValueError for an unknown window, for mirroring meshes whose mirror images are not known, and for windows
    that cannot be cut into the blocks to shuffle, or all show the whole image; reading an item raises InputError or
    FileNotFoundError with the file's name, and never puts another sample in a broken one's place.
    """

    root_class: ClassVar[type[WcpaRoot]] = WcpaRoot

    def __init__(
        self,
        root: WcpaRoot | None,
        samples: Sequence[SampleId],
        topology: Topology,
        windows: Sequence[str],
        size: int,
        labelled: bool,
        augmentation: dict[str, float] | None = None,
        seed: int = 0,
        labels: PackedLabels | None = None,
        images: PackedImages | None = None,
    ):
        unknown = [name for name in windows if name not in WINDOWS]
        if unknown:
            raise InputError(f"windows: unknown {', '.join(unknown)}; known are {', '.join(WINDOWS)}")
        self.root, self.samples, self.topology = root, samples, topology
        self.windows, self.size, self.labelled = tuple(windows), size, labelled
        self.augmentation = {name: amount for name, amount in (augmentation or {}).items() if amount > 0}
        if "mirror" in self.augmentation:
            topology.check_mirror("--mirror: wanted 0, or")
        if "shuffle" in self.augmentation:
            if size % BLOCKS:
                raise InputError(f"--shuffle: wanted 0, or --img_size a multiple of {BLOCKS}, got {size}")
            if set(windows) <= set(IMAGE_WINDOWS):
                told = ", ".join(windows)
                raise InputError(f"--shuffle: wanted 0, or a model that looks at the face alone, got windows {told}")
        self.seed, self.epoch, self.rank, self.num_ranks = seed, 0, 0, 1
        self.labels, self.images = labels, images

    def __len__(self) -> int:
        return len(self.samples)

    def picture(self, index: int) -> Picture:
        """What is at hand of an item's image, as yet unchanged."""
        if self.images is not None:
            return self.images[index]
        image = self.root.read_image(self.samples[index])
        return Picture(image, width=image.shape[1], height=image.shape[0])

    def label(self, index: int) -> dict[str, np.ndarray]:
        """An item's landmarks (68, 2) and, where labelled, verts (N, 3) and R_t (4, 4), as yet unchanged."""
        if self.labels is not None:
            return self.labels[index]
        return self.root.read_arrays(self.samples[index], self.topology.num_vertices, self.labelled)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {name: tensor[0] for name, tensor in self.read_batch([index]).items()}

    def name_of(self, index: int) -> str:
        """What messages call the item that a batch's "index" counts."""
        return str(self.samples[index])

    def read(self, index: int) -> tuple[int, Picture | None, dict[str, np.ndarray]]:
        """An item's index, picture, unless nobody looks at it, and label."""
        return index, self.picture(index) if self.windows else None, self.label(index)

    def without_windows(self) -> "WcpaDataset":
        """The same items, of which no image is read."""
        dataset = copy(self)
        dataset.windows = ()
        return dataset

    def in_order(self, batch_size: int) -> list[list[int]]:
        """The batches in which the whole data set is evaluated, each item once; what is found out about an item has its
        place by the batch's "index", as other data sets have their own order."""
        return in_order(list(range(len(self))), batch_size)

    def with_companions(self, indices: Sequence[int]) -> list[int]:
        """The indices of one batch that shows these images as they are evaluated: with the others, if any, that a
        model sees together with them."""
        return list(indices)

    def num_batches(self, batch_size: int) -> int:
        """How many batches an epoch has. Raises InputError where that is none."""
        return len(epoch_batches(len(self), batch_size, self.seed, self.epoch))

    def batches(self, batch_size: int, skip: int = 0) -> Iterable[Sequence[int]]:
        """This process's shares of the batches of the present epoch from the `skip`th on, for read_batch."""
        whole = epoch_batches(len(self), batch_size, self.seed, self.epoch)[skip:]
        return [batch[self.rank :: self.num_ranks] for batch in whole]

    def read_batch(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """The items of these indices, each along the first axis of the tensors. The windows' memory is in the order of
        pixels, (B, S, S, 3), as OpenCV draws them; torch calls that channels last."""
        batch: dict[str, np.ndarray] = {"index": np.empty(len(indices), np.int64)}

        def put(place: int, name: str, values: np.ndarray) -> None:
            if name not in batch:
                batch[name] = np.empty((len(indices), *values.shape), values.dtype)
            batch[name][place] = values

        for name in self.windows:
            batch[name] = np.empty((len(indices), self.size, self.size, 3), np.uint8)
        for place, item in enumerate(indices):
            index, picture, label = self.read(item)
            batch["index"][place] = index
            label["landmarks68"] = landmarks = label.pop("landmarks")
            box, random = face_box(landmarks), np.random.default_rng([self.seed, self.epoch, index])
            if self.augmentation:
                picture, landmarks, box, label = self.augment(picture, label, random)
            for name, values in label.items():
                put(place, name, values)
            seen = []
            for name in self.windows:
                affine = WINDOWS[name](picture, box, landmarks, batch[name][place])
                put(place, f"{name}_affine", affine.astype(np.float32))
                seen.append((batch[name][place], affine))
            if self.augmentation:
                change_pixels(seen, box, self.augmentation, random)
        for name in self.windows:
            batch[name] = batch[name].transpose(0, 3, 1, 2)
        return {name: torch.from_numpy(array) for name, array in batch.items()}

    def augment(
        self, picture: Picture, label: dict[str, np.ndarray], random: np.random.Generator
    ) -> tuple[Picture, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """The picture, perhaps turned, landmarks (68, 2) and box (4,) that an item's windows are cut by, and the label
        of that picture: its landmarks with noise, and with what is left to do for augment_batch."""
        amounts, changes = self.augmentation, {}
        if "mirror" in amounts:
            changes["mirrored"] = np.array(random.random() < amounts["mirror"])
        if "rotation" in amounts:
            picture = picture._replace(turn=np.radians(random.uniform(-1, 1) * amounts["rotation"]))
            label = turn_labels(label, picture)
        landmarks = label["landmarks68"]
        box = face_box(landmarks)
        if "landmarks" in amounts:
            deviation = amounts["landmarks"] * (box[2] - box[0])
            changes["landmarks68"] = landmarks + random.normal(0.0, deviation, landmarks.shape).astype(np.float32)
        if "box" in amounts:
            box = jitter_box(box, random, shift=amounts["box"], scale=amounts["box"])
        if "scale" in amounts:
            box = jitter_box(box, random, shift=0.0, scale=amounts["scale"])
        if "light" in amounts:
            changed = random.random() < amounts["light"]
            changes["light"] = np.float32(draw_light(random, BRIGHTNESS, CONTRAST) if changed else (1, 0))
        if "shuffle" in amounts:
            changed = random.random() < amounts["shuffle"]
            changes["blocks"] = draw_blocks(random) if changed else np.arange(BLOCKS**2)
        return picture, landmarks, box, label | changes


def window_error(exact: WcpaDataset, other: WcpaDataset, indices: Sequence[int]) -> tuple[float, int]:
    """How far the windows of some items of a data set are from those of another one: mean and largest difference in
    levels."""
    means, largest = [], 0
    for index in indices:
        wanted, item = exact[index], other[index]
        for name in exact.windows:
            difference = (wanted[name].short() - item[name]).abs()
            means.append(float(difference.float().mean()))
            largest = max(largest, int(difference.max()))
    return float(np.mean(means)), largest


def epoch_batches(length: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The shuffled batches of one epoch, the same for the same seed and epoch; the last, short one is left out.

    Raises InputError where there is not one whole batch.
    """
    if length < batch_size:
        raise InputError(f"--batch_size: wanted at most the {length} training images, got {batch_size}")
    order = np.random.default_rng([seed, epoch]).permutation(length).tolist()
    return [order[start : start + batch_size] for start in range(0, length - batch_size + 1, batch_size)]
