"""Batches come in order, whole and only as far ahead as they should, however many threads read them."""

import threading
import time

import pytest
import torch
from torch.utils.data import default_collate

from util.errors import InputError
from util.loader import SPARE_BATCHES, in_order, load_batches, read_ahead

CPU = torch.device("cpu")


class Squares(torch.utils.data.Dataset):
    """Item i holds i squared; later items are read faster, one may be broken."""

    def __init__(self, length=20, broken=None):
        self.length, self.broken, self.read, self.lock = length, broken, [], threading.Lock()

    def __len__(self):
        return self.length

    def read_batch(self, indices):
        return default_collate([self[index] for index in indices])

    def __getitem__(self, index):
        time.sleep(0.0005 * (self.length - index))
        with self.lock:
            self.read.append(index)
        if index == self.broken:
            raise InputError(f"item {index} is broken")
        return {"square": torch.tensor([index, index**2]), "index": torch.tensor(index)}


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_batches_are_whole_and_in_order(num_workers):
    dataset = Squares()
    batches = [[3, 1], [19, 0], [7, 7], [2]]
    loaded = list(load_batches(dataset, batches, num_workers, CPU))
    assert [batch["index"].tolist() for batch in loaded] == batches
    assert [batch["square"].tolist() for batch in loaded] == [[[i, i * i] for i in batch] for batch in batches]


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_an_error_comes_in_its_place_and_ends_the_reading(num_workers):
    dataset = Squares(length=200, broken=5)
    loaded = load_batches(dataset, in_order(range(200), 2), num_workers, CPU)
    assert [next(loaded)["index"].tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(InputError, match="item 5 is broken"):
        next(loaded)
    # Batch 2 was broken; no batch beyond those that were begun ahead of it has been read.
    assert max(dataset.read) < 2 * (3 + num_workers + SPARE_BATCHES)
    assert list(loaded) == []


@pytest.mark.parametrize("num_workers", [1, 3])
def test_an_iteration_that_is_given_up_leaves_no_threads(num_workers):
    dataset = Squares(length=200)
    loaded = load_batches(dataset, in_order(range(200), 2), num_workers, CPU)
    next(loaded)
    loaded.close()
    count = len(dataset.read)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]
    assert count <= 2 * (1 + num_workers + SPARE_BATCHES)


def test_several_are_read_at_once():
    # Each waits for the other two: it would end in an error, after ten seconds, if they were read one by one.
    meeting = threading.Barrier(3, timeout=10)

    def read(batch):
        meeting.wait()
        return batch

    assert list(read_ahead(read, [[1], [2], [3]], 3)) == [[1], [2], [3]]


def test_no_batches():
    assert list(load_batches(Squares(), [], 2, CPU)) == []


def test_cut_into_batches():
    assert [list(batch) for batch in in_order(range(7), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
