"""Closed windows of time, read page by page from a list that changes meanwhile (decision 19).

For sources that can only be asked for the rows updated between two moments, page by page by offset: a row that is
updated meanwhile leaves its window, the rows behind it move up, and the next offset misses one. The total shows that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from json import dumps
from typing import Any, NamedTuple

from shared import times
from shared.errors import ConnectorError
from shared.http.pages import EndlessCheck, Page


class Window(NamedTuple):
    """Epoch seconds of the vendor's clock; both bounds belong to it, so that two windows in a row share one."""

    start: int
    end: int


def next_window(start: int, until: int, longest: int) -> Window | None:
    """The window that is due after `start`, of `longest` seconds at most; None when none is."""
    return Window(start, min(until, start + longest)) if until > start else None


def hash_of(value: Any) -> str:
    """64 bits of a hash of a JSON value, as hex digits."""
    try:
        text = dumps(value, sort_keys=True)
    except RecursionError:
        text = f"nested too deeply, {len(value)}"
    return blake2b(text.encode(), digest_size=8).hexdigest()


class VendorClock:
    """The `Date` (epoch seconds) of the last reply, continued by our monotonic clock; without one ours less five minutes."""

    def __init__(self) -> None:
        self.asked = False  # whether there was a reply, with or without a date
        self._ahead: float | None = None

    def hear(self, date: float | None) -> None:
        self.asked = True
        if date is not None:
            self._ahead = date - time.monotonic()

    def now(self) -> float:
        return time.time() - times.OWN_CLOCK_DOUBT if self._ahead is None else time.monotonic() + self._ahead


class Reading:
    """One pass over a window. Iterating returns each page with its rows that were not met before in this pass, by key.

    `error` is what ended the pass early, for the caller to raise when the rows before it are delivered; five pages in a
    row without a new row are an error. `date`: the vendor's clock when the pass began, None if not reported.
    """

    def __init__(self, who: str, pages: Iterator[Page], key_of: Callable[[Any], str]) -> None:
        self.date: float | None = None
        self.rows = self.total = 0
        self.error: ConnectorError | None = None
        self._who, self._pages, self._key_of = who, pages, key_of

    @property
    def missing(self) -> int:
        """How many rows of the highest total that its pages reported it did not meet."""
        return max(0, self.total - self.rows)

    def __iter__(self) -> Iterator[tuple[Page, dict[str, Any]]]:
        met: set[str] = set()
        endless = EndlessCheck(self._who)
        try:
            for page in self._pages:
                new: dict[str, Any] = {}
                again = set()
                for record in page.records:
                    if (key := self._key_of(record)) in met:
                        again.add(key)
                    else:
                        new[key] = record
                met.update(new)
                self.rows += len(page.records) - len(again)  # identical records of a page are one key
                self.total = max(self.total, page.total or 0)
                self.date = page.date if self.date is None else self.date
                yield page, new
                endless.page(new=bool(new))
                del page, new  # before the next page is parsed
        except ConnectorError as error:
            self.error = error
