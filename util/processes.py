"""Work that is shared among processes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from typing import TypeVar

import cv2

from util.loader import in_order, in_turn

Item, Result = TypeVar("Item"), TypeVar("Result")

# Items that a process takes at once, and how many such chunks for each process are under way or wait to be fetched.
CHUNK, CHUNKS_AHEAD = 16, 4


def map_in_order(function: Callable[[Item], Result], items: Sequence[Item], num_workers: int) -> Iterator[Result]:
    """function(item) for each item, in order; computed by `num_workers` processes, or in this one for 0.

    No more than a few chunks are computed ahead, so that results do not pile up where they are taken slowly.
    """
    if num_workers == 0:
        yield from map(function, items)
        return
    cv2.setNumThreads(0)  # its threads do not survive the fork
    with ProcessPoolExecutor(num_workers) as pool:
        chunks = in_turn(pool, partial(apply_all, function), in_order(items, CHUNK), CHUNKS_AHEAD * num_workers)
        yield from chain.from_iterable(chunks)


def apply_all(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [function(item) for item in items]
