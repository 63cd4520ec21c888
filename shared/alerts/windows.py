"""Closed windows of time over a list that changes while it is paged, and which of its rows are known already.

For sources that can only be asked for what was touched between two moments, page by page by offset: a row that is
touched meanwhile leaves the window, those behind it move up, and the next offset passes one by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import TryAgain, UnexpectedReply
from shared.http.pages import Page

_PASSES = 3  # over one window, before it is halved
MAX_ROWS = 20_000  # of a window, which is held in memory to be sorted; one of a second cannot be split
MAX_MEMORY = 128 * 1024 * 1024  # bytes of a window's rows, of one of a second too
MAX_KNOWN = 100_000
_YOUNG = 60  # seconds after its end in which rows may still come into a window


@dataclass(frozen=True)
class Window:
    """Whole epoch seconds; both bounds belong to it, so that two windows in a row share one."""

    start: int
    end: int

    @property
    def half(self) -> Window | None:
        """Its first half; None when there is no shorter one that goes forward."""
        length = self.end - self.start
        return Window(self.start, self.start + length // 2) if length > 1 else None


def next_window(start: int, until: int, longest: int) -> Window | None:
    """The window that is due after `start`, of `longest` seconds at most; None when none is."""
    return Window(start, min(until, start + longest)) if until > start else None


@dataclass
class Reading:
    """The rows of a window by key. `date`: the source's clock when the reading began, epoch seconds, if told."""

    window: Window
    rows: dict[str, Any] = field(default_factory=dict)
    date: float | None = None
    pages: int = 0


def read_window(
    who: str, window: Window, pages: Callable[[int, int], Iterator[Page]], key_of: Callable[[Any], str]
) -> Reading:
    """The window, or as much of its beginning as could be read whole; `pages(start, end)` reads it once.

    A window of several pages is read again when its total moved between them or is not the number of its rows; one so
    young that rows may still come into it is read again in any case, for one that comes hides from the total one that
    leaves. It is at rest when two passes in a row bring the same: then none was passed by, because a row that left
    would be missing from the second. The rows are those of all the passes. A window that does not come to rest, or
    holds too much, is halved; TryAgain when a second of it does not come to rest, UnexpectedReply when it holds too much.
    """
    while (reading := _read(who, window, pages, key_of)) is None:
        if window.half is None:
            raise TryAgain(
                f"{who} changed what it holds each time it was read ({_PASSES} times), so that rows may have been passed "
                "by. Nothing is lost: it is read again later."
            )
        window = window.half
    return reading


def _read(
    who: str, window: Window, pages: Callable[[int, int], Iterator[Page]], key_of: Callable[[Any], str]
) -> Reading | None:
    reading = Reading(window)
    most = MAX_ROWS if window.half else math.inf
    before: set[str] | None = None
    memory = 0
    for _ in range(_PASSES):
        seen: set[str] = set()
        totals: set[int | None] = set()
        count = 0
        for page in pages(window.start, window.end):
            count += 1
            totals.add(page.total)
            reading.date = page.date if reading.date is None else reading.date
            memory += page.memory
            if memory > MAX_MEMORY:
                _require_half(who, window)
                return None
            rows = {key_of(record): record for record in page.records}
            reading.rows.update(rows)
            seen.update(rows)
            if len(reading.rows) > most:
                return None
        reading.pages += count
        quiet = reading.date is not None and reading.date - window.end >= _YOUNG
        if count == 1 or seen == before or (quiet and totals == {len(seen)}):
            return reading
        before = seen
    return None


def _require_half(who: str, window: Window) -> None:
    """UnexpectedReply when the window, which is too heavy, cannot be halved."""
    if window.half is None:
        most = MAX_MEMORY // (1024 * 1024)
        raise UnexpectedReply(f"{who} gave more for one second than {most} MiB of memory hold; nothing of it was sent.")


class Known:
    """Keys of delivered rows with their place in time (epoch seconds): those that a next window brings once more.

    Bounded: of more than 100,000 the oldest are forgotten, and may be sent twice.
    """

    def __init__(self, stored: Any = None) -> None:
        told = stored if isinstance(stored, dict) else {}
        self._places = {key: float(at) for key, at in told.items() if isinstance(at, int | float)}

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, places: Mapping[str, float]) -> None:
        """Remember what was delivered just now."""
        self._places.update(places)
        for key in list(self._places)[: max(0, len(self._places) - MAX_KNOWN)]:
            del self._places[key]

    def forget_before(self, cursor: float) -> None:
        """What lies before the cursor is not asked for again."""
        self._places = {key: at for key, at in self._places.items() if at >= cursor}

    def stored(self) -> dict[str, float]:
        """As JSON holds it; the constructor reads it back."""
        return dict(self._places)
