"""The clock of the benchmark of drawing, against times made up."""

import time
from types import SimpleNamespace

import pytest

from benchmarks.bench_synthesis import COLUMNS, PARTS, Clock


@pytest.fixture
def passes(monkeypatch):
    """Lets processor time pass, which otherwise stands still."""
    now = [100.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def test_what_is_counted_within_counts_once(passes):
    clock = Clock()
    module = SimpleNamespace(inner=lambda: passes(2.0))

    def outer():
        passes(0.5)
        module.inner()
        module.inner()
        return "made"

    clock.watch("inner", module, "inner")
    outer = clock.timed("outer", outer)

    def whole():
        passes(0.25)
        assert outer() == "made"
        module.inner()

    clock.timed("rest", whole)()
    # Powers of two: exact.
    assert clock.seconds == {"inner": 6.0, "outer": 0.5, "rest": 0.25}
    figures = clock.figures(3)
    assert figures["inner"] == 2000.0
    assert figures["all"] == pytest.approx(2250.0)
    assert figures["rate"] == pytest.approx(3 / 6.75)


def test_parts_are_counted_where_they_are_looked_up(monkeypatch):
    clock = Clock()
    for title, owner, name in PARTS:
        monkeypatch.setattr(owner, name, lambda *_: None)  # fails for what is not there; taken back at the end
        clock.watch(title, owner, name)
        getattr(owner, name)()
    keys = {key for key, _ in COLUMNS.values()}
    assert keys == {"rate", "all", "rest", *clock.seconds}
