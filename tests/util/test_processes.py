"""Work by processes: results in order, errors as they were, never far ahead."""

from concurrent.futures import Future

import pytest

from util.loader import in_turn
from util.processes import map_in_order


def double(number):
    if number == 40:
        raise ValueError("forty")
    return 2 * number


@pytest.mark.parametrize("num_workers", [0, 2])
def test_results_come_in_order_and_errors_in_their_place(num_workers):
    assert list(map_in_order(double, range(39), num_workers)) == [2 * number for number in range(39)]
    with pytest.raises(ValueError, match="forty"):
        list(map_in_order(double, range(50), num_workers))


class Pool:
    """Computes at once what it is given, and remembers it."""

    def __init__(self):
        self.begun = []

    def submit(self, work, item):
        self.begun.append(item)
        future = Future()
        future.set_result(work(item))
        return future


def test_only_so_many_are_begun_ahead():
    pool = Pool()
    results = in_turn(pool, double, range(30), ahead=5)
    for number in range(10):
        assert next(results) == 2 * number
        assert len(pool.begun) == number + 6  # the one that is taken makes room for another
    assert list(results) == [2 * number for number in range(10, 30)]
    assert pool.begun == list(range(30))
