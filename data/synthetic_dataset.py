"""Scan-based synthetic people as a data set that has no end: training samples are drawn while training goes on."""

import multiprocessing
import signal
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

import cv2
import numpy as np
import torch

from data.augment import needed_margin
from data.synthetic import sweep
from data.synthetic.generate import limited_threads
from data.synthetic.portraits.people import Character
from data.synthetic.portraits.portrait import Frame
from data.synthetic.recipe import Recipe, read_recipe
from data.synthetic.worlds import world_of
from data.wcpa import SampleId, WcpaRoot
from data.wcpa_dataset import WcpaDataset
from data.windows import Picture, face_box
from util.camera import project, transform
from util.errors import InputError
from util.mesh import Topology

# Looks, hair and clothes are drawn for a cast, who appear with ever new heads, faces, poses and lights: so many in the
# batches of a lane, for so many batches. Batch after batch takes its turn in another lane, and each process has lanes
# of its own, so that what is drawn depends neither on the number of processes nor on which is faster.
CAST, USES, LANES = 8, 16, 16
KEPT_CHARACTERS = CAST * LANES  # five megabytes each
# Windows are cut from pictures with so many times their resolution.
SHARPNESS = 1.1


class Wanted(NamedTuple):
    """A training sample to be drawn: its number in the epoch, its character's, and its lane's."""

    index: int
    character: int
    lane: int


class DrawnSample(NamedTuple):
    """index: in the epoch; label: landmarks (68, 2), verts (N, 3), R_t (4, 4) float32."""

    index: int
    picture: Picture | None
    label: dict[str, np.ndarray]


class Look(NamedTuple):
    """How samples are drawn. margin: what is seen around the face box, in shares of its side, None for all of the
    picture; size: pixels of a window."""

    recipe: Recipe
    seed: int
    epoch: int
    margin: float | None
    size: int


class SyntheticDataset(WcpaDataset):
    """The items of WcpaDataset, of a data root that step00 --face_model made.

    epoch_samples: 0 for the root's own images; otherwise so many samples are drawn for each epoch, by the recipe of the
    root, with heads, looks, poses and lights that depend on (seed, epoch, index) alone; num_workers: processes that
    draw, 0 for this one. Raises InputError where samples are to be drawn and there is no recipe.
    """

    def __init__(
        self,
        root: WcpaRoot,
        samples: Sequence[SampleId],
        topology: Topology,
        windows: Sequence[str],
        size: int,
        *more: object,
        epoch_samples: int = 0,
        num_workers: int = 0,
        **settings: object,
    ):
        super().__init__(root, samples, topology, windows, size, *more, **settings)
        self.epoch_samples, self.num_workers = epoch_samples, num_workers
        self.recipe = read_recipe(root.root) if epoch_samples else None
        self.processes: list[ProcessPoolExecutor] = []
        self.starting = threading.Lock()  # several threads read batches

    def __len__(self) -> int:
        return self.epoch_samples or super().__len__()

    def num_batches(self, batch_size: int) -> int:
        """See WcpaDataset.num_batches."""
        if not self.epoch_samples:
            return super().num_batches(batch_size)
        if self.epoch_samples < batch_size:
            raise InputError(f"--batch_size: wanted at most the {self.epoch_samples} samples, got {batch_size}")
        return self.epoch_samples // batch_size

    def batches(self, batch_size: int, skip: int = 0) -> Iterable[Sequence[int | Wanted]]:
        """See WcpaDataset.batches."""
        if not self.epoch_samples:
            return super().batches(batch_size, skip)
        count = self.num_batches(batch_size)
        return islice(
            (wanted_batch(number, batch_size)[self.rank :: self.num_ranks] for number in range(count)), skip, None
        )

    def read_batch(self, indices: Sequence[int | Wanted]) -> dict[str, torch.Tensor]:
        """See WcpaDataset.read_batch."""
        return super().read_batch(self.draw(indices) if self.epoch_samples else indices)

    def name_of(self, index: int) -> str:
        """See WcpaDataset.name_of."""
        return f"drawn sample {index}" if self.epoch_samples else super().name_of(index)

    def read(self, item: int | DrawnSample) -> tuple[int, Picture | None, dict[str, np.ndarray]]:
        """See WcpaDataset.read."""
        return (item.index, item.picture, item.label) if self.epoch_samples else super().read(item)

    def draw(self, wanted: Sequence[int | Wanted]) -> list[DrawnSample]:
        """The samples, drawn by the process of their lane; numbers alone have a lane and a character of their own."""
        wanted = [Wanted(one, one, one % LANES) if isinstance(one, int) else one for one in wanted]
        look = Look(self.recipe, self.seed, self.epoch, self.margin(), self.size)
        if not self.num_workers:
            return draw_samples(look, wanted)
        with self.starting:
            if not self.processes:
                with limited_threads():
                    self.processes = [start_process() for _ in range(min(self.num_workers, LANES))]
        process = self.processes[wanted[0].lane % len(self.processes)]
        return process.submit(draw_samples, look, wanted).result()

    def margin(self) -> float | None:
        """What windows and augmentation look at around the face box, in shares of its side; None: at everything."""
        if "whole" in self.windows:
            return None
        return needed_margin(self.augmentation, self.windows)


def wanted_batch(number: int, batch_size: int) -> list[Wanted]:
    """What is in the batch of that number: each character of its lane's cast equally often."""
    lane, turn = number % LANES, number // LANES
    first = (turn // USES * LANES + lane) * CAST
    return [Wanted(number * batch_size + place, first + place % CAST, lane) for place in range(batch_size)]


def start_process() -> ProcessPoolExecutor:
    """One process that draws."""
    process = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    process.submit(be_quiet)  # starts it
    return process


def be_quiet() -> None:
    """In a process that draws: one thread, and Ctrl-C is for those who wait for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def draw_samples(look: Look, wanted: Sequence[Wanted]) -> list[DrawnSample]:
    """Draws samples, one after the other."""
    return [draw_sample(look, one) for one in wanted]


@lru_cache(maxsize=KEPT_CHARACTERS)
def character_of(recipe: Recipe, seed: int, epoch: int, number: int) -> Character:
    """The character of that number in an epoch."""
    return world_of(recipe, coarse=True).studio.draw_character(np.random.default_rng([seed, epoch, number, 0xCA57]))


def draw_sample(look: Look, wanted: Wanted) -> DrawnSample:
    """Somebody with the looks of a character, doing one of the actions."""
    world = world_of(look.recipe, coarse=True)
    rng = np.random.default_rng([look.seed, look.epoch, wanted.index, 0xFACE])
    character = character_of(look.recipe, look.seed, look.epoch, wanted.character)
    person = world.studio.person(character, world.studio.draw_identity(rng))
    sequence = sweep.draw_sequence(sweep.ACTIONS[int(rng.integers(len(sweep.ACTIONS)))], rng)
    shot = world.draw_shot(rng, person, sequence, rng.random())
    side, projection = look.recipe.image_size, look.recipe.projection
    landmarks, _ = project(transform(shot.verts[world.topology.keypoints], shot.R_t), projection, side, side)
    frame = frame_around(landmarks, look, projection)
    pixels = world.draw_picture(rng, person, shot, frame)
    picture = Picture(pixels, side, side, look.margin is None, int(frame.left), int(frame.top), frame.scale)
    label = {"landmarks": landmarks, "verts": shot.verts, "R_t": shot.R_t}
    return DrawnSample(wanted.index, picture, {name: np.float32(values) for name, values in label.items()})


def frame_around(landmarks: np.ndarray, look: Look, projection: np.ndarray) -> Frame:
    """The part of the picture about the face, with windows' resolution; all of it where nothing says what is seen."""
    side = look.recipe.image_size
    box = face_box(landmarks)
    scale = 1.0 if look.margin is None else SHARPNESS * look.size / (box[2] - box[0])
    reach = side if look.margin is None else look.margin * (box[2] - box[0]) + 2.0
    left, top = np.clip(np.floor(box[:2] - reach), 0, side - 1)
    right, bottom = np.clip(np.ceil(box[2:] + reach), [left + 1, top + 1], side)
    columns, rows = (int(np.ceil((high - low) * scale)) for low, high in ((left, right), (top, bottom)))
    return Frame(projection, side, side, left, top, scale, columns, rows)
