"""How far a walk may move the cursor: never past what is not delivered, nor past the vendor's clock at its begin."""

from __future__ import annotations

import time
from collections.abc import Callable

from shared import times


class Cursor:
    """The cursor of one round, epoch seconds. `start` is the stored one; `move` stores another.

    `in_order`: the rows of this reading came sorted by the cursor so far, and none before was short, so that it may move
    batch by batch. `clock`: the vendor's when the round began.
    """

    def __init__(self, start: float | None, move: Callable[[float], None]) -> None:
        self.in_order = False
        self.clock = time.time() - times.OWN_CLOCK_DOUBT
        self.move = move
        self._start = start
        self._latest: float | None = None

    def begin(self, date: float | None) -> None:
        """The vendor's clock at the begin; a stored cursor that is ahead of it is brought back."""
        if date is None:
            return
        self.clock = date
        if self._start is not None and self._start > date:
            self._start = date
            self.move(date)

    def begin_reading(self, *, in_order: bool) -> None:
        self.in_order = in_order
        self._latest = None

    def track(self, at: float | None) -> None:
        """Note a row's value; a row out of order sets the cursor back to where the walk began."""
        if at is None:
            return
        if self._latest is None or at >= self._latest:
            self._latest = at
        elif self.in_order:
            self.in_order = False
            self.go_back()

    def go_back(self) -> None:
        if self._start is not None:
            self.move(self._start)

    @property
    def reached(self) -> float | None:
        """The newest value seen, never behind the stored one, never ahead of the vendor's clock at the begin."""
        latest = max((at for at in (self._latest, self._start) if at is not None), default=None)
        return None if latest is None else min(latest, self.clock)

    def end(self) -> None:
        """All that was read is delivered, or refused."""
        if (reached := self.reached) is not None and reached != self._start:
            self.move(reached)
