"""The records that a module skipped and the devices that are gone, read from its log."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMED = re.compile(r" - WARNING - Skipped an? \w+ \(([^\n].{0,110}?)\): ([^\n]+)", re.DOTALL)
_GONE = re.compile(r"Gone from the list, as two complete readings found: ([^\n]+)")
_LAST_SEEN = ", last seen "


@dataclass(frozen=True)
class Skip:
    """One record: its id at the vendor, and why it was skipped."""

    record: str
    reason: str


def skips_in(log: str) -> list[Skip]:
    """In the order of the log. A round names a thousand at most; how many there were is in its counts."""
    return [Skip(record, reason) for record, reason in _NAMED.findall(log)]


@dataclass(frozen=True)
class Gone:
    """A device, and when it was last seen (UTC); "" where that is not known."""

    hostname: str
    last_seen: str


def gone_in(log: str) -> list[Gone]:
    """In the order of the log, which names twenty at a time."""
    named = [name for names in _GONE.findall(log) for name in names.split("; ")]
    return [Gone(*name.rpartition(_LAST_SEEN)[::2]) if _LAST_SEEN in name else Gone(name, "") for name in named]
