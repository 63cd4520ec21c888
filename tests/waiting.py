"""Waiting in tests: for something to happen, and in place of a wait that the code under test makes.

No test depends on a stop-watch unless it is marked `timing`: a timeout only ends a test that hangs.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from threading import Event
from typing import Any

HANGS = 60.0  # seconds after which a test hangs, also on a busy machine


def until(condition: Callable[[], Any], seconds: float = HANGS) -> None:
    """Wait until it is true; AssertionError, with the condition as it is written, when it does not become so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"after {seconds:.0f} s this was still not true: {inspect.getsource(condition)}"
        time.sleep(0.01)


class StopEvent(Event):
    """A stop event with its own time: a wait ends at once, is noted in `waits` and added to `now`.

    `after`: the event is set during the wait of that number, counted from 1.
    """

    def __init__(self, after: int | None = None) -> None:
        super().__init__()
        self.now = 0.0
        self.waits: list[float | None] = []
        self._after = after

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is None or timeout > 0:
            self.waits.append(timeout)
            self.now += timeout or 0.0
        if len(self.waits) == self._after:
            self.set()
        return self.is_set()
