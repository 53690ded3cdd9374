"""How long each stage of some work takes."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Stages:
    """Seconds by the name of a stage, in the order of the names' first use."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Times what is done within the context."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def line(self, count: int) -> str:
        """Milliseconds of each of so many things, in all and by stage."""
        each = [f"{name} {1000 * seconds / count:.0f}" for name, seconds in self.seconds.items()]
        return f"{1000 * self.seconds.total() / count:.0f} ms ({', '.join(each)})"
