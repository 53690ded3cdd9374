"""Batches from a data set, on the device, read ahead by threads.

Threads and not processes: decoding and warping images let go of Python's lock, nothing is copied from process to
process, an error comes out as it went in, and an epoch starts at once.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import cv2
import torch
from torch.utils.data import Dataset

Batch = dict[str, torch.Tensor]
Indices = Sequence[int]
Item, Result = TypeVar("Item"), TypeVar("Result")

# Batches that wait for the device beside those that are being read: one may take longer than the others.
SPARE_BATCHES = 2


def read_ahead(read: Callable[[Indices], Result], batches: Iterable[Indices], num_workers: int) -> Iterator[Result]:
    """Yields read(batch) for each batch in order, with `num_workers` threads at work on the next ones; 0 reads in the
    thread that asks. What `read` raises comes out in its batch's place, and nothing more is read then."""
    if num_workers == 0:
        yield from map(read, batches)
        return
    pool = ThreadPoolExecutor(num_workers, thread_name_prefix="loader")
    try:
        yield from in_turn(pool, read, batches, num_workers + SPARE_BATCHES)
    finally:
        pool.shutdown(cancel_futures=True)


def in_turn(pool: Executor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int) -> Iterator[Result]:
    """Yields work(item) for each item in order, while the pool is at work on the next `ahead` ones and no more."""
    waiting = iter(items)
    begun = deque(pool.submit(work, item) for item in islice(waiting, ahead))
    while begun:
        result = begun.popleft().result()
        begun.extend(pool.submit(work, following) for following in islice(waiting, 1))
        yield result


def load_batches(
    dataset: Dataset, batches: Iterable[Indices], num_workers: int, device: torch.device
) -> Iterator[Batch]:
    """Yields the batches, given as lists of indices, in their order and on the device.

    dataset: its read_batch(indices) makes a batch. Raises what that raises.
    """
    cv2.setNumThreads(0)  # the readers are the threads
    # Beside the stream that computes, so that batches are copied while the ones before them are at work.
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def read(indices: Indices) -> tuple[Batch, torch.cuda.Event | None]:
        batch = dataset.read_batch(indices)
        if stream is None:
            return batch, None
        torch.cuda.set_device(device)  # a new thread stands on the first GPU, and would open it
        with torch.cuda.stream(stream):
            pinned = {name: tensor.pin_memory() for name, tensor in batch.items()}
            moved = {name: tensor.to(device, non_blocking=True) for name, tensor in pinned.items()}
            return moved, stream.record_event()

    for batch, copied in read_ahead(read, batches, num_workers):
        if copied is not None:
            computing = torch.cuda.current_stream(device)
            computing.wait_event(copied)
            for tensor in batch.values():
                tensor.record_stream(computing)  # its memory is free when the computation is done with it
        yield batch


def in_order(indices: Indices, batch_size: int) -> list[Indices]:
    """The indices cut into batches, the last one as short as it has to be."""
    return [indices[start : start + batch_size] for start in range(0, len(indices), batch_size)]
