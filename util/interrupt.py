"""Ending cleanly: Ctrl-C and SIGTERM ask, the loop answers at its next step."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class Stopped(Exception):  # noqa: N818 (nothing went wrong)
    """Ends work that StopRequest.at_once covers."""


class StopRequest:
    """Within the context, SIGINT and SIGTERM set `asked`; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.asked, self.impatient = False, False

    def __enter__(self) -> "StopRequest":
        self.previous = {name: signal.signal(name, self.handle) for name in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name, handler in self.previous.items():
            signal.signal(name, handler)

    def handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
        if self.impatient:
            self.impatient = False
            raise Stopped

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """For work that can be given up anywhere: a request ends the block where it is."""
        self.impatient = True
        try:
            yield
        except Stopped:
            pass
        finally:
            self.impatient = False
