"""Work that is shared among processes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import cv2

Item, Result = TypeVar("Item"), TypeVar("Result")


def map_in_order(function: Callable[[Item], Result], items: Sequence[Item], num_workers: int) -> Iterator[Result]:
    """function(item) for each item, in order; computed by `num_workers` processes, or in this one for 0."""
    if num_workers == 0:
        yield from map(function, items)
        return
    cv2.setNumThreads(0)  # its threads do not survive the fork
    with ProcessPoolExecutor(num_workers) as pool:
        yield from pool.map(function, items, chunksize=16)
