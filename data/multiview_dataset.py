"""The WCPA data root in sets: the images of a batch come with others of the same subject and facial action."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from data.wcpa_dataset import WcpaDataset
from util.errors import InputError
from util.landmarks import NUM_VIEWS, nose_offset, view_at


class MultiviewDataset(WcpaDataset):
    """Items are images as in WcpaDataset; batches are whole sets, one after the other along the first axis, with

    set int64 (B,): the number of each image's set, rising from 0 along the batch
    view int64 (B,): 0 the left one, 1 the frontal one, 2 the right one of a set's images, by where the nose points

    Views are told by the 68 points, which test images have, too: the images of one subject and action in the order of
    their yaw are cut into three equal runs, and a set takes one of each. Each image is in one set an epoch; where the
    runs are not of one length, the last sets have one view or two. In training it is drawn anew each epoch which images
    go together, from the seed and the epoch alone; elsewhere they are the same always.

    arguments: as WcpaDataset's
    """

    def __init__(self, *arguments: Any, **keywords: Any):
        super().__init__(*arguments, **keywords)
        self.runs = self.runs_by_yaw()
        self.group, self.view = np.empty((2, len(self)), np.int64)
        for group, runs in enumerate(self.runs):
            for view, run in enumerate(runs):
                self.group[run], self.view[run] = group, view
        self.fixed_sets = self.sets()
        self.fixed_set = np.empty(len(self), np.int64)
        for number, images in enumerate(self.fixed_sets):
            self.fixed_set[images] = number

    def runs_by_yaw(self) -> list[list[np.ndarray]]:
        """Of each subject and action the indices of its left, its frontal and its right images, each by yaw. Of 3 k + 1
        images the one more is a frontal one, of 3 k + 2 they are a left and a right one. Where there are fewer than
        three, each is what it looks like."""
        groups: dict[tuple[str, str], list[int]] = {}
        for index, sample in enumerate(self.samples):
            groups.setdefault((sample.subject, sample.action), []).append(index)
        numbers = tqdm(range(len(self)), desc="views", unit="image", leave=False)
        offsets = np.array([nose_offset(self.label(index)["landmarks"]) for index in numbers])
        views = view_at(torch.from_numpy(offsets)).numpy()
        runs = []
        for images in groups.values():
            if len(images) < NUM_VIEWS:
                runs.append([np.array([i for i in images if views[i] == view], np.int64) for view in range(NUM_VIEWS)])
                continue
            order = np.array(images)[np.argsort(offsets[images], kind="stable")]
            bounds = np.rint(np.linspace(0, len(images), NUM_VIEWS + 1)).astype(int)
            runs.append(np.split(order, bounds[1:-1]))
        return runs

    def sets(self, random: np.random.Generator | None = None) -> list[list[int]]:
        """All sets, each in the order of its views: drawn, or without `random` of images with the same place in their
        runs."""
        sets = []
        for runs in self.runs:
            drawn = [(run if random is None else random.permutation(run)).tolist() for run in runs]
            longest = max(map(len, drawn))
            sets += [[run[place] for run in drawn if place < len(run)] for place in range(longest)]
        return sets

    def epoch_batches(self, batch_size: int) -> list[list[list[int]]]:
        """The batches of the present epoch, of whole sets; the last, short one is left out. Raises InputError where
        that is none, or where there is not a set for each process."""
        if batch_size < NUM_VIEWS * self.num_ranks:
            wanted = f"{NUM_VIEWS * self.num_ranks} or more, a set for each of {self.num_ranks} processes"
            raise InputError(f"--batch_size: wanted {wanted}, got {batch_size}")
        random = np.random.default_rng([self.seed, self.epoch])
        sets = self.sets(random)
        drawn = sorted((sets[place] for place in random.permutation(len(sets))), key=len)
        # Sets of each size have the same places in every epoch, so that all epochs have as many batches.
        places = np.random.default_rng(self.seed).permutation(len(sets))
        batches = whole_sets([drawn[place] for place in places], batch_size)
        if batches and num_images(batches[-1]) <= batch_size - NUM_VIEWS:
            batches.pop()
        if not batches:
            raise InputError(f"--batch_size: wanted at most the {len(self)} training images, got {batch_size}")
        return batches

    def num_batches(self, batch_size: int) -> int:
        """As WcpaDataset's; the same in every epoch."""
        return len(self.epoch_batches(batch_size))

    def batches(self, batch_size: int, skip: int = 0) -> list[list[int]]:
        """As WcpaDataset's: as many whole sets as have at most `batch_size` images, and so on each rank as nearly the
        same number of images as whole sets allow."""
        whole = self.epoch_batches(batch_size)[skip:]
        return [flat(deal(sets, self.num_ranks)[self.rank]) for sets in whole]

    def in_order(self, batch_size: int) -> list[list[int]]:
        return [flat(sets) for sets in whole_sets(self.fixed_sets, batch_size)]

    def with_companions(self, indices: Sequence[int]) -> list[int]:
        return flat([self.fixed_sets[number] for number in dict.fromkeys(self.fixed_set[list(indices)].tolist())])

    def read_batch(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        """As WcpaDataset's, with "set" and "view". Images that lie side by side are a set as long as they are of one
        subject and action, and of views from left to right."""
        batch = super().read_batch(indices)
        numbers = self.set_numbers(indices)
        batch["set"], batch["view"] = torch.from_numpy(numbers), torch.from_numpy(self.view[list(indices)])
        if "mirrored" in batch:
            # A set is mirrored as a whole, as its first image would be.
            batch["mirrored"] = batch["mirrored"][np.searchsorted(numbers, numbers)]
        return batch

    def set_numbers(self, indices: Sequence[int]) -> np.ndarray:
        """(B,) which of these images belong together. Of each subject and action there is but one set without a left
        image, and that has the frontal one alone: no two sets, side by side, look like one."""
        group, view = self.group[list(indices)], self.view[list(indices)]
        begins = (np.diff(group) != 0) | (np.diff(view) <= 0)
        return np.concatenate([[0], np.cumsum(begins)])


def whole_sets(sets: Sequence[list[int]], batch_size: int) -> list[list[list[int]]]:
    """The sets cut into batches, each of at most `batch_size` images, but of one set at least; a batch ends where fewer
    places are left than a set may need."""
    batches: list[list[list[int]]] = []
    count = batch_size
    for images in sets:
        if count > batch_size - NUM_VIEWS:
            batches.append([])
            count = 0
        batches[-1].append(images)
        count += len(images)
    return batches


def deal(sets: Sequence[list[int]], num_ranks: int) -> list[list[list[int]]]:
    """The sets dealt to so many processes, the largest first, each to the one that has the fewest images by then."""
    shares: list[list[list[int]]] = [[] for _ in range(num_ranks)]
    for images in sorted(sets, key=len, reverse=True):
        min(shares, key=num_images).append(images)
    return shares


def num_images(sets: Sequence[list[int]]) -> int:
    return sum(map(len, sets))


def flat(sets: Sequence[list[int]]) -> list[int]:
    return [index for images in sets for index in images]
