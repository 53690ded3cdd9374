"""Batches from a data set, on the device, with errors that come out of worker processes as they went in."""

import signal
from collections.abc import Iterator, Sequence

import cv2
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from util.errors import InputError

Batch = dict[str, torch.Tensor]


class _Guarded(Dataset):
    """A data set whose items may be what a user did wrong: torch would turn it into a traceback on its way here."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Batch | InputError | OSError:
        try:
            return self.dataset[index]
        except (InputError, OSError) as error:
            return error


def _collate(items: list) -> Batch | InputError | OSError:
    """A batch, or the first error among its items."""
    wrong = [item for item in items if isinstance(item, Exception)]
    return wrong[0] if wrong else default_collate(items)


def _start_worker(worker: int) -> None:
    """Signals reach a whole process group, but it is the main process that ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def load_batches(
    dataset: Dataset, batches: Sequence[Sequence[int]], num_workers: int, device: torch.device
) -> Iterator[Batch]:
    """Yields the batches, given as lists of indices, in their order and on the device.

    Raises InputError or OSError as reading an item did, whatever process it happened in.
    """
    # OpenCV's threads do not survive a fork: a worker that called on them would wait for ever.
    cv2.setNumThreads(0)
    loader = DataLoader(
        _Guarded(dataset),
        batch_sampler=batches,
        num_workers=num_workers,
        collate_fn=_collate,
        pin_memory=device.type == "cuda",
        worker_init_fn=_start_worker,
    )
    for batch in loader:
        if isinstance(batch, Exception):
            raise batch
        yield {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def in_order(indices: Sequence[int], batch_size: int) -> list[Sequence[int]]:
    """The indices cut into batches, the last one as short as it has to be."""
    return [indices[start : start + batch_size] for start in range(0, len(indices), batch_size)]
