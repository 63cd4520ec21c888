"""Devices that are absent: silent by the vendor's clock, or gone from the vendor's list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from shared import times
from shared.devices.batch import Entry
from shared.devices.refused import Refused
from shared.state.fingerprints import GONE, SILENT, Fingerprints

_ABSENT = 1  # in place of the content of a device that is gone
_MAX_NAMED = 20


def presence(was: str, last_seen: float | None, now: float, silent_after: float) -> str:
    """SILENT, or "" for a device that is seen; times are epoch seconds on the vendor's clock."""
    if last_seen is None:
        return "" if was == GONE else was
    return SILENT if now - last_seen >= silent_after else ""


class Gone:
    """The devices that neither this walk nor the complete one before met (`count`). Each is reported once."""

    def __init__(self, memory: Fingerprints, began: int, *, confirmed: bool) -> None:
        self.memory = memory
        self._absent = memory.absent_after_complete_walk(began, confirmed=confirmed)
        self._names: list[str] = []
        self._found = 0
        self.count = len(self._absent)

    def events(self, serialize: Callable[[list[Any]], bytes], refused: Refused) -> Iterator[tuple[bytes, Entry]]:
        """What is to be sent of those that were not reported yet; where nothing is, they count as reported."""
        for key in self._absent:
            if self.memory.presence(key) == GONE or refused.is_held_back(key, _ABSENT, self.memory.began):
                continue
            description = self.memory.description(key)
            self._found += 1
            if description and len(self._names) < _MAX_NAMED:
                self._names.append(f"{description[1]}{times.last_seen(description[-1])}")
            if event := serialize(description) if description else b"":
                yield event, Entry(key, _ABSENT, False, refused.knows(key, _ABSENT), GONE)
            else:
                self.memory.set_presence(key, GONE)

    def log_names(self, log: Callable[[str], None]) -> None:
        """One line for those found now, of the first by name."""
        more = self._found - len(self._names)
        names = "; ".join([*self._names, *([f"{more:,} more"] if more else [])])
        if names:
            log(f"Gone from the list, as two complete readings found: {names}")
