"""The facts that an alert connector stores, each for itself, all in one file that is replaced atomically."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from shared import times
from shared.alerts.windows import Window
from shared.state.storage import JsonFile, next_write

_MAX_ASIDE = 1_000
_MAX_ASIDE_LENGTH = 16 * 1024 * 1024  # characters of all alerts put aside
MAX_KNOWN = 100_000
_MAX_SHORT = 10


class Aside(BaseModel):
    """An alert that the intake refused, queued for retry. `text` is what is sent, `at` its last update, `since` when it
    was put aside. `proven`: the intake accepted others when it refused this one."""

    name: str
    text: str
    at: float
    since: float
    proven: bool = False


class Facts(BaseModel):
    """What is stored besides the cursor; times are epoch seconds of the vendor's clock.

    `known`: the alerts delivered or skipped, with their last update; complete from `known_since` on. `second_look`: when it
    last ran. `unlooked`: where the first round began that was not read to its end, None after one that was. `short`:
    windows that returned fewer rows than their total, and since when. `first_start`: when the first round began, by our own
    clock, until the vendor's was heard and the first position is set by that.
    """

    known: dict[str, float] = {}
    known_since: int = 0
    second_look: float = 0.0
    unlooked: int | None = None
    short: list[tuple[Window, float]] = []
    aside: dict[str, Aside] = {}
    first_start: float | None = None


class Position:
    """`cursor`: everything updated before it was read, and is delivered, skipped or put aside; epoch seconds of the
    vendor's clock. `key` is the name under which it is stored, as ISO time. `damaged`: whether the stored facts were."""

    def __init__(self, path: Path, key: str) -> None:
        self.cursor = 0
        self.facts = Facts()
        self.damaged = False
        self._file = JsonFile(path)
        self._key = key
        self._next_write = 0.0

    def recall(self) -> bool:
        """Read what is stored; False when no position is. While it does not change, what is remembered is as new or newer."""
        stored = self._file.read()
        self.damaged = self._file.damaged
        if self._file.unchanged:
            return True
        try:
            self.facts = Facts.model_validate(stored)
        except ValidationError:
            self.facts, self.damaged = Facts(), True
        at = times.epoch(stored.get(self._key))
        self.cursor = int(at or 0)
        if "known_since" not in self.facts.model_fields_set:  # of an earlier release, which knew those from there on
            self.facts.known_since = self.cursor
        return at is not None

    def store(self) -> None:
        """Write all facts."""
        self._file.write({self._key: times.iso(self.cursor), **self.facts.model_dump(mode="json")})

    def store_in_time(self) -> None:
        """Write all facts, but not soon after the last such write."""
        began = time.monotonic()
        if began >= self._next_write:
            self.store()
            self._next_write = next_write(began, time.monotonic())

    def __contains__(self, key: str) -> bool:
        """Whether a row is not sent when it is read again."""
        return key in self.facts.known or key in self.facts.aside

    def done(self, rows: Mapping[str, float]) -> None:
        """Remember rows (key → last update) as delivered or skipped. Of more than 100,000 the oldest tenth is forgotten and
        the second look begins after them: an alert before that is not found if it becomes visible late."""
        facts = self.facts
        for key in rows:
            facts.aside.pop(key, None)
        facts.known.update(rows)
        if (excess := len(facts.known) - MAX_KNOWN) > 0:
            oldest = sorted(facts.known.items(), key=lambda row: row[1])[: excess + MAX_KNOWN // 10]
            facts.known_since = max(facts.known_since, int(oldest[-1][1]) + 1)
            for key, _ in oldest:
                del facts.known[key]

    def forget_before(self, at: int) -> None:
        """Rows updated before `at` are not read again, but for those in short windows."""
        at = min([at, *(window.start for window, _ in self.facts.short)])
        self.facts.known = {key: updated for key, updated in self.facts.known.items() if updated >= at}
        self.facts.known_since = max(self.facts.known_since, at)

    def has_room_for(self, text: str) -> bool:
        """Whether one more alert can be put aside."""
        aside = self.facts.aside.values()
        return len(aside) < _MAX_ASIDE and len(text) + sum(len(one.text) for one in aside) <= _MAX_ASIDE_LENGTH

    def add_short(self, window: Window, now: float) -> None:
        """Remember a window that stayed short. Of more than ten the oldest is dropped: the second look covers it too."""
        self.facts.short = [*self.facts.short, (window, now)][-_MAX_SHORT:]
